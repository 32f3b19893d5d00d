"""Label sets of a few made-up objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines import RleMasks
from roadmask.training.labels.description import LabelSource
from roadmask.training.labels.records import Label, LabelledImage, Record
from roadmask.training.labels.writing import LabelWriter

SIZE = (60, 80)
WHEN = "2026-05-04T12:00:00+00:00"
MODEL = "model:" + "0f" * 32


def mask_of(x: int = 10, y: int = 10, width: int = 30, height: int = 20, size: tuple[int, int] = SIZE) -> bytes:
    dense = np.zeros((1, *size), bool)
    dense[0, y : y + height, x : x + width] = True
    return RleMasks.from_dense(dense).counts[0]


def ringed(size: tuple[int, int] = SIZE) -> bytes:
    """A mask with a hole and a separate part."""
    dense = np.zeros((1, *size), bool)
    dense[0, 5:45, 5:45] = True
    dense[0, 15:30, 20:32] = False
    dense[0, 40:58, 60:78] = True
    return RleMasks.from_dense(dense).counts[0]


def image_of(frame: int = 0, drive: str = "city", **fields: Any) -> LabelledImage:
    return LabelledImage(drive, frame, **{"size": SIZE, "time_ns": frame * 100_000_000, **fields})


def label_of(frame: int = 0, number: int = 1, drive: str = "city", **fields: Any) -> Label:
    given = {"class_name": "car", "counts": mask_of(), "source": MODEL, "when": WHEN, "score": 0.75, **fields}
    return Label(drive, frame, number, **given)


def made_set(folder: Path, records: Sequence[Record], classes: dict[str, int] | None = None) -> Path:
    """Writes a label set with one source for each drive."""
    with LabelWriter(folder, classes or {"pedestrian": 1, "car": 3}) as writer:
        for drive in sorted({each.drive for each in records}):
            source = LabelSource(drive, licence="CC BY 4.0", recorded_at="2026-05-04T23:30:00+00:00")
            writer.add([each for each in records if each.drive == drive], source)
    return folder


def small_set(folder: Path) -> Path:
    """Two drives, three objects, one of them with a hole and a separate part, and an image without any."""
    records: list[Record] = [image_of(n) for n in range(4)] + [image_of(7, "rain")]
    records += [label_of(n, 1, counts=mask_of(10 + n), score=0.6 + n / 10) for n in range(3)]
    records += [label_of(n, 2, class_name="pedestrian", counts=ringed(), doubt=0.5, why=("gap",)) for n in (1, 2)]
    records += [label_of(7, 1, "rain", counts=mask_of(50, 30, 25, 25))]
    return made_set(folder, records)
