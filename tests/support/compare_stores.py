"""Compares the bytes of two stores."""

from __future__ import annotations

import filecmp
from pathlib import Path

from roadmask.engines.errors import InputError
from roadmask.streaming.store.layout import PROVENANCE


def differing_files(one: Path, other: Path) -> list[str]:
    """Compares two stores, or two cameras, file by file.

    Returns:
        The files that differ or that only one of them has, relative to the folders, in alphabetical order. The
        provenance (when, where, by which command) is left out, since it differs between equal runs.

    Raises:
        InputError: a path is not a folder.
    """
    for folder in (one, other):
        if not folder.is_dir():
            raise InputError(f"expected a store or a camera of a store at {folder}, found no folder: check the path.")
    files = {
        path.relative_to(folder)
        for folder in (one, other)
        for path in folder.rglob("*")
        if path.is_file() and path.name != PROVENANCE
    }
    _, different, missing = filecmp.cmpfiles(one, other, [str(path) for path in files], shallow=False)
    return sorted(different + missing)
