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
OPERATIONS = ROOT / "deploy/operations.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """Returns the language and text of each code block, in order."""
    return blocks_in(page.read_text())


def blocks_in(text):
    """Returns the language and text of each code block of a text, in order."""
    found = BLOCK.findall(text)
    if text.count("```") != 2 * len(found):
        raise AssertionError(f"a block that is indented or has no language:\n{text}")
    return found


def section(page, heading):
    """Returns the text below a heading of a page, up to the next one."""
    [text] = re.findall(rf"^#+ {heading}$(.*?)^#", page.read_text(), re.MULTILINE | re.DOTALL)
    return text


def name(page):
    return str(page.relative_to(ROOT))
