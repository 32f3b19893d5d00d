"""The masks of tracks, stored as they came and compared only where boxes are ambiguous.

Pasting and decoding masks takes longer than the rest of tracking, and boxes are sufficient for most tracks.
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
    """T masks from several frames."""

    frames: NDArray[np.object_]
    """(T,) `FrameMasks` that contain each mask; None for a track without a mask."""
    rows: NDArray[np.int64]
    """(T,) row of each mask in its `FrameMasks`; -1 for a track without a mask."""

    @classmethod
    def of(cls, masks: FrameMasks | None, rows: NDArray[np.int64]) -> SeenMasks:
        """Returns the masks in some rows of a frame; -1 stands for no mask."""
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
        """Returns these masks and then the others."""
        return SeenMasks(np.concatenate([self.frames, other.frames]), np.concatenate([self.rows, other.rows]))

    def replaced(self, index: NDArray[np.intp], masks: FrameMasks | None, rows: NDArray[np.int64]) -> SeenMasks:
        """Returns these masks with those at `index` replaced by rows of another frame's masks."""
        frames, own = self.frames.copy(), self.rows.copy()
        _fill(frames, index, masks)
        own[index] = rows if masks is not None else -1
        return SeenMasks(frames, own)

    def counts(self) -> list[bytes | None]:
        """Returns the compressed COCO run lengths of each mask; None for a track without a mask."""
        found: list[bytes | None] = [None] * len(self)
        for index, masks in self._by_frame():
            for n, counts in zip(index.tolist(), masks[self.rows[index]].to_rle().counts, strict=True):
                found[n] = counts
        return found

    def iou(
        self, rows: NDArray[np.intp], offsets: NDArray[np.float64], others: FrameMasks, columns: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Returns the (P,) intersection over union with masks of another frame, pair by pair; NaN without a mask.

        Args:
            rows: (P,) rows of these masks.
            offsets: (T, 2) displacements x, y that these masks are moved by first, rounded to whole pixels.
            others: masks of the other frame.
            columns: (P,) rows of `others`.
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
        """Returns for each frame the rows of its masks here, and the masks of that frame."""
        places: dict[int, tuple[list[int], FrameMasks]] = {}
        for n, masks in enumerate(self.frames.tolist()):
            if masks is not None:
                places.setdefault(id(masks), ([], masks))[0].append(n)
        return [(np.array(index, np.intp), masks) for index, masks in places.values()]


def _fill(frames: NDArray[np.object_], index: NDArray[Any], masks: FrameMasks | None) -> None:
    """Sets all elements at `index` to one object, which NumPy would otherwise treat as a sequence."""
    holder = np.empty(1, np.object_)
    holder[0] = masks
    frames[index] = holder
