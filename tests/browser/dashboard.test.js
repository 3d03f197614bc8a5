// Browser tests of the dashboard: it shows live numbers under load, says what is wrong in an outage,
// and can purge a file.

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
  const more = "[limits]\nanonymous = { per_second = 1000, burst = 1000 }";
  gateway = await programs.gateway("https://app.example.com", TOKEN, undefined, { more });
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

/** Waits until an element contains a text. */
const says = (page, id, said) => page.waitForFunction(
  ([id, said]) => document.getElementById(id).textContent.includes(said),
  [id, said],
);

/** Requests the versions of a file, and resolves with the status. */
async function status(url, file = FILE, headers = {}) {
  const answer = await fetch(`${url}/v1/files/${file}/versions`, { headers });
  await answer.arrayBuffer();
  return answer.status;
}

/** Returns how many pixels of a chart have the colour of one of its series. */
function pixels(page, title, colour) {
  return page.locator(".chart", { hasText: title }).locator("canvas").evaluate((canvas, colour) => {
    const name = getComputedStyle(document.documentElement).getPropertyValue(colour).trim();
    const wanted = [1, 3, 5].map((at) => Number.parseInt(name.slice(at, at + 2), 16));
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
      found += data[at + 3] > 200 && wanted.every((part, index) => Math.abs(data[at + index] - part) < 8);
    }
    return found;
  }, colour);
}

