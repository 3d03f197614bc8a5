"""Checks the pages of the Debian package: each link leads to a file of the package, or to source.

    package_links.py DIRECTORY       where usr/share/doc/ikgate of the package is
"""

import re
import sys
from pathlib import Path

# Parts of the project that the package does not hold: source, tests, and other ways to deploy.
SOURCE = (
    "benches/load/", "deploy/Dockerfile", "deploy/compose", "deploy/debian", "deploy/kubernetes",
    "deploy/systemd", "src/", "tests/",
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def broken(root):
    for page in sorted(root.rglob("*.md")):
        for link in LINK.findall(page.read_text()):
            target = (page.parent / link).resolve()
            if "://" in link or target.exists():
                continue
            if not str(target.relative_to(root)).startswith(SOURCE):
                yield f"{page.relative_to(root)}: {link}"


def main():
    found = list(broken(Path(sys.argv[1]).resolve()))
    if found:
        sys.exit("links to files that the package does not hold:\n" + "\n".join(found))


if __name__ == "__main__":
    main()
