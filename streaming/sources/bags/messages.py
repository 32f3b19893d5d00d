"""Decodes the messages of cameras: their stamp, their frame id, and the image as it was sent.

ROS types are decoded by rosbags from its own definitions: what a bag states of its types is not executed. Foxglove's
types also come as Protobuf and JSON, whose few fields are read here.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from roadmask.streaming.sources.bags.raw import RawMessage

RAW, COMPRESSED, VIDEO = "raw", "compressed", "video"
IMAGE_TYPES: Mapping[str, str] = {
    "sensor_msgs/Image": RAW,
    "sensor_msgs/CompressedImage": COMPRESSED,
    "foxglove/RawImage": RAW,
    "foxglove/CompressedImage": COMPRESSED,
    "foxglove/CompressedVideo": VIDEO,
}
"""Type of a message -> how it holds its image."""
CAMERA_INFO = "sensor_msgs/CameraInfo"
_FOXGLOVE = {
    "foxglove/RawImage": "uint32 width\nuint32 height\nstring encoding\nuint32 step\nuint8[] data",
    "foxglove/CompressedImage": "uint8[] data\nstring format",
    "foxglove/CompressedVideo": "uint8[] data\nstring format",
}
_PROTOBUF: dict[str, dict[int, str]] = {
    "foxglove/RawImage": {
        1: "stamp", 2: "width", 3: "height", 4: "encoding", 5: "step", 6: "data", 7: "frame_id",
    },
    "foxglove/CompressedImage": {1: "stamp", 2: "data", 3: "format", 4: "frame_id"},
    "foxglove/CompressedVideo": {1: "stamp", 2: "frame_id", 3: "data", 4: "format"},
}  # fmt: skip
"""Numbers of fields in the .proto files of github.com/foxglove/foxglove-sdk, schemas/proto/foxglove."""


class MessageError(Exception):
    """A message is damaged or of a kind that is not read. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class CameraMessage:
    """One image as it was sent."""

    stamp_ns: int
    """Capture time in the header in nanoseconds; 0 where the publisher did not set it."""
    frame_id: str
    """Coordinate frame of the camera."""
    data: memoryview
    """Pixels, or an image or video packet as it was compressed."""
    encoding: str
    """Layout of pixels, such as `rgb8`, or the compression, such as `jpeg` or `h264`."""
    height: int = 0
    """Height in pixels; 0 for a compressed image."""
    width: int = 0
    """Width in pixels; 0 for a compressed image."""
    step: int = 0
    """Bytes from one row of pixels to the next; 0 for a compressed image."""
    big_endian: bool = False
    """Whether pixels of 16 bits have their high byte first."""


def decode_image_message(raw: RawMessage) -> CameraMessage:
    """Decodes a message of one of `IMAGE_TYPES`.

    Raises:
        MessageError: it is damaged, or serialized in a way that is not read.
    """
    try:
        if raw.serialization in ("cdr", "ros1"):
            return _of_ros(_ros_message(raw))
        if raw.serialization == "protobuf" and raw.type in _PROTOBUF:
            return _of_fields(dict(_protobuf_fields(raw.data, _PROTOBUF[raw.type])))
        if raw.serialization == "json":
            return _of_fields(_json_fields(raw.data))
    except MessageError:
        raise
    except Exception as error:  # damaged bytes fail in many ways inside the libraries
        raise MessageError(f"a message of type {raw.type} is damaged ({error!r})") from error
    raise MessageError(f"its messages are serialized in a way that is not read (type {raw.type})")


def stamp_of(raw: RawMessage) -> int | None:
    """Returns the stamp of an image message in nanoseconds without decoding its image; None if it is damaged."""
    try:
        if raw.serialization == "cdr":
            order = "<" if raw.data[1] & 1 else ">"
            seconds, nanoseconds = struct.unpack_from(f"{order}iI", raw.data, 4)
            return int(seconds * 1_000_000_000 + nanoseconds)
        if raw.serialization == "ros1":
            seconds, nanoseconds = struct.unpack_from("<II", raw.data, 4)
            return int(seconds * 1_000_000_000 + nanoseconds)
        return decode_image_message(raw).stamp_ns
    except (IndexError, struct.error, MessageError):
        return None


