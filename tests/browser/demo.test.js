// Browser tests of the demo page: the versions of a file, the cache outcome, and a new version that
// appears without a reload.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { Programs } from "./programs.js";

// Files of the sandbox. Each is used in one test only, so that no other test changes its state.
const PORTRAIT = "64a1b2c3d4e5f60718293a4c";
const TRAILER = "64a1b2c3d4e5f60718293a4d";
const TERMS = "64a1b2c3d4e5f60718293a4e";
const SHOTS = fileURLToPath(new URL("../../target/demo", import.meta.url));

const programs = new Programs();
let url, settings, browser;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  url = await programs.demo();
  settings = await (await fetch(new URL("/settings.json", url))).json();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  programs.onStop(() => browser.close());
});

after(() => programs.stop());

/** Opens the page in a new window, and collects errors and foreign requests in it. */
async function open(options) {
  const context = await browser.newContext({ locale: "en-US", timezoneId: "UTC", ...options });
  const page = await context.newPage();
  const origins = [url, settings.gateway, settings.sandbox].map((one) => new URL(one).origin);
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (line) => line.type() === "error" && wrong.push(line.text()));
  page.on("request", (request) => {
    const { protocol, origin, href } = new URL(request.url());
    if (protocol !== "data:" && !origins.includes(origin)) wrong.push(href);
  });
  await page.goto(url);
  return { page, wrong, end: () => context.close() };
}

async function show(page, file) {
  await page.locator("#file").fill(file);
  await page.getByRole("button", { name: "Show" }).click();
}

/** Waits until an element's text matches. */
function reads(page, id, pattern) {
  const matches = ([id, source]) => new RegExp(source).test(document.getElementById(id).textContent);
  return page.waitForFunction(matches, [id, pattern.source]);
}

const names = (page) => page.locator("#versions .name").allInnerTexts();
const text = (page, id) => page.locator(`#${id}`).innerText();

