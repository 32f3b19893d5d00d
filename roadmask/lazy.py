"""Lazy imports: a package offers names whose modules are imported when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the `__getattr__` and `__dir__` of a package that imports some of its names lazily.

    The package lists all its names in `__all__` and imports the lazy ones under `TYPE_CHECKING`, so that static tools
    see them; `tests/test_facade.py` checks that the three agree::

        __getattr__, __dir__ = lazy_names(__name__, {"roadmask.tracking": ["IouTracker"]})

    Args:
        package: full name of the package, its `__name__`.
        homes: full name of a module -> names that are imported from it.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home_of[name]), name)

    def names() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, names
