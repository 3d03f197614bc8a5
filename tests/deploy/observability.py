"""Checks the queries of the Grafana dashboard and the alerts: a real Prometheus scrapes a running
gateway, and every query returns data."""

import collections
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus/ikgate.rules.yaml"
FILE = "64a1b2c3d4e5f60718293a4b"
PATIENCE = 60
IKGATE = sys.argv.pop(1)


@contextlib.contextmanager
def program(arguments, said, stream, **options):
    """Starts a program and reads its address from its output."""
    started = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, text=True, **{stream: subprocess.PIPE}, **options
    )
    try:
        lines = []
        for line in getattr(started, stream):
            lines.append(line)
            if found := re.search(said, line):
                yield found
                break
        else:
            raise AssertionError("".join(lines))
    finally:
        started.terminate()
        started.communicate(timeout=PATIENCE)


def fetch(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return answer.read().decode()


def status(url, **fields):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=fields)) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)


def expressions():
    """Returns every query of the dashboard and of the alert rules."""
    dashboard = json.loads((DEPLOY / "grafana/ikgate.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"]
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert", rule.get("record")), rule["expr"]


class Observed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        said = cls.enterClassContext(
            program([IKGATE, "sandbox", "--listen", "127.0.0.1:0"], r"http://(\S+)", "stdout")
        )
        (cls.directory / "webhook.secret").write_text("whsec_c2FuZGJveA==")
        cls.public, cls.admin = cls.gateway("ikgate.toml", said.group(1))
        cls.requests = collections.Counter()
        # A second gateway, whose upstream is down: nothing listens on that port.
        public, cls.admin_in_outage = cls.gateway("outage.toml", "127.0.0.1:1")
        for number in range(7):
            cls.requests[status(f"http://{public}/v1/files/file-{number}/versions")] += 1
        list_of = f"http://{cls.public}/v1/files/{FILE}/versions"
        for _ in range(3):
            cls.requests[status(list_of)] += 1
        cls.requests[status(list_of, Authorization="Bearer wrong")] += 1
        cls.requests[status(list_of.replace(FILE, "missing"))] += 1
        while not cls.requests["429"]:
            cls.requests[status(list_of)] += 1

    @classmethod
    def gateway(cls, name, upstream):
        """Starts a gateway and returns the addresses of its public and its admin listener."""
        config = cls.directory / name
        config.write_text(f"""
            server.listen = ["127.0.0.1:0"]
            admin.listen = "127.0.0.1:0"
            upstream.url = "http://{upstream}"
            webhooks.secret_file = "webhook.secret"
            limits.anonymous = {{ per_second = 1, burst = 7 }}
        """)
        ready = cls.enterClassContext(
            program(
                [IKGATE, "serve", "--config", config],
                r'"ready","public":"\[([^\]]+)\]","admin":"([^"]+)"',
                "stderr",
                env={**os.environ, "IMAGEKIT_PRIVATE_KEY": "private_sandbox="},
            )
        )
        return ready.groups()

    def test_prometheus_counts_what_was_asked(self):
        config = self.directory / "prometheus.yaml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": "ikgate", "static_configs": [
                    {"targets": [self.admin, self.admin_in_outage]},
                ]}
            ],
        }))
        arguments = [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.directory}/tsdb",
            "--web.listen-address=127.0.0.1:0", "--log.format=logfmt",
        ]
        with program(arguments, r'"Listening on" address=(\S+)', "stderr") as said:
            def ask(query):
                query = urllib.parse.urlencode({"query": query})
                answered = json.loads(fetch(f"http://{said.group(1)}/api/v1/query?{query}"))
                self.assertEqual(answered["status"], "success", answered)
                return answered["data"]["result"]

            until = time.monotonic() + PATIENCE
            counted = {}
            while counted != self.requests:
                self.assertLess(time.monotonic(), until, counted)
                time.sleep(0.1)
                found = ask("sum by (status) (ikgate_requests_total)")
                counted = {one["metric"]["status"]: int(one["value"][1]) for one in found}
            self.assertEqual([one["value"][1] for one in ask('up{job="ikgate"}')], ["1", "1"])
            failed = ask('sum by (outcome) (ikgate_upstream_requests_total) > 0')
            outcomes = {one["metric"]["outcome"] for one in failed}
            self.assertLessEqual({"ok", "unreachable", "breaker_open"}, outcomes)
            self.assertEqual(ask("max(ikgate_upstream_breaker_state) > bool 0")[0]["value"][1], "1")
            for name, expression in expressions():
                if expression.startswith("label_values"):
                    continue
                for variable, value in [
                    ("$__rate_interval", "1m"), ("$job", "ikgate"), ("$instance", ".+")
                ]:
                    expression = expression.replace(variable, value)
                with self.subTest(name):
                    ask(expression)

    def test_every_series_that_is_asked_for_exists(self):
        exposed = fetch(f"http://{self.admin}/metrics")
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposed, re.MULTILINE))
        known = set(types)
        for name, kind in types.items():
            if kind == "histogram":
                known |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        # This series is absent without TLS, because it would raise an alert.
        known.add("ikgate_tls_expiry_seconds")
        for name, expression in expressions():
            for series in re.findall(r"\b(?:ikgate|process)_\w+", expression):
                with self.subTest(name):
                    self.assertIn(series, known)

    def test_every_panel_says_what_good_looks_like(self):
        dashboard = json.loads((DEPLOY / "grafana/ikgate.json").read_text())
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                with self.subTest(panel["title"]):
                    self.assertIn("Good: ", panel.get("description", ""))

    def test_every_alert_has_its_section(self):
        headings = re.findall(r"^## (\w+)$", (DEPLOY / "runbook.md").read_text(), re.MULTILINE)
        anchors = {heading.lower() for heading in headings}
        used = set()
        for group in yaml.safe_load(RULES.read_text())["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    url, _, anchor = rule["annotations"]["runbook_url"].partition("#")
                    self.assertEqual(url, "https://runbooks.example.com/ikgate/runbook.md")
                    self.assertIn(anchor, anchors, rule["alert"])
                    used.add(anchor)
                    self.assertRegex(rule["annotations"]["summary"], r"\d|\$value")
        self.assertEqual(anchors, used, "a section that no alert leads to")


if __name__ == "__main__":
    unittest.main(verbosity=2)
