"""Fleets for the load tests: several gateways and the Redis that they share."""

import base64
import contextlib
import hashlib
import http.client
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
import urllib.request
from pathlib import Path
from typing import NamedTuple

from parts import IKGATE, KEY, answers, free_port, need, process

# Default settings. The quotas are above the load, unless a work sets others.
SETTINGS = {
    "upstream.budget": "{ per_second = 10000, burst = 10000 }",
    "limits.anonymous": "{ per_second = 1000000, burst = 1000000 }",
    "server.max_connections_per_ip": "2000",
    "cache.ttl": '"1h"',
    "telemetry.log": '"error"',
    "telemetry.access_log": '"off"',
}


class Redis:
    """Returns the values of Redis's INFO."""

    def __init__(self, port, pid):
        self.port, self.pid = port, pid
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.replies = self.connection.makefile("rb")

    def info(self):
        self.connection.sendall(b"INFO everything\r\n")
        length = int(self.replies.readline().removeprefix(b"$"))
        text = self.replies.read(length + 2).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class Spent(NamedTuple):
    """Work that Redis did during a period."""

    seconds: float
    # Processor time in seconds. /proc counts in hundredths of a second, INFO in microseconds.
    cpu: float
    # Number of commands, those of scripts included.
    commands: int
    # Calls by command name.
    calls: dict


@contextlib.contextmanager
def redis():
    need("redis-server", "redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        arguments = ["redis-server", "--save", "", "--port", str(port), "--bind", "127.0.0.1",
                     "--dir", directory]
        with process(arguments, stdout=subprocess.DEVNULL) as started:
            yield Redis(wait_for(port), started.pid)


def wait_for(port):
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return port
        time.sleep(0.02)
    raise SystemExit("redis-server does not answer")


def cpu_of(info):
    return sum(float(info[f"used_cpu_{part}"]) for part in ("user", "sys"))


def calls_of(info):
    found = {name: re.match(r"calls=(\d+)", value) for name, value in info.items()}
    return {name.removeprefix("cmdstat_"): int(match.group(1))
            for name, match in found.items() if name.startswith("cmdstat_") and match}


def spent_by(server, load):
    """Returns the work that a load caused in Redis."""
    before, began = server.info(), time.perf_counter()
    load()
    seconds, after = time.perf_counter() - began, server.info()
    calls_before = calls_of(before)
    calls = {name: calls - calls_before.get(name, 0) for name, calls in calls_of(after).items()}
    return Spent(seconds, cpu_of(after) - cpu_of(before), sum(calls.values()), calls)


class Node(NamedTuple):
    url: str
    pid: int
    admin: int

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])


@contextlib.contextmanager
def fleet(count, upstream, server, *, cores="", callers=(), **settings):
    """Starts `count` nodes that know each other, or independent nodes without a Redis. `__` in the
    name of a setting stands for a dot."""
    given = {name.replace("__", "."): value for name, value in settings.items()}
    with contextlib.ExitStack() as running:
        nodes = [running.enter_context(node(upstream, server, cores, callers, SETTINGS | given))
                 for _ in range(count)]
        for one in nodes:
            answers(f"http://127.0.0.1:{one.admin}/readyz")
        # Waits until each node has heard of all others.
        while server and any(metric(one, "ikgate_cluster_nodes") != count for one in nodes):
            time.sleep(0.05)
        yield nodes


@contextlib.contextmanager
def node(upstream, server, cores, callers, settings):
    port, admin = free_port(), free_port()
    own = {"server.listen": f'["127.0.0.1:{port}"]', "admin.listen": f'"127.0.0.1:{admin}"',
           "upstream.url": f'"http://{upstream}"'}
    if server:
        own["cluster.redis_url"] = f'"redis://127.0.0.1:{server.port}"'
    lines = [f"{name} = {value}" for name, value in {**own, **settings}.items()]
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "ikgate.toml"
        config.write_text("\n".join([*lines, *callers]) + "\n")
        pinned = ["taskset", "-c", cores] if cores else []
        environment = {**os.environ, "IMAGEKIT_PRIVATE_KEY": KEY}
        with process([*pinned, IKGATE, "serve", "--config", config], env=environment) as started:
            yield Node(f"http://127.0.0.1:{port}", started.pid, admin)


def caller(name, per_second, burst):
    """Returns a caller's block of the configuration, and the field with its credentials."""
    key = "ikg_" + base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode()[:-1]
    block = (f'[[callers]]\nname = "{name}"\n'
             f'key_sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n'
             f"quota = {{ per_second = {per_second}, burst = {burst} }}")
    return block, f"Authorization: Bearer {key}"


def metrics(node, name):
    """Returns the label text and the value of each series of a metric."""
    with urllib.request.urlopen(f"http://127.0.0.1:{node.admin}/metrics") as exposed:
        found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", exposed.read().decode(), re.M)
    return {labels: float(value) for labels, value in found}


def metric(node, name):
    return sum(metrics(node, name).values())


def of_all(nodes, name):
    """Returns the sum of a series over all nodes."""
    total = {}
    for one in nodes:
        for labels, value in metrics(one, name).items():
            total[labels] = total.get(labels, 0) + value
    return total


@contextlib.contextmanager
def counting_upstream():
    """Upstream that answers every request and records the arrival time of each call."""
    reached = []

    class Upstream(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            reached.append(time.perf_counter())
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True
        request_queue_size = 1024

    with Server(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", reached
        finally:
            server.shutdown()


class Connection:
    """Persistent connection for one request after another."""

    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port)
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method, path):
        self.http.request(method, path)
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {answer.status} {body[:200]}")
        return body

    def ask_json(self, method, path):
        return json.loads(self.ask(method, path))
