"""Runner of the signing samples in deploy/pages.md: each signs a token with `jwt.pem` in its folder."""

import base64
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
USER = "user-1"
LIFETIME = 15 * 60  # seconds
KID = "2026-10"
# Debian has version 4 of golang-jwt, by this path. The sample's functions are the same in version 5.
GO_MODULE = ("github.com/golang-jwt/jwt/v5", "github.com/golang-jwt/jwt")
GO_MAIN = """package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	var files []string
	if err := json.Unmarshal([]byte(os.Args[2]), &files); err != nil {
		panic(err)
	}
	token, err := PageToken(os.Args[1], files)
	if err != nil {
		panic(err)
	}
	fmt.Println(token)
}
"""


def settings(directory):
    """Returns two configurations for the tokens of all samples: before and during a change of keys."""
    public = f'"{directory}/jwt.pub"'
    common = '[jwt]\nalgorithm = "EdDSA"\nissuer = "https://app.example.com"\n'
    return (
        f"{common}key_file = {public}\n",
        f'{common}key_files = {{ "{KID}" = {public}, "other" = "{directory}/other.pub" }}\n',
    )


def node(text, directory):
    modules = directory / "node_modules"
    if not modules.exists():
        modules.symlink_to(HERE / "node/node_modules")
    call = "\nconst [user, files] = process.argv.slice(2);\n"
    call += "console.log(await pageToken(user, JSON.parse(files)));\n"
    (directory / "sign.mjs").write_text(text + call)
    return ["node", "sign.mjs"]


def python(text, directory):
    call = "\n\nimport json, sys\nprint(page_token(sys.argv[1], json.loads(sys.argv[2])))\n"
    (directory / "sign.py").write_text(text + call)
    return [sys.executable, "sign.py"]


def php(text, directory):
    # The package is in no registry that the tests use: a double of its `JWT::encode` stands in.
    (directory / "vendor").mkdir(exist_ok=True)
    (directory / "vendor/autoload.php").write_text((HERE / "php/firebase_jwt.php").read_text())
    call = "\necho page_token($argv[1], json_decode($argv[2], true)), PHP_EOL;\n"
    (directory / "sign.php").write_text(text + call)
    return ["php", "sign.php"]


def go(text, directory):
    text = text.replace("package pages\n", "package main\n").replace(*GO_MODULE)
    (directory / "sign.go").write_text(text)
    (directory / "main.go").write_text(GO_MAIN)
    return ["env", "GO111MODULE=off", "GOPATH=/usr/share/gocode", "go", "run", "sign.go", "main.go"]


def token(command, directory, environment, files):
    """Returns the token that a sample signs for these files, or for all if there are none."""
    done = subprocess.run(
        [*command, USER, json.dumps(files)], cwd=directory, env=environment,
        capture_output=True, text=True,
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout.strip()


def decoded(signed):
    """Returns header and claims of a token, without verifying it."""
    header, claims, _ = signed.split(".")
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
