// Demo page: shows the version history of a file, as your own page could. It calls the gateway from
// another origin and holds no key. It draws the thumbnails itself and loads nothing from ImageKit.

import { Ikgate } from "/ikgate.js";

/** Maximum number of requests that wait for a new version. The list has it once the webhook has come. */
const ADDED_REQUESTS_MAX = 20;
const ADDED_PAUSE = 1000;

const byId = (id) => document.getElementById(id);
const idOf = (version) => version.versionInfo.id;
const plural = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;
const settings = await (await fetch("/settings.json")).json();
const gateway = new Ikgate({ baseUrl: settings.gateway });

/** State of the page: the file, its versions, and the ids of the two versions to compare. */
const shown = { file: "", versions: [], chosen: [] };
/** Lists that came before. The helper returns the same object for as long as the list is unchanged. */
const seen = new WeakSet();
let action = new AbortController();

// Requests ---------------------------------------------------------------------------------------

/** Starts an action of the user and aborts the previous one if it still runs. */
function act(deed, file) {
  action.abort();
  action = new AbortController();
  deed(file, action.signal);
}

/** Fetches and shows the versions of a file, or the problem. Resolves with the versions; none on a problem. */
async function request(file, signal) {
  say("state", "Requesting…");
  const started = performance.now();
  try {
    const answer = await gateway.versions(file, { signal });
    showAnswer(answer, performance.now() - started);
    showVersions(file, answer.data);
    say("state", `${plural(answer.data.length, "version")}, requested at ${new Date().toLocaleTimeString()}`);
    return answer.data;
  } catch (error) {
    if (!signal.aborted) showProblem(file, error);
    return [];
  }
}

