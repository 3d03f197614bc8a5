"""Tests of the documentation pages: metrics, log fields and links match the program."""

import json
import re
import subprocess
import tomllib
import unittest
import urllib.request

from cases import FILE
from pages import PAGES, cells, name
from processes import ROOT, metric, sandbox, serve

OPERATIONS = ROOT / "deploy/operations.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
LISTED = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "benches/load").glob("*.md"))]
# Labels whose values are numbers.
OPEN_LABELS = {"le", "version", "status"}


def anchors(page):
    """Returns the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(heading):
    """Returns the text below a heading, up to the next one."""
    [text] = re.findall(rf"^#+ {heading}$(.*?)^#", OPERATIONS.read_text(), re.M | re.S)
    return text


def explained(metric_name):
    """Returns the page's text about a metric: its row, and the section that the row refers to."""
    [[_, _, text]] = cells(OPERATIONS, f"`{metric_name}`")
    for anchor in re.findall(r"\(#([\w-]+)\)", text):
        text += section(anchor.replace("-", " ").capitalize())
    return text


def requested(url):
    """Requests a URL and ignores the response."""
    subprocess.run(["curl", "--silent", "--output", "/dev/null", url], check=True)


class Documentation(unittest.TestCase):
    maxDiff = None

    def test_links_lead_to_files_and_headings(self):
        for page in LISTED:
            text = re.sub(r"\s+", " ", page.read_text())
            for link in LINK.findall(text):
                if re.match(r"\w+:", link):
                    continue
                with self.subTest(link, page=name(page)):
                    file, _, anchor = link.partition("#")
                    target = page.parent / file if file else page
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, set(anchors(target)))

    def test_each_page_is_linked_from_the_readme(self):
        links = {link.partition("#")[0] for link in LINK.findall(PAGES[0].read_text())}
        self.assertEqual({name(page) for page in PAGES[1:]} - links, set())

    def test_the_helper_has_the_version_of_the_program(self):
        package = json.loads((ROOT / "src/demo/helper/package.json").read_text())
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        self.assertEqual(package["version"], manifest["package"]["version"])

    def test_metrics_are_those_of_the_table(self):
        # Some series begin with the first request, or the first refused request.
        tight = "[limits]\nanonymous = { per_second = 1, burst = 1 }\n"
        with sandbox() as upstream, serve(upstream.url, tight) as gateway:
            while not metric(gateway, 'ikgate_throttled_total{caller="anonymous",limit="address"}'):
                requested(f"{gateway.url}/v1/files/{FILE}/versions")
            with urllib.request.urlopen(gateway.admin + "/metrics") as response:
                exposed = response.read().decode()
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposed, re.MULTILINE))
        # This series is absent without TLS, because it would raise an alert.
        types["ikgate_tls_expiry_seconds"] = "gauge"
        rows = {cell[0].strip("`"): cell[1] for cell in cells(OPERATIONS, "`(?:ikgate|process)_")}
        self.assertEqual(rows, types)
        for series, labels in re.findall(r"^(\w+)\{(.*)\}", exposed, re.MULTILINE):
            metric_name = re.sub(r"_(?:bucket|sum|count)$", "", series)
            for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
                if label not in OPEN_LABELS:
                    self.assertIn(f"`{value}`", explained(metric_name), series)

    def test_fields_of_the_access_log_are_those_of_the_table(self):
        with sandbox() as upstream, serve(upstream.url, '[telemetry]\naccess_log = "all"') as gateway:
            url = f"{gateway.url}/v1/files"
            for path in (f"/{FILE}/versions", "/missing/versions", "/nothing"):
                requested(url + path)
            gateway.process.terminate()
            lines = map(json.loads, gateway.process.stderr.readlines())
        written = {field for line in lines if line["target"] == "ikgate.access" for field in line}
        rows = re.findall(r"^\| (`[^|]+) \|", section("Access log"), re.MULTILINE)
        documented = {field for row in rows for field in re.findall(r"`([^`]+)`", row)}
        # `trace.id` appears only behind a proxy that sends `traceparent`.
        self.assertEqual(written | {"trace.id"}, documented)


if __name__ == "__main__":
    unittest.main()
