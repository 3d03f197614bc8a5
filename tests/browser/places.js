// Runner of one check in two places, Node and a page in Chromium, and a scripted server for
// responses that a gateway cannot produce quickly.

import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { Programs } from "./programs.js";

export const FILE = "64a1b2c3d4e5f60718293a4b";
export const HELPER = new URL("../../src/demo/helper/ikgate.js", import.meta.url);

/** Starts a browser, and a page that can import the helper, before the tests of a file. */
export class Places {
  programs = new Programs();
  /** Origin of the page. */
  origin = "";
  /** Serves the same page by another origin: its host is `localhost`. */
  otherOrigin = "";
  #browser;

  /** `begin` starts what else the tests need. */
  constructor(begin = () => undefined) {
    before(async () => {
      this.origin = await this.programs.page({ "/ikgate.js": readFileSync(HELPER, "utf8") });
      this.otherOrigin = this.origin.replace("127.0.0.1", "localhost");
      this.#browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
      this.programs.onStop(() => this.#browser.close());
      await begin();
    });
    after(() => this.programs.stop());
  }

  /** Runs a function with `argument` in a new page of `origin`, and closes the page. */
  async inPage(script, argument, origin = this.origin) {
    const context = await this.#browser.newContext();
    try {
      const page = await context.newPage();
      await page.goto(origin);
      return await page.evaluate(script, { ...argument, helper: `${origin}/ikgate.js` });
    } finally {
      await context.close();
    }
  }

  /** Defines one test for Node and one for the browser. */
  inBoth(name, check) {
    const inNode = (script, argument) => script({ ...argument, helper: HELPER.href });
    const inPage = (script, argument) => this.inPage(script, argument);
    for (const [place, run] of [["Node", inNode], ["a page", inPage]]) {
      test(`in ${place}: ${name}`, () => check(run, place));
    }
  }

  /**
   * Starts a server that answers with the result of `answerTo` for a path and the number of requests
   * for it so far, and records the requests. If the result is undefined, it closes the connection.
   */
  async scripted(answerTo) {
    const requests = [];
    const url = await this.programs.serve(async (request, answer) => {
      answer.setHeader("Access-Control-Allow-Origin", "*");
      answer.setHeader("Access-Control-Allow-Headers", "Authorization, If-None-Match");
      answer.setHeader("Access-Control-Expose-Headers", "ETag, Retry-After, Retry-After-Ms, X-Should-Retry");
      if (request.method === "OPTIONS") return answer.writeHead(204).end();
      const [path, { authorization, "if-none-match": tag }] = [request.url, request.headers];
      const record = { path, authorization, tag, aborted: false };
      requests.push(record);
      record.closed = new Promise((resolve) => answer.once("close", resolve)).then(() => {
        record.aborted = !answer.writableEnded;
      });
      const reply = await answerTo(path, requests.filter((one) => one.path === path).length);
      if (!reply) return request.socket.destroy();
      answer.writeHead(reply.status ?? 200, reply.fields).write(reply.body ?? "[]");
      return reply.cut ? answer.socket.end() : answer.end();
    });
    return { url, requests };
  }
}

/** Returns the id of the file in a path. */
export const fileOf = (path) => path.split("/")[3];

/** Returns a list whose ETag is its path, on every request. */
export const tagged = (path) => ({ fields: { ETag: `"${path}"` }, body: JSON.stringify([path]) });

/**
 * Runs in Node or in the page: makes one call after the other and returns the outcome of each. Waits
 * of `hurry` milliseconds end at once, and are reported.
 */
export async function callAll({ helper, options, calls, hurry = [] }) {
  const { Ikgate, IkgateError } = await import(helper);
  let token = null;
  const client = new Ikgate({ token: async () => token, ...options });
  const [waits, outcomes, seen] = [[], [], new Set()];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (run, delay, ...rest) => {
    if (!hurry.includes(delay)) return setTimeout(run, delay, ...rest);
    waits.push(delay);
    return setTimeout(run, 0);
  };
  try {
    for (const call of calls) {
      token = call.token ?? null;
      try {
        const answer = "version" in call ? await client.version(call.file, call.version) : await client.versions(call.file);
        outcomes.push({ ...answer, seen: seen.has(answer.data) });
        seen.add(answer.data);
      } catch (error) {
        const { name, message, code, status, help, requestId, retryAfterMs } = error;
        const ours = error instanceof IkgateError && error instanceof Error;
        outcomes.push({ error: name, ours, message, code, status, help, requestId, retryAfterMs });
      }
    }
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  return { outcomes, waits };
}
