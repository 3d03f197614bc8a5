// Tests of concurrent calls, time limits and refused origins of the client for pages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FILE, HELPER, Places, callAll, fileOf, tagged } from "./places.js";

let gateway;
const places = new Places(async () => {
  gateway = await places.programs.gateway(places.origin);
});

/** Starts a server that holds its responses until `/release` is fetched. `/reached` is answered once
 * a request has come that it holds, `/closed` once the first such request has ended. */
async function held() {
  let release, reach;
  const released = new Promise((resolve) => (release = resolve));
  const reached = new Promise((resolve) => (reach = resolve));
  const server = await places.scripted(async (path) => {
    if (path === "/reached") await reached;
    else if (path === "/closed") await sent()[0].closed;
    else if (path === "/release") release();
    else await (reach(), released);
    return tagged(path);
  });
  const sent = () => server.requests.filter(({ path }) => path.startsWith("/v1/"));
  return { ...server, sent };
}

/** Runs in Node or in the page: calls at the same time, aborts some, and returns the outcomes. */
async function callTogether({ helper, baseUrl, calls }) {
  const { Ikgate } = await import(helper);
  let token = null;
  const client = new Ikgate({ baseUrl, token: () => token });
  const controllers = calls.map(() => new AbortController());
  const promises = calls.map((call, index) => {
    token = call.token ?? null;
    return client.versions(call.file, { signal: controllers[index].signal, timeoutMs: call.timeoutMs });
  });
  const settled = Promise.allSettled(promises);
  await fetch(`${baseUrl}/reached`);
  calls.forEach((call, index) => call.abort && controllers[index].abort());
  const limited = promises.filter((_, index) => calls[index].timeoutMs);
  await Promise.allSettled(limited);
  await fetch(`${baseUrl}/release`);
  const outcomes = await settled;
  const first = outcomes.find(({ value }) => value)?.value.data;
  return outcomes.map(({ value, reason }) => {
    if (value) return value.data === first ? "shared" : "own";
    return reason.code && typeof reason.code === "string" ? reason.code : reason.name;
  });
}

places.inBoth("calls for the same file at once share one request", async (run) => {
  const server = await held();
  const calls = ["a", "a", "b", "a"].map((file) => ({ file }));
  assert.deepEqual(await run(callTogether, { baseUrl: server.url, calls }), ["shared", "shared", "own", "shared"]);
  assert.deepEqual(server.sent().map(({ path }) => fileOf(path)).sort(), ["a", "b"]);
});

places.inBoth("calls with different tokens share no request", async (run) => {
  const server = await held();
  const calls = ["one", "two"].map((token) => ({ file: "a", token }));
  assert.deepEqual(await run(callTogether, { baseUrl: server.url, calls }), ["shared", "own"]);
  assert.deepEqual(server.sent().map(({ authorization }) => authorization).sort(), ["Bearer one", "Bearer two"]);
});

places.inBoth("an abort or a time limit ends its own call, not the others", async (run) => {
  const server = await held();
  const calls = [{ file: "a", abort: true }, { file: "a" }, { file: "a", timeoutMs: 150 }];
  assert.deepEqual(await run(callTogether, { baseUrl: server.url, calls }), ["AbortError", "shared", "timeout"]);
  assert.deepEqual(server.sent().map(({ aborted }) => aborted), [false]);
});

places.inBoth("a request is aborted when its last call has ended, and a later call sends another", async (run) => {
  const server = await held();
  const abortAll = async ({ helper, baseUrl }) => {
    const { Ikgate } = await import(helper);
    const client = new Ikgate({ baseUrl });
    const controllers = [new AbortController(), new AbortController()];
    const calls = Promise.allSettled(controllers.map(({ signal }) => client.versions("a", { signal })));
    await fetch(`${baseUrl}/reached`);
    for (const controller of controllers) controller.abort();
    const names = (await calls).map(({ reason }) => reason.name);
    await fetch(`${baseUrl}/closed`);
    const later = client.versions("a");
    await fetch(`${baseUrl}/release`);
    return [...names, (await later).data.length];
  };
  assert.deepEqual(await run(abortAll, { baseUrl: server.url }), ["AbortError", "AbortError", 1]);
  assert.deepEqual(server.sent().map(({ aborted }) => aborted), [true, false]);
});

places.inBoth("a token that never comes ends with the time limit", async (run) => {
  const untilTimeout = async ({ helper }) => {
    const { Ikgate } = await import(helper);
    const client = new Ikgate({ baseUrl: "http://127.0.0.1:9", token: () => new Promise(() => {}), timeoutMs: 50 });
    return client.versions("a").catch(({ code, message }) => [code, message]);
  };
  assert.deepEqual(await run(untilTimeout, {}), ["timeout", "There was no response within 0.05 s."]);
});

places.inBoth("a time limit may be as long as the caller likes", async (run) => {
  const server = await places.scripted((path) => tagged(path));
  for (const timeoutMs of [2 ** 32, Infinity]) {
    const call = async ({ helper, baseUrl, timeoutMs }) => {
      const { Ikgate } = await import(helper);
      return (await new Ikgate({ baseUrl, timeoutMs: Number(timeoutMs) }).versions("a")).data.length;
    };
    assert.equal(await run(call, { baseUrl: server.url, timeoutMs }), 1);
  }
});

test("a page of an origin that is not listed is told so, token or not", async () => {
  const token = gateway.token("unlisted");
  const calls = [{ file: FILE, token }, { file: FILE }];
  const options = { baseUrl: gateway.url };
  const { outcomes } = await places.inPage(callAll, { options, calls }, places.otherOrigin);
  for (const { code, message, help, status } of outcomes) {
    assert.deepEqual([code, status], ["cors", undefined]);
    assert.match(message, /probably not listed in the gateway's cors\.allowed_origins/);
    assert.ok(message.includes(places.otherOrigin) && help.includes(places.otherOrigin), message + help);
    assert.ok(help.includes(`If it is listed, baseUrl (${gateway.url}) is perhaps not the gateway's public address`), help);
    assert.match(help, /admin listener or another server/);
  }
});

test("a page from a file is told that it needs a server", async () => {
  const server = await places.scripted((path) => (path === "/" ? tagged(path) : undefined));
  const { Ikgate } = await import(HELPER.href);
  globalThis.location = new URL("file:///home/page.html");
  try {
    await assert.rejects(new Ikgate({ baseUrl: server.url }).versions("a"), (error) => {
      assert.deepEqual([error.code, error.help], ["cors", "Open the page from a server, such as http://localhost:3000."]);
      return true;
    });
  } finally {
    delete globalThis.location;
  }
});

test("a page of a listed origin is not told so when the gateway is down", async () => {
  const server = await places.scripted(() => undefined);
  const calls = [{ file: FILE }];
  const { outcomes } = await places.inPage(callAll, { options: { baseUrl: server.url }, calls });
  assert.equal(outcomes[0].code, "network");
});
