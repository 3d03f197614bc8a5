"""Servers that are compared, each with a typical configuration of its users from peers/."""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from parts import HERE, KEY, ROOT, free_port, need, process
import parts

FLOOR = ROOT / "target/dist/ikgate-floor"
SERVER_CORE, CLIENT_CORE = "0", "1"


NGINX_PROXY = ("set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; "
               "real_ip_recursive on;")
# At this point Varnish has appended the address of the load balancer.
VARNISH_CALLER = 'regsub(req.http.X-Forwarded-For, "^.*?([^, ]+), [^, ]+$", "\\1")'


class Server(NamedTuple):
    url: str
    # Main process. Its children are measured too.
    pid: int


class Wish(NamedTuple):
    """Options of a server besides the common task."""

    access_log: bool = False
    gzip: bool = False
    tls: bool = False
    # A load balancer is in front and sends the client address in X-Forwarded-For.
    proxied: bool = False
    # Cores that it runs on; an empty value means all.
    cores: str = SERVER_CORE
    # Further keys of ikgate's [server] and [cache].
    server: str = ""
    cache: str = ""


@functools.cache
def certificate():
    """Returns one certificate for all servers, with its key."""
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory) / name for name in ("certificate.pem", "key.pem")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
            check=True, stderr=subprocess.DEVNULL)
        return [file.read_text() for file in files]


@contextlib.contextmanager
def workplace():
    chain, key = certificate()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        for name, text in [("certificate.pem", chain), ("key.pem", key), ("both.pem", chain + key)]:
            (directory / name).write_text(text)
        yield directory


def configured(name, directory, ports, upstream, **more):
    text = (HERE / "peers" / name).read_text()
    host, upstream_port = upstream.split(":")
    values = {"PORT": ports[0], "TLS_PORT": ports[1], "DIR": directory, "UPSTREAM": upstream,
              "UPSTREAM_HOST": host, "UPSTREAM_PORT": upstream_port, **more}
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    written = directory / name
    written.write_text(text)
    return written


def pinned(wish, *arguments):
    return [*(["taskset", "-c", wish.cores] if wish.cores else []), *arguments]


def server(wish, ports, started):
    scheme, port = ("https", ports[1]) if wish.tls else ("http", ports[0])
    return Server(f"{scheme}://127.0.0.1:{port}", started.pid)


@contextlib.contextmanager
def ikgate(upstream, wish=Wish()):
    with workplace() as directory:
        ports = free_port(), free_port()
        tls = (f"tls = {{ certificate = '{directory}/certificate.pem', "
               f"key = '{directory}/key.pem' }}\n")
        proxies = 'trusted_proxies = ["127.0.0.0/8"]' if wish.proxied else ""
        config = configured(
            "ikgate.toml", directory, (ports[1] if wish.tls else ports[0], 0), upstream,
            SERVER="\n".join([wish.server, tls if wish.tls else "", proxies]), CACHE=wish.cache,
            ACCESS_LOG="all" if wish.access_log else "errors")
        environment = {**os.environ, "IMAGEKIT_PRIVATE_KEY": KEY}
        with open(directory / "ikgate.log", "w") as log:
            arguments = pinned(wish, parts.IKGATE, "serve", "--config", config)
            with process(arguments, env=environment, stderr=log) as started:
                yield server(wish, ports, started)


@contextlib.contextmanager
def nginx(upstream, wish):
    need("nginx", "nginx-light")
    store = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        with workplace() as directory:
            ports = free_port(), free_port()
            log = f"{directory}/access.log combined buffer=64k" if wish.access_log else "off"
            config = configured("nginx.conf", directory, ports, upstream, STORE=store,
                                ACCESS_LOG=log, GZIP="on" if wish.gzip else "off",
                                PROXY=NGINX_PROXY if wish.proxied else "")
            arguments = pinned(wish, "nginx", "-c", config, "-p", directory)
            with process(arguments, stderr=subprocess.DEVNULL) as started:
                yield server(wish, ports, started)
    finally:
        shutil.rmtree(store)


@contextlib.contextmanager
def haproxy(upstream, wish):
    need("haproxy", "haproxy")
    with workplace() as directory:
        ports = free_port(), free_port()
        gzip = "compression algo gzip\n    compression type application/json"
        config = configured("haproxy.cfg", directory, ports, upstream,
                            GZIP=gzip if wish.gzip else "",
                            CALLER="req.hdr_ip(x-forwarded-for,-1)" if wish.proxied else "src")
        with process(pinned(wish, "haproxy", "-db", "-q", "-f", config)) as started:
            yield server(wish, ports, started)


@contextlib.contextmanager
def varnish(upstream, wish):
    need("varnishd", "varnish")
    need("/usr/lib/x86_64-linux-gnu/varnish/vmods/libvmod_vsthrottle.so", "varnish-modules")
    with workplace() as directory:
        ports = free_port(), free_port()
        config = configured("varnish.vcl", directory, ports, upstream,
                            GZIP="true" if wish.gzip else "false",
                            CALLER=VARNISH_CALLER if wish.proxied else "client.identity")
        arguments = pinned(wish, "varnishd", "-F", "-j", "none", "-f", config, "-n", directory / "n",
                           "-a", f"127.0.0.1:{ports[0]}", "-s", "malloc,1024M",
                           "-p", "thread_pools=1", "-p", "thread_pool_min=100")
        with process(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
            yield server(wish, ports, started)


@contextlib.contextmanager
def floor(length, fields, wish=Wish()):
    """Starts the baseline server with the bytes of another server's response."""
    arguments = pinned(wish, FLOOR, str(length), *fields)
    with process(arguments, stdout=subprocess.PIPE, text=True) as started:
        url = started.stdout.readline().strip()
        yield Server(url, started.pid)


PEERS = {"ikgate": ikgate, "nginx": nginx, "haproxy": haproxy, "varnish": varnish}


def versions(names):
    """Returns the versions of the compared servers, as they report them."""
    asked = {"ikgate": [parts.IKGATE, "--version"], "nginx": ["nginx", "-v"],
             "haproxy": ["haproxy", "-v"], "varnish": ["varnishd", "-V"], "wrk": ["wrk", "-v"],
             "h2load": ["h2load", "--version"]}
    for name in names:
        said = subprocess.run(asked[name], capture_output=True, text=True)
        first = (said.stdout + said.stderr).strip().splitlines()[0]
        found = re.search(r"(\d+\.\d+[\w.+-]*|debian/\S+)", first)
        yield f"{name} {found.group(1) if found else first}"
