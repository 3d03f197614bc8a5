// Tests of wrong use of the client for pages, in JavaScript without types: the error names the mistake.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Ikgate, IkgateError } from "../../src/demo/helper/ikgate.js";
import { Places, callAll, tagged } from "./places.js";

const places = new Places();
const baseUrl = "https://gateway.example.com";
const URL_WANTED = 'baseUrl must be the URL of the gateway, as text, such as "https://gateway.example.com".';
const FUNCTION_WANTED = "token must be a function, because tokens expire: token: () => session.token.";
const SECRET = "s3cret";

function refused(options, message) {
  assert.throws(() => new Ikgate(options), { name: "TypeError", message });
}

test("options that are missing or no object are a TypeError with a sample", () => {
  const message = 'Ikgate takes an object: new Ikgate({ baseUrl: "https://..." }).';
  for (const options of [undefined, null, baseUrl, 7]) refused(options, message);
});

test("a base URL that is missing or no URL of a gateway is a TypeError that does not repeat it", () => {
  refused({}, URL_WANTED);
  const texts = ["", "gateway.example.com", "/imagekit", "ftp://a", "file:///a", "http://", "http://a:port"];
  const withMore = [`https://user:${SECRET}@a`, `https://a/?key=${SECRET}`, "https://a/#top"];
  const others = [undefined, null, 7, {}, new URL(baseUrl)];
  for (const wrong of [...texts, ...withMore, ...others]) refused({ baseUrl: wrong }, URL_WANTED);
});

test("a base URL with a port, a base path or capitals is accepted", () => {
  for (const right of ["http://127.0.0.1:8080", "http://[::1]:8080/", `${baseUrl}/imagekit//`, "HTTPS://A"]) {
    new Ikgate({ baseUrl: right });
  }
});

test("an option that does not exist is a TypeError that names the option that was meant", () => {
  refused({ baseURL: baseUrl }, "baseURL is not an option; baseUrl is.");
  refused({ baseUrl, timeoutMS: 1 }, "timeoutMS is not an option; timeoutMs is.");
  const all = "baseUrl, token, timeoutMs, retries, maxRetryWaitMs";
  refused({ url: baseUrl }, `url is not an option; the options are ${all}.`);
  refused({ baseUrl, getToken: () => SECRET }, `getToken is not an option; the options are ${all}.`);
});

test("a number out of its range is a TypeError that names the option and the range", () => {
  const wrong = {
    "timeoutMs must be a number of milliseconds above 0.": [0, -1, NaN, "1000", null],
    "retries must be a whole number from 0.": [-1, 0.5, NaN, Infinity, "1", true, null],
    "maxRetryWaitMs must be a finite number of milliseconds from 0.": [-1, NaN, Infinity, "1000", null],
  };
  for (const [message, values] of Object.entries(wrong)) {
    for (const value of values) refused({ baseUrl, [message.split(" ")[0]]: value }, message);
  }
  new Ikgate({ baseUrl, timeoutMs: 0.5, retries: 0, maxRetryWaitMs: 0 });
  new Ikgate({ baseUrl, timeoutMs: undefined, retries: 3, maxRetryWaitMs: undefined });
});

test("a wrong option of a call is a TypeError that names it, and no request is sent", async () => {
  const server = await places.scripted((path) => tagged(path));
  const client = new Ikgate({ baseUrl: server.url });
  const object = "The options of a call are an object: { signal, timeoutMs }.";
  const signal = "signal must be an AbortSignal, such as new AbortController().signal.";
  const cases = [
    [{ timeout: 1 }, "timeout is not an option; the options are signal, timeoutMs."],
    [{ timeoutMS: 1 }, "timeoutMS is not an option; timeoutMs is."],
    [{ timeoutMs: 0 }, "timeoutMs must be a number of milliseconds above 0."],
    [{ signal: new AbortController() }, signal],
    [{ signal: {} }, signal],
    [{ signal: 0 }, signal],
    [new AbortController().signal, object],
    [1000, object],
    [null, object],
  ];
  for (const [options, message] of cases) {
    await assert.rejects(client.versions("a", options), { name: "TypeError", message });
    await assert.rejects(client.version("a", "b", options), { name: "TypeError", message });
  }
  assert.deepEqual(server.requests, []);
  const { signal: live } = new AbortController();
  for (const options of [undefined, {}, { signal: live }, { signal: undefined }, { signal: null }]) {
    await client.versions("a", options);
  }
  assert.equal(server.requests.length, 5);
});

test("a token that is no function is a TypeError that does not repeat it", () => {
  for (const token of [SECRET, "", null, 7, {}, Promise.resolve(SECRET)]) refused({ baseUrl, token }, FUNCTION_WANTED);
  new Ikgate({ baseUrl, token: undefined });
});

