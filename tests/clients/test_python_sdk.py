"""Tests of ImageKit's official Python SDK, unmodified, through the gateway to the sandbox."""

import os
import unittest

import imagekitio
from processes import caller, metric, sandbox, serve

FILE = "64a1b2c3d4e5f60718293a4b"
CALLER_KEY = "ikg_python"
PLENTY = caller("python", CALLER_KEY, per_second=100, burst=100)


class PythonSdk(unittest.TestCase):
    def client(self, gateway, **options):
        # A team sets this environment variable to redirect an SDK without a change of code.
        os.environ["IMAGE_KIT_BASE_URL"] = gateway.url
        return imagekitio.ImageKit(private_key=CALLER_KEY, **options)

    def test_a_list_is_parsed_and_the_second_one_is_a_hit(self):
        with sandbox() as upstream, serve(upstream.url, PLENTY) as gateway:
            client = self.client(gateway)
            versions = client.files.versions.list(FILE)
            self.assertEqual(len(versions), 3)
            newest, oldest = versions[0], versions[-1]
            self.assertEqual((newest.type, oldest.type), ("file", "file-version"))
            self.assertEqual(newest.file_id, FILE)
            self.assertEqual(newest.version_info.name, "Version 3")
            self.assertEqual(newest.file_type, "image")
            self.assertEqual(newest.tags, ["sandbox", "summer"])
            self.assertEqual(newest.ai_tags[0].confidence, 98.5)
            self.assertEqual((newest.width, newest.height), (1600, 900))
            self.assertEqual(newest.custom_metadata["revision"], 3)
            self.assertFalse(newest.is_private_file)
            raw = client.files.versions.with_raw_response.list(FILE)
            self.assertTrue(raw.headers["cache-status"].startswith("ikgate; hit; ttl="))
            self.assertEqual(len(raw.parse()), 3)
            self.assertEqual(len(client.files.versions.list("64a1b2c3d4e5f60718293a4f")), 100)

    def test_a_file_that_does_not_exist_is_not_found_with_imagekits_words(self):
        with sandbox() as upstream, serve(upstream.url, PLENTY) as gateway:
            with self.assertRaises(imagekitio.NotFoundError) as caught:
                self.client(gateway).files.versions.list("000000000000000000000000")
            body = caught.exception.body
            self.assertEqual(body["message"], "The requested file does not exist.")
            self.assertIn("support", body["help"])

    def test_a_429_says_how_long_and_the_sdks_one_retry_comes_on_time(self):
        tight = caller("python", CALLER_KEY, per_second=1, burst=2)
        with sandbox() as upstream, serve(upstream.url, tight) as gateway:
            impatient = self.client(gateway, max_retries=0)
            for _ in range(2):
                impatient.files.versions.list(FILE)
            with self.assertRaises(imagekitio.RateLimitError) as caught:
                impatient.files.versions.list(FILE)
            fields = caught.exception.response.headers
            self.assertEqual(fields["retry-after"], "1")
            self.assertLessEqual(int(fields["retry-after-ms"]), 1000)
            self.assertEqual(fields["x-ratelimit-limit"], "2")
            refused = 'ikgate_throttled_total{caller="python",limit="caller"}'
            self.assertEqual(metric(gateway, refused), 1)
            # The SDK's own first pause is half a second. A retry that ignored the wait of the
            # response would be refused too, and there is only one retry.
            patient = self.client(gateway, max_retries=1)
            self.assertEqual(len(patient.files.versions.list(FILE)), 3)

    def test_a_wrong_key_is_refused_at_once(self):
        with sandbox() as upstream, serve(upstream.url) as gateway:
            with self.assertRaises(imagekitio.AuthenticationError):
                self.client(gateway).files.versions.list(FILE)
            refused = 'ikgate_auth_failures_total{reason="unknown_key"}'
            self.assertEqual(metric(gateway, refused), 1, "it was not retried")


if __name__ == "__main__":
    unittest.main()