/** Adds a version in the sandbox, which sends the gateway a webhook, and polls until the list has it. */
async function add(file, signal) {
  say("state", "Adding a version…");
  const reply = fetch(`${settings.sandbox}/_sandbox/files/${file}/versions`, { method: "POST" });
  const unreachable = () => ({ message: "The sandbox cannot be reached." });
  const added = await reply.then((answer) => answer.json()).catch(unreachable);
  if (signal.aborted) return undefined;
  if (!added.versionInfo) return showProblem(file, { code: "sandbox", ...added });
  for (let requests = 1; requests <= ADDED_REQUESTS_MAX && !signal.aborted; requests += 1) {
    const versions = await request(file, signal);
    if (versions.some((version) => idOf(version) === idOf(added))) {
      return say("state", `${added.versionInfo.name} is in the list, after ${plural(requests, "request")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, ADDED_PAUSE));
  }
  if (!signal.aborted) say("state", `${added.versionInfo.name} is not in the list: does the sandbox send webhooks?`);
}

async function offerFiles() {
  const files = await (await fetch(`${settings.sandbox}/_sandbox/files`)).json();
  byId("files").replaceChildren(...files.map(({ fileId, name, versions, isPrivateFile }) => {
    const label = `${name}, ${plural(versions, "version")}${isPrivateFile ? ", private" : ""}`;
    return element("option", { value: fileId, label });
  }));
}

// Outcome of a request ---------------------------------------------------------------------------

const OUTCOMES = [
  [/.*hit; ttl=(\d+).*/, "The cache: a hit, fresh for $1 s more"],
  [/.*hit; ttl=-(\d+).*/, "The cache: a stale hit, expired $1 s ago; a new list is being fetched"],
  [/.*hit.*/, "The fleet's shared cache: a hit"],
  [/.*stale-if-error.*/, "The cache: stale, because ImageKit failed"],
  [/.*collapsed.*/, "ImageKit: a miss, shared with other callers that waited"],
  [/.*fwd=stale.*/, "ImageKit: the stored list was too old"],
  [/.*fwd=.*/, "ImageKit: a miss"],
  [/.*/, "Unknown: no Cache-Status"],
];

function inWords(cacheStatus = "") {
  const [pattern, words] = OUTCOMES.find(([pattern]) => pattern.test(cacheStatus));
  return cacheStatus.replace(pattern, words);
}

function showAnswer({ data, age, cacheStatus, rateLimit }, took) {
  byId("problem").hidden = true;
  say("outcome", inWords(cacheStatus));
  say("cache-status", cacheStatus && `Cache-Status: ${cacheStatus}`);
  say("took", `${took.toFixed(took < 10 ? 1 : 0)} ms`);
  say("sent", seen.has(data) ? "unchanged: not sent again" : "sent in full");
  say("old", age === undefined ? "–" : `${age} s`);
  say("age", age === undefined ? "" : `Age: ${age}`);
  say("left", rateLimit?.left ?? "–");
  say("reset", rateLimit && `full quota again in ${rateLimit.resetSeconds} s`);
  seen.add(data);
}

function showProblem(file, { code, message, help, requestId }) {
  for (const id of ["outcome", "took", "old", "left"]) say(id, "–");
  for (const id of ["cache-status", "sent", "age", "reset", "state"]) say(id, "");
  say("problem-code", code);
  say("problem-message", message);
  say("problem-help", help);
  say("problem-request", requestId && `Request ${requestId}`);
  byId("problem").hidden = false;
  if (file !== shown.file) showVersions(file, []);
}

// Versions ---------------------------------------------------------------------------------------

function showVersions(file, versions) {
  // The same list again: it is not rebuilt, so that a focused checkbox keeps its focus.
  if (versions === shown.versions) return;
  const known = new Set((shown.file === file ? shown.versions : versions).map(idOf));
  const chosen = shown.chosen.filter((id) => versions.some((version) => idOf(version) === id));
  Object.assign(shown, { file, versions, chosen: chosen.length === 2 ? chosen : versions.slice(0, 2).map(idOf) });
  byId("history").hidden = versions.length === 0;
  say("versions-title", versions[0]?.name);
  byId("versions").replaceChildren(...versions.map((version) => versionItem(version, known)));
  compare();
}

function versionItem(version, known) {
  const id = idOf(version);
  const box = element("input", { type: "checkbox", value: id, checked: shown.chosen.includes(id) });
  box.addEventListener("change", () => choose(box));
  const name = element("span", { className: "name" }, `${version.versionInfo.name} `);
  if (version.type === "file") name.append(badge("current"), " ");
  if (!known.has(id)) name.append(badge("new"));
  const date = new Date(version.createdAt).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  const facts = [date, `${(version.size / 1000).toFixed(1)} kB`];
  if (version.width) facts.push(`${version.width} × ${version.height}`);
  const about = element("span", { className: "facts" }, ...facts.map((fact) => element("span", {}, `${fact} `)));
  return element("li", {}, element("label", {}, box, thumbnail(version), element("span", {}, name, about)));
}

/** Adds a version to the comparison or removes it. A third version replaces the one chosen first. */
function choose(box) {
  shown.chosen = shown.chosen.filter((id) => id !== box.value);
  if (box.checked) shown.chosen = [...shown.chosen, box.value].slice(-2);
  for (const each of byId("versions").querySelectorAll("input")) each.checked = shown.chosen.includes(each.value);
  compare();
}

function compare() {
  const [newer, older] = shown.versions.filter((version) => shown.chosen.includes(idOf(version)));
  byId("compare").hidden = !older;
  if (!older) return say("compared", shown.versions.length > 1 ? "Choose two versions." : "There is only one version.");
  const [from, to] = [flat(older), flat(newer)];
  const rows = [...new Set([...to.keys(), ...from.keys()])].map((path) => fieldRow(path, from.get(path), to.get(path)));
  say("older", older.versionInfo.name);
  say("newer", newer.versionInfo.name);
  say("compared", `${rows.filter((row) => row.className).length} of ${rows.length} fields differ.`);
  byId("fields").replaceChildren(...rows);
}

/** Returns the fields by path, as text: `{ versionInfo: { id } }` has the path `versionInfo.id`. */
function flat(value, path = "", into = new Map()) {
  const inner = Object.entries(value !== null && typeof value === "object" ? value : {});
  if (inner.length === 0) into.set(path, typeof value === "string" ? value : JSON.stringify(value));
  for (const [key, one] of inner) {
    flat(one, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key, into);
  }
  return into;
}

function fieldRow(path, from, to) {
  // A long path may wrap at the end of each name.
  const field = element("th", { scope: "row" }, ...path.split(/(?=\.)/).flatMap((name) => [name, element("wbr")]));
  const row = element("tr", {}, field, element("td", {}, from ?? "–"), element("td", {}, to ?? "–"));
  if (from === to) return row;
  field.append(" ", badge(from === undefined ? "added" : to === undefined ? "removed" : "changed"));
  return Object.assign(row, { className: "changed" });
}

/** Returns a generator of numbers from 0 to 1, seeded by the text. */
function numbersOf(text) {
  let state = [...text].reduce((hash, letter) => Math.imul(hash ^ letter.codePointAt(0), 0x01000193), 0x811c9dc5);
  return () => {
    state = Math.imul((state ^ (state >>> 15)) + 0x9e3779b9, 0x2c1b3c6d);
    state ^= state >>> 13;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Draws a landscape as a thumbnail: unique to the version, in its aspect ratio. */
function thumbnail({ width = 3, height = 4, versionInfo }) {
  const scale = Math.min(192 / width, 108 / height);
  const canvas = element("canvas", { width: width * scale, height: height * scale, ariaHidden: "true" });
  drawLandscape(canvas.getContext("2d"), canvas.width, canvas.height, numbersOf(versionInfo.id));
  return canvas;
}

function drawLandscape(pen, wide, high, next) {
  const hue = next() * 360;
  pen.fillStyle = `hsl(${hue} 62% 74%)`;
  pen.fillRect(0, 0, wide, high);
  pen.fillStyle = "hsl(48 100% 92%)";
  pen.arc(wide * (0.15 + 0.7 * next()), high * (0.2 + 0.25 * next()), high * 0.11, 0, 2 * Math.PI);
  pen.fill();
  for (const [level, light] of [[0.55, 52], [0.7, 38], [0.85, 24]]) {
    const [bumps, start, depth] = [2 + 4 * next(), 7 * next(), high * (0.05 + 0.08 * next())];
    const ridge = (x) => high * level + depth * Math.sin(start + (bumps * Math.PI * x) / wide);
    pen.fillStyle = `hsl(${hue + 150} 32% ${light}%)`;
    for (let x = 0; x <= wide; x += 2) pen.fillRect(x, ridge(x), 2, high);
  }
}

// The page ---------------------------------------------------------------------------------------

function say(id, text = "") {
  byId(id).textContent = text;
}

function badge(text) {
  return element("span", { className: `badge ${text}` }, text);
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

byId("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  act(request, byId("file").value);
});
for (const [id, deed] of [["again", request], ["add", add]]) {
  byId(id).addEventListener("click", () => byId("choose").reportValidity() && act(deed, byId("file").value));
}
byId("only-changed").addEventListener("change", ({ target }) => {
  byId("fields").classList.toggle("only-changed", target.checked);
});
Object.assign(byId("dashboard"), { href: settings.dashboard, hidden: false });
byId("file").value = settings.file;
byId("controls").disabled = false;
act(request, settings.file);
// The input also works without these suggestions, so an error is ignored.
offerFiles().catch(() => undefined);
