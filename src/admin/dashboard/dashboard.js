// Live dashboard: it polls /api/stats and shows it. It loads nothing from other hosts.

import { buildCharts, drawCharts, resizeCharts, showLast } from "./charts.js";
import { isoTime } from "./format.js";
import { showProblems, showSilence } from "./headline.js";
import { askForToken, authorization, startPurges } from "./purge.js";
import { showEvents, showTables } from "./tables.js";
import { say, showTiles } from "./tiles.js";

const PERIOD = 5000;
/** Longest wait for an answer, in milliseconds. A gateway that hangs counts as one that is gone. */
const PATIENCE = 8000;

const charts = document.getElementById("charts");
/** Unix seconds of the last answer. */
let answeredAt = null;

async function refresh() {
  try {
    const options = { headers: authorization(), cache: "no-store", signal: AbortSignal.timeout(PATIENCE) };
    const answer = await fetch("/api/stats", options);
    if (answer.status === 401) {
      askForToken();
      return say("state", "The statistics need the admin token.", "bad");
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    document.body.classList.add("gone");
    showSilence(error.message, answeredAt);
    say("state", "No answer", "bad");
  }
}

function show(stats) {
  answeredAt = stats.now;
  document.body.classList.remove("gone");
  document.getElementById("version").textContent = stats.version;
  // Parts about the fleet are shown if this gateway belongs to one.
  for (const part of document.querySelectorAll("[data-fleet]")) part.hidden = stats.health.fleet === "none";
  showProblems(stats.problems);
  drawCharts(stats);
  showTiles(stats);
  showTables(stats);
  showEvents(stats.events);
  const at = isoTime(stats.now);
  say("state", stats.points.length ? `Live, as of ${at}` : `Live, as of ${at}; the first samples arrive in a few seconds`);
}

startPurges(refresh);
buildCharts(charts);
refresh();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { buildCharts(charts); refresh(); });
new ResizeObserver(resizeCharts).observe(charts);
charts.addEventListener("mouseleave", () => requestAnimationFrame(showLast));
setInterval(() => { if (!document.hidden) refresh(); }, PERIOD);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
