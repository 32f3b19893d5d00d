"""The API page lists every public name, once."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from support.pages import DOCS


@pytest.mark.parametrize("module", ["roadmask", "roadmask.extend", "roadmask.testing", "roadmask.viewing"])
def test_lists_every_public_name_once(module: str) -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(rf"^::: {module}\.(\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(set(import_module(module).__all__) - {"__version__"})
