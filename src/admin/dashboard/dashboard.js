// Live dashboard: polls /api/stats and draws charts, tables and recent events. It loads nothing
// from other hosts.
"use strict";

const PERIOD = 5000;
const byId = (id) => document.getElementById(id);
let token = "";
let interval = 5;

// Charts -----------------------------------------------------------------------------------------

const count = (point, ...keys) => keys.reduce((sum, key) => sum + (point.requests[key] ?? 0), 0);
const perSecond = (number) => number / interval;
const NOT_MADE = new Set(["budget", "queue_full", "breaker_open", "auth_stopped"]);
const calls = (point) => Object.entries(point.upstream)
  .reduce((sum, [outcome, made]) => sum + (NOT_MADE.has(outcome) ? 0 : made), 0);
const answered = (point) => count(point, "hit", "stale", "miss", "collapsed", "stale_error");
const total = (object) => Object.values(object).reduce((sum, number) => sum + number, 0);

const BREAKER = ["closed", "probing", "open"];
const FLEET = ["none", "connected", "cut off"];

const POWERS_OF_TWO = Array.from({ length: 41 }, (_, power) => 2 ** power);

const CHARTS = [
  { title: "Requests per second by cache outcome", format: number, series: [
    ["hit", "--c3", (p) => perSecond(count(p, "hit"))],
    ["stale", "--c2", (p) => perSecond(count(p, "stale"))],
    ["miss", "--c1", (p) => perSecond(count(p, "miss"))],
    ["collapsed", "--c4", (p) => perSecond(count(p, "collapsed"))],
    ["stale on error", "--c6", (p) => perSecond(count(p, "stale_error"))],
    ["no lookup", "--c5", (p) => perSecond(count(p, "none"))],
  ] },
  { title: "Hit ratio", format: percent, max: 1, series: [
    ["hits", "--c3", (p) => answered(p) ? count(p, "hit", "stale") / answered(p) : null],
  ] },
  { title: "Hit latency (≈)", format: milliseconds, series: [
    ["p50", "--c3", (p) => p.hits?.p50 ?? null],
    ["p90", "--c2", (p) => p.hits?.p90 ?? null],
    ["p99", "--c6", (p) => p.hits?.p99 ?? null],
  ] },
  { title: "Miss latency (≈)", format: milliseconds, series: [
    ["p50", "--c3", (p) => p.misses?.p50 ?? null],
    ["p90", "--c2", (p) => p.misses?.p90 ?? null],
    ["p99", "--c6", (p) => p.misses?.p99 ?? null],
  ] },
  { title: "Upstream calls per second", format: number, series: [
    ["sent", "--c1", (p) => perSecond(calls(p))],
    ["saved", "--c3", (p) => perSecond(Math.max(0, answered(p) - calls(p)))],
    ["refused: budget, queue", "--c2", (p) => perSecond((p.upstream.budget ?? 0) + (p.upstream.queue_full ?? 0))],
    ["refused: breaker, key", "--c6", (p) => perSecond((p.upstream.breaker_open ?? 0) + (p.upstream.auth_stopped ?? 0))],
  ] },
  { title: "Upstream budget and fills", format: number, series: [
    ["budget", "--c3", (p) => p.budget_available],
    ["fills in progress", "--c1", (p) => p.fills_in_progress],
  ] },
  { title: "Circuit breaker", format: (state) => BREAKER[state] ?? "", max: 2, steps: [1], series: [
    ["state", "--c6", (p) => p.breaker_state],
  ] },
  { title: "Throttled, errors, invalidations per second", format: number, series: [
    ["throttled", "--c2", (p) => perSecond(total(p.throttled))],
    ["errors (5xx)", "--c6", (p) => perSecond(p.failed)],
    ["invalidations", "--c4", (p) => perSecond(p.invalidations)],
  ] },
  { title: "Memory", format: bytes, steps: POWERS_OF_TWO, series: [
    ["resident", "--c1", (p) => p.resident_bytes],
    ["cache", "--c3", (p) => p.cache_bytes],
  ] },
  { title: "Connections", format: number, series: [
    ["open", "--c1", (p) => p.connections],
  ] },
  { title: "Fleet", format: number, fleet: true, series: [
    ["gateways", "--c3", (p) => p.cluster_nodes],
    ["pending purges", "--c6", (p) => p.cluster_pending_purges],
  ] },
  { title: "Fleet lag", format: milliseconds, fleet: true, series: [
    ["lag", "--c1", (p) => p.cluster_state === 1 ? p.cluster_lag_seconds * 1000 : null],
  ] },
];

