"""Reader of the documentation pages and their code blocks."""

import re

from processes import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "config/README.md",
    *sorted((ROOT / "deploy").glob("*.md")),
    ROOT / "tests/clients/README.md",
    ROOT / "benches/README.md",
    ROOT / "src/demo/helper/README.md",
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """Returns the language and text of each code block, in order."""
    text = page.read_text()
    found = BLOCK.findall(text)
    if text.count("```") != 2 * len(found):
        raise AssertionError(f"{page}: a block that is indented or has no language")
    return found


def name(page):
    return str(page.relative_to(ROOT))