/** Takes pictures of a page in both colour schemes, and of what is seen first at 400 pixels. */
async function shoot(page, name) {
  for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 400]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await page.waitForTimeout(300);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} pixels wider than ${width}`);
    await page.screenshot({ path: `${SHOTS}/${name}-${colorScheme}-${width}.png`, fullPage: width > 400 });
  }
}

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
      assert.match(await text(page, "state"), /^Live, as of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.match(await text(page, "uptime"), /^up /);
      assert.equal(await page.locator("#headline").isVisible(), false, "nothing is wrong");
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
  await says(page, "purge-said", `Removed ${FILE}.`);
  assert.equal(await stored(), false);
  await page.locator("#purge-file").focus();
  await page.keyboard.press("Enter");
  await says(page, "purge-said", `${FILE} was not stored here.`);
  await page.waitForFunction(() => document.getElementById("events").textContent.includes("purged a file"));
  await end();
});

test("it says how a gateway stands with its fleet, and what the fleet was not told", async () => {
  const redis = await programs.redis();
  const { url, admin } = await programs.gateway("https://app.example.com", undefined, redis.url);
  await (await fetch(`${url}/v1/files/${FILE}/versions`)).arrayBuffer();
  const { page, wrong, end } = await open({ viewport: { width: 1280, height: 900 } }, admin);
  await says(page, "now-fleet", "connected");
  await says(page, "now-nodes", "1");
  await says(page, "now-pending", "0");
  assert.match(await text(page, "now-lag"), /^[0-9.]+ (µs|ms|s)$/);
  assert.equal(await page.locator(".chart:visible canvas").count(), 12);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `it is ${overflow} pixels wider than its window`);
  await page.screenshot({ path: `${SHOTS}/fleet.png`, fullPage: true });
  assert.deepEqual(wrong, []);

  await redis.stop();
  await says(page, "now-fleet", "cut off");
  await says(page, "headline", "The connection to the fleet's Redis is cut off");
  await page.locator("#purge-file").fill(FILE);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("purge-said").textContent.includes("the others"));
  await says(page, "now-pending", "1");
  await page.screenshot({ path: `${SHOTS}/cut-off.png`, fullPage: true });
  await end();
});

test("a row is purged after a confirmation, and a file that is not stored is not called purged", async () => {
  const { url, admin } = await programs.gateway("https://app.example.com");
  await status(url);
  await status(url);
  const { page, wrong, end } = await open({}, admin);
  const button = page.locator("#asked button").first();
  await button.click();
  assert.equal(await button.textContent(), "Confirm");
  assert.equal((await (await fetch(`${admin}/api/cache/${FILE}`)).json()).stored, true, "one click purges nothing");
  await page.keyboard.press("Escape");
  assert.equal(await button.textContent(), "Purge");
  await button.click();
  await page.screenshot({ path: `${SHOTS}/confirm.png` });
  await button.click();
  await says(page, "purge-said", `Removed ${FILE}.`);
  await button.click();
  await button.click();
  await says(page, "purge-said", `${FILE} was not stored here.`);
  await page.screenshot({ path: `${SHOTS}/not-stored.png` });
  assert.deepEqual(wrong, []);
  await end();
});

test("an outage is told with its cause, and saves nothing", async () => {
  let isDown = false;
  const upstream = await programs.serve((request, answer) => {
    if (isDown) return request.socket.destroy();
    answer.setHeader("Content-Type", "application/json");
    answer.end("[]");
  });
  const more = '[cache]\nttl = "1s"\nstale_while_revalidate = "0s"\n[limits]\nanonymous = { per_second = 1000, burst = 1000 }';
  const { url, admin, stop } = await programs.gateway("https://app.example.com", undefined, undefined, { upstream, more });
  assert.equal(await status(url), 200);
  isDown = true;
  await new Promise((resolve) => setTimeout(resolve, 1500));
  let turn = 0;
  const load = setInterval(() => {
    turn += 1;
    status(url, turn % 3 ? `missing-${turn}` : FILE).catch(() => {});
  }, 50);
  try {
    const { page, wrong, end } = await open({ viewport: { width: 1280, height: 900 } }, admin);
    await says(page, "headline", "ImageKit has been unreachable for");
    await says(page, "headline", "The circuit breaker is open");
    await page.waitForFunction(() => /In the last minute [1-9]\d? % of requests were answered stale/.test(document.getElementById("headline").textContent));
    await says(page, "errors", "upstream_");
    await page.waitForFunction(() => /[1-9]/.test(document.getElementById("now-failed").textContent));
    const { points } = await (await fetch(`${admin}/api/stats`)).json();
    for (const { saved, failed, requests } of points.slice(-1)) {
      assert.equal(saved, requests.stale_error ?? 0, "only stale answers were saved");
      assert.ok(failed > saved, `${failed} requests failed, ${saved} were saved`);
    }
    await shoot(page, "outage");
    assert.deepEqual(wrong, []);

    clearInterval(load);
    await stop();
    await says(page, "headline", "The gateway does not answer");
    assert.equal(await page.locator("body.gone").count(), 1);
    assert.ok(await page.evaluate(() => getComputedStyle(document.querySelector("dl")).opacity) < 1, "old values are dimmed");
    await shoot(page, "gone");
    await end();
  } finally {
    clearInterval(load);
  }
});

test("it names a throttled caller, a refused key and refused credentials", async () => {
  const more = '[limits]\nanonymous = { per_second = 1, burst = 6 }';
  const upstreamKey = "private_refused=";
  const { url, admin } = await programs.gateway("https://app.example.com", undefined, undefined, { upstreamKey, more });
  for (let turn = 0; turn < 12; turn += 1) await status(url, `file-${turn}`);
  assert.equal(await status(url, FILE, { Authorization: "Bearer wrong" }), 401);
  const { page, wrong, end } = await open({ viewport: { width: 1280, height: 900 } }, admin);
  await says(page, "headline", "ImageKit has refused the private key for");
  await says(page, "headline", "Write a valid key into upstream.private_key_file.");
  await says(page, "callers", "anonymous");
  assert.ok(await pixels(page, "Memory", "--c1") > 3, "the first sample is drawn, though no line leads to it");
  const throttled = await page.locator("#callers tr", { hasText: "anonymous" }).locator("td").nth(3).textContent();
  assert.ok(Number(throttled) >= 5, `${throttled} throttled`);
  await says(page, "errors", "throttled");
  await says(page, "errors", "upstream_auth");
  await says(page, "errors", "unauthorized: no_callers");
  const link = page.locator("#headline a");
  assert.match(await link.getAttribute("href"), /^\/runbook#:~:text=IkgateKeyRefused$/);
  await shoot(page, "refused-key");
  assert.deepEqual(wrong, []);
  await link.click();
  await page.waitForURL(/runbook/);
  assert.match(await page.locator("body").textContent(), /## IkgateKeyRefused/);
  await end();
});