let plots = [];

function build() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const charts = byId("charts");
  charts.replaceChildren();
  plots = CHARTS.map((chart) => {
    const card = document.createElement("div");
    card.className = "chart";
    card.toggleAttribute("data-fleet", Boolean(chart.fleet));
    card.hidden = Boolean(chart.fleet);
    const title = document.createElement("h3");
    title.textContent = chart.title;
    card.append(title);
    charts.append(card);
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const options = {
      width: width(card), height: 180, padding: [10, 28, 0, 0],
      cursor: { sync: { key: "ikgate" } },
      scales: { y: { range: (_, __, max) => [0, chart.max ?? Math.max(max * 1.1, 0.001)] } },
      axes: [axis, { ...axis, size: 76, values: (_, values) => values.map(chart.format), ...(chart.steps && { incrs: chart.steps }) }],
      series: [{ value: "{HH}:{mm}:{ss}" }, ...chart.series.map(([label, name]) => ({
        label, stroke: colour(name), width: 1.5, points: { show: false },
        value: (_, value) => value == null ? "–" : chart.format(value),
      }))],
    };
    const plot = new uPlot(options, [[], ...chart.series.map(() => [])], card);
    return { plot, card, chart };
  });
}

const width = (card) => Math.max(200, card.clientWidth - 16);

// Shows the parts about the fleet if this gateway belongs to one.
function showFleet(points) {
  const isThere = Boolean(points.at(-1)?.cluster_state);
  for (const part of document.querySelectorAll("[data-fleet]")) part.hidden = !isThere;
}

function draw(points) {
  const times = points.map((point) => point.at);
  for (const { plot, chart } of plots) {
    plot.setData([times, ...chart.series.map(([, , value]) => points.map(value))]);
  }
  requestAnimationFrame(showLast);
}

// Shows the last values in the legends, unless the pointer is on a chart and chooses others.
function showLast() {
  if (byId("charts").matches(":hover")) return;
  for (const { plot } of plots) {
    const last = plot.data[0].length - 1;
    if (last >= 0) plot.setLegend({ idx: last });
  }
}

// Texts and tables -------------------------------------------------------------------------------

