"""Checks that the program accepts every configuration under deploy/."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def check(ikgate: str, name: str, text: str, directory: Path, environment: dict) -> None:
    """Runs `ikgate check`, with secrets where the configuration expects them."""
    for secret in ["imagekit.key", "admin.token", "webhook.secret"]:
        (directory / secret).write_text("private_a=")
    text = text.replace("/etc/ikgate/secrets", str(directory))
    file = directory / "ikgate.toml"
    file.write_text(text)
    checked = subprocess.run(
        [ikgate, "check", "--config", file], env=environment, capture_output=True, text=True
    )
    if checked.returncode != 0:
        sys.exit(f"{name}: {checked.stdout}{checked.stderr}")
    print(f"{name}: {checked.stdout.strip()}")


def of_the_unit(directory: Path) -> dict:
    """Returns the environment that the systemd unit sets."""
    unit = (DEPLOY / "systemd/ikgate.service").read_text()
    pairs = re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE)
    return {name: value.replace("%d", str(directory)) for name, value in pairs}


def of_the_gateway(compose: dict) -> dict:
    return compose["services"]["gateway"]["environment"]


def main(ikgate: str) -> None:
    compose = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
    manifests = yaml.safe_load_all((DEPLOY / "kubernetes/ikgate.yaml").read_text())
    config_map = next(m for m in manifests if m["kind"] == "ConfigMap")
    for name, text, environment in [
        ("systemd", (DEPLOY / "systemd/ikgate.toml").read_text(), of_the_unit),
        ("compose", (DEPLOY / "compose/ikgate.toml").read_text(), lambda _: of_the_gateway(compose)),
        ("kubernetes", config_map["data"]["ikgate.toml"], lambda _: {}),
    ]:
        with tempfile.TemporaryDirectory() as directory:
            directory = Path(directory)
            check(ikgate, name, text, directory, os.environ | environment(directory))


if __name__ == "__main__":
    main(sys.argv[1])
