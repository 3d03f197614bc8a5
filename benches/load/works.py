"""Workloads of the comparison, with the limits that each result must keep.

A work takes the time for which it may measure, and returns rows and verdicts. Servers run on one
core and the generator on the other, unless the work says otherwise.
"""

import contextlib
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import callers
from generate import Measured, ask_once, h2load, interleaved, median, wrk
from parts import IDS, add_versions, answers, file_id, need, resident, resident_of_all, sandbox
from peers import PEERS, Wish, floor, ikgate, nginx

SIZES = {"65": (1, "0.9 KB"), "66": (10, "9 KB"), "67": (100, "92 KB")}


class Effort(NamedTuple):
    rounds: int
    seconds: int


class Row(NamedTuple):
    work: str
    server: str
    measured: Measured


class Verdict(NamedTuple):
    work: str
    target: str
    found: float
    met: bool
    # Unit of the value.
    unit: str = ""


def at_least(work, target, bar, found):
    return Verdict(work, target, found, found >= bar)


def at_most(work, target, bar, found, unit=""):
    return Verdict(work, target, found, found <= bar, unit)


@contextlib.contextmanager
def started(names, upstream, wish=Wish(), prefix="65"):
    """Starts these servers with a thousand stored lists each."""
    with contextlib.ExitStack() as running:
        servers = {name: running.enter_context(PEERS[name](upstream, wish)) for name in names}
        for server in servers.values():
            for number in range(IDS):
                answers(f"{server.url}/v1/files/{file_id(number, prefix)}/versions")
        yield servers


@contextlib.contextmanager
def with_floor(servers, prefix):
    """Baseline: the same bytes as ikgate's response, from a loop that does nothing else."""
    url = f"{servers['ikgate'].url}/v1/files/{file_id(0, prefix)}/versions"
    with urllib.request.urlopen(url) as answer:
        length = len(answer.read())
        fields = [f"{name}: {value}" for name, value in answer.getheaders()
                  if name.lower() not in ("connection", "content-length")]
    with floor(length, fields) as bare:
        yield {**servers, "floor": bare}


def rows_of(work, measured):
    return [Row(work, name, one) for name, one in measured.items()]


def over_best(measured, of="ikgate", peers=("nginx", "haproxy", "varnish")):
    best = max(measured[name].requests for name in peers if name in measured)
    return measured[of].requests / best


def hits(effort, prefixes=tuple(SIZES)):
    """Cached lists, HTTP/1.1 keep-alive, 64 connections, 1,000 ids."""
    with sandbox() as upstream:
        for prefix in prefixes:
            versions, size = SIZES[prefix]
            if prefix != "65":
                add_versions(upstream, prefix, versions)
            work = f"hits, {size}"
            with started(PEERS, upstream, prefix=prefix) as servers:
                with with_floor(servers, prefix) as all_of_them:
                    load = lambda _, server: wrk(server, effort.seconds, prefix=prefix)
                    measured = interleaved(all_of_them, load, effort.rounds)
            yield from rows_of(work, measured)
            yield at_least(work, "requests/s at least 1.5 times the best peer", 1.5,
                           over_best(measured))
            yield at_most(work, "CPU at most 1.3 times the floor", 1.3,
                          measured["ikgate"].cpu / measured["floor"].cpu)


def at_each_size(effort, wish, fields):
    """Measures each server with lists of each size."""
    with sandbox() as upstream:
        for prefix, (versions, size) in SIZES.items():
            if prefix != "65":
                add_versions(upstream, prefix, versions)
            with started(PEERS, upstream, wish, prefix) as servers:
                load = lambda _, server: wrk(server, effort.seconds, prefix=prefix, fields=fields)
                yield size, interleaved(servers, load, effort.rounds)


def behind_a_proxy(effort):
    """Cached lists behind a trusted load balancer: each server limits by X-Forwarded-For."""
    fields = ["X-Forwarded-For: 203.0.113.9"]
    for size, measured in at_each_size(effort, Wish(proxied=True), fields):
        work, bar = f"behind a proxy, {size}", 1.5 if size == "92 KB" else 1.3
        yield from rows_of(work, measured)
        yield at_least(work, f"requests/s at least {bar} times the best peer", bar,
                       over_best(measured))


