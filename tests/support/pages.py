"""The Markdown pages of the repository, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "engines" / "data" / "models.md"])

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
_INLINE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Code:
    """A code block, or code within a line."""

    page: Path
    """File that it is in."""
    line: int
    """Its line in the file, from 1."""
    language: str
    """Name after the fence; empty where there is none, `inline` within a line."""
    text: str
    """The code."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def code_of(page: Path) -> Iterator[Code]:
    """Yields the code blocks of a page, then the code within its lines."""
    text = page.read_text(encoding="utf-8")
    for block in _FENCE.finditer(text):
        yield Code(page, text.count("\n", 0, block.start()) + 1, block["language"], block["text"])
    for inline in _INLINE.finditer(without_blocks(text)):
        yield Code(page, text.count("\n", 0, inline.start()) + 1, "inline", " ".join(inline[1].split()))


def without_blocks(text: str) -> str:
    """Returns the text of a page with its code blocks blanked, so that positions stay."""
    return _FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
