"""The Python of the docs compiles, and every file that they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.pages import DOCS, PAGES, ROOT, Code, code_of

PROGRAMS = [code for page in PAGES for code in code_of(page) if code.language in {"python", "py"}]
_SNIPPET = re.compile(r'^--8<-- "(?P<path>[^"]+)"$')


def program(code: Code) -> str:
    """Returns a block, or the file that it includes."""
    included = _SNIPPET.match(code.text.strip())
    return (ROOT / included["path"]).read_text(encoding="utf-8") if included else code.text


@pytest.mark.parametrize("code", PROGRAMS, ids=str)
def test_compiles(code: Code) -> None:
    compile(program(code), str(code), "exec")


def test_every_example_is_on_a_page() -> None:
    shown = {match["path"] for code in PROGRAMS if (match := _SNIPPET.match(code.text.strip()))}
    assert {str(path.relative_to(ROOT)) for path in (DOCS / "examples").glob("*.py")} <= shown


_FILE = re.compile(
    r"(?:engines|tracking|sample_drive|streaming|evaluation|cli|benchmarks|demos|tests|configs|roadmask)/\S*"
)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.stem)
def test_files_that_are_named_exist(page: Path) -> None:
    named = {code.text for code in code_of(page) if code.language == "inline" and _FILE.fullmatch(code.text)}
    assert not {name for name in named if not list(ROOT.glob(name.rstrip("/")))}
