"""What lies where in a store. The writer, the reader and the check all go by this page.

::

    drive.zarr/                    attributes: schema_version, roadmask_version, class_names, engine, sources, config
      provenance.jsonl             wall clock, host, command: all that differs between two equal runs
      <camera>/                    attributes: committed = {epoch: {frames, instances, rle_bytes}}, dropped, failed,
                                   removed = frames of whole epochs that were taken out again, if any
        ledger/                    attributes: captured, stored, dropped, failed; written when the camera is closed
        <epoch>/                   attributes: image_size, clock, info
          id_map                   uint32 (T, H, W)  track id per pixel, 0 = none
          frames/frame_index       int64  (T,)       capture count of the camera
          frames/timestamp_ns      int64  (T,)
          frames/state             uint8  (T,)       `FrameState`
          instances/offsets        int64  (T + 1,)   instances of frame t: offsets[t]:offsets[t + 1]
          instances/box            float32 (N, 4)    x1, y1, x2, y2
          instances/score          float32 (N,)
          instances/category_id          int32  (N,)       COCO category id
          instances/track_id       int64  (N,)       0 = no track
          instances/state          uint8  (N,)       `TrackState`
          instances/area           int64  (N,)       pixels of the mask
          instances/rle_offsets    int64  (N + 1,)   run lengths of instance n: rle[rle_offsets[n]:rle_offsets[n + 1]]
          instances/rle            uint8  (B,)       COCO's compressed run lengths, one after the other

Arrays may hold more than `committed` says while a camera is being written; what lies beyond it does not count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines.errors import InputError, StoreCorruptError
from roadmask.streaming.frames import Clock
from roadmask.streaming.redaction import redact_json

SCHEMA_VERSION = 1
"""Raised whenever an older reader would misread a newer store."""
PROVENANCE = "provenance.jsonl"
METADATA = "zarr.json"
LEDGER = "ledger"

ROWS_PER_CHUNK = 8192
"""Rows of the small arrays in one file: 64 KiB of int64."""
RLE_CHUNK = 4096
"""Bytes of run lengths that are read together: one or two frames of a busy street."""
RLE_SHARD = 256 * RLE_CHUNK
"""Bytes of run lengths in one file."""

MAX_SIDE = 2**16
"""No image is as wide or high; a damaged size must not allocate the memory of one."""


class FrameState(IntEnum):
    """What became of a frame that has a place in the store."""

    STORED = 1
    """Its tracks are stored. Dropped and failed frames have no place, only a count in the ledger."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of an epoch."""

    dtype: str
    """NumPy's name of the type."""
    rows: str
    """What its first axis counts: frames, instances or rle_bytes."""
    extra: int = 0
    """Rows beyond that count: 1 where the rows are the edges between items."""
    tail: tuple[int, ...] = ()
    """Shape behind the first axis; the image size for labels."""


ARRAYS: dict[str, ArraySpec] = {
    "id_map": ArraySpec("uint32", "frames"),
    "frames/frame_index": ArraySpec("int64", "frames"),
    "frames/timestamp_ns": ArraySpec("int64", "frames"),
    "frames/state": ArraySpec("uint8", "frames"),
    "instances/offsets": ArraySpec("int64", "frames", extra=1),
    "instances/box": ArraySpec("float32", "instances", tail=(4,)),
    "instances/score": ArraySpec("float32", "instances"),
    "instances/category_id": ArraySpec("int32", "instances"),
    "instances/track_id": ArraySpec("int64", "instances"),
    "instances/state": ArraySpec("uint8", "instances"),
    "instances/area": ArraySpec("int64", "instances"),
    "instances/rle_offsets": ArraySpec("int64", "instances", extra=1),
    "instances/rle": ArraySpec("uint8", "rle_bytes"),
}
"""Path below the epoch -> what lies there."""


@dataclass(frozen=True)
class Extent:
    """How much of an epoch is committed."""

    frames: int = 0
    instances: int = 0
    rle_bytes: int = 0

    def rows(self, spec: ArraySpec) -> int:
        """Returns how many rows of an array are committed."""
        return int(getattr(self, spec.rows)) + spec.extra

    def to_dict(self) -> dict[str, int]:
        """Returns plain data."""
        return {"frames": self.frames, "instances": self.instances, "rle_bytes": self.rle_bytes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Extent:
        """Reads what `to_dict` wrote.

        Raises:
            StoreCorruptError: a count is missing or negative.
        """
        try:
            counts = [data[name] for name in ("frames", "instances", "rle_bytes")]
        except (KeyError, TypeError) as error:
            raise StoreCorruptError(
                f"expected committed counts of frames, instances, rle_bytes; got {data}."
            ) from error
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise StoreCorruptError(f"expected committed counts from 0 up, got {data}.")
        return cls(*counts)


@dataclass(frozen=True)
class EpochInfo:
    """What holds for a whole epoch: a stretch of one camera with one resolution, rotation and clock."""

    epoch: int
    """From 0."""
    image_size: tuple[int, int]
    """Height and width in pixels."""
    clock: Clock
    """What timestamps count from."""
    info: dict[str, Any] = field(default_factory=dict)
    """What else the source says: rotation, file, frame rate."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data; the epoch itself is the name of its folder."""
        return {"clock": self.clock, "image_size": list(self.image_size), "info": self.info}

    @classmethod
    def from_dict(cls, epoch: int, data: Mapping[str, Any]) -> EpochInfo:
        """Reads what `to_dict` wrote.

        Raises:
            StoreCorruptError: something is missing or of another type.
        """
        match data:
            case {"image_size": [int(height), int(width)], "clock": "media" | "unix" | "monotonic", "info": dict(info)}:
                if 0 < height < MAX_SIDE and 0 < width < MAX_SIDE:
                    return cls(epoch, (height, width), data["clock"], info)
        raise StoreCorruptError(f"expected image_size, clock and info of epoch {epoch}, got {dict(data)}.")


def row_shape(name: str, image_size: tuple[int, int]) -> tuple[int, ...]:
    """Returns the shape of one row of an array."""
    return image_size if name == "id_map" else ARRAYS[name].tail


def rows_per_file(name: str, shard_frames: int) -> int:
    """Returns how many rows of an array share a file."""
    return {"id_map": shard_frames, "instances/rle": RLE_SHARD}.get(name, ROWS_PER_CHUNK)


def plain(value: Any, what: str) -> Any:
    """Returns JSON data with sorted keys, so that equal runs write equal bytes, and without credentials.

    Raises:
        InputError: there is something in it that JSON does not know.
    """
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False, default=_to_json)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected {what} as plain JSON data, got {value!r}: {error}.") from error
    return redact_json(json.loads(text))


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not plain data")


def read_attributes(folder: Path) -> dict[str, Any]:
    """Reads the attributes of a Zarr group: plain JSON, and one file, so it is always of one piece.

    Raises:
        StoreCorruptError: the file is missing or is no group's.
    """
    path = folder / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreCorruptError(f"cannot read {path}: {error}. Restore it from a copy.") from error
    attributes = metadata.get("attributes") if isinstance(metadata, dict) else None
    if not isinstance(attributes, dict) or metadata.get("zarr_format") != 3 or metadata.get("node_type") != "group":
        raise StoreCorruptError(f"{path}: expected the attributes of a Zarr v3 group, got something else.")
    return attributes
