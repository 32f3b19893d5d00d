"""Masks, in the two forms that roadmask uses, behind one small interface.

`BoxMasks` is the output of the network: a 28 x 28 grid of probabilities inside each box. `RleMasks` is exact: COCO's
compressed run lengths over the whole image, kept byte for byte as they were read. Both have `area`, `iou`, `to_rle`,
`translated` and indexing. Only `RleMasks.dense` makes dense images, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.engines.errors import InstancesError
from roadmask.engines.paste import paste
from roadmask.engines.run_lengths import Crop, Spans, decode, encode, join, shared_pixels, spans_of_columns

MASK_SIDE = 28
"""Number of rows and columns of the grid that Mask R-CNN predicts inside each box."""
MASK_THRESHOLD = 0.5
"""A pixel is inside a mask if its probability is at least this, as in torchvision's documentation (mask >= 0.5)."""


@dataclass(frozen=True, eq=False)
class RleMasks:
    """Exact masks as COCO compressed run lengths.

    The run lengths are checked when they are first decoded, so that keeping and writing masks costs nothing. Call
    `validate` on run lengths of unknown origin.

    Raises:
        InstancesError: the counts are not bytes.
    """

    counts: tuple[bytes, ...]
    """Run lengths of N masks as COCO compresses them: column by column over the whole image."""
    image_size: tuple[int, int]
    """Height and width of the image in pixels."""

    def __post_init__(self) -> None:
        if not all(isinstance(counts, bytes) for counts in self.counts):
            raise InstancesError(
                "expected run lengths as bytes in COCO's compressed form, got another type: use RleMasks.from_coco."
            )

    @classmethod
    def from_coco(cls, counts: Iterable[bytes | str], image_size: tuple[int, int]) -> RleMasks:
        """Reads compressed run lengths of unknown origin, such as a file; they are kept byte for byte.

        Args:
            counts: compressed run lengths of each mask, as bytes or text.
            image_size: height and width of the image in pixels.

        Raises:
            InstancesError: run lengths are malformed, or those of another image size; the message names the mask.
        """
        try:
            given = tuple(each.encode("ascii") if isinstance(each, str) else each for each in counts)
        except UnicodeEncodeError as error:
            raise InstancesError(
                "expected run lengths in COCO's compressed form, got text that is not ASCII: pass the counts unchanged."
            ) from error
        masks = cls(given, image_size)
        masks.validate()
        return masks

    @classmethod
    def from_dense(cls, dense: NDArray[Any], image_size: tuple[int, int] | None = None) -> RleMasks:
        """Encodes masks given as images.

        Args:
            dense: (N, H, W) of any type, non-zero inside.
            image_size: height and width that the masks must have; not checked if None.

        Raises:
            InstancesError: the masks have another shape.
        """
        if dense.ndim != 3 or (image_size is not None and dense.shape[1:] != image_size):
            height, width = image_size or ("H", "W")
            raise InstancesError(f"expected masks as (N, {height}, {width}), got {dense.shape}.")
        image_size = (dense.shape[1], dense.shape[2])
        parts = []
        for image in dense:
            column, top, bottom = spans_of_columns(image.T != 0)
            parts.append((column * image_size[0] + top, column * image_size[0] + bottom))
        return cls._from_spans(join(parts), image_size)

    @classmethod
    def _from_spans(cls, spans: Spans, image_size: tuple[int, int]) -> RleMasks:
        masks = cls(encode(spans, image_size), image_size)
        masks.__dict__["_spans"] = spans  # known already: fills the cached property
        return masks

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: slice | NDArray[Any]) -> RleMasks:
        chosen = np.arange(len(self))[index]
        masks = RleMasks(tuple(self.counts[i] for i in chosen), self.image_size)
        if "_spans" in self.__dict__:
            masks.__dict__["_spans"] = self._spans.picked(chosen)
        return masks

    @property
    def coco(self) -> list[dict[str, Any]]:
        """The masks in the form of pycocotools, which reads past the end of malformed ones: call `validate` first."""
        return [{"size": list(self.image_size), "counts": counts} for counts in self.counts]

    @cached_property
    def _spans(self) -> Spans:
        return decode(self.counts, self.image_size)

    def validate(self) -> None:
        """Checks that every mask is well-formed and fills the image.

        Raises:
            InstancesError: one is not; the message names it.
        """
        _ = self._spans

    def dense(self) -> Iterator[NDArray[np.bool_]]:
        """Yields each mask as an (H, W) bool image.

        Raises:
            InstancesError: as `validate`.
        """
        for mask in range(len(self)):
            image = np.zeros(self.image_size, np.bool_)
            crop = self.crop(mask)
            image[crop.region] = crop.inside
            yield image

    def crop(self, mask: int) -> Crop:
        """Returns one mask, cropped to the part of the image that it covers.

        Raises:
            InstancesError: as `validate`.
        """
        return self._spans.crop(mask, self.image_size[0])

    def to_rle(self) -> RleMasks:
        """Returns these masks."""
        return self

    @property
    def area(self) -> NDArray[np.int64]:
        """(N,) number of pixels inside each mask.

        Raises:
            InstancesError: as `validate`.
        """
        return self._spans.area

    def iou(self, other: RleMasks | BoxMasks) -> NDArray[np.float64]:
        """Returns the (N, M) intersection over union with other masks of the same image; 0 where both are empty.

        Raises:
            InstancesError: the image sizes differ, or as `validate`.
        """
        return self._compare(other, over_own_area=False)

    def share_inside(self, regions: RleMasks | BoxMasks) -> NDArray[np.float64]:
        """Returns the (N, M) share of each mask that lies inside each region; 0 for empty masks.

        Raises:
            InstancesError: the image sizes differ, or as `validate`.
        """
        return self._compare(regions, over_own_area=True)

    def _compare(self, other: RleMasks | BoxMasks, *, over_own_area: bool) -> NDArray[np.float64]:
        theirs = other.to_rle()
        if theirs.image_size != self.image_size:
            raise InstancesError(f"expected masks of an image of {self.image_size}, got {theirs.image_size}.")
        if not len(self) or not len(theirs):
            return np.zeros((len(self), len(theirs)))
        self.validate()
        theirs.validate()
        # For what COCO calls a crowd, the intersection is divided by the area of the first mask alone.
        shares = np.asarray(coco_mask.iou(self.coco, theirs.coco, [over_own_area] * len(theirs)), np.float64)
        return np.nan_to_num(shares, nan=0.0)

    def translated(self, offsets: NDArray[Any]) -> RleMasks:
        """Returns the masks moved by (N, 2) pixels x, y, rounded to whole pixels; parts outside the image are cut off.

        Raises:
            InstancesError: an offset is not finite, or as `validate`.
        """
        moved = self._spans.moved(_whole(offsets, self.image_size), self.image_size)
        return RleMasks._from_spans(moved, self.image_size)


