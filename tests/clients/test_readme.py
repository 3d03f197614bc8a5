"""Every command in the README, run as it stands there, in its order.

Only what a machine decides is replaced: `cargo run --release --` by the program that it would
build, and ports by free ones. Long-running commands run until the end of the test.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import unittest
from pathlib import Path

from processes import IKGATE, ROOT

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONG_RUNNING = re.compile(r" (demo|serve|sandbox)\b")
# These run this test, or the whole of it.
NOT_HERE = {"tests/run", "benches/load/run --quick"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Readme(unittest.TestCase):
    def setUp(self):
        self.ports = {port: free_port() for port in ("8080", "8090", "9090")}
        self.running = []
        self.addCleanup(self.stop)
        # curl fails on an error status, and says which.
        home = ROOT / "target/readme-home"
        home.mkdir(parents=True, exist_ok=True)
        (home / ".curlrc").write_text("fail\nsilent\nshow-error\n")
        keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.environment = {**keep, "CURL_HOME": str(home)}

    def stop(self):
        for process in self.running:
            process.terminate()
            process.communicate(timeout=30)

    def local(self, text):
        for port, free in self.ports.items():
            text = text.replace(f":{port}", f":{free}")
        # Both ask the default port where none is named.
        admin = f" --admin http://127.0.0.1:{self.ports['9090']}"
        text = re.sub(r"(?m)-- (healthcheck|purge)\b", rf"\g<0>{admin}", text)
        return text.replace("cargo run --release -- ", f"{IKGATE} ")

    def start(self, command):
        # One at a time: the next one wants the same ports.
        self.stop()
        self.running.clear()
        ports = [f"127.0.0.1:{self.ports[port]}" for port in ("8080", "9090")]
        if " demo" in command:
            command += f" --listen {ports[0]} --admin {ports[1]} --page 127.0.0.1:0"
            health = ports[1]
        elif " serve" in command:
            self.environment |= {
                "IKGATE_SERVER__LISTEN": ports[0], "IKGATE_ADMIN__LISTEN": ports[1],
            }
            health = ports[1]
        else:
            health = None
            sandbox = ("127.0.0.1", int(self.ports["8090"]))
        process = subprocess.Popen(
            ["bash", "-c", "exec env " + command], cwd=ROOT, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        self.running.append(process)
        for _ in range(200):
            self.assertIsNone(process.poll(), f"ended: {command}")
            if health is None:
                with contextlib.suppress(OSError), socket.create_connection(sandbox):
                    return
                time.sleep(0.05)
                continue
            arguments = [IKGATE, "healthcheck", "--admin", f"http://{health}"]
            if subprocess.run(arguments, capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        self.fail(f"not ready: {command}")

    def test_every_command_works(self):
        blocks = BLOCK.findall((ROOT / "README.md").read_text())
        self.assertGreater(len(blocks), 5)
        for language, text in blocks:
            with self.subTest(text):
                if language == "python":
                    program = [sys.executable, "-c", self.local(text)]
                elif text.strip() in NOT_HERE:
                    continue
                elif LONG_RUNNING.search(text):
                    self.start(self.local(text).strip())
                    continue
                else:
                    program = ["bash", "-euo", "pipefail", "-c", self.local(text)]
                done = subprocess.run(
                    program, cwd=ROOT, env=self.environment, capture_output=True, text=True
                )
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
