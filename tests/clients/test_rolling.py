"""Test of the recipe that rolls a caller's key: no request of a caller is refused meanwhile."""

import contextlib
import os
import re
import subprocess
import threading
import time
import unittest
from collections import Counter
from pathlib import Path

from cases import FILE
from pages import OPERATIONS, blocks_in, section
from processes import IKGATE, answered, caller, metric, sandbox, serve

BLOCKS = [text for _, text in blocks_in(section(OPERATIONS, "Roll a caller's key without a gap"))]
OLD = "the-old-key"
PATIENCE = 20  # seconds


class Traffic:
    """Requests with one key, one after the other, from a thread of its own."""

    def __init__(self, url, key):
        self.url = url
        self.credential = f"Bearer {key}"
        self.statuses = Counter()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.send)

    def send(self):
        while not self.ended.is_set():
            self.statuses[answered(self.url, self.credential)] += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class Rolling(unittest.TestCase):
    def soon(self, holds, what):
        deadline = time.monotonic() + PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), deadline, f"not there: {what}")
            time.sleep(0.05)

    def goes_on(self, traffic):
        """Checks that requests from now on are accepted, as all were before."""
        # The first one that ends may have begun before.
        enough = traffic.statuses.total() + 2
        self.soon(lambda: traffic.statuses.total() >= enough, "two more requests")
        self.assertEqual(set(traffic.statuses), {200})

    def install(self, gateway):
        """Makes a place look like an installation with systemd, except for `/etc/ikgate`."""
        self.gateway = gateway
        self.home = Path(gateway.directory.name)
        (self.home / "imagekit.key").write_text("private_sandbox=")
        (self.home / ".curlrc").write_text("fail\nsilent\nshow-error\n")
        programs = self.home / "bin"
        programs.mkdir()
        (programs / "ikgate").symlink_to(IKGATE)
        # The command of the unit's ExecReload.
        systemctl = f'#!/bin/sh\n[ "$*" = "reload ikgate.service" ] && kill -HUP {gateway.process.pid}\n'
        (programs / "systemctl").write_text(systemctl)
        (programs / "systemctl").chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "CURL_HOME": str(self.home), "FILE_ID": FILE}

    def run_block(self, text, **variables):
        """Runs a block and returns what it prints, standard error included."""
        text = text.replace("/etc/ikgate", str(self.home))
        text = text.replace("http://127.0.0.1:8080", self.gateway.url)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], env=self.environment | variables,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.assertEqual(done.returncode, 0, f"{text}\n{done.stdout}")
        return done.stdout

    def reloaded(self, times):
        applied = 'ikgate_config_reloads_total{outcome="applied"}'
        self.soon(lambda: metric(self.gateway, applied) == times, f"{times} reloads")

    def test_a_callers_key_is_rolled_without_a_gap(self):
        add_digest, try_new_key, remove_digest = BLOCKS
        # A listener of systemd may be off loopback, so the file has to say who is anonymous.
        settings = "[limits]\nanonymous = false\n"
        settings += caller("web-team", OLD, per_second=1000000, burst=1000000)
        settings += caller("others", "another-key", per_second=9, burst=9)
        with sandbox() as upstream, serve(upstream.url, settings) as gateway, \
                contextlib.ExitStack() as end:
            self.install(gateway)
            url = f"{gateway.url}/v1/files/{FILE}/versions"
            with Traffic(url, OLD) as with_old:
                self.goes_on(with_old)
                new = re.search(r"\bikg_[\w-]+", self.run_block(add_digest)).group()
                self.reloaded(1)
                with_new = end.enter_context(Traffic(url, new))
                self.goes_on(with_new)
                self.goes_on(with_old)
                self.run_block(try_new_key, NEW_KEY=new)
            self.assertEqual(set(with_old.statuses), {200})
            self.run_block(remove_digest)
            self.reloaded(2)
            self.assertEqual(answered(url, f"Bearer {OLD}"), 401)
            self.goes_on(with_new)
            self.assertEqual(answered(url, "Bearer another-key"), 200)
            refused = 'ikgate_auth_failures_total{reason="unknown_key"}'
            self.assertEqual(metric(gateway, refused), 1)


if __name__ == "__main__":
    unittest.main()
