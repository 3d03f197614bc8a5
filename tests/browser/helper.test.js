// Tests of the client for pages: responses of a gateway, errors, kept lists and ids, in Node and in
// a page.

import assert from "node:assert/strict";

import { FILE, Places, callAll, fileOf, tagged } from "./places.js";

let gateway;
const places = new Places(async () => {
  gateway = await places.programs.gateway(places.origin);
});

places.inBoth("a list and one of its versions come with their fields", async (run, place) => {
  const token = gateway.token(`reader in ${place}`);
  const calls = [{ file: FILE, token }];
  const [list] = (await run(callAll, { options: { baseUrl: gateway.url }, calls })).outcomes;
  assert.deepEqual(list.data.map((version) => version.versionInfo.name), ["Version 3", "Version 2", "Version 1"]);
  assert.match(list.etag, /^"[\w-]{22}(-br|-gz)?"$/);
  assert.match(list.cacheStatus, /^ikgate; (hit|fwd=uri-miss)/);
  assert.match(list.requestId, /^[0-9a-f]{16}$/);
  assert.equal(typeof list.age, "number");
  assert.equal(list.rateLimit.left, 3);
  assert.ok(list.rateLimit.resetSeconds >= 1, JSON.stringify(list.rateLimit));
  calls[0].version = list.data[1].versionInfo.id;
  const [one] = (await run(callAll, { options: { baseUrl: `${gateway.url}/` }, calls })).outcomes;
  assert.deepEqual(one.data, list.data[1]);
});

places.inBoth("an unchanged list is not sent again, and is the same object", async (run, place) => {
  const token = gateway.token(`twice in ${place}`);
  const notModified = () => gateway.metric("ikgate_requests_total", 'status="304"');
  const before = await notModified();
  const calls = [{ file: FILE, token }, { file: FILE, token }];
  const { outcomes } = await run(callAll, { options: { baseUrl: gateway.url }, calls });
  assert.deepEqual(outcomes.map(({ seen }) => seen), [false, true]);
  assert.equal(outcomes[1].etag, outcomes[0].etag);
  // An exchange is counted when it ends, which may be a moment after its response has arrived.
  while ((await notModified()) === before);
  assert.equal(await notModified(), before + 1);
});

places.inBoth("a missing file and a missing version are not_found", async (run, place) => {
  const token = gateway.token(`missing in ${place}`);
  const calls = [{ file: "no-such-file", token }, { file: FILE, version: "no-such-version", token }];
  const { outcomes } = await run(callAll, { options: { baseUrl: gateway.url }, calls });
  for (const { error, ours, message, code, status, help, requestId } of outcomes) {
    assert.deepEqual([error, ours, code, status], ["IkgateError", true, "not_found", 404]);
    assert.match(message, /does not exist/);
    assert.ok(help && requestId, JSON.stringify({ help, requestId }));
  }
});

places.inBoth("a refused token is unauthorized", async (run) => {
  const calls = [{ file: FILE, token: "a.b.c" }];
  const [refused] = (await run(callAll, { options: { baseUrl: gateway.url }, calls })).outcomes;
  assert.deepEqual([refused.code, refused.status, refused.retryAfterMs], ["unauthorized", 401, undefined]);
  assert.match(refused.help, /token/);
});

places.inBoth("no response, and half of one, is network", async (run) => {
  const half = { cut: true, fields: { "Content-Length": "9" }, body: '["' };
  const server = await places.scripted((path) => (path.includes("half") ? half : undefined));
  const calls = [{ file: "none" }, { file: "half" }];
  const { outcomes } = await run(callAll, { options: { baseUrl: server.url }, calls });
  for (const { error, code, status } of outcomes) {
    assert.deepEqual([error, code, status], ["IkgateError", "network", undefined]);
  }
  const listOf = (file) => `${server.url}/v1/files/${file}/versions`;
  assert.deepEqual(outcomes.map(({ message, help }) => [message, help]), [
    [`${listOf("none")} cannot be reached.`, "Check baseUrl: host, port, http or https. Or send fewer requests at once."],
    [`The response of ${listOf("half")} ended too early.`, "Try again. If it stays so, tell the operator of the gateway."],
  ]);
});

