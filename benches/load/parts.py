"""Shared parts of the load tests: the program, a sandbox with files, and the required tools."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
IKGATE = ROOT / "target/dist/ikgate"
KEY = "private_sandbox="
# Number of files of each size.
IDS = 1000


def build():
    # One after the other: a common build would unify their features.
    for package in ("ikgate", "ikgate-floor"):
        cargo = ["cargo", "build", "--profile", "dist", "--locked", "--quiet", "-p", package]
        subprocess.run(cargo, cwd=ROOT, check=True)


def need(command, package):
    """Returns a command or a file, and installs its Debian package if it is missing."""
    if shutil.which(command) is None and not Path(command).is_file():
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


# The compared servers have self-signed certificates.
ANY_CERTIFICATE = ssl._create_unverified_context()


def answers(url, pause=0.02):
    """Returns the body of a URL, as soon as a server answers."""
    for _ in range(int(10 / pause)):
        try:
            with urllib.request.urlopen(url, context=ANY_CERTIFICATE) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{url}: {error}") from error
        except OSError:
            time.sleep(pause)
    raise SystemExit(f"{url} does not answer")


@contextlib.contextmanager
def sandbox(*more):
    """Starts a stand-in for ImageKit with a thousand files of one version each."""
    arguments = [IKGATE, "sandbox", "--listen", "127.0.0.1:0", "--rate", "1000000", *more]
    with process(arguments, stdout=subprocess.PIPE, text=True) as started:
        address = re.search(r"http://(\S+)", started.stdout.readline()).group(1)
        add_versions(address, "65", 1)
        yield address


def add_versions(address, prefix, versions):
    """Makes a thousand files with this id prefix and number of versions each."""
    connection = http.client.HTTPConnection(address)
    for number in range(IDS):
        for _ in range(versions):
            connection.request("POST", f"/_sandbox/files/{file_id(number, prefix)}/versions")
            connection.getresponse().read()
    connection.close()


def file_id(number, prefix="65"):
    return f"{prefix}{number:022x}"


def family(pid):
    """Returns the ids of a process and its living children."""
    tree = [pid]
    while tree:
        pid = tree.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                tree += [int(child) for child in (task / "children").read_text().split()]
            yield pid


def cpu_seconds(pid):
    """Returns the user and system time of a process and its children."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Returns the resident memory in MiB: current and peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = {name: int(value) for name, value in re.findall(r"(VmRSS|VmHWM):\s+(\d+)", status)}
    return kilobytes["VmRSS"] / 1024, kilobytes["VmHWM"] / 1024


def resident_of_all(pid):
    """Returns the memory of a process and its children, in MiB."""
    return sum(resident(member)[0] for member in family(pid))
