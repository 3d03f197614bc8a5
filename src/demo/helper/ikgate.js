// @ts-check
// Asks an ikgate gateway for a file's versions, from a page or from Node. Copy it; it needs no other
// file. Answers are kept with their tags, so a list that has not changed is not sent again.

const ID = /^[A-Za-z0-9_-]{1,64}$/;
const KEPT_MAX = 100; // A list has at most 100 versions: so many lists take some 15 MB.
const WAIT_SECONDS_MAX = 60; // The gateway tells no longer wait. If another does, the caller decides.
const IMAGEKIT_CODES = new Map([[400, "bad_request"], [404, "not_found"]]); // Its own errors have none.

/** @typedef {{ fileId: string, name: string, versionInfo: { id: string, name: string }, size: number,
 *   width?: number, height?: number, createdAt: string, [field: string]: unknown }} Version
 * @typedef {{ signal?: AbortSignal }} Options */
/** @template T @typedef {{ data: T, etag?: string, age?: number, cacheStatus?: string, requestId?: string,
 *   rateLimit?: { left: number, resetSeconds: number } }} Answer `data` is one object until it changes: read only. */

/** `code` as in ikgate's README; `network`: no answer came; `unknown`: one that is not ikgate's. */
export class IkgateError extends Error {
  name = "IkgateError"; code = "unknown";
  status = /** @type {number=} */ (undefined); retryAfterSeconds = /** @type {number=} */ (undefined);
  help = /** @type {string=} */ (undefined); requestId = /** @type {string=} */ (undefined);
}

export class Ikgate {
  #base; #token; #retries; #keptFor = ""; #kept = new Map();
  /** @param {{ baseUrl: string, token?: () => string | Promise<string>, retries?: number }} options */
  constructor({ baseUrl, token = () => "", retries = 2 }) {
    this.#base = baseUrl.replace(/\/+$/, "");
    this.#token = token;
    this.#retries = retries;
  }

  /** The newest first. @param {string} fileId @param {Options} [options] @returns {Promise<Answer<Version[]>>} */
  async versions(fileId, options) {
    return this.#ask(`/v1/files/${checked(fileId)}/versions`, options?.signal);
  }

  /** @param {string} fileId @param {string} id @param {Options} [options] @returns {Promise<Answer<Version>>} */
  async version(fileId, id, options) {
    return this.#ask(`/v1/files/${checked(fileId)}/versions/${checked(id)}`, options?.signal);
  }

  /** @param {string} path @param {AbortSignal} [signal] */
  async #ask(path, signal) {
    for (let retriesLeft = this.#retries; ; retriesLeft -= 1) {
      const token = await this.#token();
      // What one token opened is not for the next. An answer still on its way goes to the old map.
      if (token !== this.#keptFor) [this.#keptFor, this.#kept] = [token, new Map()];
      const answer = await askOnce(this.#base + path, token, this.#kept, signal);
      if (!(answer instanceof IkgateError)) return answer;
      const wait = [429, 503].includes(answer.status ?? 0) ? answer.retryAfterSeconds : undefined;
      if (retriesLeft <= 0 || wait === undefined || wait > WAIT_SECONDS_MAX) throw answer;
      await pause(wait, signal);
    }
  }
}

/** @param {string} url @param {string} token @param {Map<string, any>} kept @param {AbortSignal} [signal] */
async function askOnce(url, token, kept, signal) {
  const last = kept.get(url);
  const headers = new Headers(last && { "If-None-Match": last.etag });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let answer, text;
  try { // The browser's own cache would keep everything a second time.
    answer = await fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
    text = await answer.text();
  } catch (cause) {
    signal?.throwIfAborted();
    return Object.assign(new IkgateError("The gateway cannot be reached.", { cause }), { code: "network" });
  }
  const field = (/** @type {string} */ name) => answer.headers.get(name) ?? undefined;
  const number = (/** @type {string} */ name) => /^\d+$/.test(field(name) ?? "") ? Number(field(name)) : undefined;
  const [status, etag, requestId] = [answer.status, field("ETag"), field("X-Request-Id")];
  const data = status === 304 ? last?.data : parsed(text);
  if (data === undefined || status >= 400) {
    const code = typeof data?.code === "string" ? data.code : (data?.message && IMAGEKIT_CODES.get(status)) || "unknown";
    const told = { code, status, help: data?.help, requestId, retryAfterSeconds: number("Retry-After") };
    return Object.assign(new IkgateError(data?.message ?? `A ${status} that is not ikgate's.`), told);
  }
  kept.delete(url); // A Map is in order of insertion: what is first was not asked for the longest.
  if (etag) kept.set(url, { etag, data });
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value ?? "");
  const [, left, resetSeconds] = field("RateLimit")?.match(/;r=(\d+);t=(\d+)$/)?.map(Number) ?? [];
  const rateLimit = left === undefined ? undefined : { left, resetSeconds };
  return { data, etag, age: number("Age"), cacheStatus: field("Cache-Status"), rateLimit, requestId };
}

const checked = (/** @type {string} */ id) => { if (ID.test(id ?? "")) return id; throw TypeError(`no id: ${id}`); };
const parsed = (/** @type {string} */ text) => { try { return JSON.parse(text); } catch { return undefined; } };

/** @param {number} seconds @param {AbortSignal} [signal] @returns {Promise<void>} */
const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
    return signal?.aborted ? reject(signal.reason) : resolve();
  };
  const timer = setTimeout(end, seconds * 1000);
  if (signal?.aborted) end(); else signal?.addEventListener("abort", end);
});
