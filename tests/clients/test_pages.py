"""Tests of the code blocks in all pages: each is run unchanged, in the order of the page.

Only parts that depend on the machine are replaced: `cargo run --release --` by the program that it
would build, and addresses and ports by local and free ones. A gateway or a sandbox runs until the
next one of its kind starts, or to the end of its page.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import signing
from cases import FILE
from pages import PAGES, blocks, name
from processes import IKGATE, ROOT, answered, caller, get, metric, sandbox, serve
from test_rolling import BLOCKS as ROLLING

LONG_RUNNING = re.compile(r"cargo run --release -- (demo|serve|sandbox)\b")
MEASURES = "benches/load/"
# Blocks that are not run here, by their first line, with the reason and the test that covers them.
NOT_RUN = {
    "tests/run": "it runs this test",
    "tests/clients/run": "it runs this test",
    "deploy/debian/build": "tests/deploy/run builds the package and looks into it",
    'apt-get install "$(deploy/debian/build)"':
        "no systemd runs here: tests/deploy/run builds the package and looks into it",
    'docker run --rm --publish 8080:8080 --volume "$PWD/ikgate.toml:/etc/ikgate/ikgate.toml:ro" '
    "--env IMAGEKIT_PRIVATE_KEY ikgate":
        "no Docker here: tests/deploy/run lints the file and compiles its context",
    "install -m 0755 target/dist/ikgate /usr/local/bin/ikgate":
        "no systemd runs here: tests/deploy/run verifies unit, socket and configuration",
    "IKGATE_SERVER__LISTEN=systemd IKGATE_UPSTREAM__PRIVATE_KEY_FILE=/etc/ikgate/imagekit.key ikgate check "
    "--config /etc/ikgate/ikgate.toml":
        "no systemd runs here: tests/deploy/run checks this file in the unit's environment",
    "docker build --file deploy/Dockerfile --tag ikgate --build-arg "
    'GIT_COMMIT="$(git rev-parse --short=12 HEAD)" .':
        "no Docker here: tests/deploy/run lints the file and compiles its context",
    "docker compose --file deploy/compose/compose.yaml up --build":
        "no Docker here: tests/deploy/run checks the file and its configuration",
    "kubectl create namespace ikgate":
        "no cluster here: tests/deploy/run checks the manifests and their configuration",
    "cargo bench --bench hit": "takes minutes: tests/run compiles the benchmarks with clippy",
    "const { versions, error, reload } = useVersions(gateway, fileId);":
        "it needs a page: tests/browser/react.test.js runs the hook in Chromium",
} | {text.splitlines()[0]: "tests/clients/test_rolling.py runs it" for text in ROLLING}
# Paths that such blocks name must exist all the same.
PATH = re.compile(r"(?<![\w./])(?:benches|config|deploy|tests)/[\w./-]+")
# Pages that need a running gateway and do not start one.
RUNNING = {
    page: "cargo run --release -- demo"
    for page in ("deploy/runbook.md", "src/demo/helper/README.md")
}
NOT_CODE = {"text"}
PATIENCE = 20  # seconds
ANOTHER = "64a1b2c3d4e5f60718293a4d"  # another public file of the sandbox


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def secrets(directory):
    """Writes the files that a page's configuration names."""
    (directory / "webhook.secret").write_text("whsec_c2FuZGJveA==")
    for command in [
        "openssl genpkey -algorithm ed25519 -out jwt.pem",
        "openssl pkey -in jwt.pem -pubout -out jwt.pub",
        "openssl genpkey -algorithm ed25519 -out other.pem",
        "openssl pkey -in other.pem -pubout -out other.pub",
        "openssl req -x509 -newkey ed25519 -nodes -keyout key.pem -out cert.pem -subj /CN=a",
    ]:
        subprocess.run(command.split(), cwd=directory, check=True, capture_output=True)


