"""Client program for ImageKit's Python SDK 4: prints one line of JSON for each request."""

import json
import sys

import requests
from imagekitio import ImageKit
from imagekitio.constants.url import URL

url, key, _, *asked = sys.argv[1:]
# This SDK has no option for another base URL.
URL.API_BASE_URL = url
client = ImageKit(
    private_key=key, public_key="public_unused", url_endpoint="https://ik.imagekit.io/unused"
)


def told(version):
    return [version.file_id, version.version_info.name, version.type]


def answer(file, version=None):
    try:
        if version:
            return {"version": told(client.get_file_version_details(file, version))}
        return {"versions": [told(each) for each in client.get_file_versions(file).list]}
    except requests.ConnectionError as error:
        return {"error": {"name": type(error).__name__}}
    except Exception as error:
        # The exceptions of this SDK have no common base class of their own.
        if not hasattr(error, "response_metadata"):
            raise
        wait = error.response_metadata.headers.get("X-RateLimit-Reset")
        return {
            "error": {
                "name": type(error).__name__,
                "status": error.response_metadata.http_status_code,
                "message": error.message,
                "help": error.response_help,
                "wait": wait and int(wait),
            }
        }


for each in asked:
    print(json.dumps(answer(*each.split("/"))))
