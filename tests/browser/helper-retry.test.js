// Tests of the retries of the client for pages: waits, their bounds, and their end by a signal.

import assert from "node:assert/strict";

import { FILE, Places, callAll, fileOf } from "./places.js";

let gateway;
const places = new Places(async () => {
  gateway = await places.programs.gateway(places.origin);
});

const body = (code) => JSON.stringify({ message: "m", help: "h", code });

places.inBoth("a caller over its quota gets the wait, or the list after one retry", async (run, place) => {
  const token = gateway.token(`busy in ${place}`);
  const calls = Array.from({ length: 30 }, () => ({ file: FILE, token }));
  const impatient = await run(callAll, { options: { baseUrl: gateway.url, retries: 0 }, calls });
  const throttled = impatient.outcomes.find(({ error }) => error);
  assert.deepEqual([throttled.code, throttled.status], ["throttled", 429]);
  assert.equal(throttled.retryAfterMs, 1000, JSON.stringify(throttled));
  const patient = await run(callAll, { options: { baseUrl: gateway.url }, calls: calls.slice(0, 2) });
  assert.deepEqual(patient.outcomes.map(({ data }) => data?.length), [3, 3], JSON.stringify(patient.outcomes));
});

places.inBoth("a 429 and a 503 are retried once, after the wait in milliseconds if there is one", async (run) => {
  const waits = { exact: { "Retry-After": "8", "Retry-After-Ms": "7300" }, whole: { "Retry-After": "6" } };
  const server = await places.scripted((path, turn) => {
    const file = fileOf(path);
    if (turn === 2) return { body: JSON.stringify([file]) };
    return { status: file === "exact" ? 429 : 503, fields: waits[file], body: body("upstream_busy") };
  });
  const calls = Object.keys(waits).map((file) => ({ file }));
  const result = await run(callAll, { options: { baseUrl: server.url }, calls, hurry: [7300, 6000] });
  assert.deepEqual(result.outcomes.map(({ data }) => data), [["exact"], ["whole"]]);
  assert.deepEqual(result.waits, [7300, 6000]);
});

places.inBoth("there is no retry beyond the bounds, or without a wait, or against x-should-retry", async (run) => {
  const answers = {
    again: { "Retry-After": "7" },
    long: { "Retry-After": "11" },
    date: { "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT" },
    none: undefined,
    never: { "Retry-After": "7", "X-Should-Retry": "false" },
  };
  const server = await places.scripted((path) => {
    return { status: 503, fields: answers[fileOf(path)], body: body("upstream_busy") };
  });
  const calls = Object.keys(answers).map((file) => ({ file }));
  const result = await run(callAll, { options: { baseUrl: server.url }, calls, hurry: [7000, 10_000, 11_000] });
  assert.deepEqual(result.waits, [7000]);
  const sent = calls.map(({ file }) => server.requests.filter(({ path }) => fileOf(path) === file).length);
  assert.deepEqual(sent, [2, 1, 1, 1, 1]);
  assert.deepEqual(result.outcomes.map(({ code }) => code), Array(5).fill("upstream_busy"));
  const waits = result.outcomes.map(({ retryAfterMs }) => retryAfterMs);
  assert.deepEqual(waits, [7000, 11_000, undefined, undefined, undefined]);
});

places.inBoth("other errors are not retried, whatever wait they name", async (run) => {
  const server = await places.scripted(() => ({ status: 502, fields: { "Retry-After": "0" }, body: body("upstream_bad") }));
  const { outcomes } = await run(callAll, { options: { baseUrl: server.url }, calls: [{ file: "a" }] });
  assert.deepEqual([outcomes[0].code, server.requests.length], ["upstream_bad", 1]);
});

places.inBoth("a wait that would outlast the time limit fails at once", async (run) => {
  const server = await places.scripted(() => ({ status: 503, fields: { "Retry-After": "9" }, body: body("shutting_down") }));
  const options = { baseUrl: server.url, timeoutMs: 8000 };
  const { outcomes, waits } = await run(callAll, { options, calls: [{ file: "a" }], hurry: [9000] });
  assert.deepEqual([outcomes[0].code, waits], ["shutting_down", []]);
});

places.inBoth("a shared request is retried while one of its callers has the time", async (run) => {
  const server = await places.scripted((path, turn) =>
    turn === 1 ? { status: 503, fields: { "Retry-After-Ms": "300" }, body: body("upstream_busy") } : {});
  const callTwice = async ({ helper, baseUrl }) => {
    const { Ikgate } = await import(helper);
    const client = new Ikgate({ baseUrl });
    const calls = [client.versions("a", { timeoutMs: 299 }), client.versions("a")];
    return (await Promise.allSettled(calls)).map(({ reason }) => reason?.code ?? "list");
  };
  assert.deepEqual(await run(callTwice, { baseUrl: server.url }), ["timeout", "list"]);
  assert.equal(server.requests.length, 2);
});

places.inBoth("a wait ends when its signal aborts, at once", async (run) => {
  const server = await places.scripted(() => ({ status: 429, fields: { "Retry-After": "9" }, body: "{}" }));
  const abortInWait = async ({ helper, baseUrl, when }) => {
    const { Ikgate } = await import(helper);
    const controller = new AbortController();
    const { setTimeout, clearTimeout } = globalThis;
    const wait = { begun: {}, cleared: false, over: false };
    // The wait begins when its timer is set. The signal aborts in that moment or in the next one.
    globalThis.setTimeout = (run, delay, ...rest) => {
      if (delay !== 9000) return setTimeout(run, delay, ...rest);
      if (when === "as it begins") controller.abort();
      else queueMicrotask(() => controller.abort());
      wait.begun = setTimeout(() => {
        wait.over = true;
        run();
      }, 0);
      return wait.begun;
    };
    globalThis.clearTimeout = (timer) => {
      wait.cleared ||= timer === wait.begun;
      clearTimeout(timer);
    };
    try {
      if (when === "before it") controller.abort();
      await new Ikgate({ baseUrl }).versions("a", { signal: controller.signal });
    } catch (error) {
      return { name: error.name, cleared: wait.cleared, over: wait.over };
    } finally {
      Object.assign(globalThis, { setTimeout, clearTimeout });
    }
  };
  for (const when of ["as it begins", "later"]) {
    const ended = await run(abortInWait, { baseUrl: server.url, when });
    assert.deepEqual(ended, { name: "AbortError", cleared: true, over: false }, when);
  }
  assert.equal(server.requests.length, 2);
  const before = await run(abortInWait, { baseUrl: server.url, when: "before it" });
  assert.equal(before.name, "AbortError");
  assert.equal(server.requests.length, 2, "no request was sent");
});
