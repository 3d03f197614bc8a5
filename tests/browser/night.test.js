// A scripted bad night: at each minute `/api/stats`, the dashboard, `ikgate status`, the log and the
// alerts tell the same story.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { check } from "./alerts.js";
import { Night } from "./night.js";
import { Programs } from "./programs.js";

const SHOTS = fileURLToPath(new URL("../../target/dashboard", import.meta.url));
const BURNS = ["IkgateAvailabilityBurnsFast", "IkgateAvailabilityBurnsSlowly"];

/** Problems by code, with the beginning of their cause. */
const UNREACHABLE = { upstream_unreachable: "ImageKit has been unreachable for " };
const REFUSED = { private_key_refused: "ImageKit has refused the private key for " };
const THROTTLED = { caller_throttled: "The caller batch-job sends more than its quota: " };
const EXPIRES = { certificate: "The TLS certificate expires in 9 days." };
const CUT_OFF = { fleet_cut_off: "The connection to the fleet's Redis is cut off" };
const UNREADABLE = { private_key_unreadable: "The file of the private key cannot be used: " };

const codes = (stats) => stats.problems.map(({ code }) => code);
const has = (code) => (stats) => codes(stats).includes(code);
const hasNo = (code) => (stats) => !codes(stats).includes(code);

const isOpen = (stats) => stats.health.upstream.breaker === "open";

/** The night, minute by minute: what happens, what callers send then, and what is said of it. */
const MINUTES = [
  {
    name: "all is well",
    happens: (night) => night.requestUntil((stats) => stats.health.fleet === "connected" && stats.points.length > 0),
    problems: {},
    log: /ready/,
    alerts: [],
  },
  {
    name: "ImageKit is gone",
    happens: async (night) => {
      night.upstream.isDown = true;
      await night.requestUntil(isOpen);
    },
    sends: async (night) => {
      await night.misses();
      await night.requestUntil(isOpen);
    },
    problems: UNREACHABLE,
    log: /circuit breaker open/,
    alerts: ["IkgateBreakerOpen", ...BURNS],
  },
  {
    name: "ImageKit is back",
    happens: async (night) => {
      night.upstream.isDown = false;
      await night.requestUntil(hasNo("upstream_unreachable"));
      await night.settle();
    },
    problems: {},
    log: /circuit breaker closed/,
    // Its window is half an hour.
    alerts: ["IkgateAvailabilityBurnsSlowly"],
  },
  {
    name: "the key is refused",
    happens: async (night) => {
      night.upstream.refused = "private_first=";
      await night.requestUntil((stats) => stats.health.upstream.failed_calls >= 3);
    },
    problems: REFUSED,
    log: /the upstream refuses the private key/,
    alerts: ["IkgateKeyRefused", ...BURNS],
  },
  {
    name: "the key file is gone",
    happens: async (night) => {
      night.removeKey();
      await night.until(has("private_key_unreadable"));
    },
    problems: { ...UNREADABLE, ...REFUSED },
    log: /the private key cannot be used/,
    alerts: ["IkgateKeyRefused", "IkgateKeyUnreadable", ...BURNS],
  },
  {
    name: "the key is replaced",
    happens: async (night) => {
      night.writeKey("private_second=");
      await night.until((stats) => stats.health.upstream.private_key === "untried");
      await night.requestUntil((stats) => stats.health.upstream.private_key === "accepted");
      await night.settle();
    },
    problems: {},
    log: /the private key has changed/,
    alerts: ["IkgateAvailabilityBurnsSlowly"],
  },
  {
    name: "a caller floods",
    happens: (night) => night.flood(),
    sends: async (night) => {
      await night.flood();
      await night.until(has("caller_throttled"));
    },
    problems: THROTTLED,
    log: /"caller":"batch-job".*"error.code":"throttled"/,
    alerts: ["IkgateCallerThrottled"],
  },
  {
    name: "the certificate is replaced by one of ten days",
    happens: async (night) => {
      night.writeCertificate(10);
      await night.until(has("certificate"));
      await night.flood();
      await night.until(has("caller_throttled"));
    },
    problems: { ...EXPIRES, ...THROTTLED },
    log: /the TLS certificate expires soon/,
    alerts: ["IkgateCertificateExpires"],
  },
  {
    name: "Redis is gone",
    happens: async (night) => {
      await night.redis.stop();
      await night.until(has("fleet_cut_off"));
      await night.flood();
      await night.until(has("caller_throttled"));
    },
    problems: { ...CUT_OFF, ...EXPIRES, ...THROTTLED },
    log: /"state":"(apart|disconnected)"/,
    alerts: ["IkgateCertificateExpires", "IkgateFleetCutOff"],
  },
];

const programs = new Programs();
let night, page;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  night = await Night.start(programs);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  programs.onStop(() => browser.close());
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(`${night.admin}/`);
});

after(() => programs.stop());

/** Compares the problems of `/api/stats` with those of a minute: codes, and how each cause begins. */
function sameProblems(stats, problems) {
  assert.deepEqual(codes(stats).sort(), Object.keys(problems).sort());
  for (const { code, cause } of stats.problems) assert.ok(cause.startsWith(problems[code]), cause);
}

/** Waits until the headline of the dashboard has a paragraph for each of these problems, and no other. */
async function dashboardSays(problems) {
  await page.waitForFunction((problems) => {
    const said = [...document.querySelectorAll("#headline p")];
    const codes = Object.keys(problems);
    return said.length === codes.length
      && said.every((own) => own.textContent.startsWith(problems[own.dataset.code]));
  }, problems);
}

test("every voice of the gateway tells the same story of a bad night", async () => {
  const states = [];
  for (const { name, happens, sends = () => night.misses(), problems, log, alerts } of MINUTES) {
    const lines = states.length === 0 ? 0 : night.log.length;
    await happens(night);
    const start = await night.metrics();
    await sends(night);
    states.push({ alerts, before: start, after: await night.metrics() });
    sameProblems(await night.stats(), problems);
    await dashboardSays(problems);
    const { status, output } = night.status();
    assert.equal(status, "private_key_unreadable" in problems ? 1 : 0, output);
    for (const cause of Object.values(problems)) assert.ok(output.includes(cause), `${name}: ${output}`);
    if (Object.keys(problems).length === 0) assert.doesNotMatch(output, /critical|warning/i, name);
    await night.logged(lines, log);
    await page.screenshot({ path: `${SHOTS}/night-${states.length}.png` });
  }
  check(night.directory, states);

  // Morning: the gateway is stopped.
  const lines = night.log.length;
  await night.stop();
  await page.waitForFunction(() => document.getElementById("headline").textContent.includes("does not answer"));
  await night.logged(lines, /drained/);
  assert.equal(night.status().status, 1);
});
