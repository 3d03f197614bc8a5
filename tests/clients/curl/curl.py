"""Client program for cURL: prints one line of JSON for each request."""

import json
import subprocess
import sys
import tempfile

url, key, retries, *asked = sys.argv[1:]


def told(version):
    return [version["fileId"], version["versionInfo"]["name"], version["type"]]


def answer(file, version=None):
    path = f"/v1/files/{file}/versions" + (f"/{version}" if version else "")
    with tempfile.NamedTemporaryFile() as body:
        done = subprocess.run(
            [
                "curl", "--silent", "--fail-with-body", "--compressed", "--retry", retries,
                "--header", f"Authorization: Bearer {key}", "--output", body.name,
                "--write-out", "%{http_code} %header{retry-after-ms}", url + path,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        status, _, wait = done.stdout.partition(" ")
        if status == "000":
            return {"error": {"name": f"exit {done.returncode}"}}
        parsed = json.load(body)
    if done.returncode:
        return {
            "error": {
                "name": f"exit {done.returncode}",
                "status": int(status),
                "message": parsed["message"],
                "help": parsed["help"],
                "wait": int(wait) if wait else None,
            }
        }
    return {"version": told(parsed)} if version else {"versions": [told(each) for each in parsed]}


for each in asked:
    print(json.dumps(answer(*each.split("/"))))
