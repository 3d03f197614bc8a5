"""Tests that replay the requests of SDKs that cannot be installed here, and check the responses.

`requests.json` has for each SDK:

`sdk`             its package and version
`replayed`        why it is not run
`fields`          the header fields of its request, in their order; `{key}` and `{host}` stand for
                  the caller's key and the gateway's address, and what follows `Basic` is encoded
`by_http_client`  those of them that its HTTP client adds by itself
`decodes`         the coding that this client decodes, if any
`wait`            the field of a 429 from which the SDK or its user reads the wait

All of them need a JSON content type, a list that is a bare array, and refusals in JSON as well.
Some read `message` and `help` by name.
"""

import gzip
import http.client
import json
import unittest
import urllib.parse

from cases import (
    FILE, FILE_OF_100_VERSIONS, FILE_OF_ONE_VERSION, KEY, NO_FILE, PLENTY, TIGHT, TOO_MANY, listed,
)
from clients import CLIENTS, REQUESTS, fields_of
from processes import recorder, sandbox, serve, stored_and_coded


class Connection:
    """Persistent connection of an SDK, and its requests."""

    def __init__(self, name, gateway, key=KEY):
        self.request = REQUESTS[name]
        host = urllib.parse.urlsplit(gateway.url).netloc
        self.fields = fields_of(self.request, key, host)
        self.connection = http.client.HTTPConnection(host)
        self.connection.connect()
        # Otherwise the library would open another connection silently.
        self.connection.auto_open = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def get(self, *ids):
        """Returns the status, the fields and the body, decoded if the SDK could decode it."""
        self.connection.putrequest(
            "GET", "/v1/files/" + "/versions/".join(ids) + ("/versions" if len(ids) == 1 else ""),
            skip_host=True, skip_accept_encoding=True,
        )
        for name, value in self.fields.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        response = self.connection.getresponse()
        body = response.read()
        coding = response.headers["Content-Encoding"]
        if coding and coding == self.request["decodes"]:
            body = gzip.decompress(body)
        return response.status, response.headers, body


class Replay(unittest.TestCase):
    def refused(self, answer, status):
        """Checks a refusal that every SDK can read, and returns its fields."""
        got, fields, body = answer
        self.assertEqual((got, fields.get_content_type()), (status, "application/json"))
        parsed = json.loads(body)
        for member in ("message", "help"):
            self.assertIsInstance(parsed[member], str, member)
        return fields

    def test_lists_and_versions_are_imagekits_bytes_in_a_coding_that_it_decodes(self):
        with sandbox() as upstream, serve(upstream.url, PLENTY) as gateway:
            stored_and_coded(gateway, KEY, FILE_OF_100_VERSIONS)
            files = [FILE, FILE_OF_ONE_VERSION, FILE_OF_100_VERSIONS]
            lists = {file: listed(upstream, file) for file in files}
            version = json.loads(lists[FILE])[-1]
            for name, request in REQUESTS.items():
                with self.subTest(name), Connection(name, gateway) as connection:
                    for file, expected in lists.items():
                        status, fields, body = connection.get(file)
                        self.assertEqual(status, 200)
                        self.assertEqual(fields.get_content_type(), "application/json")
                        self.assertEqual(body, expected)
                    self.assertEqual(fields["Content-Encoding"], request["decodes"])
                    status, fields, body = connection.get(FILE, version["versionInfo"]["id"])
                    self.assertEqual((status, json.loads(body)), (200, version))
                    self.assertEqual(fields.get_content_type(), "application/json")

    def test_a_missing_file_and_a_wrong_key_are_refused_in_json(self):
        with sandbox() as upstream, serve(upstream.url, PLENTY) as gateway:
            for name in REQUESTS:
                for key, status in ((KEY, 404), ("ikg_wrong", 401)):
                    with (
                        self.subTest(name, status=status),
                        Connection(name, gateway, key) as connection,
                    ):
                        self.refused(connection.get(NO_FILE), status)

    def test_a_429_says_where_it_is_read_how_long_to_wait(self):
        for name, request in REQUESTS.items():
            with (
                sandbox() as upstream,
                serve(upstream.url, TIGHT) as gateway,
                self.subTest(name),
                Connection(name, gateway) as connection,
            ):
                answers = [connection.get(file) for file in TOO_MANY]
                refusals = [answer for answer in answers if answer[0] != 200]
                self.assertTrue(refusals)
                for answer in refusals:
                    fields = self.refused(answer, 429)
                    for field in request["wait"]:
                        longest = 1 if field == "Retry-After" else 1000
                        self.assertTrue(0 < int(fields[field]) <= longest, field)

    def test_a_stand_in_sends_what_is_replayed(self):
        for client in CLIENTS:
            if not client.stands_in_for:
                continue
            with self.subTest(client.name), recorder() as (url, heard):
                client.ask(url, KEY, FILE)
                [(path, sent)] = heard
                self.assertEqual(path, f"/v1/files/{FILE}/versions")
                request = REQUESTS[client.stands_in_for]
                expected = fields_of(request, KEY, urllib.parse.urlsplit(url).netloc)
                self.assertEqual(list(sent), list(expected))
                # The HTTP client of Debian has another version than the one of the SDK.
                for name in set(expected) - set(request["by_http_client"]):
                    self.assertEqual(sent[name], expected[name], name)


if __name__ == "__main__":
    unittest.main()
