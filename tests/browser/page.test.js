// Browser tests of a page that calls the gateway from another origin with its own token.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { Programs } from "./programs.js";

const FILE = "64a1b2c3d4e5f60718293a4b";

const programs = new Programs();
let gateway, listed, other, list;

before(async () => {
  // Each page has its own port, so each is another origin.
  listed = await programs.page();
  other = await programs.page();
  gateway = await programs.gateway(listed);
  list = `${gateway.url}/v1/files/${FILE}/versions`;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  programs.onStop(() => browser.close());
  programs.browser = browser;
});

after(() => programs.stop());

/** Runs a function in a new page of `origin`, and ends the page. */
async function inPage(origin, script, argument) {
  const context = await programs.browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(origin);
    return await page.evaluate(script, argument);
  } finally {
    await context.close();
  }
}

/** Runs in the page: fetches, and returns the parts of the response that its script can read. */
async function see({ list, token, fields }) {
  const authorization = token && { Authorization: `Bearer ${token}` };
  try {
    const answer = await fetch(list, { headers: { ...authorization, ...fields } });
    const text = await answer.text();
    return { status: answer.status, fields: Object.fromEntries(answer.headers), text };
  } catch (error) {
    return { refused: error.name };
  }
}

test("a page of a listed origin reads the list and what is said about it", async () => {
  const seen = await inPage(listed, see, { list, token: gateway.token("reader") });
  assert.equal(seen.status, 200, JSON.stringify(seen));
  assert.ok(JSON.parse(seen.text).length > 0);
  assert.match(seen.fields["ratelimit"], /^"jwt";r=3;t=\d+$/);
  assert.match(seen.fields["ratelimit-policy"], /^"jwt";q=4;w=4$/);
  assert.match(seen.fields["cache-status"], /^ikgate; (hit|fwd=uri-miss)/);
  assert.match(seen.fields["etag"], /^"[\w-]{22}(-br|-gz)?"$/);
  assert.match(seen.fields["x-request-id"], /^[0-9a-f]{16}$/);
});

test("a page without a token is anonymous, and one with a bad token is told so", async () => {
  const anonymous = await inPage(listed, see, { list });
  assert.match(anonymous.fields["ratelimit"], /^"anonymous";/);
  const refused = await inPage(listed, see, { list, token: "a.b.c" });
  assert.deepEqual([refused.status, JSON.parse(refused.text).code], [401, "unauthorized"]);
});

test("a script that sends the tag back is answered without a body", async () => {
  const token = gateway.token("script");
  const first = await inPage(listed, see, { list, token });
  const fields = { "If-None-Match": first.fields.etag };
  const second = await inPage(listed, see, { list, token, fields });
  assert.deepEqual([second.status, second.text], [304, ""]);
});

test("the browser's own cache revalidates, and the script sees the list again", async () => {
  const token = gateway.token("cache");
  const notModified = () => gateway.metric("ikgate_requests_total", 'status="304"');
  const before = await notModified();
  const twice = async (argument) => {
    const headers = { Authorization: `Bearer ${argument.token}` };
    const bodies = [];
    for (let time = 0; time < 2; time++) {
      const answer = await fetch(argument.list, { headers });
      bodies.push([answer.status, await answer.text()]);
    }
    return bodies;
  };
  const [first, second] = await inPage(listed, twice, { list, token });
  assert.equal(first[0], 200);
  assert.deepEqual(second, first);
  // An exchange is counted when it ends, which may be a moment after its response has arrived.
  while ((await notModified()) === before);
  assert.equal(await notModified(), before + 1);
});

test("a page that asks too often reads when to come back", async () => {
  const token = gateway.token("busy");
  const untilThrottled = async ({ list, token }) => {
    const headers = { Authorization: `Bearer ${token}` };
    for (let time = 0; time < 100; time++) {
      const answer = await fetch(list, { headers, cache: "no-store" });
      if (answer.status === 429) {
        return { retryAfter: answer.headers.get("Retry-After"), problem: await answer.json() };
      }
    }
    return undefined;
  };
  const throttled = await inPage(listed, untilThrottled, { list, token });
  assert.equal(throttled.problem.code, "throttled");
  assert.equal(throttled.retryAfter, "1");
});

test("a token opens the files that it names and no others", async () => {
  const token = gateway.token("files", "--files", FILE);
  assert.equal((await inPage(listed, see, { list, token })).status, 200);
  const elsewhere = `${gateway.url}/v1/files/another/versions`;
  assert.equal((await inPage(listed, see, { list: elsewhere, token })).status, 403);
});

test("a page of an origin that is not listed reads nothing, token or not", async () => {
  const token = gateway.token("stranger");
  assert.deepEqual(await inPage(other, see, { list, token }), { refused: "TypeError" });
  assert.deepEqual(await inPage(other, see, { list }), { refused: "TypeError" });
});
