"""Tests of the OpenAPI document against the meta-schema, the README and the program: both name the
same things, and each described response is produced once."""

import base64
import contextlib
import hashlib
import hmac
import re
import socket
import time
import tomllib
import unittest

import openapi_spec_validator
import requests
import schemathesis
from openapi_schema_validator import OAS31Validator
from schemathesis.specs.openapi import checks

from gateways import (
    ADMIN_TOKEN, FILE, NARROW_KEY, ORIGIN, WEBHOOK_SECRET, closed, document, gateway, guarded,
    nodes,
)
from processes import ROOT, deaf, sandbox

LIST = "/v1/files/{fileId}/versions"
ELEMENT = LIST + "/{versionId}"
WEBHOOK = "/webhooks/imagekit"
ENTRY = "/api/cache/{fileId}"
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
EVENT = '{"id":"evt_1","type":"file.deleted","data":{"fileId":"a"}}'

# Responses that are not produced here: they take ten seconds, or an unknown fault of ikgate.
NOT_SEEN = {"RequestTimeout", "Internal"}

# Values of path parameters that exist.
VALUES = {
    "asset": "dashboard.js",
    "fileId": "64a1b2c3d4e5f60718293a4b",
    "versionId": "64a5a7435ab0000000000003",
}


def path(template, **values):
    return template.format(**{**VALUES, **values})


def operations():
    for template, item in document()["paths"].items():
        for method in ("get", "head", "options", "post", "delete"):
            if method in item:
                yield template, method, item[method]


def name(template, method, status):
    """Returns the name of a response in the document."""
    response = document()["paths"][template][method.lower()]["responses"][status]
    reference = response.get("$ref", "").rpartition("/")[2]
    return reference or f"{method.upper()} {template} {status}"


def templates(tag):
    return {template for template, _, operation in operations() if tag in operation["tags"]}


def signed(body):
    """Returns the fields of a webhook delivery, in each of ImageKit's schemes."""
    def mac(text):
        return hmac.new(WEBHOOK_SECRET.encode(), text.encode(), hashlib.sha256).digest()

    now = int(time.time())
    yield {"x-ik-signature": f"t={now}000,v1={mac(f'{now}000.{body}').hex()}"}
    standard = base64.b64encode(mac(f"a.{now}.{body}")).decode()
    yield {
        "webhook-id": "a", "webhook-timestamp": str(now), "webhook-signature": f"v1,{standard}"
    }


