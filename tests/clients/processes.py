"""The programs under test, started as users start them, on ports that the kernel picks."""

import json
import os
import re
import subprocess
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IKGATE = os.environ.get("IKGATE", str(ROOT / "target/release/ikgate"))
KEY = "private_sandbox="


class Process:
    """A program that is stopped when its block ends."""

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
    """`ikgate sandbox`; `.url` is where it answers."""
    process = Process("sandbox", "--listen", "127.0.0.1:0", *arguments)
    process.url = re.search(r"http://\S+", process.process.stdout.readline()).group()
    return process


def serve(upstream, more=""):
    """`ikgate serve`; `.url` is where callers ask, `.admin` where operators do."""
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
    """The value of one series."""
    with urllib.request.urlopen(process.admin + "/metrics") as response:
        for line in response.read().decode().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
    return None
