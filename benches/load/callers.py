"""Client loads that wrk cannot produce: many requests at once, one request after another, idle
connections, and requests at planned times."""

import base64
import http.client
import re
import selectors
import socket
import statistics
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from parts import KEY

AUTHORIZATION = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}


def address_of(url):
    parts = urlsplit(url)
    return parts.hostname, parts.port


def connected(address):
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def percentiles(taken):
    hundredths = statistics.quantiles(taken, n=100)
    return hundredths[49], hundredths[98]


def crowd(url, file, callers):
    """Requests one list from all clients at the same time. Returns p50 and p99 in milliseconds."""
    request = f"GET /v1/files/{file}/versions HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    held = [connected(address_of(url)) for _ in range(callers)]
    waiting = selectors.DefaultSelector()
    for connection in held:
        waiting.register(connection, selectors.EVENT_READ, time.perf_counter())
        connection.sendall(request)
    taken = []
    while len(taken) < callers:
        ready = waiting.select(timeout=30)
        if not ready:
            raise SystemExit(f"{url}: {callers - len(taken)} of {callers} got no answer")
        now = time.perf_counter()
        for key, _ in ready:
            answer = key.fileobj.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{url}: {answer[:80]}")
            taken.append((now - key.data) * 1000)
            waiting.unregister(key.fileobj)
    for connection in held:
        connection.close()
    return percentiles(taken)


def in_turn(urls, files):
    """Requests each list of each server, one at a time. Returns p50 and p99 in milliseconds by
    name."""
    connections = {name: http.client.HTTPConnection(*address_of(url)) for name, url in urls.items()}
    for connection in connections.values():
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    taken = {name: [] for name in urls}
    for file in files:
        for name, connection in connections.items():
            began = time.perf_counter()
            path = f"{urlsplit(urls[name]).path}/files/{file}/versions"
            # The gateway does not accept its own private key from a caller.
            connection.request("GET", path, headers=AUTHORIZATION if name == "upstream" else {})
            answer = connection.getresponse()
            answer.read()
            taken[name].append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                raise SystemExit(f"{name}: {answer.status}")
    return {name: percentiles(times) for name, times in taken.items()}


def idle(url, file, count):
    """Opens connections that send one request each and stay open."""
    request = f"GET /v1/files/{file}/versions HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    held = []
    for _ in range(count):
        connection = connected(address_of(url))
        connection.sendall(request)
        received = connection.recv(65536)
        if not received.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{url}: {received[:80]}")
        held.append(connection)
    return held


class Asked(NamedTuple):
    """Planned request: its time, in seconds since the beginning, and its target."""

    at: float
    url: str
    file: str
    # Additional field lines of the head.
    fields: str = ""


class Answered(NamedTuple):
    asked: Asked
    # Actual start.
    began: float
    ended: float
    status: int


def on_time(plan):
    """Sends requests as planned, without waiting for earlier ones (open loop)."""
    free, waiting, done = {}, selectors.DefaultSelector(), []
    plan, under_way = iter(plan), 0
    following, start = next(plan, None), time.perf_counter()
    while following or under_way:
        now = time.perf_counter() - start
        while following and following.at <= now:
            idle = free.setdefault(following.url, [])
            connection = idle.pop() if idle else connected(address_of(following.url))
            waiting.register(connection, selectors.EVENT_READ, [following, now, b""])
            connection.sendall(
                f"GET /v1/files/{following.file}/versions HTTP/1.1\r\nHost: localhost\r\n"
                f"{following.fields}\r\n".encode())
            under_way += 1
            following = next(plan, None)
        ready = waiting.select(max(0, following.at - now) if following else 30)
        if not ready and not following:
            raise SystemExit(f"{under_way} requests were not answered")
        for key, _ in ready:
            received = key.fileobj.recv(65536)
            if not received:
                raise SystemExit(f"{key.data[0].url} has closed a connection")
            key.data[2] += received
            if is_whole(key.data[2]):
                asked, began, answer = key.data
                ended = time.perf_counter() - start
                done.append(Answered(asked, began, ended, int(answer[9:12])))
                waiting.unregister(key.fileobj)
                free[asked.url].append(key.fileobj)
                under_way -= 1
    for connection in (one for idle in free.values() for one in idle):
        connection.close()
    return done


def is_whole(answer):
    head, blank, body = answer.partition(b"\r\n\r\n")
    return blank and len(body) >= int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
