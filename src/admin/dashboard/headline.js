// Headline of the page: what is wrong now, the cause and the remedy of each problem.

import { isoTime } from "./format.js";

/** Shows the problems that the gateway reports. */
export function showProblems(problems) {
  show(problems);
}

/** Shows that the gateway does not answer. `last`: Unix seconds of its last answer, or null. */
export function showSilence(reason, last) {
  const since = last === null
    ? "It has not answered since this page was opened."
    : `Its last answer is of ${isoTime(last)}, and the values below are old.`;
  show([{
    severity: "critical",
    code: "no_answer",
    cause: `The gateway does not answer (${reason}). ${since}`,
    remedy: "Check that the process runs, its log, and the network to the admin listener.",
    runbook: null,
  }]);
}

function show(problems) {
  const headline = document.getElementById("headline");
  const texts = problems.map((problem) => `${problem.severity} ${problem.cause} ${problem.remedy}`).join("\n");
  // An unchanged headline is not replaced, because a user may be selecting its text.
  if (headline.dataset.texts === texts) return;
  headline.dataset.texts = texts;
  announce(problems);
  headline.hidden = problems.length === 0;
  headline.replaceChildren(...problems.map(paragraph));
}

/** Tells screen readers and the window's title which problems there are. The numbers of a problem
 * change at each poll, so the headline itself is not announced. */
function announce(problems) {
  document.title = problems.length ? `(${problems.length}) ikgate` : "ikgate";
  const codes = problems.map(({ code }) => code.replaceAll("_", " ")).join(", ");
  const announced = document.getElementById("announced");
  const text = codes ? `Problems: ${codes}` : "";
  if (announced.textContent !== text) announced.textContent = text;
}

function paragraph({ severity, code, cause, remedy, runbook }) {
  const made = Object.assign(document.createElement("p"), { className: severity });
  made.dataset.code = code;
  const what = Object.assign(document.createElement("strong"), { textContent: cause });
  made.append(what, ` ${remedy}`);
  if (runbook) {
    // A text fragment scrolls to the section: the runbook is plain text, without anchors.
    const link = Object.assign(document.createElement("a"), { textContent: "Runbook", href: `/runbook#:~:text=${runbook}` });
    made.append(" ", link);
  }
  return made;
}
