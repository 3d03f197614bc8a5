"""The requests of SDKs that cannot be installed here, field by field, and what each needs back.

`requests.json` has, of each SDK:

`sdk`             its package and version
`replayed`        why it is not run
`fields`          the header fields of its request, in their order; `{key}` and `{host}` stand for
                  the caller's key and the gateway's address, and what follows `Basic` is encoded
`by_http_client`  those of them that its HTTP client adds by itself
`decodes`         the coding that this client decodes, if any
`wait`            where it, or who uses it, reads of a 429 how long to wait

All of them need JSON that says so, a list that is a bare array, and refusals in JSON as well; some
read `message` and `help` by name.
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
    """One connection, as an SDK keeps it, and its requests."""

    def __init__(self, name, gateway, key=KEY):
        self.request = REQUESTS[name]
        host = urllib.parse.urlsplit(gateway.url).netloc
        self.fields = fields_of(self.request, key, host)
        self.connection = http.client.HTTPConnection(host)
        self.connection.connect()
        # Without this the library would open another one in silence.
        self.connection.auto_open = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def get(self, *ids):
        """The status, the fields and the body's bytes, decoded if the SDK could."""
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
        """The fields of a refusal that every SDK can read."""
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
                # Debian's HTTP client is of another version than the SDK's.
                for name in set(expected) - set(request["by_http_client"]):
                    self.assertEqual(sent[name], expected[name], name)


if __name__ == "__main__":
    unittest.main()