def ways(effort):
    """Hits of the fast path against hits through hyper in the same program; a field selects hyper."""
    fields = {"fast path": ["TX: trailers"], "through hyper": ["TE: trailers"]}
    with sandbox() as upstream:
        for prefix in ("65", "66"):
            versions, size = SIZES[prefix]
            if prefix != "65":
                add_versions(upstream, prefix, versions)
            for proxied in (False, True):
                work = f"ways, {size}{', behind a proxy' if proxied else ''}"
                more = ["X-Forwarded-For: 203.0.113.9"] if proxied else []
                wish = Wish(proxied=proxied)
                with started(["ikgate"], upstream, wish, prefix) as servers:
                    both = {name: servers["ikgate"] for name in fields}
                    load = lambda name, server: wrk(server, effort.seconds, prefix=prefix,
                                                    fields=fields[name] + more)
                    measured = interleaved(both, load, effort.rounds)
                yield from rows_of(work, measured)
                fast, through_hyper = measured.values()
                yield at_most(work, "the fast path saves at least 15% of a hit's CPU", 0.85,
                              fast.cpu / through_hyper.cpu)


def gzip(effort):
    """Cached lists with gzip: ikgate and Varnish store it, the others compress each time."""
    for size, measured in at_each_size(effort, Wish(gzip=True), ["Accept-Encoding: gzip"]):
        work = f"hits, {size}, gzip"
        yield from rows_of(work, measured)
        yield at_least(work, "requests/s at least 1.5 times the best peer", 1.5,
                       over_best(measured))


def not_modified(effort):
    """304 for the server's own tag. HAProxy's 304 has a Content-Length, and wrk waits for a body."""
    names = ["ikgate", "nginx", "varnish"]
    with sandbox() as upstream, started(names, upstream) as servers:
        tags = {}
        for name, server in servers.items():
            url = f"{server.url}/v1/files/{file_id(0)}/versions"
            with urllib.request.urlopen(url) as answer:
                tags[name] = answer.headers["ETag"]
        load = lambda name, server: wrk(server, effort.seconds, script=None,
                                        fields=[f"If-None-Match: {tags[name]}"])
        measured = interleaved(servers, load, effort.rounds)
    yield from rows_of("304", measured)
    yield at_least("304", "requests/s at least 1.5 times the best peer", 1.5, over_best(measured))


def access_log(effort):
    """An access log line for each request: ikgate's JSON, nginx's combined format with a buffer."""
    with sandbox() as upstream, started(["ikgate", "nginx"], upstream, Wish(access_log=True)) as servers:
        measured = interleaved(servers, lambda _, server: wrk(server, effort.seconds), effort.rounds)
    yield from rows_of("access log", measured)
    yield at_least("access log", "requests/s at least 1.3 times nginx", 1.3, over_best(measured))


def tls(effort):
    """TLS 1.3, HTTP/1.1: 64 connections."""
    speaking = ["ikgate", "nginx", "haproxy"]
    with sandbox() as upstream, started(speaking, upstream, Wish(tls=True)) as servers:
        measured = interleaved(servers, lambda _, server: wrk(server, effort.seconds), effort.rounds)
        yield from rows_of("TLS, HTTP/1.1", measured)
        yield at_least("TLS, HTTP/1.1", "requests/s at least 1.2 times nginx", 1.2,
                       over_best(measured, peers=["nginx"]))
        need("h2load", "nghttp2-client")
        with tempfile.TemporaryDirectory() as directory:
            load = lambda _, server: h2load(server, effort.seconds, Path(directory))
            measured = interleaved(servers, load, effort.rounds)
        yield from rows_of("TLS, HTTP/2", measured)
        yield at_least("TLS, HTTP/2", "requests/s at least 1.2 times the best peer", 1.2,
                       over_best(measured))


def connection_each(effort):
    """A new connection for each request."""
    with sandbox() as upstream, started(["ikgate", "nginx"], upstream) as servers:
        load = lambda _, server: wrk(server, effort.seconds, fields=["Connection: close"])
        measured = interleaved(servers, load, effort.rounds)
    work = "connection each"
    yield from rows_of(work, measured)
    yield at_least(work, "requests/s at least 1.1 times nginx", 1.1, over_best(measured))


def threads(effort):
    """Two threads of the server against one, with the generator on the same cores."""
    with sandbox() as upstream, contextlib.ExitStack() as running:
        servers = {name: running.enter_context(started(["ikgate"], upstream, Wish(cores=cores)))["ikgate"]
                   for name, cores in [("one thread", "0"), ("two threads", "0,1")]}
        measured = interleaved(servers, lambda _, server: wrk(server, effort.seconds), effort.rounds)
    yield from rows_of("threads", measured)
    yield at_most("threads", "CPU of two at most 1.1 times that of one", 1.1,
                  measured["two threads"].cpu / measured["one thread"].cpu)


def connections(effort):
    """9,800 connections: HAProxy sets two descriptors aside for each, and many machines allow 20,000."""
    more = "max_connections = 20000\nmax_connections_per_ip = 20000"
    with sandbox() as upstream, started(PEERS, upstream, Wish(server=more)) as servers:
        load = lambda _, server: wrk(server, effort.seconds, connections=9_800)
        measured = interleaved(servers, load, effort.rounds)
    work = "9,800 connections"
    yield from rows_of(work, measured)
    yield at_least(work, "requests/s at least 1.5 times the best peer", 1.5, over_best(measured))