places.inBoth("a response that is not the gateway's is unknown", async (run) => {
  const answers = {
    proxy: { status: 502, body: "<h1>Bad Gateway</h1>" },
    missing: { status: 404, body: "<h1>Not Found</h1>" },
    page: { status: 200, body: "<h1>Log in</h1>" },
    other: { status: 418, body: '{"message":"short and stout","code":418}' },
    newer: { status: 409, body: '{"message":"a conflict","help":"h","code":"conflict"}' },
  };
  const server = await places.scripted((path) => answers[fileOf(path)]);
  const calls = Object.keys(answers).map((file) => ({ file }));
  const { outcomes } = await run(callAll, { options: { baseUrl: server.url }, calls });
  assert.deepEqual(outcomes.map(({ code }) => code), Array(5).fill("unknown"));
  assert.deepEqual(outcomes.map(({ status }) => status), [502, 404, 200, 418, 409]);
  const notOurs = ({ file, status }) =>
    `The response of ${server.url}/v1/files/${file}/versions with status ${status} is not from ikgate`;
  assert.deepEqual(outcomes.map(({ message }) => message), [
    `${notOurs({ file: "proxy", status: 502 })}.`,
    `${notOurs({ file: "missing", status: 404 })}.`,
    `${notOurs({ file: "page", status: 200 })}.`,
    `${notOurs({ file: "other", status: 418 })}: short and stout`,
    "a conflict",
  ]);
  const check = "Check baseUrl: host, port, http or https.";
  assert.deepEqual(outcomes.map(({ help }) => help), [...Array(4).fill(check), "h"]);
});

places.inBoth("a hundred responses are kept, and the least recently used one is dropped", async (run) => {
  const server = await places.scripted((path) => tagged(path));
  const files = Array.from({ length: 100 }, (_, number) => `f${number}`);
  // f0 was requested again, so f1 is dropped for one more file.
  const calls = [...files, "f0", "one-more", "f0", "f2", "f1"].map((file) => ({ file }));
  await run(callAll, { options: { baseUrl: server.url }, calls });
  const knownAgain = server.requests.slice(100).map(({ path, tag }) => [fileOf(path), tag !== undefined]);
  assert.deepEqual(knownAgain, [["f0", true], ["one-more", false], ["f0", true], ["f2", true], ["f1", false]]);
});

places.inBoth("a list is not kept for another token", async (run) => {
  const server = await places.scripted((path) => tagged(path));
  const calls = ["first", "first", "second", null, "first"].map((token) => ({ file: "a", token }));
  await run(callAll, { options: { baseUrl: server.url }, calls });
  const sent = server.requests.map(({ authorization, tag }) => [authorization, tag !== undefined]);
  assert.deepEqual(sent, [
    ["Bearer first", false],
    ["Bearer first", true],
    ["Bearer second", false],
    [undefined, false],
    ["Bearer first", false],
  ]);
});

places.inBoth("a response that comes after the token has changed is not kept", async (run) => {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const server = await places.scripted(async (path, turn) => {
    if (path.includes("slow") && turn === 1) await released;
    if (path.includes("other")) release();
    return tagged(path);
  });
  const overtake = async ({ helper, baseUrl }) => {
    const { Ikgate } = await import(helper);
    let token = "first";
    const client = new Ikgate({ baseUrl, token: () => token });
    const slow = client.versions("slow");
    // The call above has read the token; from here on there is another token.
    await Promise.resolve();
    token = "second";
    await client.versions("other");
    await slow;
    await client.versions("slow");
  };
  await run(overtake, { baseUrl: server.url });
  const slow = server.requests.filter(({ path }) => path.includes("slow"));
  assert.deepEqual(slow.map(({ authorization, tag }) => [authorization, tag]), [
    ["Bearer first", undefined],
    ["Bearer second", undefined],
  ]);
});

places.inBoth("a value that cannot be an id is a TypeError, and no request is sent", async (run) => {
  const server = await places.scripted((path) => tagged(path));
  const wrong = ["", "a/b", "../a", "a b", "ä", "a".repeat(65), null, 7].map((file) => ({ file }));
  wrong.push({ file: "a", version: "b?c" }, { file: "a", version: "" });
  const { outcomes } = await run(callAll, { options: { baseUrl: server.url }, calls: wrong });
  assert.deepEqual(outcomes.map(({ error }) => error), Array(10).fill("TypeError"));
  assert.deepEqual(server.requests, []);
  const calls = [{ file: "a".repeat(64) }];
  await run(callAll, { options: { baseUrl: `${server.url}/imagekit//` }, calls });
  assert.equal(server.requests[0].path, `/imagekit/v1/files/${"a".repeat(64)}/versions`);
});
