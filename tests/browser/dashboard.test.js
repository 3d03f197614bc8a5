// Browser tests of the dashboard: it shows live numbers under load, and can purge a file.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { Programs } from "./programs.js";

const FILE = "64a1b2c3d4e5f60718293a4b";
const SHOTS = fileURLToPath(new URL("../../target/dashboard", import.meta.url));
const TOKEN = "an-admin-token";

const programs = new Programs();
let gateway, browser;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  gateway = await programs.gateway("https://app.example.com", TOKEN);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  programs.onStop(() => browser.close());
});

after(() => programs.stop());

/** Opens a gateway's dashboard in a new window, and collects errors and foreign requests in it. */
async function open(options, admin = gateway.admin) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (line) => line.type() === "error" && wrong.push(line.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(admin) && !request.url().startsWith("data:")) wrong.push(request.url());
  });
  await page.goto(`${admin}/`);
  return { page, wrong, end: () => context.close() };
}

/** Requests lists of the sandbox, and some that do not exist, until `over`. */
async function load(over) {
  for (let turn = 0; !over.done; turn += 1) {
    const file = turn % 5 ? FILE : `missing-${turn}`;
    await (await fetch(`${gateway.url}/v1/files/${file}/versions`)).arrayBuffer();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const text = (page, id) => page.locator(`#${id}`).textContent();

test("its numbers move under load, at either size and in either colours", async () => {
  const over = { done: false };
  const loading = load(over);
  try {
    for (const [name, viewport, colorScheme] of [
      ["wide-light", { width: 1280, height: 900 }, "light"],
      ["wide-dark", { width: 1280, height: 900 }, "dark"],
      ["narrow-dark", { width: 400, height: 800 }, "dark"],
    ]) {
      const { page, wrong, end } = await open({ viewport, colorScheme });
      await page.waitForFunction(() => /[1-9]/.test(document.getElementById("now-requests").textContent));
      assert.match(await text(page, "state"), /^Live, as of/);
      await page.waitForFunction((file) => document.getElementById("asked").textContent.includes(file), FILE);
      assert.equal(await page.locator(".chart:visible canvas").count(), 10);
      assert.equal(await page.locator("[data-fleet]:visible").count(), 0, "it is none of a fleet");
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${name} is ${overflow} pixels wider than its window`);
      await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
      assert.deepEqual(wrong, [], name);
      await end();
    }
  } finally {
    over.done = true;
    await loading;
  }
});

test("a file is purged from it, once the token is given, by keyboard alone", async () => {
  await (await fetch(`${gateway.url}/v1/files/${FILE}/versions`)).arrayBuffer();
  const stored = async () => (await (await fetch(`${gateway.admin}/api/cache/${FILE}`)).json()).stored;
  assert.equal(await stored(), true);
  const { page, end } = await open({});
  await page.locator("#purge-file").focus();
  await page.keyboard.type(FILE);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("purge-said").textContent.includes("token"));
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  assert.equal(await stored(), true);
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("purge-said").textContent.includes("purged"));
  assert.equal(await stored(), false);
  await page.waitForFunction(() => document.getElementById("events").textContent.includes("purged a file"));
  await end();
});

test("it says how a gateway stands with its fleet, and what the fleet was not told", async () => {
  const redis = await programs.redis();
  const { url, admin } = await programs.gateway("https://app.example.com", undefined, redis.url);
  await (await fetch(`${url}/v1/files/${FILE}/versions`)).arrayBuffer();
  const { page, wrong, end } = await open({ viewport: { width: 1280, height: 900 } }, admin);
  const says = (id, said) => page.waitForFunction(
    ([id, said]) => document.getElementById(id).textContent === said,
    [id, said],
  );
  await says("now-fleet", "connected");
  await says("now-nodes", "1");
  await says("now-pending", "0");
  assert.match(await text(page, "now-lag"), /^[0-9.]+ m?s$/);
  assert.equal(await page.locator(".chart:visible canvas").count(), 12);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `it is ${overflow} pixels wider than its window`);
  await page.screenshot({ path: `${SHOTS}/fleet.png`, fullPage: true });
  assert.deepEqual(wrong, []);

  await redis.stop();
  await says("now-fleet", "cut off");
  await page.locator("#purge-file").fill(FILE);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("purge-said").textContent.includes("the others"));
  await says("now-pending", "1");
  await page.screenshot({ path: `${SHOTS}/cut-off.png`, fullPage: true });
  await end();
});