class Pages(unittest.TestCase):
    def setUp(self):
        self.ports = {port: free_port() for port in ("8080", "8090", "9090")}
        self.running = {}  # "sandbox" or "gateway": its process
        self.addCleanup(self.stop_all)
        self.home = Path(self.enterContext(tempfile.TemporaryDirectory()))
        # curl must fail on an error status and show it.
        (self.home / ".curlrc").write_text("fail\nsilent\nshow-error\n")
        (self.home / "admin.token").write_text("of-an-operator")
        keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.environment = {**keep, "CURL_HOME": str(self.home), "FILE_ID": FILE}

    def stop(self, kind):
        if running := self.running.pop(kind, None):
            running.terminate()
            running.communicate(timeout=30)

    def stop_all(self):
        for kind in list(self.running):
            self.stop(kind)

    def local(self, text):
        text = re.sub(r"http://10\.0\.0\.\d:", "http://127.0.0.1:", text)
        text = text.replace("https://gateway.example.com", "http://127.0.0.1:8080")
        text = text.replace("cat admin.token", f"cat {self.home}/admin.token")
        for port, free in self.ports.items():
            text = text.replace(f":{port}", f":{free}")
        # Commands without a port use the default port.
        admin = f" --admin http://127.0.0.1:{self.ports['9090']}"
        text = re.sub(r"(?m)-- (healthcheck|purge|status)\b", rf"\g<0>{admin}", text)
        return text.replace("cargo run --release -- ", f"{IKGATE} ")

    def start(self, command):
        kind = "sandbox" if " sandbox" in command else "gateway"
        # One of a kind, because the next one uses the same ports.
        self.stop(kind)
        environment = self.environment
        public, admin = (f"127.0.0.1:{self.ports[port]}" for port in ("8080", "9090"))
        is_ready = [IKGATE, "healthcheck", "--admin", f"http://{admin}"]
        if " demo" in command:
            command += f" --listen {public} --admin {admin} --page 127.0.0.1:0"
        elif " serve" in command:
            environment = environment | {
                "IKGATE_SERVER__LISTEN": public, "IKGATE_ADMIN__LISTEN": admin,
            }
        else:
            is_ready = ["curl", f"http://127.0.0.1:{self.ports['8090']}/_sandbox/files"]
        running = self.running[kind] = subprocess.Popen(
            ["bash", "-c", "exec env " + command], cwd=ROOT, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

        def answers():
            self.assertIsNone(running.poll(), f"ended: {command}")
            done = subprocess.run(is_ready, env=self.environment, capture_output=True)
            return done.returncode == 0

        self.soon(answers, command)

    def soon(self, holds, what):
        deadline = time.monotonic() + PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), deadline, f"not there: {what}")
            time.sleep(0.05)

    def succeeds(self, *program, directory=ROOT, **variables):
        done = subprocess.run(
            program, cwd=directory, env=self.environment | variables, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def sh(self, text):
        if LONG_RUNNING.search(text):
            self.start(self.local(text).strip())
        elif text.startswith(MEASURES):
            # The command takes minutes. Only its options and its files are checked.
            for program, *options in map(str.split, text.splitlines()):
                help_text = self.succeeds(program, "--help")
                for option in (option for option in options if option.startswith("-")):
                    self.assertIn(option, help_text)
        else:
            self.succeeds("bash", "-euo", "pipefail", "-c", self.local(text))

    def python(self, text):
        if "def page_token" in text:
            self.signs(signing.python, text)
        else:
            self.succeeds(sys.executable, "-c", self.local(text))

    def js(self, text):
        if "function pageToken" in text:
            self.signs(signing.node, text)
            return
        for file in ("ikgate.js", "package.json"):
            shutil.copy(ROOT / "src/demo/helper" / file, self.home)
        given = f'const session = {{ token: "ikg_demo" }}, fileId = "{FILE}";\n'
        shown = "" if "console.log" in text else "console.log(versions[0].versionInfo.name);\n"
        (self.home / "page.js").write_text(given + self.local(text) + shown)
        self.assertIn("Version 3", self.succeeds("node", "page.js", directory=self.home))

    def php(self, text):
        self.signs(signing.php, text)

    def go(self, text):
        self.signs(signing.go, text)

    def signs(self, sample, text):
        """Checks the tokens of a sample, with one key and while the key is changed."""
        secrets(self.home)
        command = sample(text, self.home)
        for settings in signing.settings(self.home):
            self.accepts(command, settings)

    def accepts(self, command, settings):
        """Checks that a gateway accepts the signed tokens, and refuses them elsewhere."""
        expected = {"iss": "https://app.example.com", "aud": "ikgate", "sub": signing.USER}
        with sandbox() as upstream, serve(upstream.url, settings) as gateway:
            for files, of_another in ((None, 200), ([FILE], 403)):
                signed = signing.token(command, self.home, self.environment, files)
                header, claims = signing.decoded(signed)
                named = {"typ": "JWT", "alg": "EdDSA", "kid": signing.KID}
                self.assertEqual(header | {"typ": "JWT"}, named)
                self.assertEqual(claims.pop("exp") - claims.pop("iat"), signing.LIFETIME)
                self.assertEqual(claims, expected | ({"files": files} if files else {}))
                for file, status in ((FILE, 200), (ANOTHER, of_another)):
                    url = f"{gateway.url}/v1/files/{file}/versions"
                    self.assertEqual(answered(url, f"Bearer {signed}"), status, file)
                self.assertEqual(answered(url, f"Bearer {signed[:-9]}AAAAAAAAA"), 401)

    def toml(self, text):
        secrets(self.home)
        file = self.home / "ikgate.toml"
        file.write_text(text)
        self.succeeds(IKGATE, "check", "--config", str(file), IMAGEKIT_PRIVATE_KEY="private_a=")

    def redis(self, text):
        """Checks that the Redis user of the page has enough rights: Redis refuses no command."""
        port = free_port()
        server = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", ""]
        started = subprocess.Popen(server, cwd=self.home, stdout=subprocess.DEVNULL)
        self.addCleanup(started.communicate)
        self.addCleanup(started.terminate)
        client = ["redis-cli", "-p", port]
        ping = [*client, "PING"]
        self.soon(lambda: subprocess.run(ping, capture_output=True).stdout == b"PONG\n", "Redis")
        self.assertEqual(self.succeeds(*client, *text.split()), "OK\n")
        url = f"redis://ikgate:PASSWORD@127.0.0.1:{port}"
        settings = f'[cluster]\nredis_url = "{url}"\n' + caller("a", "key", per_second=9, burst=9)
        with sandbox() as upstream, serve(upstream.url, settings) as one:
            with serve(upstream.url, settings) as other:
                for gateway in (one, other):
                    self.soon(lambda: metric(gateway, "ikgate_cluster_nodes") == 2, "a fleet")
                    get(f"{gateway.url}/v1/files/{FILE}/versions", "Bearer key")
                self.succeeds("curl", "-X", "DELETE", f"{one.admin}/api/cache/{FILE}")
                self.assertEqual(metric(other, 'ikgate_second_level_total{outcome="hit"}'), 1)
        self.assertEqual(self.succeeds(*client, "ACL", "LOG").strip(), "")

    def test_every_block_works(self):
        not_run = dict(NOT_RUN)
        for page in PAGES:
            if command := RUNNING.get(name(page)):
                self.start(self.local(command))
            for language, text in blocks(page):
                if language in NOT_CODE:
                    continue
                with self.subTest(text, page=name(page)):
                    if not_run.pop(text.splitlines()[0], None):
                        for path in PATH.findall(text):
                            self.assertTrue((ROOT / path).exists(), path)
                        continue
                    run = getattr(self, language, None)
                    self.assertIsNotNone(run, f"how is {language} run?")
                    run(text)
            self.stop_all()
        self.assertEqual(not_run, {}, "in no page any more")


if __name__ == "__main__":
    unittest.main()
