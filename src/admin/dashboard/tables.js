// Tables of files, callers and errors, and the list of recent events.

import { isoTime, number, percent, totals } from "./format.js";
import { purgeButton } from "./purge.js";

const ROWS_MAX = 20;
const byId = (id) => document.getElementById(id);

export function showTables(stats) {
  rows("asked", stats.top.requests, fileRow);
  rows("filled", stats.top.fills, fileRow);
  rows("callers", stats.callers, callerRow);
  // Refused credentials are counted by reason, which says more than their one code.
  const causes = [
    ...totals(stats.points, "errors").filter(([code]) => code !== "unauthorized"),
    ...totals(stats.points, "auth_failures").map(([reason, count]) => [`unauthorized: ${reason}`, count]),
  ].sort((a, b) => b[1] - a[1]);
  rows("errors", causes.slice(0, ROWS_MAX), ([cause, count]) => [cell(cause), cell(number(count), "number")]);
}

export function showEvents(events) {
  byId("events").replaceChildren(...events.toReversed().map(({ at, level, text }) => {
    const line = document.createElement("li");
    const time = Object.assign(document.createElement("time"), { dateTime: isoTime(at), textContent: isoTime(at) });
    line.append(time, Object.assign(document.createElement("span"), { className: level, textContent: text }));
    return line;
  }));
}

function rows(id, items, cells) {
  const body = byId(id);
  // A table keeps its rows while one of its buttons has the focus or waits for a confirmation.
  if (body.contains(document.activeElement) || body.querySelector(".armed")) return;
  const made = items.map((item) => {
    const row = document.createElement("tr");
    row.append(...cells(item));
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement("tr");
    row.append(Object.assign(cell("none"), { colSpan: body.closest("table").tHead.rows[0].cells.length }));
    made.push(row);
  }
  body.replaceChildren(...made);
}

function cell(text, className = "") {
  return Object.assign(document.createElement("td"), { textContent: text, className });
}

/** Returns the cell of a count that may be off by `error`. */
function countCell(count, error) {
  if (!error) return cell(number(count), "number");
  const title = `between ${number(Math.max(0, count - error))} and ${number(count + error)}`;
  return Object.assign(cell(`≈ ${number(count)}`, "number"), { title });
}

function fileRow({ file, path, count, error }) {
  const first = cell(file);
  if (path) first.append(Object.assign(document.createElement("small"), { className: "path", textContent: path }));
  const last = document.createElement("td");
  last.append(purgeButton(file));
  return [first, countCell(count, error), last];
}

function callerRow({ caller, requests, lookups, hits, failed, unauthorized, throttled }) {
  const counted = (count, mood) => cell(number(count), count ? `number ${mood}` : "number");
  return [
    cell(caller),
    counted(requests, ""),
    cell(lookups ? percent(hits / lookups) : "–", "number"),
    counted(throttled, "warn"),
    counted(unauthorized, "warn"),
    counted(failed, "bad"),
  ];
}
