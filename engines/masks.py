"""Masks, in the two forms roadmask keeps them in, behind one small interface.

`BoxMasks` is what the network says: a 28 x 28 grid of probabilities inside each box. `RleMasks` is exact: COCO's
compressed run lengths over the whole picture, kept byte for byte as they were read. Both know `area`, `iou`,
`to_rle`, `translated` and indexing. Nothing here ever holds N dense pictures at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.engines.errors import InstancesError

MASK_SIDE = 28
"""Side of the grid that Mask R-CNN predicts inside each box."""
MASK_THRESHOLD = 0.5
"""A pixel belongs to the instance where its probability is above or equal to this, as in torchvision's demo code."""


@dataclass(frozen=True, eq=False)
class RleMasks:
    """Exact masks as COCO compressed run lengths.

    Raises:
        InstancesError: the counts are not bytes.
    """

    counts: tuple[bytes, ...]
    """N run lengths as COCO compresses them: column by column over the whole picture."""
    image_size: tuple[int, int]
    """Height and width of the picture."""

    def __post_init__(self) -> None:
        if not all(isinstance(counts, bytes) for counts in self.counts):
            raise InstancesError("expected run lengths as bytes in COCO's compressed form; encode str as ascii first.")

    @classmethod
    def from_dense(cls, dense: NDArray[Any], image_size: tuple[int, int]) -> RleMasks:
        """Encodes (N, H, W) masks, non-zero inside."""
        columns = np.asfortranarray(np.moveaxis(dense != 0, 0, -1).astype(np.uint8))
        return cls(tuple(rle["counts"] for rle in coco_mask.encode(columns)), image_size)

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: slice | NDArray[Any]) -> RleMasks:
        if isinstance(index, slice):
            return RleMasks(self.counts[index], self.image_size)
        chosen = np.arange(len(self))[index]
        return RleMasks(tuple(self.counts[i] for i in chosen), self.image_size)

    @property
    def coco(self) -> list[dict[str, Any]]:
        """The masks as pycocotools takes them."""
        return [{"size": list(self.image_size), "counts": counts} for counts in self.counts]

    def dense(self) -> Iterator[NDArray[np.bool_]]:
        """Yields one (H, W) bool picture after the other."""
        for rle in self.coco:
            yield coco_mask.decode(rle).astype(bool)

    def to_rle(self) -> RleMasks:
        """Returns itself."""
        return self

    @cached_property
    def area(self) -> NDArray[np.int64]:
        """(N,) pixels inside each mask."""
        return np.asarray(coco_mask.area(self.coco), np.int64).reshape(-1)

    def iou(self, other: RleMasks | BoxMasks) -> NDArray[np.float64]:
        """Returns the (N, M) intersection over union with other masks of the same picture size; 0 for empty ones."""
        theirs = other.to_rle()
        if not len(self) or not len(theirs):
            return np.zeros((len(self), len(theirs)))
        return np.asarray(coco_mask.iou(self.coco, theirs.coco, [0] * len(theirs)))

    def translated(self, offsets: NDArray[Any]) -> RleMasks:
        """Returns the masks moved by (N, 2) pixels x, y, rounded; what leaves the picture is cut off."""
        height, width = self.image_size
        moved = []
        for dense, (dx, dy) in zip(self.dense(), np.rint(offsets), strict=True):
            step = np.float32([[1, 0, dx], [0, 1, dy]])
            moved.append(cv2.warpAffine(dense.astype(np.uint8), step, (width, height), flags=cv2.INTER_NEAREST))
        stack = np.stack(moved) if moved else np.zeros((0, height, width), np.uint8)
        return RleMasks.from_dense(stack, self.image_size)


@dataclass(frozen=True, eq=False)
class BoxMasks:
    """Masks as the network gives them: probabilities on a grid inside each box.

    Raises:
        InstancesError: shapes or types differ from what is stated below.
    """

    probabilities: NDArray[np.float32]
    """(N, 28, 28), 0 to 1."""
    boxes: NDArray[np.float32]
    """(N, 4) x1, y1, x2, y2 in pixels."""
    image_size: tuple[int, int]
    """Height and width of the picture."""

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.probabilities.shape != (count, MASK_SIDE, MASK_SIDE) or self.probabilities.dtype != np.float32:
            raise InstancesError(
                f"expected probabilities as float32 ({count}, {MASK_SIDE}, {MASK_SIDE}), "
                f"got {self.probabilities.dtype} {self.probabilities.shape}."
            )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: slice | NDArray[Any]) -> BoxMasks:
        return BoxMasks(self.probabilities[index], self.boxes[index], self.image_size)

    @cached_property
    def _rle(self) -> RleMasks:
        counts: list[bytes] = []
        height, width = self.image_size
        for probabilities, box in zip(self.probabilities, self.boxes, strict=True):
            dense = np.zeros((height, width, 1), np.uint8, order="F")
            _paste(probabilities, box, dense[:, :, 0])
            counts.append(coco_mask.encode(dense)[0]["counts"])
        return RleMasks(tuple(counts), self.image_size)

    def to_rle(self) -> RleMasks:
        """Pastes each mask into the picture as torchvision does and encodes it; computed once."""
        return self._rle

    @property
    def area(self) -> NDArray[np.int64]:
        """(N,) pixels inside each mask."""
        return self._rle.area

    def iou(self, other: RleMasks | BoxMasks) -> NDArray[np.float64]:
        """Returns the (N, M) intersection over union with other masks of the same picture size; 0 for empty ones."""
        return self._rle.iou(other)

    def translated(self, offsets: NDArray[Any]) -> BoxMasks:
        """Returns the masks moved by (N, 2) pixels x, y; what leaves the picture is cut off."""
        boxes = (self.boxes + np.tile(offsets, 2)).astype(np.float32)
        return BoxMasks(self.probabilities, boxes, self.image_size)


def _paste(probabilities: NDArray[np.float32], box: NDArray[np.float32], picture: NDArray[np.uint8]) -> None:
    """Draws one mask into an (H, W) picture, with the padding and rounding of torchvision's paste_masks_in_image."""
    height, width = picture.shape
    padded = np.pad(probabilities, 1)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * (MASK_SIDE + 2) / MASK_SIDE
    x1, y1 = (centre - half).astype(np.int64)
    x2, y2 = (centre + half).astype(np.int64)
    grid = cv2.resize(padded, (max(int(x2 - x1 + 1), 1), max(int(y2 - y1 + 1), 1)), interpolation=cv2.INTER_LINEAR)
    top, left, bottom, right = max(y1, 0), max(x1, 0), min(y2 + 1, height), min(x2 + 1, width)
    if top < bottom and left < right:
        picture[top:bottom, left:right] = grid[top - y1 : bottom - y1, left - x1 : right - x1] >= MASK_THRESHOLD
