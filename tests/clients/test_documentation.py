"""Tests of the documentation pages: log fields and links match the program."""

import json
import re
import subprocess
import tomllib
import unittest

from cases import FILE
from pages import OPERATIONS, PAGES, name, section
from processes import ROOT, sandbox, serve

LINK = re.compile(r"\]\(([^)\s]+)\)")
LISTED = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "benches/load").glob("*.md"))]


def anchors(page):
    """Returns the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def requested(url, *fields):
    """Requests a URL with these header fields and ignores the response."""
    headers = [argument for field in fields for argument in ("--header", field)]
    subprocess.run(["curl", "--silent", "--output", "/dev/null", *headers, url], check=True)


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

    def test_fields_of_the_access_log_are_those_of_the_table(self):
        with sandbox() as upstream, serve(upstream.url, '[telemetry]\naccess_log = "all"') as gateway:
            url = f"{gateway.url}/v1/files"
            for path in (f"/{FILE}/versions", "/missing/versions", "/nothing"):
                requested(url + path)
            requested(f"{url}/{FILE}/versions", "Authorization: Bearer wrong")
            gateway.process.terminate()
            lines = map(json.loads, gateway.process.stderr.readlines())
        written = {field for line in lines if line["target"] == "ikgate.access" for field in line}
        table = section(OPERATIONS, "Fields of the access log")
        rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
        documented = {field for row in rows for field in re.findall(r"`([^`]+)`", row)}
        # `trace.id` appears only behind a proxy that sends `traceparent`.
        self.assertEqual(written | {"trace.id"}, documented)


if __name__ == "__main__":
    unittest.main()
