"""Consolidated metadata: the metadata of a whole store in its root, where xarray and zarr look first.

xarray then opens a drive from a single file, and does not warn about files that are not part of Zarr. The next commit
would make it out of date, so a store has it only while nobody writes: it is written when a run ends, and removed when a
run is resumed. roadmask itself reads the own metadata of each group.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import zarr

from roadmask.engines.errors import StoreCorruptError
from roadmask.streaming.store.files import DurableStore
from roadmask.streaming.store.layout import METADATA

_KEY = "consolidated_metadata"


def consolidate(path: Path) -> None:
    """Writes the consolidated metadata of a store, unless it has them.

    Raises:
        StoreCorruptError: metadata of the store cannot be read.
        StoreError: the store cannot be written.
    """
    if _KEY in _root(path):
        return
    try:
        with warnings.catch_warnings():
            # zarr warns that they are not part of the specification, and that provenance.jsonl is not part of Zarr.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(DurableStore(path), zarr_format=3)
    except (LookupError, OSError, TypeError, ValueError) as error:
        raise StoreCorruptError(f"cannot read the metadata of {path}: {error!r}. Run `roadmask check`.") from error


def remove_consolidated(path: Path) -> None:
    """Removes the consolidated metadata of a store before it is written again.

    Raises:
        StoreCorruptError: the metadata of the root cannot be read.
        StoreError: the store cannot be written.
    """
    root = _root(path)
    if root.pop(_KEY, None) is not None:
        DurableStore(path).write_file(METADATA, json.dumps(root, indent=2).encode())


def outdated_metadata(path: Path) -> list[Path]:
    """Returns the metadata files of groups and arrays that differ from the consolidated metadata.

    Raises:
        StoreCorruptError: the metadata of the root cannot be read.
    """
    consolidated = _root(path).get(_KEY)
    if consolidated is None:
        return []
    differing = []
    for name, node in consolidated["metadata"].items():
        try:
            own = json.loads((path / name / METADATA).read_text(encoding="utf-8"))
            same = all(node.get(key) == value for key, value in own.items())
        except (OSError, ValueError, AttributeError):
            same = False
        if not same:
            differing.append(Path(name, METADATA))
    return differing


def _root(path: Path) -> dict[str, Any]:
    try:
        root: dict[str, Any] = json.loads((path / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreCorruptError(f"cannot read {path / METADATA}: {error}. Restore it from a copy.") from error
    return root
