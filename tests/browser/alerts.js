// Alerts that fire during a series of states, by Prometheus's own rule engine.
//
// Alerts wait for minutes, a test does not. The metrics of each state are read twice. For the rule
// engine the state then lasts 15 minutes: in each minute the counters grow by as much as between the
// two scrapes, and the gauges have the values of the second.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const RULES = fileURLToPath(new URL("../../deploy/prometheus/ikgate.rules.yaml", import.meta.url));
const MINUTES = 15;
const IS_COUNTER = /_(total|bucket|count|sum)$/;
/** Durations of a test's few requests on a busy machine are no story. */
const LEFT_OUT = /_duration_seconds/;

/** Returns the series of a scrape: labels to value. */
function series(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const [, name, labels, value] = line.match(/^(\w+)(?:\{(.*)\})? (\S+)$/) ?? [];
    if (!name || LEFT_OUT.test(name)) continue;
    const own = ['job="ikgate"', 'instance="a"', ...(labels ? [labels] : [])].join(",");
    found.set(`${name}{${own}}`, Number(value));
  }
  return found;
}

/** Checks which alerts fire at the end of each state. `states`: scrapes `before` and `after`, and the
 * names of the expected `alerts`. Throws with the output of promtool. */
export function check(directory, states) {
  const values = new Map();
  states.forEach(({ before, after }, index) => {
    const [from, to] = [series(before), series(after)];
    for (const [id, end] of to) {
      const counts = IS_COUNTER.test(id.slice(0, id.indexOf("{")));
      const own = values.get(id) ?? Array(index * MINUTES).fill("_");
      const last = Number(own.at(-1) ?? 0) || 0;
      for (let minute = 1; minute <= MINUTES; minute += 1) {
        own.push(counts ? last + (end - (from.get(id) ?? 0)) * minute : end);
      }
      values.set(id, own);
    }
    const up = values.get('up{job="ikgate",instance="a"}') ?? [];
    values.set('up{job="ikgate",instance="a"}', up.concat(Array(MINUTES).fill(1)));
  });
  const test = {
    rule_files: [RULES],
    evaluation_interval: "1m",
    tests: [{
      interval: "1m",
      input_series: [...values].map(([id, own]) => ({ series: id, values: own.join(" ") })),
      promql_expr_test: states.map(({ alerts }, index) => ({
        expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
        eval_time: `${(index + 1) * MINUTES - 1}m`,
        exp_samples: alerts.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
      })),
    }],
  };
  const file = `${directory}/night.test.json`;
  writeFileSync(file, JSON.stringify(test));
  try {
    execFileSync("promtool", ["test", "rules", file], { encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    throw new Error(`${error.stdout}${error.stderr}`);
  }
}
