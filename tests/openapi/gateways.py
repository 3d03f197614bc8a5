"""Gateways for the tests of the OpenAPI document, and the document itself."""

import contextlib
import json
import tempfile
from pathlib import Path

from processes import KEY, ROOT, Process, caller

FILE = ROOT / "src/gateway/help/openapi.json"
CALLER_KEY = "ikg_openapi"
# Key of a caller that may read one file and has a quota of one request.
NARROW_KEY = "ikg_narrow"
ADMIN_TOKEN = "t0ken"
WEBHOOK_SECRET = "whsec_c2FuZGJveA=="
ORIGIN = "https://app.example.com"
NO_LIMIT = "{ per_second = 100000, burst = 100000 }"

DEFAULTS = {
    "admin": "",
    "upstream": "",
    "limits": f"anonymous = {NO_LIMIT}",
    "webhooks": '[webhooks]\nsecret_file = "webhook.secret"',
    "cluster": "",
}

# Schemas of the gateway's own objects. Objects of ImageKit may have further members.
OWN = {"AdminProblem", "CacheEntry", "Counted", "Percentiles", "Purged", "Stats", "StatsPoint"}


def document():
    return json.loads(FILE.read_text())


def nodes(node):
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from nodes(child)


def closed():
    """Returns the document with closed schemas for the gateway's own objects. Clients must accept
    unknown members, but each member that the gateway sends must be described."""
    described = document()
    for name in OWN:
        for node in nodes(described["components"]["schemas"][name]):
            if isinstance(node, dict) and "required" in node and "properties" in node:
                node["additionalProperties"] = False
    return described


@contextlib.contextmanager
def gateway(url, **more):
    """Starts `ikgate serve` in front of `url` with very high limits, and more lines by section.
    `.url` is the URL for callers, `.admin` the one for operators, `.secrets` a directory."""
    more = DEFAULTS | more
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        (directory / "imagekit.key").write_text(KEY)
        (directory / "admin.token").write_text(ADMIN_TOKEN)
        (directory / "webhook.secret").write_text(WEBHOOK_SECRET)
        config = directory / "ikgate.toml"
        config.write_text(f"""
            [server]
            listen = ["127.0.0.1:0"]
            [admin]
            listen = "127.0.0.1:0"
            {more["admin"]}
            [upstream]
            url = "{url}"
            private_key_file = "imagekit.key"
            budget = {NO_LIMIT}
            {more["upstream"]}
            [limits]
            auth_failures = {NO_LIMIT}
            {more["limits"]}
            [cors]
            allowed_origins = ["{ORIGIN}"]
            {more["webhooks"]}
            {more["cluster"]}
            {caller("openapi", CALLER_KEY, per_second=100000, burst=100000)}
            {caller("narrow", NARROW_KEY, per_second=1, burst=1)}
            files = ["narrow"]
        """)
        with Process("serve", "--config", str(config)) as process:
            for line in process.process.stderr:
                event = json.loads(line)
                if event.get("message") == "ready":
                    process.url = "http://" + event["public"].strip("[]")
                    process.admin = "http://" + event["admin"]
                    break
            else:
                raise AssertionError("it ended before it was ready")
            process.secrets = directory
            yield process


def guarded(url):
    """Starts a gateway that requires credentials from all callers."""
    return gateway(url, admin='token_file = "admin.token"', limits="anonymous = false")
