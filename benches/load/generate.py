"""Load generators and their results: requests per second, processor time of the server, latencies."""

import os
import re
import statistics
import subprocess
from typing import NamedTuple

from parts import HERE, IDS, cpu_seconds, file_id
from peers import CLIENT_CORE

CONNECTIONS = 64


class Measured(NamedTuple):
    """Result of one load. A field is None if it was not measured."""

    # Requests per second.
    requests: float | None
    # Processor time of the server, in microseconds per request.
    cpu: float | None
    # Latencies in milliseconds.
    p50: float | None
    p99: float | None


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(\w+)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def run_wrk(server, seconds, arguments, environment):
    """Runs a generator. Returns its output and the number of requests."""
    given = {f"IKGATE_{key.upper()}": str(to) for key, to in environment.items()}
    told = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-d{seconds}s", "--latency", "--timeout", "30s",
         *arguments],
        check=True, capture_output=True, text=True, env={**os.environ, **given},
    ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(f"{server.url} answered with errors:\n{told}")
    return told, int(re.search(r"(\d+) requests in", told).group(1))


def wrk(server, seconds, *, fields=(), connections=CONNECTIONS, script="ids.lua", **environment):
    target = ["-s", HERE / script, server.url] if script else [
        f"{server.url}/v1/files/{file_id(0)}/versions"]
    arguments = [f"-c{connections}", *(word for field in fields for word in ("-H", field)), *target]
    before = cpu_seconds(server.pid)
    told, requests = run_wrk(server, seconds, arguments, environment)
    spent = cpu_seconds(server.pid) - before
    return Measured(
        float(re.search(r"Requests/sec:\s+([\d.]+)", told).group(1)), spent / requests * 1e6,
        *(milliseconds(re.search(rf"^ +{part}%\s+(\S+)", told, re.M).group(1)) for part in (50, 99)))


def ask_once(server, seconds, prefix, first):
    """Requests one list after another. Returns the number of requests."""
    arguments = [f"-c{CONNECTIONS}", "-s", HERE / "once.lua", server.url]
    return run_wrk(server, seconds, arguments, {"prefix": prefix, "first": first})[1]


def h2load(server, seconds, directory):
    """HTTP/2: sixteen connections with 32 streams each."""
    targets = directory / "targets"
    targets.write_text("".join(f"{server.url}/v1/files/{file_id(n)}/versions\n" for n in range(IDS)))
    before = cpu_seconds(server.pid)
    told = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, "h2load", "-t1", "-c16", "-m32", f"-D{seconds}",
         "-i", targets],
        check=True, capture_output=True, text=True,
    ).stdout
    spent = cpu_seconds(server.pid) - before
    done, failed = (int(re.search(rf"(\d+) {what}", told).group(1)) for what in ("done", "failed"))
    good = int(re.search(r"(\d+) 2xx", told).group(1))
    # Requests in progress at the end count neither as good nor as failed.
    if good < done or "h2" not in told:
        raise SystemExit(f"{server.url}: {failed} failed, {good} of {done} good\n{told}")
    return Measured(float(re.search(r"([\d.]+) req/s", told).group(1)), spent / done * 1e6,
                    None, None)


def interleaved(servers, load, rounds):
    """Returns the medians of each server by name. Rounds are interleaved, so that noise on this
    machine affects all servers alike."""
    runs = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            runs[name].append(load(name, server))
    return {name: median(measured) for name, measured in runs.items()}


def median(runs):
    return Measured(*(None if None in values else statistics.median(values) for values in zip(*runs)))