def stored(effort, many=1_000_000):
    """100 stored lists against a million, and the memory that each list takes."""
    length, few = 900, 100
    with floor(length, ["content-type: application/json"], Wish(cores="1")) as upstream:
        address = upstream.url.removeprefix("http://")
        with ikgate(address, Wish(cache='max_bytes = "4GiB"')) as server:
            for number in range(few):
                answers(f"{server.url}/v1/files/{file_id(number, '68')}/versions")
            load = lambda ids: median([wrk(server, effort.seconds, prefix="68", ids=ids)
                                       for _ in range(effort.rounds)])
            measured = {f"{few:,}": load(few)}
            before = resident(server.pid)[0]
            there = few
            while there < many:
                there += ask_once(server, 10, "68", there)
            each = (resident(server.pid)[0] - before) * (1 << 20) / (there - few)
            measured[f"{many:,}"] = load(many)
    yield from rows_of("stored lists", measured)
    fast, slow = measured.values()
    yield at_most("stored lists", "CPU at a million at most 1.25 times that at 100", 1.25,
                  slow.cpu / fast.cpu)
    yield at_most("stored lists", "at most 650 bytes beside the body of each", 650,
                  each - length, " bytes")


def cold_id(effort):
    """500 callers of one id that is not stored, 200 ms from the upstream."""
    with sandbox("--latency", "200ms") as upstream:
        for name, peer in PEERS.items():
            with peer(upstream, Wish(server="max_connections_per_ip = 1000")) as server:
                answers(f"{server.url}/v1/files/{file_id(0)}/versions")
                runs = [callers.crowd(server.url, file_id(number + 1), 500)
                        for number in range(effort.rounds)]
            p50, p99 = (statistics.median(values) for values in zip(*runs))
            yield Row("cold id", name, Measured(None, None, p50, p99))
            if name == "ikgate":
                yield at_most("cold id", "p99 of 500 callers under 215 ms", 215, p99, " ms")


def cold_miss(effort):
    """One caller that requests one uncached list after another."""
    with sandbox() as upstream, ikgate(upstream) as ours, nginx(upstream, Wish()) as other:
        urls = {"upstream": f"http://{upstream}/v1", "ikgate": f"{ours.url}/v1",
                "nginx, no cache": f"{other.url}/uncached/v1"}
        for url in (ours.url, f"{other.url}/uncached"):
            answers(f"{url}/v1/files/{file_id(0)}/versions")
        taken = callers.in_turn(urls, [file_id(number) for number in range(1, IDS)])
    for name, (p50, p99) in taken.items():
        yield Row("cold miss", name, Measured(None, None, p50, p99))
    added = {name: p50 - taken["upstream"][0] for name, (p50, _) in taken.items()}
    yield at_most("cold miss", "p50 adds at most what nginx adds without a cache", 1,
                  added["ikgate"] / added["nginx, no cache"])


def rest(effort):
    """Memory at rest, and the time to the first answer."""
    with sandbox() as upstream:
        taken = []
        for _ in range(effort.rounds):
            began = time.perf_counter()
            with ikgate(upstream) as server:
                answers(f"{server.url}/v1/files/{file_id(0)}/versions", pause=0.001)
                taken.append((time.perf_counter() - began) * 1000)
                memory = resident(server.pid)[0]
    yield at_most("rest", "the first answer within 50 ms of the start", 50,
                  statistics.median(taken), " ms")
    yield at_most("rest", "resident memory at most 16 MiB", 16, memory, " MiB")


def idle_connections(effort, count=10_000):
    """Memory of a connection that has sent one request and stays open."""
    more, each = Wish(server="max_connections = 20000\nmax_connections_per_ip = 20000"), {}
    with sandbox() as upstream, started(["ikgate", "nginx"], upstream, more) as servers:
        for name, server in servers.items():
            before = resident_of_all(server.pid)
            held = callers.idle(server.url, file_id(0), count)
            each[name] = (resident_of_all(server.pid) - before) * 1024 / count
            for connection in held:
                connection.close()
    yield at_most("idle connections", "memory at most nginx's and 8 KiB more", 8,
                  each["ikgate"] - each["nginx"], f" KiB more: {each['ikgate']:.1f} KiB against "
                  f"{each['nginx']:.1f}")


WORKS = [hits, behind_a_proxy, ways, gzip, not_modified, access_log, tls, connection_each, threads, connections, stored,
         cold_id, cold_miss, rest, idle_connections]
