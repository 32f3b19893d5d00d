"""The layout of a store, which the writer, the reader and the check follow.

::

    drive.zarr/                    attributes: schema_version, roadmask_version, class_names, engine, sources, config,
                                   starts_ns = {camera: when it began on the clock of the drive}, if not all at 0
      provenance.jsonl             wall clock, host, command: all that differs between two equal runs
      <camera>/                    attributes: committed = {epoch: {frames, instances, rle_bytes}}, dropped, failed,
                                   removed = number of frames of epochs that were removed again, if any,
                                   recording_start = wall clock at time 0 of the media clock, if the source states it
        ledger/                    attributes: captured, stored, dropped, failed; written when the camera is closed
        <epoch>/                   attributes: image_size, clock, info
          id_map, frames/*, instances/*    the arrays of `ARRAYS`

The instances of frame t are offsets[t]:offsets[t + 1], the run lengths of instance n are
rle[rle_offsets[n]:rle_offsets[n + 1]]. While a camera is being written, arrays may hold more rows than `committed`
says; readers ignore those.

Every array names its dimensions, so that xarray opens each group and the whole store. No dimension has the name of an
array, which would turn the array into an index, and no array has the name of a group. While nobody writes, the root
also holds the metadata of everything below it (`consolidated_metadata`), which xarray reads first; roadmask does not
read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines.errors import InputError, StoreCorruptError
from roadmask.streaming.frames import Clock
from roadmask.streaming.redaction import redact_json

SCHEMA_VERSION = 2
"""Version of the layout; raised when an older reader would misread a newer store, not for a new optional array."""
CAPTURED = ".captured"
"""Name of the file in which a live camera that is being written notes how many frames were captured."""
PROVENANCE = "provenance.jsonl"
"""Name of the file with when, where and by which command a store was written."""
METADATA = "zarr.json"
"""Name of the file with the metadata of a group or an array."""
LEDGER = "ledger"
"""Name of the group with the final ledger of a camera."""

ROWS_PER_CHUNK = 8192
"""Number of rows of a small array in one file: 64 KiB of int64."""
RLE_CHUNK = 4096
"""Number of bytes of run lengths in a chunk: one or two frames of a busy street."""
RLE_SHARD = 256 * RLE_CHUNK
"""Number of bytes of run lengths in one file."""

MAX_SIDE = 2**16
"""Limit of width and height of images in pixels, so that a damaged size cannot allocate much memory."""


_HEAD_BYTES = 16384
"""Number of bytes at the start of the root's metadata that hold its attributes; a longer file is parsed as a whole."""
_TAIL_BYTES = 256
"""Number of bytes at its end that hold what follows the consolidated metadata."""


class FrameState(IntEnum):
    """Outcome of a frame that has a position in the store."""

    STORED = 1
    """Its tracks are stored. Dropped and failed frames have no position, only a count in the ledger."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of an epoch."""

    dtype: str
    """NumPy's name of the type."""
    dims: tuple[str, ...]
    """Names of its dimensions: one of `Extent.sizes`, then those of a row."""
    meaning: str
    """Meaning of a value, with its unit; stored as the attribute `long_name`."""
    owner: str = "store.rows"
    """Module below `roadmask.streaming` that produces its values."""
    since: str = "0.1"
    """First release of roadmask that wrote it."""
    required: bool = True
    """Whether every epoch has it. Readers do without an optional array, and ignore an array that is not listed."""


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
"""Path below the epoch -> array at that path."""


@dataclass(frozen=True)
class Extent:
    """The committed part of an epoch."""

    frames: int = 0
    """Number of frames."""
    instances: int = 0
    """Number of instances of these frames."""
    rle_bytes: int = 0
    """Number of bytes of their run lengths."""

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each growing dimension; there is one more edge than there are items between edges."""
        return {
            "frame": self.frames,
            "frame_edge": self.frames + 1,
            "instance": self.instances,
            "instance_edge": self.instances + 1,
            "rle_byte": self.rle_bytes,
        }

    def rows(self, spec: ArraySpec) -> int:
        """Returns the number of committed rows of an array."""
        return self.sizes[spec.dims[0]]

    def to_dict(self) -> dict[str, int]:
        """Returns JSON data."""
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
                f"expected committed counts of frames, instances and rle_bytes, got {data}: restore it from a copy."
            ) from error
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise StoreCorruptError(f"expected committed counts of at least 0, got {data}: restore it from a copy.")
        return cls(*counts)


@dataclass(frozen=True)
class EpochInfo:
    """The properties of an epoch, the part of a camera with one image size, rotation and clock."""

    epoch: int
    """Number of the epoch, from 0."""
    image_size: tuple[int, int]
    """Height and width of its images in pixels."""
    clock: Clock
    """Origin of its timestamps."""
    info: dict[str, Any] = field(default_factory=dict)
    """Further properties stated by the source, such as rotation, file and frame rate."""

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON data, without the number of the epoch, which is the name of its folder."""
        return {"clock": self.clock, "image_size": list(self.image_size), "info": self.info}

    @classmethod
    def from_dict(cls, epoch: int, data: Mapping[str, Any]) -> EpochInfo:
        """Reads what `to_dict` wrote.

        Raises:
            StoreCorruptError: a property is missing or has another type.
        """
        match data:
            case {"image_size": [int(height), int(width)], "clock": "media" | "unix" | "monotonic", "info": dict(info)}:
                if 0 < height < MAX_SIDE and 0 < width < MAX_SIDE:
                    return cls(epoch, (height, width), data["clock"], info)
        raise StoreCorruptError(
            f"expected image_size, clock and info of epoch {epoch}, got {dict(data)}: restore it from a copy."
        )


