"""Clients under test: ImageKit's SDKs, and stand-ins for those that cannot be installed here.

Each is a small program in the SDK's language. Its arguments are the gateway's URL, a key, the number
of retries, and the things to request: `FILE` for a list, `FILE/VERSION` for one version. It prints
one line of JSON for each result of the SDK:

    {"versions": [[fileId, name of the version, type], ..]}
    {"version": [fileId, name of the version, type]}
    {"error": {"name", "status", "message", "help", "wait": milliseconds or null}}
    {"error": {"name"}}     if no server answered

A stand-in sends the request of its SDK, as `requests.json` has it, with the SDK's own HTTP client.
Its arguments are the fields of the request in place of a key and retries.
"""

import base64
import json
import os
import subprocess
import sys
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

HERE = Path(__file__).parent
REQUESTS = json.loads((HERE / "requests.json").read_text())
JARS = ":".join(f"/usr/share/java/{jar}.jar" for jar in ("okhttp", "okio", "gson"))


def basic(credentials):
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def fields_of(request, key, host):
    """Returns the header fields of a request of `requests.json`, in order."""

    def filled(value):
        if value.startswith("Basic "):
            return basic(value.removeprefix("Basic ").format(key=key))
        return value.format(host=host)

    return {name: filled(value) for name, value in request["fields"].items()}


@dataclass(frozen=True)
class Client:
    """Client program. `errors` has the exception class by status, and under `None` the class for a
    missing response."""

    name: str
    command: list
    errors: dict
    _: KW_ONLY
    retries: bool = False
    stands_in_for: str = None

    def ask(self, url, key, *asked, retries=0):
        told = [key, str(retries)]
        if self.stands_in_for:
            request = REQUESTS[self.stands_in_for]
            every = fields_of(request, key, host=None)
            told = [json.dumps({
                name: value for name, value in every.items()
                if name not in request["by_http_client"]
            })]
        done = subprocess.run(
            [*self.command, url, *told, *asked],
            cwd=HERE,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise AssertionError(f"{self.name}: {done.stdout}{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]


def errors(unauthorized, not_found, throttled, no_answer):
    return {401: unauthorized, 404: not_found, 429: throttled, None: no_answer}


NEWEST = errors(
    "AuthenticationError", "NotFoundError", "RateLimitError", "APIConnectionError"
)

CLIENTS = [
    Client("cURL", [sys.executable, "curl/curl.py"], errors(*["exit 22"] * 3, "exit 7"),
           retries=True),
    Client("Python 5", [sys.executable, "python/v5.py"], NEWEST, retries=True),
    Client("Python 4", [".venv-4/bin/python", "python/v4.py"],
           errors("UnauthorizedException", "NotFoundException", "TooManyRequestsException",
                  "ConnectionError")),
    Client("Node.js 7", ["node", "node/v7.mjs"], NEWEST, retries=True),
    Client("Node.js 6", ["node", "node/v6.mjs"], errors(*["Object"] * 3, "ECONNREFUSED")),
    Client("Guzzle", ["php", "php/guzzle.php"],
           errors(*["ClientException"] * 3, "ConnectException"), stands_in_for="PHP 4"),
    Client("Net::HTTP", ["ruby", "ruby/net_http.rb"],
           errors("Net::HTTPUnauthorized", "Net::HTTPNotFound", "Net::HTTPTooManyRequests",
                  "Errno::ECONNREFUSED"), stands_in_for="Ruby 4"),
    Client("rest-client", ["ruby", "ruby/rest_client.rb"],
           errors("RestClient::Unauthorized", "RestClient::NotFound",
                  "RestClient::TooManyRequests", "Errno::ECONNREFUSED"), stands_in_for="Ruby 3"),
    Client("OkHttp", ["java", "--class-path", JARS, "java/OkHttp.java"],
           errors(*["Response"] * 3, "ConnectException"), stands_in_for="Java 2"),
]
