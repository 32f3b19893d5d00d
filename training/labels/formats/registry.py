"""The formats of label sets, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roadmask.engines.errors import InputError, StoreError
from roadmask.engines.files import appearing
from roadmask.training.labels.formats import coco, cvat, darwin, kitti_mots, youtube_vis
from roadmask.training.labels.formats.interchange import ForeignLabels
from roadmask.training.labels.reading import LabelSet


@dataclass(frozen=True)
class LabelFormat:
    """One format."""

    name: str
    write: Callable[[LabelSet, Path], None]
    """Writes a label set to a path that does not exist."""
    read: Callable[[Path, str], ForeignLabels]
    """Reads a path; the second argument is the drive of images whose names have none."""
    suffix: str = ""
    """Suffix of its file; empty if it is a folder."""
    classes: frozenset[str] | None = None
    """Classes that it can hold; None for all. Labels of other classes are neither written nor missed."""
    crowds: bool = True
    """Whether it can hold crowds."""


LABEL_FORMATS = {
    each.name: each
    for each in (
        LabelFormat("coco", coco.write, coco.read, ".json"),
        LabelFormat("cvat", cvat.write, cvat.read, ".xml"),
        LabelFormat("youtube-vis", youtube_vis.write, youtube_vis.read, ".json"),
        LabelFormat(
            "kitti-mots", kitti_mots.write, kitti_mots.read, classes=frozenset({"car", "pedestrian"}), crowds=False
        ),
        LabelFormat("darwin", darwin.write, darwin.read, crowds=False),
    )
}
"""Name -> format."""


def label_format(name: str) -> LabelFormat:
    """Returns a format.

    Raises:
        InputError: there is none of this name.
    """
    if name not in LABEL_FORMATS:
        raise InputError(f"expected a format among {', '.join(LABEL_FORMATS)}, got {name!r}.")
    return LABEL_FORMATS[name]


def export_labels(labels: LabelSet, name: str, out: Path) -> None:
    """Writes a label set in another format; `out` appears when it is complete. Rejected labels are left out.

    Raises:
        InputError: the format is unknown or cannot hold the set, or `out` exists or has another suffix.
        StoreError: it cannot be written.
    """
    chosen = label_format(name)
    if chosen.suffix and out.suffix.lower() != chosen.suffix:
        raise InputError(f"expected a name that ends in {chosen.suffix} for {name}, got {out}.")
    if out.exists():
        raise InputError(f"{out} already exists: choose another name, or remove it first.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with appearing(out) as partial:
            chosen.write(labels, partial)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror}. Free space, or choose another place.") from error
