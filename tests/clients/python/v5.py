"""Client program for ImageKit's Python SDK 5: prints one line of JSON for each request."""

import json
import sys

import imagekitio

url, key, retries, *asked = sys.argv[1:]
client = imagekitio.ImageKit(private_key=key, base_url=url, max_retries=int(retries))


def told(version):
    return [version.file_id, version.version_info.name, version.type]


def answer(file, version=None):
    try:
        if version:
            return {"version": told(client.files.versions.get(version, file_id=file))}
        return {"versions": [told(each) for each in client.files.versions.list(file)]}
    except imagekitio.APIConnectionError as error:
        return {"error": {"name": type(error).__name__}}
    except imagekitio.APIStatusError as error:
        wait = error.response.headers.get("retry-after-ms")
        return {
            "error": {
                "name": type(error).__name__,
                "status": error.status_code,
                "message": error.body["message"],
                "help": error.body["help"],
                "wait": wait and int(wait),
            }
        }


for each in asked:
    print(json.dumps(answer(*each.split("/"))))
