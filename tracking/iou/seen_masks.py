"""The masks of tracks, kept as they came and looked into only where boxes leave a choice.

Drawing and decoding masks takes longer than all the rest of tracking, and most boxes tell enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.masks import BoxMasks, RleMasks, iou_of_pairs

FrameMasks = BoxMasks | RleMasks
"""The masks of the instances of one frame."""


@dataclass(frozen=True, eq=False)
class SeenMasks:
    """T masks out of several frames."""

    frames: NDArray[np.object_]
    """(T,) the `FrameMasks` that each is one of; None where there is none."""
    rows: NDArray[np.int64]
    """(T,) position among them; -1 where there is none."""

    @classmethod
    def of(cls, masks: FrameMasks | None, rows: NDArray[np.int64]) -> SeenMasks:
        """Takes these rows of a frame's masks; -1 for none."""
        frames = np.full(len(rows), None, np.object_)
        if masks is None:
            return cls(frames, np.full(len(rows), -1, np.int64))
        _fill(frames, rows >= 0, masks)
        return cls(frames, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: NDArray[Any]) -> SeenMasks:
        return SeenMasks(self.frames[index], self.rows[index])

    def followed_by(self, other: SeenMasks) -> SeenMasks:
        """Returns the masks of both."""
        return SeenMasks(np.concatenate([self.frames, other.frames]), np.concatenate([self.rows, other.rows]))

    def replaced(self, index: NDArray[np.intp], masks: FrameMasks | None, rows: NDArray[np.int64]) -> SeenMasks:
        """Returns them with those at `index` taken from these rows of another frame's masks."""
        frames, own = self.frames.copy(), self.rows.copy()
        _fill(frames, index, masks)
        own[index] = rows if masks is not None else -1
        return SeenMasks(frames, own)

    def counts(self) -> list[bytes | None]:
        """Returns COCO's compressed run lengths of each, None where there is none."""
        found: list[bytes | None] = [None] * len(self)
        for index, masks in self._by_frame():
            for n, counts in zip(index.tolist(), masks[self.rows[index]].to_rle().counts, strict=True):
                found[n] = counts
        return found

    def iou(
        self, rows: NDArray[np.intp], offsets: NDArray[np.float64], others: FrameMasks, columns: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Returns the (P,) intersection over union with masks of another frame, pair by pair; NaN where there is none.

        Args:
            rows: (P,) positions among these masks.
            offsets: (T, 2) pixels x, y that these are moved by first, rounded to whole ones.
            others: masks of the other frame.
            columns: (P,) positions among those.
        """
        iou = np.full(len(rows), np.nan)
        frames = self._by_frame()
        if not frames:
            return iou
        together = np.concatenate([index for index, _ in frames])
        place = np.full(len(self), -1, np.intp)
        place[together] = np.arange(len(together))
        pairs = np.flatnonzero(place[rows] >= 0)
        parts = [(masks, self.rows[index]) for index, masks in frames]
        iou[pairs] = iou_of_pairs(parts, others, place[rows[pairs]], columns[pairs], offsets[together])
        return iou

    def _by_frame(self) -> list[tuple[NDArray[np.intp], FrameMasks]]:
        """Returns the positions of the masks of each frame, and that frame's masks."""
        places: dict[int, tuple[list[int], FrameMasks]] = {}
        for n, masks in enumerate(self.frames.tolist()):
            if masks is not None:
                places.setdefault(id(masks), ([], masks))[0].append(n)
        return [(np.array(index, np.intp), masks) for index, masks in places.values()]


def _fill(frames: NDArray[np.object_], index: NDArray[Any], masks: FrameMasks | None) -> None:
    """Sets all at `index` to the same object, which NumPy would take for a sequence of masks."""
    holder = np.empty(1, np.object_)
    holder[0] = masks
    frames[index] = holder
