// Tests of the fetch helper for pages, in Node and in a browser page. They use a gateway, and a
// scripted server for responses that a gateway cannot produce quickly.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { Programs } from "./programs.js";

const FILE = "64a1b2c3d4e5f60718293a4b";
const HELPER = new URL("../../src/demo/helper/ikgate.js", import.meta.url);

const programs = new Programs();
let origin, gateway, browser;

before(async () => {
  origin = await programs.page({ "/ikgate.js": readFileSync(HELPER, "utf8") });
  gateway = await programs.gateway(origin);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  programs.onStop(() => browser.close());
});

after(() => programs.stop());

const PLACES = {
  Node: (script, argument) => script({ ...argument, helper: HELPER.href }),
  "a page": async (script, argument) => {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      await page.goto(origin);
      return await page.evaluate(script, { ...argument, helper: `${origin}/ikgate.js` });
    } finally {
      await context.close();
    }
  },
};

/** Defines one test for Node and one for the browser. */
function inBoth(name, check) {
  for (const [place, run] of Object.entries(PLACES)) test(`in ${place}: ${name}`, () => check(run, place));
}

/**
 * Runs in Node or in the page: sends one request after the other and returns the result of each.
 * Waits of `hurry` seconds end at once, and are reported.
 */
async function askAll({ helper, baseUrl, retries, asks, hurry = [] }) {
  const { Ikgate, IkgateError } = await import(helper);
  let token;
  const client = new Ikgate({ baseUrl, retries, token: async () => token });
  const [waits, told, seen] = [[], [], new Set()];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (run, delay, ...rest) => {
    if (!hurry.includes(delay / 1000)) return setTimeout(run, delay, ...rest);
    waits.push(delay / 1000);
    return setTimeout(run, 0);
  };
  try {
    for (const ask of asks) {
      token = ask.token;
      try {
        const answer = "version" in ask ? await client.version(ask.file, ask.version) : await client.versions(ask.file);
        told.push({ ...answer, seen: seen.has(answer.data) });
        seen.add(answer.data);
      } catch (error) {
        const { name, message, code, status, help, requestId, retryAfterSeconds } = error;
        const ours = error instanceof IkgateError && error instanceof Error;
        told.push({ error: name, ours, message, code, status, help, requestId, retryAfterSeconds });
      }
    }
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  return { told, waits };
}

/**
 * Starts a server that answers with the result of `answerTo` for a path and the number of requests
 * for it so far, and records the requests. If the result is undefined, it closes the connection.
 */
async function scripted(answerTo) {
  const asked = [];
  const url = await programs.serve(async (request, answer) => {
    answer.setHeader("Access-Control-Allow-Origin", "*");
    answer.setHeader("Access-Control-Allow-Headers", "Authorization, If-None-Match");
    answer.setHeader("Access-Control-Expose-Headers", "ETag, Retry-After");
    if (request.method === "OPTIONS") return answer.writeHead(204).end();
    const [path, { authorization, "if-none-match": tag }] = [request.url, request.headers];
    asked.push({ path, authorization, tag });
    const reply = await answerTo(path, asked.filter((one) => one.path === path).length);
    if (!reply) return request.socket.destroy();
    answer.writeHead(reply.status ?? 200, reply.fields).write(reply.body ?? "[]");
    return reply.cut ? answer.socket.end() : answer.end();
  });
  return { url, asked };
}

/** Returns a list whose ETag is its path, on every request. */
const tagged = (path) => ({ fields: { ETag: `"${path}"` }, body: JSON.stringify([path]) });

inBoth("a list and one of its versions come with what is said about them", async (run, place) => {
  const token = gateway.token(`reader in ${place}`);
  const asks = [{ file: FILE, token }];
  const [list] = (await run(askAll, { baseUrl: gateway.url, asks })).told;
  assert.deepEqual(list.data.map((version) => version.versionInfo.name), ["Version 3", "Version 2", "Version 1"]);
  assert.match(list.etag, /^"[\w-]{22}(-br|-gz)?"$/);
  assert.match(list.cacheStatus, /^ikgate; (hit|fwd=uri-miss)/);
  assert.match(list.requestId, /^[0-9a-f]{16}$/);
  assert.equal(typeof list.age, "number");
  assert.equal(list.rateLimit.left, 3);
  assert.ok(list.rateLimit.resetSeconds >= 1, JSON.stringify(list.rateLimit));
  asks[0].version = list.data[1].versionInfo.id;
  const [one] = (await run(askAll, { baseUrl: `${gateway.url}/`, asks })).told;
  assert.deepEqual(one.data, list.data[1]);
});

inBoth("a list that has not changed is not sent again, and is the same object", async (run, place) => {
  const token = gateway.token(`twice in ${place}`);
  const notModified = () => gateway.metric("ikgate_requests_total", 'status="304"');
  const before = await notModified();
  const asks = [{ file: FILE, token }, { file: FILE, token }];
  const { told } = await run(askAll, { baseUrl: gateway.url, asks });
  assert.deepEqual(told.map(({ seen }) => seen), [false, true]);
  assert.equal(told[1].etag, told[0].etag);
  // An exchange is counted when it ends, which may be a moment after its response has arrived.
  while ((await notModified()) === before);
  assert.equal(await notModified(), before + 1);
});

inBoth("what does not exist is not_found, whoever says so", async (run, place) => {
  const token = gateway.token(`missing in ${place}`);
  const asks = [{ file: "no-such-file", token }, { file: FILE, version: "no-such-version", token }];
  const { told } = await run(askAll, { baseUrl: gateway.url, asks });
  for (const { error, ours, message, code, status, help, requestId } of told) {
    assert.deepEqual([error, ours, code, status], ["IkgateError", true, "not_found", 404]);
    assert.match(message, /does not exist/);
    assert.ok(help && requestId, JSON.stringify({ help, requestId }));
  }
});

inBoth("a token that is refused is unauthorized, and is not tried again", async (run) => {
  const asks = [{ file: FILE, token: "a.b.c" }];
  const [refused] = (await run(askAll, { baseUrl: gateway.url, asks })).told;
  assert.deepEqual([refused.code, refused.status], ["unauthorized", 401]);
  assert.match(refused.help, /token/);
});

inBoth("a caller over its quota of the gateway's is told when to come back, or waits for it", async (run, place) => {
  const token = gateway.token(`busy in ${place}`);
  const asks = Array.from({ length: 30 }, () => ({ file: FILE, token }));
  const impatient = await run(askAll, { baseUrl: gateway.url, retries: 0, asks });
  const throttled = impatient.told.find(({ error }) => error);
  assert.deepEqual([throttled.code, throttled.status, throttled.retryAfterSeconds], ["throttled", 429, 1]);
  const patient = await run(askAll, { baseUrl: gateway.url, asks: asks.slice(0, 2) });
  assert.deepEqual(patient.told.map(({ data }) => data?.length), [3, 3], JSON.stringify(patient.told));
});

inBoth("it waits as long as it is told, after a 429 and after a 503", async (run) => {
  const server = await scripted((path, turn) => [
    { status: 429, fields: { "Retry-After": "17" }, body: '{"message":"m","help":"h","code":"throttled"}' },
    { status: 503, fields: { "Retry-After": "13" }, body: '{"message":"m","help":"h","code":"upstream_busy"}' },
    { body: '["here"]' },
  ][turn - 1]);
  const { told, waits } = await run(askAll, { baseUrl: server.url, asks: [{ file: "a" }], hurry: [13, 17] });
  assert.deepEqual([told[0].data, waits], [["here"], [17, 13]]);
});

inBoth("it asks no oftener than it may, and never waits longer than a minute", async (run) => {
  const told = { often: "13", long: "61", date: "Wed, 21 Oct 2026 07:28:00 GMT", none: undefined };
  const server = await scripted((path) => {
    const wait = told[path.split("/")[3]];
    const fields = wait && { "Retry-After": wait };
    return { status: 503, fields, body: '{"message":"m","help":"h","code":"upstream_busy"}' };
  });
  const asks = Object.keys(told).map((file) => ({ file }));
  const result = await run(askAll, { baseUrl: server.url, retries: 3, asks, hurry: [13, 60, 61] });
  assert.deepEqual(result.waits, [13, 13, 13]);
  const made = Object.keys(told).map((file) => server.asked.filter(({ path }) => path.includes(file)).length);
  assert.deepEqual(made, [4, 1, 1, 1]);
  assert.deepEqual(result.told.map(({ code }) => code), Array(4).fill("upstream_busy"));
  assert.deepEqual(result.told.map(({ retryAfterSeconds }) => retryAfterSeconds), [13, 61, undefined, undefined]);
});

inBoth("no answer, and half of one, is network", async (run) => {
  const half = { cut: true, fields: { "Content-Length": "9" }, body: '["' };
  const server = await scripted((path) => (path.includes("half") ? half : undefined));
  const { told } = await run(askAll, { baseUrl: server.url, asks: [{ file: "none" }, { file: "half" }] });
  for (const { error, code, status } of told) {
    assert.deepEqual([error, code, status], ["IkgateError", "network", undefined]);
  }
});

inBoth("an answer that is not the gateway's is unknown", async (run) => {
  const answers = {
    proxy: { status: 502, body: "<h1>Bad Gateway</h1>" },
    missing: { status: 404, body: "<h1>Not Found</h1>" },
    page: { status: 200, body: "<h1>Log in</h1>" },
    other: { status: 418, body: '{"message":"short and stout","code":418}' },
  };
  const server = await scripted((path) => answers[path.split("/")[3]]);
  const asks = Object.keys(answers).map((file) => ({ file }));
  const { told } = await run(askAll, { baseUrl: server.url, asks });
  assert.deepEqual(told.map(({ code }) => code), Array(4).fill("unknown"));
  assert.deepEqual(told.map(({ status }) => status), [502, 404, 200, 418]);
  assert.equal(told[3].message, "short and stout");
});

inBoth("a wait ends when its signal does, at once", async (run) => {
  const server = await scripted(() => ({ status: 429, fields: { "Retry-After": "59" }, body: "{}" }));
  const abortInWait = async ({ helper, baseUrl, when }) => {
    const { Ikgate } = await import(helper);
    const controller = new AbortController();
    const { setTimeout, clearTimeout } = globalThis;
    const wait = { begun: {}, cleared: false, over: false };
    // The wait begins when its timer is set. The signal aborts in that moment or in the next one.
    globalThis.setTimeout = (run, delay, ...rest) => {
      if (delay !== 59_000) return setTimeout(run, delay, ...rest);
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
  assert.equal(server.asked.length, 2);
  const before = await run(abortInWait, { baseUrl: server.url, when: "before it" });
  assert.equal(before.name, "AbortError");
  assert.equal(server.asked.length, 2, "and nothing is asked");
});

inBoth("it keeps a hundred answers, and gives up the one not asked for longest", async (run) => {
  const server = await scripted((path) => tagged(path));
  const files = Array.from({ length: 100 }, (_, number) => `f${number}`);
  // f0 was requested again, so f1 is evicted for one more file.
  const asks = [...files, "f0", "one-more", "f0", "f2", "f1"].map((file) => ({ file }));
  await run(askAll, { baseUrl: server.url, asks });
  const knownAgain = server.asked.slice(100).map(({ path, tag }) => [path.split("/")[3], tag !== undefined]);
  assert.deepEqual(knownAgain, [["f0", true], ["one-more", false], ["f0", true], ["f2", true], ["f1", false]]);
});

inBoth("another token knows nothing of what the one before was told", async (run) => {
  const server = await scripted((path) => tagged(path));
  const asks = ["first", "first", "second", "", "first"].map((token) => ({ file: "a", token }));
  await run(askAll, { baseUrl: server.url, asks });
  const told = server.asked.map(({ authorization, tag }) => [authorization, tag !== undefined]);
  assert.deepEqual(told, [
    ["Bearer first", false],
    ["Bearer first", true],
    ["Bearer second", false],
    [undefined, false],
    ["Bearer first", false],
  ]);
});

inBoth("an answer that was on its way when the token changed is not kept for the next", async (run) => {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const server = await scripted(async (path, turn) => {
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
  const slow = server.asked.filter(({ path }) => path.includes("slow"));
  assert.deepEqual(slow.map(({ authorization, tag }) => [authorization, tag]), [
    ["Bearer first", undefined],
    ["Bearer second", undefined],
  ]);
});

inBoth("what cannot be an id is a mistake of the caller's, and nothing is asked", async (run) => {
  const server = await scripted((path) => tagged(path));
  const wrong = ["", "a/b", "../a", "a b", "ä", "a".repeat(65), null].map((file) => ({ file }));
  wrong.push({ file: "a", version: "b?c" }, { file: "a", version: "" });
  const { told } = await run(askAll, { baseUrl: server.url, asks: wrong });
  assert.deepEqual(told.map(({ error }) => error), Array(9).fill("TypeError"));
  assert.deepEqual(server.asked, []);
  await run(askAll, { baseUrl: `${server.url}/imagekit//`, asks: [{ file: "a".repeat(64) }] });
  assert.equal(server.asked[0].path, `/imagekit/v1/files/${"a".repeat(64)}/versions`);
});

test("its types hold, and tell a caller's mistakes", () => {
  const directory = mkdtempSync(join(tmpdir(), "ikgate-types-"));
  try {
    const caller = join(directory, "caller.ts");
    writeFileSync(caller, `import { Ikgate, IkgateError } from ${JSON.stringify(fileURLToPath(HELPER))};
export async function name(): Promise<string | undefined> {
  const ikgate = new Ikgate({ baseUrl: "https://gateway.example.com", token: async () => "token" });
  try {
    const { data, rateLimit } = await ikgate.versions("a", { signal: AbortSignal.timeout(1) });
    const left: number | undefined = rateLimit?.left;
    // @ts-expect-error: a name is a string
    const wrong: number = data[0].versionInfo.name;
    return left === 0 ? undefined : (await ikgate.version("a", "b")).data.versionInfo.name;
  } catch (error) {
    return error instanceof IkgateError ? error.help : undefined;
  }
}
// @ts-expect-error: the base URL is missing
new Ikgate({});
`);
    const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));
    const strict = ["--noEmit", "--strict", "--allowJs", "--checkJs", "--allowImportingTsExtensions"];
    const modules = ["--target", "esnext", "--module", "esnext", "--moduleResolution", "bundler"];
    const options = [...strict, ...modules, "--lib", "esnext,dom,dom.iterable"];
    execFileSync(process.execPath, [tsc, ...options, fileURLToPath(HELPER), caller], { encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout || error);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
