// Client of an ikgate gateway: fetches the versions of a file, from a page or from Node. It has no
// dependencies. It keeps lists with their ETag, so that an unchanged list is not sent again.

/**
 * @import { Answer, CallOptions, IkgateErrorCode, IkgateErrorDetails, IkgateOptions, Version } from "./ikgate.d.ts"
 * @typedef {{ etag: string, data: any }} Kept Response body and its ETag.
 * @typedef {{ answer: Promise<Answer<any>>, callers: number, deadline: number, stop: AbortController }} SharedRequest
 * @typedef {{ token: string | null, kept: Map<string, Kept>, shared: Map<string, SharedRequest> }} Session
 */

const ID = /^[A-Za-z0-9_-]{1,64}$/;
/** Maximum number of kept responses. A list has at most 100 versions; 100 lists take about 15 MB. */
const KEPT_MAX = 100;
/** Longest delay of `setTimeout`, in milliseconds. A longer one would end at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;
/** Codes of the gateway's errors; `cargo test` compares them with the gateway. */
const GATEWAY_CODES = [
  "bad_request",
  "unauthorized",
  "forbidden",
  "not_found",
  "no_route",
  "method_not_allowed",
  "request_timeout",
  "too_large",
  "throttled",
  "internal",
  "upstream_auth",
  "upstream_bad",
  "upstream_unreachable",
  "upstream_busy",
  "shutting_down",
  "upstream_timeout",
];

