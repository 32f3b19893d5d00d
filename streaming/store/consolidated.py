"""The metadata of a whole store in its root, where xarray and zarr look first.

With it xarray opens a drive from one file, and without asking what the other files in it are. It would be out of date
with the next commit, so a store has it only while nobody writes: it is written when a run ends, and removed when one is
resumed. roadmask itself reads each group's own metadata.
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
    """Writes the metadata of everything in a store into its root, unless it is there.

    Raises:
        StoreError: the store cannot be written.
    """
    if _KEY in _root(path):
        return
    try:
        with warnings.catch_warnings():
            # zarr says that it is not part of the specification yet, and that it does not know provenance.jsonl.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(DurableStore(path), zarr_format=3)
    except (LookupError, OSError, TypeError, ValueError) as error:
        raise StoreCorruptError(f"cannot read the metadata of {path} back: {error!r}. Run `roadmask check`.") from error


def remove_consolidated(path: Path) -> None:
    """Takes that metadata out again.

    Raises:
        StoreError: the store cannot be written.
    """
    root = _root(path)
    if root.pop(_KEY, None) is not None:
        DurableStore(path).write_file(METADATA, json.dumps(root, indent=2).encode())


def outdated_metadata(path: Path) -> list[Path]:
    """Returns the files of a store's groups and arrays that say something else than its consolidated metadata.

    Raises:
        StoreCorruptError: the root's metadata cannot be read.
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