class Described(unittest.TestCase):
    def test_it_is_openapi(self):
        openapi_spec_validator.validate(document())

    def test_each_example_is_of_its_schema(self):
        components = {"components": document()["components"]}
        for node in nodes(document()):
            if isinstance(node, dict) and "example" in node and "schema" in node:
                OAS31Validator({**node["schema"], **components}).validate(node["example"])

    def test_its_version_is_the_programs(self):
        package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
        self.assertEqual(document()["info"]["version"], package["version"])

    def test_codes_are_those_of_the_readme_with_the_same_status(self):
        written = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", (ROOT / "README.md").read_text(), re.M)
        self.assertGreater(len(written), 10)
        components = document()["components"]
        described = set()
        for _, _, operation in operations():
            for status, response in operation["responses"].items():
                response = components["responses"].get(response.get("$ref", "").rpartition("/")[2])
                content = (response or {}).get("content", {})
                schema = content.get("application/json", {}).get("schema", {})
                described_by = schema.get("$ref", "").rpartition("/")[2]
                if described_by in ("Problem", "AdminProblem") and "properties" in schema:
                    code = schema["properties"]["code"]
                    codes = code.get("enum") or [code["const"]]
                    described |= {(code, status) for code in codes}
        self.assertEqual(described, set(written))
        schemas = (components["schemas"][name] for name in ("Problem", "AdminProblem"))
        codes = {code for schema in schemas for code in schema["properties"]["code"]["enum"]}
        self.assertEqual(codes, {code for code, _ in written})


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        upstream = cls.enterClassContext(sandbox())
        cls.open = cls.enterClassContext(gateway(upstream.url))
        cls.guarded = cls.enterClassContext(guarded(upstream.url))
        cls.schema = schemathesis.openapi.from_dict(closed())
        cls.seen = set()

    def ask(self, base, method, template, expected, of=None, at=None, **request):
        """Sends a request and checks the response against the document: against the description of
        the method `of`, if the document does not describe the sent method."""
        address = base + (at or path(template))
        answer = requests.request(method, address, timeout=30, **request)
        said = f"{method} {address}: {answer.status_code} {answer.text[:200]}"
        self.assertEqual(answer.status_code, expected, said)
        self.hold(answer, template, of or method)

    def hold(self, answer, template, of):
        case = self.schema[template][of].Case(path_parameters=VALUES)
        case.validate_response(answer, checks=CHECKS)
        self.seen.add(name(template, of, str(answer.status_code)))

    def test_every_path_is_served_with_the_methods_described(self):
        token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        for base, tag in [(self.guarded.url, "public"), (self.guarded.admin, "admin")]:
            for template in templates(tag):
                with self.subTest(template):
                    answer = requests.patch(base + path(template), headers=token, timeout=30)
                    self.assertEqual(answer.status_code, 405, answer.text)
                    described = {m.upper() for t, m, _ in operations() if t == template}
                    # HEAD is GET without a body; for operators' paths it is not described.
                    if tag == "admin" and "GET" in described:
                        described.add("HEAD")
                    self.assertEqual(set(answer.headers["allow"].split(", ")), described)

    def test_the_listeners_name_the_paths_that_are_described(self):
        def named(base):
            return re.findall(r"/[\w./{}]*(?<!\.)", requests.get(f"{base}/nothing").json()["help"])

        first, below = named(self.open.url)
        # The webhook path is only for ImageKit.
        self.assertEqual({first, first + below, WEBHOOK}, templates("public"))
        # The assets are parts of "/", so the program does not list them.
        self.assertEqual({*named(self.open.admin), "/assets/{asset}"}, templates("admin"))

    def test_the_document_is_what_is_served(self):
        served = requests.get(f"{self.open.admin}/openapi.json")
        self.assertEqual(served.headers["content-type"].partition(";")[0], "application/json")
        self.assertEqual(served.content, FILE.read_bytes())

    def test_the_public_listener_describes_itself_with_its_part_of_the_document(self):
        served = requests.get(f"{self.open.url}/openapi.json").json()
        openapi_spec_validator.validate(served)
        own = {"/", "/openapi.json"}
        self.assertEqual(set(served["paths"]), templates("public") | own)
        for template in templates("public"):
            self.assertEqual(served["paths"][template], document()["paths"][template])
        self.assertEqual(served["servers"], [{"url": "./"}])
        schema = schemathesis.openapi.from_dict(served)
        html = {"Accept": "text/html"}
        table = [("GET", 200, {}), ("GET", 200, html), ("PATCH", 405, {}), ("OPTIONS", 405, {})]
        for base in (self.open.url, self.guarded.url):
            for template in own:
                for method, expected, fields in table:
                    answer = requests.request(method, base + template, headers=fields, timeout=30)
                    self.assertEqual(answer.status_code, expected, answer.text)
                    schema[template]["GET"].Case().validate_response(answer, checks=CHECKS)
                answer = requests.get(f"{base}{template}?a", timeout=30)
                self.assertEqual(answer.status_code, 400, answer.text)
                schema[template]["GET"].Case().validate_response(answer, checks=CHECKS)

    def test_each_answer_is_as_described(self):
        self.of_readers()
        self.of_events()
        self.of_operators()
        self.of_faults()
        described = {
            name(template, method, status)
            for template, method, operation in operations()
            for status in operation["responses"]
        }
        self.assertEqual(described - self.seen, NOT_SEEN)

    def of_readers(self):
        base, page = self.open.url, {"Origin": ORIGIN}
        for template in (LIST, ELEMENT):
            for method in ("GET", "HEAD"):
                for fields in ({}, page, {"Accept-Encoding": "identity"}):
                    self.ask(base, method, template, 200, headers=fields)
                self.ask(base, method, template, 304, headers={**page, "If-None-Match": "*"})
                missing = path(template, fileId="missing")
                self.ask(base, method, template, 404, at=missing)
            preflight = {**page, "Access-Control-Request-Method": "GET"}
            self.ask(base, "OPTIONS", template, 204, headers=preflight)
            self.ask(base, "OPTIONS", template, 204)
            for bad in (path(template, fileId="a%20"), path(template) + "?a", path(template) + "/"):
                self.ask(base, "GET", template, 400, at=bad)
            self.ask(base, "GET", template, 401, headers={"Authorization": "Bearer wrong"})
            narrow = {"Authorization": f"Bearer {NARROW_KEY}"}
            self.ask(base, "GET", template, 403, headers=narrow)
            self.ask(base, "PATCH", template, 405, of="GET")
            self.ask(base, "GET", template, 413, headers={"Content-Length": "65537"})
            self.ask(base, "GET", template, 431, headers={"X-Long": "a" * 20_000})
        covered = base + path(LIST, fileId="narrow")
        answers = (requests.get(covered, headers=narrow, timeout=30) for _ in range(100))
        throttled = next(answer for answer in answers if answer.status_code == 429)
        self.hold(throttled, LIST, "GET")

    def of_events(self):
        for fields in signed(EVENT):
            fields["Content-Type"] = "application/json"
            self.ask(self.open.url, "POST", WEBHOOK, 204, headers=fields, data=EVENT)
            self.ask(self.open.url, "POST", WEBHOOK, 401, headers=fields, data=EVENT + " ")
        self.ask(self.open.url, "POST", WEBHOOK, 413, headers={"Content-Length": "262145"})
        self.ask(self.open.url, "OPTIONS", WEBHOOK, 405, of="POST")

    def of_operators(self):
        base, token = self.guarded.admin, {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        for template, method, _ in operations():
            if template in templates("admin"):
                self.ask(base, method.upper(), template, 200, headers=token)
                # Probes send any Host.
                foreign = 200 if template in ("/livez", "/readyz") else 421
                self.ask(base, method.upper(), template, foreign, headers={"Host": "a.example"})
        long_head = {**token, "X-Long": "a" * 20_000}
        self.ask(base, "GET", "/api/stats", 431, headers=long_head)
        openmetrics = {"Accept": "application/openmetrics-text"}
        self.ask(base, "GET", "/metrics", 200, headers=openmetrics)
        stored = path(LIST)
        requests.get(self.open.url + stored, timeout=30)
        self.ask(self.open.admin, "GET", ENTRY, 200)
        self.ask(self.open.admin, "DELETE", ENTRY, 200, params={"soft": "true"})
        self.ask(self.open.admin, "GET", ENTRY, 200)
        self.ask(base, "GET", ENTRY, 400, at="/api/cache/a%20")
        self.ask(base, "DELETE", "/api/cache", 401)
        foreign = {**token, "Origin": ORIGIN}
        self.ask(base, "DELETE", "/api/cache", 403, headers=foreign)
        self.ask(base, "PATCH", "/api/cache", 405, of="DELETE", headers=token)
        self.ask(base, "GET", "/assets/{asset}", 404, at="/assets/none")

    def of_faults(self):
        with contextlib.ExitStack() as stack:
            redis = stack.enter_context(deaf()).replace("http", "redis")
            apart = stack.enter_context(gateway(
                self.open.url, cluster=f'[cluster]\nredis_url = "{redis}"'
            ))
            fields = {"Content-Type": "application/json"} | next(signed(EVENT))
            self.ask(apart.url, "POST", WEBHOOK, 503, headers=fields, data=EVENT)
            for template in ("/api/cache", ENTRY):
                self.ask(apart.admin, "DELETE", template, 503)
            # This server listens and never answers.
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            unreachable = stack.enter_context(gateway(
                stack.enter_context(deaf()),
                upstream='retries = { max = 0, budget_percent = 20 }\n'
                         'breaker = { failures = 1, open_for = "1h" }',
                webhooks="",
            ))
            self.ask(unreachable.url, "GET", LIST, 502)
            self.ask(unreachable.url, "GET", LIST, 503)
            self.ask(unreachable.url, "POST", WEBHOOK, 404)
            (unreachable.secrets / "imagekit.key").unlink()
            self.ask(unreachable.admin, "GET", "/readyz", 503)
            slow = stack.enter_context(gateway(
                "http://{}:{}".format(*silent.getsockname()), upstream='request_timeout = "100ms"'
            ))
            self.ask(slow.url, "GET", LIST, 504)


if __name__ == "__main__":
    unittest.main()
