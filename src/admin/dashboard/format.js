// Texts of numbers, sizes, durations and times, and sums of points. No part of it reads the page.

/** Returns a number with three digits, or in thousands or millions. */
export function number(value) {
  if (value >= 1e7) return `${(value / 1e6).toFixed(0)}M`;
  if (value >= 10000) return `${(value / 1000).toFixed(0)}k`;
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

export function percent(value) {
  return `${Number((value * 100).toFixed(1))} %`;
}

export function milliseconds(value) {
  if (value >= 1000) return `${number(value / 1000)} s`;
  return value > 0 && value < 1 ? `${number(value * 1000)} µs` : `${number(value)} ms`;
}

/** Returns a size in the unit of 1024 that leaves it the fewest digits. */
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${number(value)} ${units[unit]}`;
}

/** Returns a duration in seconds in its two largest units. */
export function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => seconds >= length);
  if (first < 0) return "0 s";
  let left = Math.floor(seconds);
  return units.slice(first, first + 2).map(([name, length]) => {
    const count = Math.floor(left / length);
    left -= count * length;
    return count ? `${count} ${name}` : "";
  }).filter(Boolean).join(" ");
}

/** Returns a time of Unix seconds in ISO 8601, in UTC as in the log. */
export function isoTime(seconds) {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Returns the time of day of Unix seconds in UTC. */
export function clockTime(seconds) {
  return isoTime(seconds).slice(11, 19);
}

export const sum = (object) => Object.values(object).reduce((total, value) => total + value, 0);

/** Returns the requests of a point with these cache outcomes. */
export const requestsOf = (point, ...outcomes) =>
  outcomes.reduce((total, outcome) => total + (point.requests[outcome] ?? 0), 0);

/** Returns the requests of a point for which the cache was looked up. */
export const lookups = (point) => sum(point.requests) - requestsOf(point, "none");

/** Returns the share of hits among the lookups, or null without lookups. */
export const hitRatio = (point) =>
  lookups(point) ? requestsOf(point, "hit", "stale") / lookups(point) : null;

const NOT_MADE = ["budget", "queue_full", "breaker_open", "auth_stopped"];

/** Returns the upstream calls of a point that were made. */
export const callsMade = (point) =>
  Object.entries(point.upstream).reduce((total, [outcome, count]) => total + (NOT_MADE.includes(outcome) ? 0 : count), 0);

/** Returns the sum of one map over all points, largest first. */
export function totals(points, key) {
  const counts = new Map();
  for (const point of points) {
    for (const [name, count] of Object.entries(point[key])) counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** Returns the indexes of values that have a gap or an end on both sides. A line does not show them. */
export function isolated(values) {
  const gap = (index) => values[index] == null;
  return [...values.keys()].filter((index) => !gap(index) && gap(index - 1) && gap(index + 1));
}
