"""Tests of ImageKit's SDKs, unmodified, through the gateway to the sandbox."""

import json
import subprocess
import sys
import unittest
import urllib.request

from cases import (
    DEFAULT, FILE, FILE_OF_100_VERSIONS, FILE_OF_ONE_VERSION, KEY, NO_FILE, PLENTY, TIGHT, TOO_MANY,
    listed,
)
from clients import CLIENTS, HERE
from processes import deaf, metric, sandbox, serve, stored_and_coded


def told(version):
    return [version["fileId"], version["versionInfo"]["name"], version["type"]]


class Sdks(unittest.TestCase):
    def refused(self, client, answer, status):
        """Returns the refusal, and checks that the SDK reports it with the right class."""
        error = answer["error"]
        self.assertEqual((error["name"], error["status"]), (client.errors[status], status))
        self.assertTrue(error["message"] and error["help"], error)
        return error

    def test_lists_and_versions_are_what_imagekit_said(self):
        with sandbox() as upstream, serve(upstream.url, PLENTY) as gateway:
            files = [FILE, FILE_OF_ONE_VERSION, FILE_OF_100_VERSIONS]
            lists = [json.loads(listed(upstream, file)) for file in files]
            self.assertEqual([len(each) for each in lists], [3, 1, 100])
            oldest = lists[0][-1]
            version = f"{FILE}/{oldest['versionInfo']['id']}"
            expected = [{"versions": [told(each) for each in versions]} for versions in lists]
            expected.append({"version": told(oldest)})
            stored_and_coded(gateway, KEY, FILE_OF_100_VERSIONS)
            for client in CLIENTS:
                with self.subTest(client.name):
                    answers = client.ask(gateway.url, KEY, *files, version)
                    self.assertEqual(answers, expected)

    def test_a_file_that_does_not_exist_is_not_found_in_imagekits_words(self):
        with sandbox() as upstream, serve(upstream.url, PLENTY) as gateway:
            for client in CLIENTS:
                with self.subTest(client.name):
                    [answer] = client.ask(gateway.url, KEY, NO_FILE)
                    error = self.refused(client, answer, 404)
                    self.assertEqual(error["message"], "The requested file does not exist.")
                    self.assertIn("support", error["help"])

    def test_the_samples_of_the_gateways_own_guide_work(self):
        programs = {"Python": [sys.executable, "-c"], "Node": ["node", "--input-type=module", "-e"]}
        with sandbox() as upstream, serve(upstream.url, PLENTY) as gateway:
            with urllib.request.urlopen(gateway.url) as answer:
                guide = json.load(answer)
            for language, command in programs.items():
                name = f"an ImageKit SDK ({language})"
                [code] = [each["code"] for each in guide["samples"] if each["for"] == name]
                code = code.replace("KEY", KEY).replace("FILE_ID", FILE)
                with self.subTest(language):
                    shown = subprocess.run(
                        [*command, code], cwd=HERE / "node", capture_output=True, text=True,
                        timeout=60,
                    )
                    self.assertEqual(shown.returncode, 0, shown.stderr)
                    self.assertEqual(len(shown.stdout.splitlines()), 3, shown.stdout)
                    self.assertIn("Version 3", shown.stdout)

    def test_a_hundred_and_sixty_requests_at_once_pass_with_the_default_quota_and_retries(self):
        program = """
            import ImageKit from "@imagekit/nodejs";
            const [url, key, file] = process.argv.slice(1);
            const client = new ImageKit({ privateKey: key, baseURL: url });
            const all = Array.from({ length: 160 }, () => client.files.versions.list(file));
            console.log((await Promise.all(all)).length);
        """
        with sandbox() as upstream, serve(upstream.url, DEFAULT) as gateway:
            command = ["node", "--input-type=module", "-e", program, gateway.url, KEY, FILE]
            shown = subprocess.run(
                command, cwd=HERE / "node", capture_output=True, text=True, timeout=60
            )
            self.assertEqual((shown.stdout, shown.returncode), ("160\n", 0), shown.stderr)
            refused = 'ikgate_throttled_total{caller="sdk",limit="caller"}'
            self.assertGreater(metric(gateway, refused), 0)

    def test_a_wrong_key_is_refused_and_not_tried_again(self):
        for client in CLIENTS:
            with sandbox() as upstream, serve(upstream.url) as gateway:
                with self.subTest(client.name):
                    [answer] = client.ask(gateway.url, KEY, FILE, retries=2)
                    self.refused(client, answer, 401)
                    tried = 'ikgate_auth_failures_total{reason="unknown_key"}'
                    self.assertEqual(metric(gateway, tried), 1)

    def test_a_caller_over_its_quota_is_told_how_long_to_wait(self):
        for client in CLIENTS:
            with sandbox() as upstream, serve(upstream.url, TIGHT) as gateway:
                with self.subTest(client.name):
                    first, *others = client.ask(gateway.url, KEY, *TOO_MANY)
                    self.assertIn("versions", first)
                    refusals = [answer for answer in others if "error" in answer]
                    self.assertTrue(refusals)
                    for answer in refusals:
                        wait = self.refused(client, answer, 429)["wait"]
                        self.assertTrue(0 < wait <= 1000, wait)

    def test_an_sdk_that_retries_waits_as_long_as_it_is_told(self):
        for client in CLIENTS:
            if not client.retries:
                continue
            with sandbox() as upstream, serve(upstream.url, TIGHT) as gateway:
                with self.subTest(client.name):
                    # The SDKs' own first pause is half a second. A retry that ignored the wait
                    # of the response would be refused too, and there is only one retry.
                    for answer in client.ask(gateway.url, KEY, *TOO_MANY, retries=1):
                        self.assertIn("versions", answer)
                    refused = 'ikgate_throttled_total{caller="sdk",limit="caller"}'
                    self.assertGreater(metric(gateway, refused), 0)

    def test_a_gateway_that_is_down_is_a_failed_connection(self):
        with deaf() as url:
            for client in CLIENTS:
                with self.subTest(client.name):
                    [answer] = client.ask(url, KEY, FILE)
                    self.assertEqual(answer, {"error": {"name": client.errors[None]}})


if __name__ == "__main__":
    unittest.main()