function number(value) {
  if (value >= 10000) return `${(value / 1000).toFixed(0)}k`;
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
function percent(value) { return `${Number((value * 100).toFixed(1))} %`; }
function milliseconds(value) { return value >= 1000 ? `${number(value / 1000)} s` : `${number(value)} ms`; }
function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${number(value)} ${units[unit]}`;
}

function say(id, text, mood = "") {
  const place = byId(id);
  place.textContent = text;
  place.className = mood;
}

function now(stats) {
  const point = stats.points.at(-1);
  if (!point) return;
  const all = answered(point);
  const ratio = all ? count(point, "hit", "stale") / all : null;
  const failed = total(point.requests) ? point.failed / total(point.requests) : 0;
  say("now-requests", `${number(perSecond(total(point.requests)))}/s`);
  say("now-hits", ratio === null ? "–" : percent(ratio), ratio === null || ratio >= 0.5 ? "" : "warn");
  say("now-saved", `${number(perSecond(Math.max(0, all - calls(point))))}/s`);
  say("now-failed", percent(failed), failed > 0.0144 ? "bad" : failed > 0 ? "warn" : "good");
  say("now-budget", String(point.budget_available), point.budget_available < 5 ? "warn" : "");
  say("now-breaker", BREAKER[point.breaker_state] ?? "?", ["good", "warn", "bad"][point.breaker_state] ?? "");
  const full = point.connections / stats.most.connections;
  say("now-connections", number(point.connections), full > 0.9 ? "bad" : "");
  say("now-memory", bytes(point.resident_bytes));
  say("now-stored", bytes(point.cache_bytes));
  const isConnected = point.cluster_state === 1;
  say("now-fleet", FLEET[point.cluster_state] ?? "?", isConnected ? "good" : "bad");
  say("now-nodes", isConnected ? String(point.cluster_nodes) : "–");
  say("now-lag", isConnected ? milliseconds(point.cluster_lag_seconds * 1000) : "–", point.cluster_lag_seconds > 1 ? "warn" : "");
  say("now-pending", String(point.cluster_pending_purges), point.cluster_pending_purges > 0 ? "bad" : "");
}

function rows(body, counted, cells) {
  const made = counted.map((one) => {
    const row = document.createElement("tr");
    for (const cell of cells(one)) row.append(cell);
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement("tr");
    const cell = Object.assign(document.createElement("td"), { textContent: "none", colSpan: 3 });
    row.append(cell);
    made.push(row);
  }
  // A table keeps its rows while one of its buttons has the focus, because the user may press it.
  if (!byId(body).contains(document.activeElement)) byId(body).replaceChildren(...made);
}

function cell(text, className = "") {
  return Object.assign(document.createElement("td"), { textContent: text, className });
}

function fileRow({ file, count: times }) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Purge";
  button.setAttribute("aria-label", `Purge ${file}`);
  button.addEventListener("click", () => {
    byId("purge-file").value = file;
    // Without the focus on its button, the table updates again.
    button.blur();
    purge();
  });
  const last = document.createElement("td");
  last.append(button);
  return [cell(file), cell(number(times), "number"), last];
}

function lists(stats) {
  rows("asked", stats.top.requests, fileRow);
  rows("filled", stats.top.fills, fileRow);
  const throttled = new Map();
  for (const point of stats.points) {
    for (const [caller, times] of Object.entries(point.throttled)) {
      throttled.set(caller, (throttled.get(caller) ?? 0) + times);
    }
  }
  const worst = [...throttled].sort((a, b) => b[1] - a[1]).slice(0, 20);
  rows("throttled", worst, ([caller, times]) => [cell(caller), cell(number(times), "number")]);
  byId("events").replaceChildren(...stats.events.toReversed().map(({ at, level, text }) => {
    const line = document.createElement("li");
    const when = new Date(at * 1000);
    const time = document.createElement("time");
    time.dateTime = when.toISOString();
    time.textContent = when.toLocaleTimeString();
    const said = document.createElement("span");
    said.className = level;
    said.textContent = text;
    line.append(time, said);
    return line;
  }));
}

// Requests ---------------------------------------------------------------------------------------

function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function refresh() {
  try {
    const answer = await fetch("/api/stats", { headers: authorization(), cache: "no-store" });
    if (answer.status === 401) return askForToken("The statistics need the admin token.");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const stats = await answer.json();
    interval = stats.interval_seconds;
    byId("version").textContent = stats.version;
    showFleet(stats.points);
    draw(stats.points);
    now(stats);
    lists(stats);
    const at = new Date(stats.now * 1000).toLocaleTimeString();
    say("state", stats.points.length ? `Live, as of ${at}` : "Live; the first samples arrive in a few seconds");
  } catch (error) {
    say("state", `No answer from the gateway (${error.message})`, "bad");
  }
}

function askForToken(why) {
  byId("token-label").hidden = false;
  say("state", why, "bad");
}

async function purge() {
  const file = byId("purge-file").value;
  const soft = byId("purge-soft").checked;
  token = byId("token").value || token;
  try {
    const path = `/api/cache/${encodeURIComponent(file)}${soft ? "?soft=true" : ""}`;
    const answer = await fetch(path, { method: "DELETE", headers: authorization() });
    if (answer.ok) return say("purge-said", `${file} is ${soft ? "stale" : "purged"}`, "good");
    if (answer.status === 401) {
      byId("token-label").hidden = false;
      byId("token").focus();
      return say("purge-said", "A purge needs the admin token.", "bad");
    }
    const said = await answer.json();
    say("purge-said", said.message ?? `status ${answer.status}`, "bad");
  } catch (error) {
    say("purge-said", `No answer from the gateway (${error.message})`, "bad");
  } finally {
    refresh();
  }
}

byId("purge").addEventListener("submit", (event) => {
  event.preventDefault();
  purge();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { build(); refresh(); });
new ResizeObserver(() => {
  for (const { plot, card } of plots) plot.setSize({ width: width(card), height: 180 });
}).observe(byId("charts"));
byId("charts").addEventListener("mouseleave", () => requestAnimationFrame(showLast));

build();
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, PERIOD);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