def row_shape(name: str, image_size: tuple[int, int]) -> tuple[int, ...]:
    """Returns the shape of one row of an array."""
    sizes = {"y": image_size[0], "x": image_size[1], "corner": 4}
    return tuple(sizes[dim] for dim in ARRAYS[name].dims[1:])


def array_attributes(name: str, clock: Clock) -> dict[str, Any]:
    """Returns the attributes of an array; those of timestamps follow the CF conventions, so that xarray decodes them.

    Timestamps since 1970 are decoded to datetime64, others to timedelta64, both exact to the nanosecond.
    """
    attributes: dict[str, Any] = {"long_name": ARRAYS[name].meaning}
    if name != "frames/timestamp_ns":
        return attributes
    if clock == "unix":
        return {**attributes, "units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    return {**attributes, "units": "nanoseconds", "dtype": "timedelta64[ns]"}


def rows_per_file(name: str, shard_frames: int) -> int:
    """Returns the number of rows of an array in one file."""
    return {"id_map": shard_frames, "instances/rle": RLE_SHARD}.get(name, ROWS_PER_CHUNK)


def json_data(value: Any, what: str) -> Any:
    """Returns a value as JSON data with sorted keys, so that equal runs write equal bytes, and without credentials.

    Raises:
        InputError: the value cannot be represented in JSON.
    """
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False, default=_to_json)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected {what} as JSON data, got {value!r}: {error}.") from error
    return redact_json(json.loads(text))


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON data")


def is_group(folder: Path) -> bool:
    """Returns whether a folder holds a Zarr group."""
    try:
        return bool(json.loads((folder / METADATA).read_text(encoding="utf-8"))["node_type"] == "group")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read_metadata(path: Path) -> Any:
    """Parses the metadata of a group, without its consolidated part where that is long.

    The consolidated part describes every array of a store: reading and parsing it would take longer than reading a
    frame. zarr writes it, indented by two spaces, between the attributes and the type of the node. A file of another
    form is parsed as a whole.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        start = head.find(b'\n  "consolidated_metadata": {')
        size = os.fstat(file.fileno()).st_size
        if start > 0 and size > _HEAD_BYTES + _TAIL_BYTES:
            file.seek(size - _TAIL_BYTES)
            tail = file.read()
            # A line break inside a string of JSON is escaped, so this ends a value of the root.
            end = tail.rfind(b"\n  },")
            metadata = json.loads(head[:start] + tail[end + len(b"\n  },") :]) if end >= 0 else None
            if isinstance(metadata, dict) and {"attributes", "node_type", "zarr_format"} <= metadata.keys():
                return metadata
        file.seek(0)
        return json.loads(file.read())


def read_attributes(folder: Path) -> dict[str, Any]:
    """Reads the attributes of a Zarr group from its one file, so that they are always consistent.

    Raises:
        StoreCorruptError: the file is missing, or is not that of a group.
    """
    path = folder / METADATA
    try:
        metadata = _read_metadata(path)
    except (OSError, ValueError) as error:
        raise StoreCorruptError(f"cannot read {path}: {error}. Restore it from a copy.") from error
    attributes = metadata.get("attributes") if isinstance(metadata, dict) else None
    if not isinstance(attributes, dict) or metadata.get("zarr_format") != 3 or metadata.get("node_type") != "group":
        raise StoreCorruptError(
            f"{path}: expected the attributes of a Zarr v3 group, found none. Restore it from a copy."
        )
    return attributes


def started_at(drive: Mapping[str, Any], camera: str) -> str | None:
    """Returns the wall clock at time 0 of the drive's clock, where the store's description of the source states it."""
    source = drive.get("sources", {}).get(camera)
    start = source.get("recorded_at") if isinstance(source, Mapping) else None
    if not isinstance(start, str):
        return None
    start_ns = drive.get("starts_ns", {}).get(camera, 0)
    return (datetime.fromisoformat(start) - timedelta(microseconds=start_ns // 1000)).isoformat() if start_ns else start
