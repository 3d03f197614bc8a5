// Pictures of the dashboard and of the demo page for README.md, taken from a running `ikgate demo`.
//
//   npm run pictures          writes deploy/pictures; takes four minutes
//
// Requests run for a while first, so that the charts show each cache outcome and a throttled caller.

import { mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { withPalette } from "./palette.js";
import { Programs } from "./programs.js";

const PICTURES = fileURLToPath(new URL("../../deploy/pictures", import.meta.url));
const SECONDS = Number(process.env.SECONDS_OF_TRAFFIC ?? 230);
// Charts that the picture of the dashboard shows: three rows.
const CHARTS = 9;
const BYTES_MAX = 100_000;
const POPULAR = "64a1b2c3d4e5f60718293a4b";
const CALLER = { Authorization: "Bearer ikg_demo" };

/** Returns ids in the form of ImageKit's, the most popular file of the sandbox first. */
function fileIds(number) {
  const id = (index) => `65${(0x3f1c07 + index * 7919).toString(16)}a9d0${(0xc0ffee5eed + index * 104729).toString(16)}`;
  return [POPULAR, ...Array.from({ length: number - 1 }, (_, index) => id(index).slice(0, 24))];
}

/** Sends requests to the gateway of a demo, as different callers would, until `seconds` are over. */
class Traffic {
  #gateway; #dashboard; #sandbox; #end; #files = fileIds(120); #known = 1;

  constructor({ gateway, dashboard, sandbox }, seconds) {
    [this.#gateway, this.#dashboard, this.#sandbox] = [gateway, dashboard.replace(/\/$/, ""), sandbox];
    this.#end = Date.now() + seconds * 1000;
  }

  async run() {
    await Promise.all([
      this.#addFiles(),
      // Within the quota of the caller, 50 a second.
      this.#repeat(() => 28 + 6 * Math.sin(Date.now() / 12_000), () => this.#list(this.#someFile(), CALLER)),
      // In waves above the quota of an anonymous caller, 10 a second.
      this.#repeat(() => 90 + 40 * Math.sin(Date.now() / 9_000), () => this.#list(this.#someFile())),
      this.#repeat(() => 1_200, () => this.#list(`missing-${Date.now() % 7}`, CALLER)),
      this.#repeat(() => 800, () => this.#purge(this.#someFile(), "?soft=true")),
      // After a new version, callers that come at once wait for one upstream call.
      this.#repeat(() => 4_000, () => this.#changed(this.#someFile())),
    ]);
  }

  /** Runs an action again and again, `pause` milliseconds apart, and waits for none of them. */
  async #repeat(pause, action) {
    const running = new Set();
    while (Date.now() < this.#end) {
      const done = action().finally(() => running.delete(done));
      running.add(done);
      await sleep(pause());
    }
    await Promise.all(running);
  }

  async #addFiles() {
    for (const file of this.#files.slice(1)) {
      await this.#post(file);
      this.#known += 1;
      await sleep(250);
    }
  }

  /** Returns a file id: few of them often, most of them seldom. */
  #someFile() {
    return this.#files[Math.floor(this.#known * Math.random() ** 3)];
  }

  async #changed(file) {
    await this.#post(file);
    await sleep(30);
    await Promise.all(Array.from({ length: 6 }, () => this.#list(file, CALLER)));
  }

  #list(file, headers) {
    return read(`${this.#gateway}/v1/files/${file}/versions`, { headers });
  }

  #purge(file, query) {
    return read(`${this.#dashboard}/api/cache/${file}${query}`, { method: "DELETE" });
  }

  #post(file) {
    return read(`${this.#sandbox}/_sandbox/files/${file}/versions`, { method: "POST" });
  }
}

async function read(url, options) {
  await (await fetch(url, options)).arrayBuffer();
}

/** Takes a picture of a page down to the end of `last`, and refuses one that is too large for the
 * README. */
async function picture(page, name, last) {
  const path = `${PICTURES}/${name}.png`;
  const { y, height } = await last.boundingBox();
  const clip = { x: 0, y: 0, width: page.viewportSize().width, height: Math.ceil(y + height) + 6 };
  const png = await withPalette(page, await page.screenshot({ clip, fullPage: true }));
  if (png.length > BYTES_MAX) throw new Error(`${path}: ${png.length} bytes, more than ${BYTES_MAX}`);
  writeFileSync(path, png);
  console.log(`${path}: ${png.length} bytes`);
}

const programs = new Programs();
try {
  mkdirSync(PICTURES, { recursive: true });
  const url = await programs.demo();
  const settings = await (await fetch(new URL("/settings.json", url))).json();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  programs.onStop(() => browser.close());
  const open = async (address, width, height) => {
    const options = { viewport: { width, height }, colorScheme: "light", locale: "en-US", timezoneId: "UTC" };
    const page = await (await browser.newContext(options)).newPage();
    await page.goto(address);
    return page;
  };

  const demo = await open(url, 1240, 900);
  await demo.getByText("fields differ").waitFor();
  await demo.getByRole("button", { name: "Request again" }).click();
  await demo.getByText("The cache: a hit").waitFor();
  await demo.getByRole("checkbox", { name: "only changed fields" }).check();
  await picture(demo, "demo", demo.locator("#compare"));

  const traffic = new Traffic(settings, SECONDS).run();
  await sleep((SECONDS - 8) * 1000);
  const dashboard = await open(settings.dashboard, 1360, 1000);
  await dashboard.getByText(/^Live, as of/).waitFor();
  await picture(dashboard, "dashboard", dashboard.locator(".chart").nth(CHARTS - 1));
  await traffic;
} finally {
  await programs.stop();
}
