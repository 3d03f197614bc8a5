"""Common test data: the sandbox's files, and callers with a large and a small quota."""

from clients import basic
from processes import KEY as PRIVATE_KEY
from processes import caller, get

FILE = "64a1b2c3d4e5f60718293a4b"
FILE_OF_ONE_VERSION = "64a1b2c3d4e5f60718293a4c"
FILE_OF_100_VERSIONS = "64a1b2c3d4e5f60718293a4f"
NO_FILE = "000000000000000000000000"

KEY = "ikg_sdk"
PLENTY = caller("sdk", KEY, per_second=1000, burst=1000)
TIGHT = caller("sdk", KEY, per_second=1, burst=1)
# The default of `keygen`.
DEFAULT = caller("sdk", KEY, per_second=50, burst=100)
# More requests than the quota of a second: some of them are refused.
TOO_MANY = [FILE] * 4


def listed(upstream, file):
    """Returns the version list of the file as the sandbox sends it."""
    return get(f"{upstream.url}/v1/files/{file}/versions", basic(f"{PRIVATE_KEY}:"))