@dataclass(frozen=True, eq=False)
class BoxMasks:
    """Masks as the network predicts them: probabilities on a grid inside each box.

    Raises:
        InstancesError: shapes or types differ from what is stated below, or a value is not finite.
    """

    probabilities: NDArray[np.float32]
    """(N, 28, 28) probabilities, 0 to 1."""
    boxes: NDArray[np.float32]
    """(N, 4) x1, y1, x2, y2 in pixels of the image."""
    image_size: tuple[int, int]
    """Height and width of the image in pixels."""

    def __post_init__(self) -> None:
        count = len(self.boxes)
        for name, shape in (("boxes", (count, 4)), ("probabilities", (count, MASK_SIDE, MASK_SIDE))):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32:
                raise InstancesError(f"expected {name} as float32 {shape}, got {array.dtype} {array.shape}.")
            if not np.isfinite(array).all():
                raise InstancesError(
                    f"{name} of masks must be finite, got NaN or infinity: drop those instances first."
                )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: slice | NDArray[Any]) -> BoxMasks:
        masks = BoxMasks(self.probabilities[index], self.boxes[index], self.image_size)
        if "_rle" in self.__dict__:
            masks.__dict__["_rle"] = self._rle[index]
            masks.__dict__["_spans"] = masks._rle._spans
        elif "_spans" in self.__dict__:
            masks.__dict__["_spans"] = self._spans.picked(np.arange(len(self))[index])
        return masks

    @cached_property
    def _spans(self) -> Spans:
        return paste(self.probabilities, self.boxes, self.image_size, MASK_THRESHOLD)

    @cached_property
    def _rle(self) -> RleMasks:
        return RleMasks._from_spans(self._spans, self.image_size)

    def to_rle(self) -> RleMasks:
        """Returns the masks pasted into the image as torchvision does, as run lengths; computed once."""
        return self._rle

    @property
    def area(self) -> NDArray[np.int64]:
        """(N,) number of pixels inside each mask."""
        return self._rle.area

    def iou(self, other: RleMasks | BoxMasks) -> NDArray[np.float64]:
        """Returns the (N, M) intersection over union with other masks of the same image; 0 where both are empty.

        Raises:
            InstancesError: the image sizes differ.
        """
        return self._rle.iou(other)

    def translated(self, offsets: NDArray[Any]) -> BoxMasks:
        """Returns the masks moved by (N, 2) pixels x, y; parts outside the image are cut off.

        Raises:
            InstancesError: an offset is not finite.
        """
        boxes = (self.boxes + np.tile(offsets, 2)).astype(np.float32)
        return BoxMasks(self.probabilities, boxes, self.image_size)


def _whole(offsets: NDArray[Any], image_size: tuple[int, int]) -> NDArray[np.int64]:
    if not np.isfinite(offsets).all():
        raise InstancesError("expected finite offsets in pixels, got NaN or infinity.")
    height, width = image_size
    whole: NDArray[np.int64] = np.rint(np.clip(offsets, (-width, -height), (width, height))).astype(np.int64)
    return whole


def iou_of_pairs(
    parts: Sequence[tuple[RleMasks | BoxMasks, NDArray[np.integer[Any]]]],
    others: RleMasks | BoxMasks,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    offsets: NDArray[Any],
) -> NDArray[np.float64]:
    """Returns the (P,) intersection over union of moved masks with other masks, pair by pair; 0 where both are empty.

    All masks of a frame are pasted or decoded at once and kept in that form: this costs little more than one of them,
    and a tracker and a store need most of them anyway.

    Args:
        parts: masks of one or more frames whose images have one size, each with the positions of the masks to select,
            N in all.
        others: M masks of another such frame.
        rows: (P,) positions among the selected masks, from 0 to N - 1.
        columns: (P,) positions among the other masks, from 0 to M - 1.
        offsets: (N, 2) pixels x, y by which each selected mask is moved first, rounded to whole pixels.

    Raises:
        InstancesError: the image sizes differ, or an offset is not finite.
    """
    size = others.image_size
    for masks, _ in parts:
        if masks.image_size != size:
            raise InstancesError(f"expected masks of an image of {size}, got {masks.image_size}.")
    spans = Spans.joined([masks._spans.picked(meant) for masks, meant in parts]).moved(_whole(offsets, size), size)
    theirs = others._spans
    shared = shared_pixels(spans, theirs, rows, columns)
    union = spans.area[rows] + theirs.area[columns] - shared
    iou: NDArray[np.float64] = shared / np.maximum(union, 1)
    return iou
