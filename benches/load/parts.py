"""What the measurements share: the program, a sandbox with files, and what must be installed."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
IKGATE = ROOT / "target/release/ikgate"
KEY = "private_sandbox="
# Files of the sandbox, each with one version: lists of 0.9 KB.
IDS = 1000


def build():
    if not IKGATE.exists():
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)


def need(command, package):
    if shutil.which(command) is None:
        print(f"installing {package} (for {command})", file=sys.stderr)
        apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", package], check=True, env=apt,
                       stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def process(arguments, **options):
    started = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, **options)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(timeout=30)


def answers(url):
    for _ in range(200):
        try:
            with urllib.request.urlopen(url) as response:
                return response.read()
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"{url} does not answer")


@contextlib.contextmanager
def sandbox():
    arguments = [IKGATE, "sandbox", "--listen", "127.0.0.1:0", "--rate", "1000000"]
    with process(arguments, stdout=subprocess.PIPE, text=True) as started:
        url = re.search(r"http://(\S+)", started.stdout.readline()).group(1)
        for number in range(IDS):
            path = f"http://{url}/_sandbox/files/{file_id(number)}/versions"
            urllib.request.urlopen(urllib.request.Request(path, method="POST")).close()
        yield url


def file_id(number):
    return f"65{number:022x}"


@contextlib.contextmanager
def ikgate(upstream, directory, server="", core=None, access_log=False):
    """The gateway in front of `upstream`, perhaps with further keys of [server], on one core."""
    config = directory / "ikgate.toml"
    port = free_port()
    config.write_text(
        (HERE / "ikgate.toml").read_text().replace("@PORT@", str(port))
        .replace("@UPSTREAM@", upstream).replace("@SERVER@", server)
        .replace("@ACCESS_LOG@", "all" if access_log else "errors")
    )
    pinned = [] if core is None else ["taskset", "-c", core]
    arguments = [*pinned, IKGATE, "serve", "--config", config]
    environment = {**os.environ, "IMAGEKIT_PRIVATE_KEY": KEY}
    with open(directory / "ikgate.log", "w") as log:
        with process(arguments, env=environment, stderr=log) as started:
            yield f"http://127.0.0.1:{port}", started.pid


def cpu_seconds(pid):
    """User and system time of a process and its children that live."""
    total = 0
    tree = [pid]
    while tree:
        pid = tree.pop()
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
            for task in Path(f"/proc/{pid}/task").iterdir():
                tree += [int(child) for child in (task / "children").read_text().split()]
    return total / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Resident memory in MiB, now and at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = {name: int(value) for name, value in re.findall(r"(VmRSS|VmHWM):\s+(\d+)", status)}
    return kilobytes["VmRSS"] / 1024, kilobytes["VmHWM"] / 1024
