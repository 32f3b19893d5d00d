"""What lies where in a store. The writer, the reader and the check all go by this page.

::

    drive.zarr/                    attributes: schema_version, roadmask_version, class_names, engine, sources, config
      provenance.jsonl             wall clock, host, command: all that differs between two equal runs
      <camera>/                    attributes: committed = {epoch: {frames, instances, rle_bytes}}, dropped, failed,
                                   removed = frames of whole epochs that were removed again, if any,
                                   recording_start = wall clock of time 0 of the media clock, where the source states it
        ledger/                    attributes: captured, stored, dropped, failed; written when the camera is closed
        <epoch>/                   attributes: image_size, clock, info
          id_map, frames/*, instances/*    the arrays of `ARRAYS`

T frames, N instances, B bytes of run lengths: the instances of frame t are offsets[t]:offsets[t + 1], the run lengths
of instance n are rle[rle_offsets[n]:rle_offsets[n + 1]]. Arrays may hold more than `committed` says while a camera is
being written; what lies beyond it does not count.

Every array names its dimensions, so that xarray opens each group and the whole. No dimension shares its name with an
array, which would become its index, and no array with a group. While nobody writes, the root's metadata also holds that
of everything below it (`consolidated_metadata`), which is what xarray looks for first; roadmask does not read it.
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

SCHEMA_VERSION = 2
"""Raised whenever an older reader would misread a newer store; a new optional array does not raise it."""
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
    dims: tuple[str, ...]
    """Names of its dimensions: one of `Extent.sizes`, then some of y, x and corner."""
    meaning: str
    """What a value says, with its unit; stored as the attribute `long_name`."""
    owner: str = "store.rows"
    """Module of `roadmask.streaming` that makes its values."""
    since: str = "0.1"
    """Release of roadmask that first wrote it."""
    required: bool = True
    """Whether every epoch has it. A reader goes on without an optional one, and past one that it does not know."""


ARRAYS: dict[str, ArraySpec] = {
    "id_map": ArraySpec("uint32", ("frame", "y", "x"), "track id of each pixel, 0 = none", "store.id_map"),
    "frames/frame_index": ArraySpec("int64", ("frame",), "capture count of the camera"),
    "frames/timestamp_ns": ArraySpec("int64", ("frame",), "capture time"),
    "frames/state": ArraySpec("uint8", ("frame",), "1 = stored, no other so far", required=False),
    "instances/offsets": ArraySpec("int64", ("frame_edge",), "first instance of each frame, then their number"),
    "instances/box": ArraySpec("float32", ("instance", "corner"), "x1, y1, x2, y2 in pixels"),
    "instances/score": ArraySpec("float32", ("instance",), "confidence, 0 to 1"),
    "instances/category_id": ArraySpec("int32", ("instance",), "COCO category id"),
    "instances/track_id": ArraySpec("int64", ("instance",), "track id, 0 = none"),
    "instances/state": ArraySpec("uint8", ("instance",), "state of the track: 0 = tentative, 1 = confirmed"),
    "instances/area": ArraySpec("int64", ("instance",), "pixels of the mask", required=False),
    "instances/rle_offsets": ArraySpec("int64", ("instance_edge",), "first byte of each mask, then their number"),
    "instances/rle": ArraySpec("uint8", ("rle_byte",), "COCO's compressed run lengths, mask after mask"),
}
"""Path below the epoch -> what lies there."""


@dataclass(frozen=True)
class Extent:
    """How much of an epoch is committed."""

    frames: int = 0
    instances: int = 0
    rle_bytes: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the dimensions that grow; those of edges between items are one longer than the items."""
        return {
            "frame": self.frames,
            "frame_edge": self.frames + 1,
            "instance": self.instances,
            "instance_edge": self.instances + 1,
            "rle_byte": self.rle_bytes,
        }

    def rows(self, spec: ArraySpec) -> int:
        """Returns how many rows of an array are committed."""
        return self.sizes[spec.dims[0]]

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
    sizes = {"y": image_size[0], "x": image_size[1], "corner": 4}
    return tuple(sizes[dim] for dim in ARRAYS[name].dims[1:])


def array_attributes(name: str, clock: Clock) -> dict[str, Any]:
    """Returns the attributes of an array; those of times let xarray decode them (CF conventions).

    Times since 1970 become datetime64, those since another moment timedelta64, without losing a nanosecond.
    """
    attributes: dict[str, Any] = {"long_name": ARRAYS[name].meaning}
    if name != "frames/timestamp_ns":
        return attributes
    if clock == "unix":
        return {**attributes, "units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    return {**attributes, "units": "nanoseconds", "dtype": "timedelta64[ns]"}


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


def is_group(folder: Path) -> bool:
    """Says whether there is a Zarr group in a folder."""
    try:
        return bool(json.loads((folder / METADATA).read_text(encoding="utf-8"))["node_type"] == "group")
    except (OSError, ValueError, KeyError, TypeError):
        return False


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
