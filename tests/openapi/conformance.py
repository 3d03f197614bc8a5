"""Conformance test with schemathesis: requests generated from the OpenAPI document, on both
listeners, with and without credentials."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from gateways import ADMIN_TOKEN, CALLER_KEY, ORIGIN, closed, gateway, guarded
from processes import sandbox

HERE = Path(__file__).parent
PHASES = "examples,coverage,fuzzing"


def credentials_required():
    """Returns the document for a gateway that requires credentials: from all callers, and from
    operators who purge."""
    required = closed()
    without = {}
    required["security"].remove(without)
    for item in required["paths"].values():
        if "delete" in item:
            item["delete"]["security"].remove(without)
    return required


def conforms(name, described, url, tag, fields=None):
    print(f"\n== {name}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "openapi.json"
        file.write_text(json.dumps(described))
        command = [
            Path(sys.executable).with_name("schemathesis"),
            "--config-file", HERE / "schemathesis.toml",
            "run", file, "--url", url, "--include-tag", tag,
            # No response of the admin listener leads to another request.
            "--phases", PHASES + (",stateful" if tag == "public" else ""),
        ]
        for field, value in (fields or {}).items():
            command += ["--header", f"{field}: {value}"]
        # schemathesis leaves files in its working directory.
        return subprocess.run(command, cwd=directory).returncode == 0


def main():
    # A rate above the load, because refusals of the sandbox are not under test.
    with sandbox("--rate", "100000") as upstream:
        with gateway(upstream.url) as open_to_all, guarded(upstream.url) as locked:
            key = {"Authorization": f"Bearer {CALLER_KEY}", "Origin": ORIGIN}
            token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            passed = [
                conforms("callers without a key", closed(), open_to_all.url, "public"),
                conforms("callers with one", credentials_required(), locked.url, "public", key),
                conforms("operators without a token", closed(), open_to_all.admin, "admin"),
                conforms(
                    "operators with one", credentials_required(), locked.admin, "admin", token
                ),
            ]
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