/** Names of the options of the constructor, and of those of a call. */
const OPTIONS = ["baseUrl", "token", "timeoutMs", "retries", "maxRetryWaitMs"];
const CALL_OPTIONS = ["signal", "timeoutMs"];
/** Syntax of a token or a caller key: visible ASCII that is no HTML, JSON or absent value as text. */
const TOKEN = /^(?![<{["]|null$|undefined$)[!-~]+$/;
const HELP_BASE_URL = "Check baseUrl: host, port, http or https.";
const HELP_UNREACHABLE = `${HELP_BASE_URL} Or send fewer requests at once.`;

/** Failed call. `code` says why; `message` and `help` are for people. */
export class IkgateError extends Error {
  /** @param {IkgateErrorCode} code @param {string} message @param {IkgateErrorDetails} [details] */
  constructor(code, message, { cause, status, help, requestId, retryAfterMs } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "IkgateError";
    this.code = code;
    this.status = status;
    this.help = help;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Client of one gateway. */
export class Ikgate {
  #baseUrl; #token; #timeoutMs; #retries; #maxRetryWaitMs; #session = newSession(null);

  /** @param {IkgateOptions} options */
  constructor(options) {
    checkOptions(options);
    const { baseUrl, token = () => null, timeoutMs = 30_000, retries = 1, maxRetryWaitMs = 10_000 } = options;
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#retries = retries;
    this.#maxRetryWaitMs = maxRetryWaitMs;
  }

  /** @param {string} fileId @param {CallOptions} [options] @returns {Promise<Answer<Version[]>>} */
  async versions(fileId, options) {
    return this.#call(`/v1/files/${checkedId(fileId)}/versions`, options);
  }

  /** @param {string} fileId @param {string} versionId @param {CallOptions} [options] @returns {Promise<Answer<Version>>} */
  async version(fileId, versionId, options) {
    return this.#call(`/v1/files/${checkedId(fileId)}/versions/${checkedId(versionId)}`, options);
  }

  /** @param {string} path @param {CallOptions} [options] @returns {Promise<Answer<any>>} */
  #call(path, options = {}) {
    checkCallOptions(options);
    const { signal, timeoutMs = this.#timeoutMs } = options;
    const [url, deadline] = [this.#baseUrl + path, performance.now() + timeoutMs];
    return untilEnded(signal, timeoutMs, async (ended) => {
      const token = checkedToken(await this.#token());
      ended.throwIfAborted();
      // A new session keeps one user's lists from the next user. Running requests keep the old one.
      if (token !== this.#session.token) this.#session = newSession(token);
      const { shared } = this.#session;
      const request = shared.get(url) ?? this.#start(url, this.#session);
      request.callers += 1;
      request.deadline = Math.max(request.deadline, deadline);
      ended.addEventListener("abort", () => {
        request.callers -= 1;
        if (request.callers > 0) return;
        // No caller is left. A later call must not join a request that is being aborted.
        if (shared.get(url) === request) shared.delete(url);
        request.stop.abort(ended.reason);
      });
      return request.answer;
    });
  }

  /** Starts a request that calls for the same URL share until it ends.
   * @param {string} url @param {Session} session @returns {SharedRequest} */
  #start(url, session) {
    const stop = new AbortController();
    const answer = this.#retrying(url, session, stop.signal, () => request.deadline).finally(() => {
      if (session.shared.get(url) === request) session.shared.delete(url);
    });
    /** @type {SharedRequest} */
    const request = { answer, callers: 0, deadline: 0, stop };
    session.shared.set(url, request);
    return request;
  }

  /** `deadline` returns the latest one of all callers, by the clock of `performance.now()`.
   * @param {string} url @param {Session} session @param {AbortSignal} signal @param {() => number} deadline
   * @returns {Promise<Answer<any>>} */
  async #retrying(url, session, signal, deadline) {
    for (let retriesLeft = this.#retries; ; retriesLeft -= 1) {
      const answer = await fetchOnce(url, session, signal);
      if (!(answer instanceof IkgateError)) return answer;
      const waitMs = [429, 503].includes(answer.status ?? 0) ? answer.retryAfterMs : undefined;
      if (retriesLeft <= 0 || waitMs === undefined || waitMs > this.#maxRetryWaitMs) throw answer;
      if (performance.now() + waitMs > deadline()) throw answer;
      await pause(waitMs, signal);
    }
  }
}

/** @param {string | null} token @returns {Session} */
function newSession(token) {
  return { token, kept: new Map(), shared: new Map() };
}

/** Sends one request. Returns an error of the gateway or the network; throws if `signal` aborts.
 * @param {string} url @param {Session} session @param {AbortSignal} signal @returns {Promise<Answer<any> | IkgateError>} */
async function fetchOnce(url, { token, kept }, signal) {
  const last = kept.get(url);
  const headers = new Headers(last && { "If-None-Match": last.etag });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let response, text;
  try {
    // The browser's cache would store everything a second time.
    response = await fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
    text = await response.text();
  } catch (cause) {
    signal.throwIfAborted();
    const error = response ? undefined : await corsError(url, signal, cause);
    signal.throwIfAborted();
    const [message, help] = response
      ? [`The response of ${url} ended too early.`, "Try again. If it stays so, tell the operator of the gateway."]
      : [`${url} cannot be reached.`, HELP_UNREACHABLE];
    return error ?? new IkgateError("network", message, { cause, help });
  }
  const data = response.status === 304 ? last?.data : parsedJson(text);
  if (data === undefined || response.status >= 400) return errorOf(url, response, data);
  const field = (/** @type {string} */ name) => response.headers.get(name) ?? undefined;
  const [etag, age] = [field("ETag"), wholeNumber(field("Age"))];
  kept.delete(url); // A Map keeps the order of insertion: its first entry is the least recently used.
  if (etag) kept.set(url, { etag, data });
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value ?? "");
  const [, left, resetSeconds] = field("RateLimit")?.match(/;r=(\d+);t=(\d+)$/)?.map(Number) ?? [];
  const rateLimit = left === undefined ? undefined : { left, resetSeconds };
  return { data, etag, age, cacheStatus: field("Cache-Status"), rateLimit, requestId: field("X-Request-Id") };
}

/** @param {string} url @param {Response} response @param {any} body */
function errorOf(url, { status, headers }, body) {
  // ImageKit's own 400 and 404 pass through the gateway; they have a message and no code.
  const imagekitCode = body?.message && { 400: "bad_request", 404: "not_found" }[status];
  const code = GATEWAY_CODES.includes(body?.code) ? body.code : (imagekitCode ?? "unknown");
  // A newer gateway's error has a code that is not known here, and a help.
  const isOurs = body?.message && (code !== "unknown" || body.help);
  const foreign = `The response of ${url} with status ${status} is not from ikgate`;
  const seconds = wholeNumber(headers.get("Retry-After"));
  const waitMs = wholeNumber(headers.get("Retry-After-Ms")) ?? (seconds === undefined ? undefined : seconds * 1000);
  return new IkgateError(code, isOurs ? body.message : `${foreign}${body?.message ? `: ${body.message}` : "."}`, {
    status,
    help: isOurs ? body.help : HELP_BASE_URL,
    requestId: headers.get("X-Request-Id") ?? undefined,
    retryAfterMs: headers.get("X-Should-Retry") === "false" ? undefined : waitMs,
  });
}

/** Tells a page of a refused origin from a gateway that is down. To the script both are the same
 * failed `fetch`; a `no-cors` request, whose response the script cannot read, fails only if the
 * gateway is down.
 * @param {string} url @param {AbortSignal} signal @param {unknown} cause */
async function corsError(url, signal, cause) {
  const page = globalThis.location;
  const target = page && new URL("/", new URL(url, page.href));
  if (!target || target.origin === page.origin) return undefined;
  try {
    await fetch(target, { mode: "no-cors", cache: "no-store", credentials: "omit", signal });
  } catch {
    return undefined;
  }
  if (!/^https?:/.test(page.origin)) {
    const help = "Open the page from a server, such as http://localhost:3000.";
    return new IkgateError("cors", "This page has no origin.", { cause, help });
  }
  const message = "The gateway is up, but the browser does not let this page read its response. "
    + `The page's origin, ${page.origin}, is probably not listed in the gateway's cors.allowed_origins.`;
  const help = `Let the gateway's operator add "${page.origin}" to cors.allowed_origins. If it is listed, baseUrl `
    + `(${target.origin}) is perhaps not the gateway's public address, but its admin listener or another server.`;
  return new IkgateError("cors", message, { cause, help });
}

/** Runs `task` until it ends, `signal` aborts or the time is up. The last two abort the signal that
 * the task gets, and reject at once.
 * @template T @param {AbortSignal | undefined} signal @param {number} timeoutMs
 * @param {(ended: AbortSignal) => Promise<T>} task @returns {Promise<T>} */
async function untilEnded(signal, timeoutMs, task) {
  signal?.throwIfAborted();
  const ended = new AbortController();
  const abort = () => ended.abort(signal?.reason);
  const expire = () => ended.abort(new IkgateError("timeout", `There was no response within ${timeoutMs / 1000} s.`));
  const timer = timeoutMs > TIMER_MAX_MS ? undefined : setTimeout(expire, timeoutMs);
  signal?.addEventListener("abort", abort);
  try {
    return await new Promise((resolve, reject) => {
      ended.signal.addEventListener("abort", () => reject(ended.signal.reason));
      task(ended.signal).then(resolve, reject);
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** @param {number} waitMs @param {AbortSignal} signal @returns {Promise<void>} */
function pause(waitMs, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      return signal.aborted ? reject(signal.reason) : resolve();
    };
    const timer = setTimeout(end, waitMs);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
  });
}

/** Refuses options that the types would show as mistakes. A message never repeats a value.
 * @param {IkgateOptions} options */
function checkOptions(options) {
  if (Object(options) !== options) {
    throw new TypeError('Ikgate takes an object: new Ikgate({ baseUrl: "https://..." }).');
  }
  checkNames(options, OPTIONS);
  checkNumbers(options);
  if (!isBaseUrl(options.baseUrl)) {
    throw new TypeError('baseUrl must be the URL of the gateway, as text, such as "https://gateway.example.com".');
  }
  if (options.token === undefined || typeof options.token === "function") return;
  throw new TypeError("token must be a function, because tokens expire: token: () => session.token.");
}

/** @param {CallOptions} options */
function checkCallOptions(options) {
  // A signal that is passed alone would be ignored.
  if (Object(options) !== options || "aborted" in options) {
    throw new TypeError("The options of a call are an object: { signal, timeoutMs }.");
  }
  checkNames(options, CALL_OPTIONS);
  checkNumbers(options);
  const { signal } = options;
  // A signal of another frame is no instance of this frame's AbortSignal.
  if (signal === undefined || signal === null || typeof signal.throwIfAborted === "function") return;
  throw new TypeError("signal must be an AbortSignal, such as new AbortController().signal.");
}

/** @param {object} options @param {string[]} names */
function checkNames(options, names) {
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const meant = names.find((option) => option.toLowerCase() === name.toLowerCase());
    const allowed = meant ? `${meant} is` : `the options are ${names.join(", ")}`;
    throw new TypeError(`${name} is not an option; ${allowed}.`);
  }
}

/** @param {{ timeoutMs?: number | undefined, retries?: number, maxRetryWaitMs?: number }} options */
function checkNumbers({ timeoutMs = 1, retries = 0, maxRetryWaitMs = 0 }) {
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0)) {
    throw new TypeError("timeoutMs must be a number of milliseconds above 0.");
  }
  if (!Number.isInteger(retries) || retries < 0) throw new TypeError("retries must be a whole number from 0.");
  if (Number.isFinite(maxRetryWaitMs) && maxRetryWaitMs >= 0) return;
  throw new TypeError("maxRetryWaitMs must be a finite number of milliseconds from 0.");
}

/** A path alone is one of the page's own origin.
 * @param {string} text */
function isBaseUrl(text) {
  if (typeof text !== "string" || !/^(https?:\/\/|\/)[^?#]*$/i.test(text)) return false;
  try { return new URL(text, globalThis.location?.href).username === ""; } catch { return false; }
}

/** The message does not repeat the value, which may be a secret.
 * @param {unknown} value */
function checkedToken(value) {
  if (value === null) return null;
  const token = typeof value === "string" ? value.trim() : value;
  const isText = typeof token === "string";
  if (isText && token.startsWith("private_")) {
    throw new IkgateError("token", "The token function returned an ImageKit private key. Roll it now.");
  }
  if (isText && token.startsWith("ikg_") && globalThis.location) {
    throw new IkgateError("token", "The token function returned a caller key. A key in a page is a leak: every visitor "
      + "can read it. Return a token that your own back end signs, or null for an anonymous call.");
  }
  const scheme = isText && /^bearer( |$)/i.test(token);
  if (isText && !scheme && TOKEN.test(token)) return token;
  const remedy = `return the token as text${scheme ? ', without "Bearer "' : ""}, or null for an anonymous call.`;
  throw new IkgateError("token", `The token function returned ${kindOf(token)}: ${remedy}`);
}

/** @param {unknown} value */
function kindOf(value) {
  if (value === undefined) return "undefined";
  if (typeof value !== "string") return typeof value === "object" ? "an object" : `a ${typeof value}`;
  if (value === "") return "empty text";
  if (value.startsWith("<")) return "HTML";
  return /^[{"]/.test(value) ? "JSON" : "text that is not a token";
}

/** @param {string} id */
function checkedId(id) {
  if (typeof id === "string" && ID.test(id)) return id;
  throw new TypeError(`"${id}" is not an id of ImageKit: 1 to 64 letters, digits, _ or -.`);
}

/** @param {string} text */
function parsedJson(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

/** @param {string | null | undefined} text */
function wholeNumber(text) {
  return text && /^\d+$/.test(text) ? Number(text) : undefined;
}
