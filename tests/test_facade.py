"""`import roadmask`: what it offers, that its three lists of names agree, and that it costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import roadmask

LAZY_PACKAGES = [
    "roadmask",
    "roadmask.engines",
    "roadmask.evaluation",
    "roadmask.extend",
    "roadmask.streaming.sources",
    "roadmask.streaming.store",
    "roadmask.testing",
]


def isort_style(name: str) -> tuple[int, str]:
    """Constants, classes, functions, each in alphabetical order, as ruff sorts `__all__`."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def tree_of(package: str) -> ast.Module:
    return ast.parse(Path(import_module(package).__file__ or "").read_text(encoding="utf-8"))


def table_of(package: str) -> dict[str, str]:
    """Name -> module, as the call of `lazy_names` has it."""
    calls = [node for node in ast.walk(tree_of(package)) if isinstance(node, ast.Call)]
    [table] = [ast.literal_eval(c.args[1]) for c in calls if isinstance(c.func, ast.Name) and c.func.id == "lazy_names"]
    return {name: module for module, names in table.items() for name in names}


def type_checking_imports_of(package: str) -> dict[str, str]:
    """Name -> module, as static tools see it."""
    blocks = [node for node in tree_of(package).body if isinstance(node, ast.If)]
    [block] = [node for node in blocks if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_all_is_sorted_and_every_name_resolves(package: str) -> None:
    module = import_module(package)
    assert module.__all__ == sorted(module.__all__, key=isort_style)
    assert len(set(module.__all__)) == len(module.__all__)
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None, name


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_table_type_checking_imports_and_all_agree(package: str) -> None:
    table = table_of(package)
    assert table == type_checking_imports_of(package)
    assert set(table) <= set(import_module(package).__all__)


def test_the_facade_imports_every_name_lazily() -> None:
    assert set(table_of("roadmask")) == set(roadmask.__all__) - {"__version__"}


def test_a_newcomer_can_read_all_names_at_once() -> None:
    assert len(roadmask.__all__) <= 30


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'roadmask' has no attribute 'Pipelines'"):
        _ = roadmask.Pipelines  # type: ignore[attr-defined]


def test_importing_it_loads_nothing_but_the_standard_library() -> None:
    program = """
import sys
before = set(sys.modules)
import roadmask
loaded = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(*sorted(loaded))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.split() == ["roadmask"]