test("a token function that returns no token is an error that says what it returned, and no request is sent", async () => {
  const server = await places.scripted((path) => tagged(path));
  const cases = [
    [undefined, "undefined"],
    ["", "empty text"],
    [" \n", "empty text"],
    [{ token: SECRET }, "an object"],
    [[SECRET], "an object"],
    [() => SECRET, "a function"],
    [7, "a number"],
    [`<!doctype html>\n<title>${SECRET}</title>`, "HTML"],
    [`<p>${SECRET}</p>`, "HTML"],
    [`{"token":"${SECRET}"}`, "JSON"],
    [`"${SECRET}"`, "JSON"],
    [`${SECRET}\n${SECRET}`, "text that is not a token"],
    ["ключ", "text that is not a token"],
    ["[object Object]", "text that is not a token"],
    ["null", "text that is not a token"],
    ["undefined", "text that is not a token"],
  ];
  for (const [value, named] of cases) {
    const message = `The token function returned ${named}: return the token as text, or null for an anonymous call.`;
    for (const token of [() => value, async () => value]) {
      await assert.rejects(new Ikgate({ baseUrl: server.url, token }).versions("a"), (error) => {
        assert.ok(error instanceof IkgateError);
        assert.deepEqual([error.code, error.status, error.message], ["token", undefined, message]);
        return true;
      });
    }
  }
  assert.deepEqual(server.requests, []);
});

test("a token with its scheme is an error that says to leave the scheme out, and no request is sent", async () => {
  const server = await places.scripted((path) => tagged(path));
  const message = "The token function returned text that is not a token: "
    + 'return the token as text, without "Bearer ", or null for an anonymous call.';
  for (const value of [`Bearer ${SECRET}`, `bearer ${SECRET}`, "Bearer undefined", "Bearer "]) {
    const call = new Ikgate({ baseUrl: server.url, token: () => value }).versions("a");
    await assert.rejects(call, { name: "IkgateError", code: "token", message });
  }
  await new Ikgate({ baseUrl: server.url, token: () => "bearer-of-a-name" }).versions("a");
  assert.deepEqual(server.requests.map(({ authorization }) => authorization), ["Bearer bearer-of-a-name"]);
});

places.inBoth("ImageKit's private key is an error that calls for a new key, and no request is sent", async (run) => {
  const server = await places.scripted((path) => tagged(path));
  const argument = { options: { baseUrl: server.url }, calls: [{ file: "a", token: `private_${SECRET}` }] };
  const [{ code, message }] = (await run(callAll, argument)).outcomes;
  assert.equal(code, "token");
  assert.match(message, /^The token function returned an ImageKit private key.*Roll it/);
  assert.ok(!message.includes(SECRET), message);
  assert.deepEqual(server.requests, []);
});

test("a caller key in a page is an error that calls it a leak, and no request is sent", async () => {
  const server = await places.scripted((path) => tagged(path));
  const argument = { options: { baseUrl: server.url }, calls: [{ file: "a", token: `ikg_${SECRET}` }] };
  const [{ ours, code, message }] = (await places.inPage(callAll, argument)).outcomes;
  assert.deepEqual([ours, code], [true, "token"]);
  assert.match(message, /^The token function returned a caller key\. A key in a page is a leak/);
  assert.ok(!message.includes(SECRET), message);
  assert.deepEqual(server.requests, []);
});

test("a token is sent without the blanks around it, and null sends none", async () => {
  const server = await places.scripted((path) => tagged(path));
  for (const value of ["a.b-c_d", "ikg_key=\n", " p@ss! ", null]) {
    await new Ikgate({ baseUrl: server.url, token: () => value }).versions("a");
  }
  const sent = server.requests.map(({ authorization }) => authorization);
  assert.deepEqual(sent, ["Bearer a.b-c_d", "Bearer ikg_key=", "Bearer p@ss!", undefined]);
});

test("an error of the token function reaches the caller as it is", async () => {
  const mine = new Error("signed out");
  const token = async () => {
    throw mine;
  };
  await assert.rejects(new Ikgate({ baseUrl, token }).versions("a"), (error) => error === mine);
});

test("in a page, a base URL may be a path of the page's own origin", async () => {
  // The page's server answers this path with a page, which is not a response of ikgate.
  const argument = { options: { baseUrl: "/imagekit" }, calls: [{ file: "a" }] };
  const { outcomes } = await places.inPage(callAll, argument);
  assert.deepEqual([outcomes[0].code, outcomes[0].status], ["unknown", 200]);
});
