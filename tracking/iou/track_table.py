"""The tracks that an `IouTracker` follows, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks
from roadmask.tracking.iou.seen_masks import SeenMasks


@dataclass(frozen=True, eq=False)
class TrackTable:
    """T tracks in the order of their ids, as arrays and masks. `to_arrays` returns what is written to disk."""

    ids: NDArray[np.int64]
    """(T,) track ids."""
    category_ids: NDArray[np.int64]
    """(T,) COCO category ids."""
    boxes: NDArray[np.float64]
    """(T, 4) boxes at the last detection, x1, y1, x2, y2 in pixels of the newest image: known camera motion since then
    is applied."""
    extents: NDArray[np.float64]
    """(T, 4) the same with the parts that are believed to be hidden; see `motion.whole_boxes`."""
    seen_centres: NDArray[np.float64]
    """(T, 2) x, y of the box centre at the last detection, in pixels of the image of that detection and its mask."""
    velocities: NDArray[np.float64]
    """(T, 2) velocities of the box centre, x and y in pixels per second."""
    growth: NDArray[np.float64]
    """(T,) relative growth of the height per second; positive for things that approach."""
    drift: NDArray[np.float64]
    """(T, 2) displacement by turns of the camera since the last detection, x and y in pixels."""
    first_seen_ns: NDArray[np.int64]
    """(T,) capture times of the first detection in nanoseconds."""
    last_seen_ns: NDArray[np.int64]
    """(T,) capture times of the last detection in nanoseconds."""
    hits: NDArray[np.int64]
    """(T,) number of frames with a detection."""
    confirmed: NDArray[np.bool_]
    """(T,) whether each track is confirmed."""
    masks: SeenMasks
    """T masks of the last detections."""

    @classmethod
    def empty(cls) -> TrackTable:
        """Returns a table without tracks."""
        integers = np.zeros(0, np.int64)
        return cls(
            ids=integers,
            category_ids=integers,
            boxes=np.zeros((0, 4), np.float64),
            extents=np.zeros((0, 4), np.float64),
            seen_centres=np.zeros((0, 2), np.float64),
            velocities=np.zeros((0, 2), np.float64),
            growth=np.zeros(0, np.float64),
            drift=np.zeros((0, 2), np.float64),
            first_seen_ns=integers,
            last_seen_ns=integers,
            hits=integers,
            confirmed=np.zeros(0, np.bool_),
            masks=SeenMasks.of(None, integers),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: NDArray[Any]) -> TrackTable:
        columns: dict[str, Any] = {name: getattr(self, name)[index] for name in _COLUMNS}
        return TrackTable(**columns)

    def kept(self, mask: NDArray[np.bool_]) -> TrackTable:
        """Returns the rows where `mask` is true; the table itself if that is all of them, as in most frames."""
        return self if mask.all() else self[mask]

    def followed_by(self, other: TrackTable) -> TrackTable:
        """Returns the rows of this table and then those of the other."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS[:-1]
        }
        return TrackTable(**columns, masks=self.masks.followed_by(other.masks))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns the table as named arrays; masks are concatenated run lengths and their byte counts (-1: none)."""
        counts = self.masks.counts()
        arrays: dict[str, NDArray[np.generic]] = {name: getattr(self, name) for name in _COLUMNS[:-1]}
        arrays["mask_lengths"] = np.array([-1 if each is None else len(each) for each in counts], np.int64)
        arrays["mask_bytes"] = np.frombuffer(b"".join(each or b"" for each in counts), np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], image_size: tuple[int, int] | None) -> TrackTable:
        """Returns the table that `to_arrays` was called on.

        Args:
            arrays: arrays of the table.
            image_size: height and width of the masks' images in pixels; None if there is no mask.

        Raises:
            InputError: an array is missing, or has the wrong type or shape.
        """
        empty, count = cls.empty().to_arrays(), len(arrays.get("ids", ()))
        for name, like in empty.items():
            got = arrays.get(name)
            tail = like.shape[1:]
            if got is None or got.dtype != like.dtype or got.shape[1:] != tail or got.ndim != like.ndim:
                raise InputError(
                    f"expected the state of a tracker with {name} as {like.dtype} (T, *{tail}), got {got!r}."
                )
            if name != "mask_bytes" and len(got) != count:
                raise InputError(f"expected a state of {count} tracks, got {len(got)} values of {name}.")
        lengths = np.asarray(arrays["mask_lengths"])
        ends = np.cumsum(np.maximum(lengths, 0))
        data = np.asarray(arrays["mask_bytes"]).tobytes()
        if (ends[-1] if count else 0) != len(data):
            raise InputError(f"expected a state with {int(lengths.clip(0).sum())} bytes of masks, got {len(data)}.")
        known = np.flatnonzero(lengths >= 0)
        if len(known) and image_size is None:
            raise InputError("expected a state with the size of the image that its masks belong to, got none.")
        rows = np.full(count, -1, np.int64)
        rows[known] = np.arange(len(known))
        counts = tuple(data[ends[n] - lengths[n] : ends[n]] for n in known.tolist())
        masks = RleMasks(counts, image_size) if image_size is not None else None
        columns: dict[str, Any] = {name: np.array(arrays[name]) for name in empty if not name.startswith("mask_")}
        return cls(**columns, masks=SeenMasks.of(masks, rows))


_COLUMNS = tuple(field.name for field in fields(TrackTable))
