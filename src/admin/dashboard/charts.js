// Charts of the last 15 minutes, drawn by uPlot.

import { bytes, callsMade, clockTime, hitRatio, isolated, milliseconds, number, percent, requestsOf, sum } from "./format.js";

const HEIGHT = 170;
/** Most and least time that the charts show, in seconds. */
const SPAN = 900;
const SPAN_MIN = 60;
const BREAKER = ["closed", "probing", "open"];
const POWERS_OF_TWO = Array.from({ length: 41 }, (_, power) => 2 ** power);

let interval = 5;
const perSecond = (count) => count / interval;
const latencies = (key) => [["p50", "--c3"], ["p90", "--c2"], ["p99", "--c6"]].map(
  ([name, colour]) => [name, colour, (p) => p[key]?.[name] ?? null],
);

const CHARTS = [
  { title: "Requests per second by cache outcome", format: number, series: [
    ["hit", "--c3", (p) => perSecond(requestsOf(p, "hit"))],
    ["stale", "--c2", (p) => perSecond(requestsOf(p, "stale"))],
    ["miss", "--c1", (p) => perSecond(requestsOf(p, "miss"))],
    ["collapsed", "--c4", (p) => perSecond(requestsOf(p, "collapsed"))],
    ["stale on error", "--c6", (p) => perSecond(requestsOf(p, "stale_error"))],
    ["no lookup", "--c5", (p) => perSecond(requestsOf(p, "none"))],
  ] },
  { title: "Hit ratio", format: percent, max: 1, series: [
    ["hits", "--c3", hitRatio],
  ] },
  { title: "Hit latency (≈)", format: milliseconds, series: latencies("hits") },
  { title: "Miss latency (≈)", format: milliseconds, series: latencies("misses") },
  { title: "Upstream calls per second", format: number, series: [
    ["sent", "--c1", (p) => perSecond(callsMade(p))],
    ["saved", "--c3", (p) => perSecond(p.saved)],
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
    ["throttled", "--c2", (p) => perSecond(sum(p.throttled))],
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
let place = null;
let latest = null;

/** Creates the charts in an element, in the colours of the current colour scheme. */
export function buildCharts(element) {
  place = element;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const line = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--faint"), grid: line, ticks: line };
  place.replaceChildren();
  plots = CHARTS.map((chart) => {
    const card = document.createElement("div");
    card.className = "chart";
    card.toggleAttribute("data-fleet", Boolean(chart.fleet));
    card.hidden = Boolean(chart.fleet);
    card.append(Object.assign(document.createElement("h3"), { textContent: chart.title }));
    place.append(card);
    return { plot: new uPlot(options(chart, card, axis, colour), [[], ...chart.series.map(() => [])], card), card, chart };
  });
  if (latest) drawCharts(latest);
}

function options(chart, card, axis, colour) {
  return {
    width: width(card), height: HEIGHT, padding: [10, 28, 0, 0],
    cursor: { sync: { key: "ikgate" } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: {
      x: { range: (plot) => period(plot.data[0]) },
      y: { range: (_, __, max) => [0, chart.max ?? (max > 0 ? max * 1.1 : 1)] },
    },
    axes: [
      { ...axis, size: 30, space: 60, values: (_, times) => times.map((time) => clockTime(time).replace(/:00$/, "")) },
      { ...axis, size: 76, values: (_, values) => values.map(chart.format), ...(chart.steps && { incrs: chart.steps }) },
    ],
    series: [
      { label: "Time", value: (_, time) => time == null ? "–" : `${clockTime(time)}Z` },
      ...chart.series.map(([label, name]) => ({
        label, stroke: colour(name), width: 1.5,
        // A line needs two neighbours. A value between two gaps is drawn as a dot.
        points: { show: true, size: 5, fill: colour(name), filter: (plot, series) => isolated(plot.data[series]) },
        value: (_, value) => value == null ? "–" : chart.format(value),
      })),
    ],
  };
}

/** Returns the period that is shown. uPlot would show a day around a single sample. */
function period(times) {
  const last = times.at(-1) ?? Date.now() / 1000;
  return [Math.max(last - SPAN, Math.min(times[0] ?? last, last - SPAN_MIN)), last];
}

const width = (card) => Math.max(200, card.clientWidth - 16);

export function drawCharts(stats) {
  latest = stats;
  interval = stats.interval_seconds;
  const times = stats.points.map((point) => point.at);
  for (const { plot, chart } of plots) {
    plot.setData([times, ...chart.series.map(([, , value]) => stats.points.map(value))]);
  }
  requestAnimationFrame(showLast);
}

export function resizeCharts() {
  for (const { plot, card } of plots) plot.setSize({ width: width(card), height: HEIGHT });
}

/** Shows the last values in the legends, unless the pointer is on a chart and chooses others. */
export function showLast() {
  if (place.matches(":hover")) return;
  for (const { plot } of plots) {
    const last = plot.data[0].length - 1;
    if (last >= 0) plot.setLegend({ idx: last });
  }
}
