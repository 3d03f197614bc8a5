// Tests of the dashboard's texts and sums, without a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

// The page's scripts are modules of a browser, which no package.json declares.
const source = readFileSync(new URL("../../src/admin/dashboard/format.js", import.meta.url), "utf8");
const format = await import(`data:text/javascript,${encodeURIComponent(source)}`);

test("sizes are in units of 1024, durations in their two largest units", () => {
  assert.deepEqual([0, 1023, 1024, 256 * 1024 ** 2].map(format.bytes), ["0 B", "1023 B", "1 KiB", "256 MiB"]);
  assert.deepEqual(
    [0.4, 59, 200, 3600, 90061].map(format.duration),
    ["0 s", "59 s", "3 min 20 s", "1 h", "1 d 1 h"],
  );
  assert.deepEqual([0, 0.455, 12.34, 2500].map(format.milliseconds), ["0 ms", "455 µs", "12.3 ms", "2.5 s"]);
  assert.deepEqual([0.123456, 99.95, 12345, 2.5e7].map(format.number), ["0.123", "100", "12k", "25M"]);
});

test("times are ISO 8601 in UTC", () => {
  assert.equal(format.isoTime(1764168000), "2025-11-26T14:40:00Z");
  assert.equal(format.clockTime(1764168000), "14:40:00");
});

test("a value between two gaps is isolated", () => {
  assert.deepEqual(format.isolated([1, null, 2, 3, null, 4]), [0, 5]);
  assert.deepEqual(format.isolated([null, 0, null]), [1]);
  assert.deepEqual(format.isolated([]), []);
});

test("calls that did not leave are not counted as calls, and lookups are requests of the cache", () => {
  const point = {
    requests: { hit: 6, stale: 1, miss: 2, stale_error: 1, none: 90 },
    upstream: { ok: 2, bad: 1, budget: 5, queue_full: 6, breaker_open: 7, auth_stopped: 8 },
  };
  assert.equal(format.callsMade(point), 3);
  assert.equal(format.lookups(point), 10);
  assert.equal(format.hitRatio(point), 0.7);
  assert.equal(format.hitRatio({ requests: { none: 3 } }), null);
  assert.deepEqual(format.totals([{ errors: { a: 1 } }, { errors: { b: 3, a: 1 } }], "errors"), [["b", 3], ["a", 2]]);
});