test("the versions appear, the newest first, at either size and in either colours", async () => {
  for (const [name, viewport, colorScheme] of [
    ["wide-light", { width: 1280, height: 900 }, "light"],
    ["wide-dark", { width: 1280, height: 900 }, "dark"],
    ["narrow-dark", { width: 400, height: 800 }, "dark"],
  ]) {
    const { page, wrong, end } = await open({ viewport, colorScheme });
    await reads(page, "compared", /fields differ/);
    assert.deepEqual(await names(page), ["Version 3 current", "Version 2", "Version 1"]);
    const facts = await page.locator("#versions .facts").first().innerText();
    assert.match(facts, /^Jul 5, 2023, 5:24\s?PM\s120\.4 kB\s1600 × 900$/u);
    assert.equal(await page.locator("#versions canvas").count(), 3);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${name} is ${overflow} pixels wider than its window`);
    await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
    assert.deepEqual(wrong, [], name);
    await end();
  }
});

test("a first request is a miss, and a second one a hit that is not sent again", async () => {
  const { page, wrong, end } = await open();
  await show(page, PORTRAIT);
  await reads(page, "versions-title", /portrait/);
  assert.equal(await text(page, "outcome"), "ImageKit: a miss");
  assert.match(await text(page, "cache-status"), /^Cache-Status: ikgate; fwd=uri-miss; fwd-status=200; stored/);
  assert.equal(await text(page, "sent"), "sent in full");
  await page.getByRole("button", { name: "Request again" }).click();
  await reads(page, "outcome", /The cache: a hit/);
  assert.match(await text(page, "cache-status"), /^Cache-Status: ikgate; hit; ttl=\d+$/);
  assert.match(await text(page, "age"), /^Age: \d+$/);
  assert.match(await text(page, "left"), /^\d+$/);
  assert.equal(await text(page, "sent"), "unchanged: not sent again");
  assert.deepEqual(wrong, []);
  await end();
});

test("a version that is added appears without a reload, however late the gateway hears of it", async () => {
  const { page, wrong, end } = await open();
  await show(page, TRAILER);
  await reads(page, "versions-title", /trailer/);
  await page.evaluate(() => (window.sameDocument = true));
  // Simulates a webhook that arrives after the first request.
  const notYet = { status: 304, headers: { "Access-Control-Allow-Origin": "*" } };
  await page.route(`${settings.gateway}/**`, (route) => route.fulfill(notYet), { times: 1 });
  await page.getByRole("button", { name: "Add a version" }).click();
  await reads(page, "state", /^Version 3 is in the list, after [2-9] requests$/);
  assert.deepEqual(await names(page), ["Version 3 current new", "Version 2", "Version 1"]);
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  assert.deepEqual(wrong, []);
  await end();
});

test("two versions are compared field by field, and what changed is marked, by keyboard alone", async () => {
  const { page, wrong, end } = await open();
  await reads(page, "compared", /fields differ/);
  // The two newest are chosen. The oldest replaces the newest, which was chosen first.
  await page.getByRole("checkbox", { name: /^Version 3/ }).focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  assert.equal(await page.locator("#versions :checked").count(), 2);
  assert.deepEqual(await page.locator("#compare thead th").allInnerTexts(), ["Field", "Version 1", "Version 2"]);
  const row = (path) => page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: path }) });
  const cells = (path) => row(path).getByRole("cell").allInnerTexts();
  assert.deepEqual(await cells("customMetadata.revision changed"), ["1", "2"]);
  assert.deepEqual(await cells("size changed"), ["120137", "120274"]);
  assert.deepEqual(await cells("AITags[1].name"), ["Sky", "Sky"]);
  assert.deepEqual(await cells("embeddedMetadata"), ["null", "null"]);
  assert.equal(await page.locator("#fields .changed").filter({ hasText: "AITags" }).count(), 0);
  await page.getByRole("checkbox", { name: "only changed fields" }).press("Space");
  assert.equal(await row("AITags[1].name").count(), 0);
  assert.equal(await row("size changed").count(), 1);
  assert.deepEqual(wrong, []);
  await end();
});

test("a file that does not exist is said so by its code, and the next one is shown", async () => {
  const { page, wrong, end } = await open();
  await reads(page, "compared", /fields differ/);
  await page.locator("#file").fill("no-such-file");
  await page.keyboard.press("Enter");
  await reads(page, "problem-code", /not_found/);
  assert.match(await page.getByRole("alert").innerText(), /does not exist[^]*support[^]*Request [0-9a-f]{16}/);
  assert.equal(await page.locator("#history").isVisible(), false);
  // The browser itself logs a line for any 404.
  assert.deepEqual(wrong, ["Failed to load resource: the server responded with a status of 404 (Not Found)"]);
  await show(page, settings.file);
  await reads(page, "versions", /Version 3/);
  assert.equal(await page.getByRole("alert").isVisible(), false);
  await end();
});

test("a file that is asked for while another is on its way takes its place", async () => {
  const { page, wrong, end } = await open();
  await page.route(`**/${TRAILER}/versions`, () => undefined);
  const isTrailer = (request) => request.url().includes(TRAILER);
  const [asked, givenUp] = [page.waitForRequest(isTrailer), page.waitForEvent("requestfailed", isTrailer)];
  await show(page, TRAILER);
  await asked;
  await show(page, TERMS);
  await reads(page, "versions-title", /terms/);
  await givenUp;
  assert.equal(await page.getByRole("alert").isVisible(), false);
  assert.deepEqual(wrong, []);
  await end();
});

test("the files of the sandbox are offered", async () => {
  const { page, wrong, end } = await open();
  await reads(page, "state", /3 versions/);
  await page.waitForFunction(() => document.getElementById("files").options.length > 0);
  const pairs = (options) => options.map(({ value, label }) => [value, label]);
  const offered = await page.locator("#files option").evaluateAll(pairs);
  assert.deepEqual(offered.find(([value]) => value === settings.file), [settings.file, "harbour.jpg, 3 versions"]);
  assert.deepEqual(wrong, []);
  await end();
});