def decode_camera_info(raw: RawMessage) -> dict[str, Any] | None:
    """Returns the fields of a `CameraInfo` as plain data; None if it is damaged.

    The matrices are lists in the order of their rows, under the names of ROS 2: `d`, `k`, `r`, `p`.
    """
    try:
        message = _ros_message(raw)
        info: dict[str, Any] = {
            "frame_id": str(message.header.frame_id),
            "height": int(message.height),
            "width": int(message.width),
            "distortion_model": str(message.distortion_model),
        }
        for name in "dkrp":
            values = getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())
            info[name] = [float(value) for value in values]
    except Exception:
        return None
    return info


@cache
def _deserializer(serialization: str) -> Callable[[bytes, str], Any]:
    if serialization == "ros1":
        return get_typestore(Stores.ROS1_NOETIC).deserialize_ros1
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, fields in _FOXGLOVE.items():
        definition = f"builtin_interfaces/Time timestamp\nstring frame_id\n{fields}"
        store.register(get_types_from_msg(definition, name.replace("foxglove/", "foxglove_msgs/msg/")))
    return store.deserialize_cdr


def _ros_message(raw: RawMessage) -> Any:
    package, _, name = raw.type.partition("/")
    package = "foxglove_msgs" if package == "foxglove" else package
    return _deserializer(raw.serialization)(raw.data, f"{package}/msg/{name}")


def _of_ros(message: Any) -> CameraMessage:
    header = getattr(message, "header", message)
    stamp = header.stamp if hasattr(header, "stamp") else header.timestamp
    encoding = message.encoding if hasattr(message, "encoding") else message.format
    return CameraMessage(
        int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec),
        str(header.frame_id),
        memoryview(message.data),
        str(encoding),
        int(getattr(message, "height", 0)),
        int(getattr(message, "width", 0)),
        int(getattr(message, "step", 0)),
        bool(getattr(message, "is_bigendian", 0)),
    )


def _of_fields(fields: Mapping[str, Any]) -> CameraMessage:
    return CameraMessage(
        int(fields.get("stamp", 0)),
        str(fields.get("frame_id", "")),
        memoryview(fields.get("data", b"")),
        str(fields.get("encoding", fields.get("format", ""))),
        int(fields.get("height", 0)),
        int(fields.get("width", 0)),
        int(fields.get("step", 0)),
    )


def _protobuf_fields(data: bytes, names: Mapping[int, str]) -> Iterator[tuple[str, Any]]:
    """Yields the named fields of a Protobuf message (protobuf.dev/programming-guides/encoding)."""
    for number, value in _protobuf(data):
        name = names.get(number)
        if name == "stamp":
            inner = dict(_protobuf(_bytes(value)))
            yield name, int(inner.get(1, 0)) * 1_000_000_000 + int(inner.get(2, 0))
        elif name in ("frame_id", "format", "encoding"):
            yield name, _bytes(value).decode()
        elif name is not None:
            yield name, value


def _protobuf(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            yield key >> 3, int.from_bytes(data[at : at + size], "little")
            at += size
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                _damaged("a field is longer than its message")
            yield key >> 3, data[at : at + size]
            at += size
        else:
            _damaged(f"a field has the unknown wire type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise MessageError("a message is damaged: a number is too long")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        _damaged("expected bytes, got a number")
    return value


def _json_fields(data: bytes) -> dict[str, Any]:
    """Returns the fields of a Foxglove JSON message, whose time is an object or a text and whose bytes are base64."""
    fields = json.loads(data)
    stamp = fields.get("timestamp", {})
    if isinstance(stamp, str):
        moment = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        fields["stamp"] = round(moment.timestamp() * 1_000_000) * 1_000
    else:
        fields["stamp"] = int(stamp.get("sec", 0)) * 1_000_000_000 + int(stamp.get("nsec", stamp.get("nanosec", 0)))
    fields["data"] = base64.b64decode(fields.get("data", ""))
    return dict(fields)


def _damaged(why: str) -> NoReturn:
    raise MessageError(f"a message is damaged: {why}")
