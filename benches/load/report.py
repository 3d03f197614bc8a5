"""Formats results as Markdown tables."""

import platform
import re
from pathlib import Path


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def machine():
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return f"{model.group(1) if model else platform.machine()}, Linux {platform.release()}"


def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def verdict_cells(verdict):
    found = f"{verdict.found:.2f}{verdict.unit}"
    return [verdict.work, verdict.target, found, "met" if verdict.met else "**missed**"]
