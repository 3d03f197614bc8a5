"""Runner of the programs under test, started as users start them, on ports that the kernel picks."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IKGATE = os.environ.get("IKGATE", str(ROOT / "target/release/ikgate"))
KEY = "private_sandbox="


class Process:
    """Context manager of a program that is stopped at its end."""

    directory = None

    def __init__(self, *arguments, environment=None):
        self.process = subprocess.Popen(
            [IKGATE, *arguments],
            env={"PATH": os.environ["PATH"], **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=30)
        if self.directory:
            self.directory.cleanup()


def sandbox(*arguments):
    """Starts `ikgate sandbox`; `.url` is its URL."""
    process = Process("sandbox", "--listen", "127.0.0.1:0", *arguments)
    process.url = re.search(r"http://\S+", process.process.stdout.readline()).group()
    return process


def serve(upstream, more=""):
    """Starts `ikgate serve`; `.url` is the URL for callers, `.admin` the one for operators."""
    directory = tempfile.TemporaryDirectory()
    config = Path(directory.name) / "ikgate.toml"
    config.write_text(
        f'[server]\nlisten = ["127.0.0.1:0"]\n[admin]\nlisten = "127.0.0.1:0"\n'
        f'[upstream]\nurl = "{upstream}"\n{more}'
    )
    process = Process(
        "serve", "--config", str(config), environment={"IMAGEKIT_PRIVATE_KEY": KEY}
    )
    for line in process.process.stderr:
        event = json.loads(line)
        if event.get("message") == "ready":
            process.url = "http://" + event["public"].strip("[]")
            process.admin = "http://" + event["admin"]
            process.directory = directory
            return process
    raise AssertionError("it ended before it was ready")


def metric(process, series):
    """Returns the value of one series."""
    with urllib.request.urlopen(process.admin + "/metrics") as response:
        for line in response.read().decode().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
    return None


def caller(name, key, **quota):
    """Returns the configuration block of a caller, for `serve`."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    quota = ", ".join(f"{of} = {number}" for of, number in quota.items())
    return f'[[callers]]\nname = "{name}"\nkey_sha256 = "{digest}"\nquota = {{ {quota} }}\n'


def get(url, credential):
    """Returns the body of a URL in identity coding."""
    request = urllib.request.Request(url, headers={"Authorization": credential})
    with urllib.request.urlopen(request) as response:
        return response.read()


def answered(url, credential):
    """Returns the status of a URL."""
    try:
        get(url, credential)
    except urllib.error.HTTPError as refused:
        return refused.code
    return 200


def stored_and_coded(gateway, key, file):
    """Waits until the gateway has a file's list in every coding: early responses are identity."""
    get(f"{gateway.url}/v1/files/{file}/versions", f"Bearer {key}")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{gateway.admin}/api/cache/{file}") as response:
            if "gzip" in json.load(response)["response"]["bytes"]:
                return
    raise AssertionError("it was never coded")


@contextlib.contextmanager
def deaf():
    """Yields the URL of a port that refuses connections and that no other process can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "http://127.0.0.1:{}".format(taken.getsockname()[1])


@contextlib.contextmanager
def recorder():
    """Yields the URL of a server with empty lists, and the recorded path and fields of each
    request."""
    heard = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append((self.path, dict(self.headers.items())))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield "http://127.0.0.1:{}".format(server.server_address[1]), heard
        finally:
            server.shutdown()
            thread.join()
