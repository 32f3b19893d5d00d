"""The API page lists every public name, once."""

from __future__ import annotations

import re

import roadmask
from support.pages import DOCS


def test_lists_every_public_name_once() -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^::: roadmask\.(\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(set(roadmask.__all__) - {"__version__"})
