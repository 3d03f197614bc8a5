// Tiles with the values of the last interval.

import { bytes, duration, hitRatio, milliseconds, number, percent, sum } from "./format.js";

const BREAKER = ["closed", "probing", "open"];
const FLEET = ["none", "connected", "cut off"];
const DAY = 86400;

/** Shows a text in an element, with a class that colours it. */
export function say(id, text, mood = "") {
  const place = document.getElementById(id);
  place.textContent = text;
  place.className = mood;
}

export function showTiles(stats) {
  say("uptime", `up ${duration(stats.uptime_seconds)}`);
  showCertificate(stats);
  const point = stats.points.at(-1);
  if (!point) return;
  const perSecond = (count) => `${number(count / stats.interval_seconds)}/s`;
  const ratio = hitRatio(point);
  const requests = sum(point.requests);
  const failed = requests ? point.failed / requests : 0;
  say("now-requests", perSecond(requests));
  say("now-hits", ratio === null ? "–" : percent(ratio), ratio === null || ratio >= 0.5 ? "" : "warn");
  say("now-saved", perSecond(point.saved));
  say("now-failed", percent(failed), failed > 0.0144 ? "bad" : failed > 0 ? "warn" : "good");
  say("now-throttled", perSecond(sum(point.throttled)), sum(point.throttled) ? "warn" : "");
  say("now-budget", String(point.budget_available), point.budget_available < 5 ? "warn" : "");
  say("now-breaker", BREAKER[point.breaker_state] ?? "?", ["good", "warn", "bad"][point.breaker_state] ?? "");
  const full = point.connections / stats.most.connections;
  say("now-connections", number(point.connections), full > 0.9 ? "bad" : "");
  say("now-memory", bytes(point.resident_bytes));
  say("now-stored", bytes(point.cache_bytes));
  document.getElementById("now-stored").title = `of ${bytes(stats.most.cache_bytes)}`;
  say("now-entries", number(point.cache_entries));
  showFleet(point);
}

function showCertificate({ health, now }) {
  const expires = health.certificate_expires;
  document.getElementById("certificate").hidden = expires === null;
  if (expires === null) return;
  const left = expires - now;
  say("now-certificate", left > 0 ? duration(left) : "expired", left <= 2 * DAY ? "bad" : left < 14 * DAY ? "warn" : "good");
}

function showFleet(point) {
  const isConnected = point.cluster_state === 1;
  say("now-fleet", FLEET[point.cluster_state] ?? "?", isConnected ? "good" : "bad");
  say("now-nodes", isConnected ? String(point.cluster_nodes) : "–");
  say("now-lag", isConnected ? milliseconds(point.cluster_lag_seconds * 1000) : "–", point.cluster_lag_seconds > 1 ? "warn" : "");
  say("now-pending", String(point.cluster_pending_purges), point.cluster_pending_purges > 0 ? "bad" : "");
}
