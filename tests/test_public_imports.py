"""README, docs and demos are programs on the public API: they import the public modules, nothing deeper."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = (
    "roadmask",
    "roadmask.evaluation",
    "roadmask.extend",
    "roadmask.sample_drive",
    "roadmask.testing",
    "roadmask.viewing",
)
DEMOS = sorted(ROOT.glob("demos/*.py"))
PROGRAMS = [*DEMOS, *sorted(ROOT.glob("docs/examples/**/*.py")), *sorted(ROOT.glob("tests/docs/test_own_*.py"))]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
_BLOCK = re.compile(r"^```(?:python|py)\b[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Name and text of every program: demos, examples, and the code blocks of the pages."""
    programs = [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in PROGRAMS if path.exists()]
    for page in PAGES:
        found = _BLOCK.findall(page.read_text(encoding="utf-8"))
        programs += [
            (f"{page.relative_to(ROOT)}:{n}", dedent(text)) for n, text in enumerate(found) if "--8<--" not in text
        ]
    return programs


def names_used(tree: ast.Module) -> set[tuple[str, str]]:
    """(module, name) of everything of roadmask that a program imports or reaches by an attribute of the module."""
    used, bound = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "roadmask":
                    bound[alias.asname or "roadmask"] = "roadmask" if alias.asname is None else alias.name
                    used.add((alias.name, ""))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "roadmask":
            used |= {(node.module or "", alias.name) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            used.add((bound[node.value.id], node.attr))
    return used


@pytest.mark.parametrize(("name", "text"), blocks(), ids=lambda value: value if "\n" not in value else "")
def test_only_public_names_are_used(name: str, text: str) -> None:
    for module, attribute in names_used(ast.parse(text, name)):
        assert module in PUBLIC, f"{name} imports {module}: use a name of {PUBLIC}"
        public = import_module(module)
        if attribute and f"{module}.{attribute}" not in PUBLIC:
            assert attribute in public.__all__, f"{name} uses {module}.{attribute}, which is not public"


@pytest.mark.parametrize("demo", DEMOS, ids=lambda path: path.stem)
def test_a_demo_is_short(demo: Path) -> None:
    assert 30 <= len(demo.read_text(encoding="utf-8").splitlines()) <= 80
