"""Bags made for tests: MCAP, db3 and ROS 1, with real serializers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mcap.writer import CompressionType, Writer
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.messages.codec import decode
from roadmask.streaming.messages.fields import InstanceArray
from roadmask.streaming.sources import open_camera
from roadmask.streaming.sources.bags.mcap_file import read_mcap
from support.drives import CAR_COLOUR
from support.video_factory import number_of, numbered_image

ROS2 = get_typestore(Stores.ROS2_HUMBLE)
ROS1 = get_typestore(Stores.ROS1_NOETIC)
for _name, _fields in (
    ("CompressedVideo", "uint8[] data\nstring format"),
    ("CompressedImage", "uint8[] data\nstring format"),
):
    ROS2.register(
        get_types_from_msg(
            f"builtin_interfaces/Time timestamp\nstring frame_id\n{_fields}", f"foxglove_msgs/msg/{_name}"
        )
    )
EPOCH_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
TOPIC = "/camera/front/image_raw"
Entry = tuple[str, str, int, bytes]
"""Topic, type, log time in nanoseconds, CDR."""


def stamp(ns: int) -> Any:
    return ROS2.types["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)


def header(ns: int, frame_id: str = "front_optical") -> Any:
    return ROS2.types["std_msgs/msg/Header"](stamp=stamp(ns), frame_id=frame_id)


def image_entry(
    topic: str, ns: int, image: NDArray[np.uint8], encoding: str = "rgb8", *, step: int | None = None, size: Any = None
) -> Entry:
    """An `Image` whose bytes are those of `image`, which states `size` (height, width) if that is given."""
    height, width = size or image.shape[:2]
    message = ROS2.types["sensor_msgs/msg/Image"](
        header=header(ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=step if step is not None else image.nbytes // max(image.shape[0], 1),
        data=np.ascontiguousarray(image).view(np.uint8).reshape(-1),
    )
    return topic, "sensor_msgs/msg/Image", ns + 5_000_000, _cdr(message, "sensor_msgs/msg/Image")


def compressed_entry(topic: str, ns: int, content: bytes, name: str = "jpeg") -> Entry:
    data = np.frombuffer(content, np.uint8)
    message = ROS2.types["sensor_msgs/msg/CompressedImage"](header=header(ns), format=name, data=data)
    return topic, "sensor_msgs/msg/CompressedImage", ns + 5_000_000, _cdr(message, "sensor_msgs/msg/CompressedImage")


def foxglove_entry(topic: str, ns: int, content: bytes, name: str, kind: str = "CompressedVideo") -> Entry:
    full = f"foxglove_msgs/msg/{kind}"
    data = np.frombuffer(content, np.uint8)
    message = ROS2.types[full](timestamp=stamp(ns), frame_id="front_optical", data=data, format=name)
    return topic, full, ns + 5_000_000, _cdr(message, full)


def info_entry(topic: str, ns: int, focal: float = 500.0) -> Entry:
    k = np.array([focal, 0, 32, 0, focal, 24, 0, 0, 1], np.float64)
    message = ROS2.types["sensor_msgs/msg/CameraInfo"](
        header=header(ns),
        height=48,
        width=64,
        distortion_model="plumb_bob",
        d=np.array([0.1, -0.2, 0.0, 0.0, 0.0]),
        k=k,
        r=np.eye(3).reshape(-1),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=ROS2.types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )
    return topic, "sensor_msgs/msg/CameraInfo", ns, _cdr(message, "sensor_msgs/msg/CameraInfo")


def street(number: int) -> NDArray[np.uint8]:
    """A grey street with the car that `bright_segmenter` finds."""
    image = np.full((48, 64, 3), 60, np.uint8)
    image[20:30, 10 + 3 * number : 25 + 3 * number] = CAR_COLOUR
    return image


def png(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def write_mcap(
    path: Path,
    entries: Sequence[Entry],
    *,
    chunk_bytes: int = 2**20,
    compression: CompressionType = CompressionType.ZSTD,
) -> Path:
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=chunk_bytes, compression=compression)
        writer.start(profile="ros2", library="test")
        channels: dict[str, int] = {}
        for topic, kind, log_ns, data in entries:
            if topic not in channels:
                schema = writer.register_schema(kind, "ros2msg", b"")
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic], log_time=log_ns, publish_time=log_ns, data=data)
        writer.finish()
    return path


def write_db3(folder: Path, entries: Sequence[Entry]) -> Path:
    from rosbags.rosbag2 import Writer as Rosbag2Writer

    with Rosbag2Writer(folder, version=8) as writer:
        connections: dict[str, Any] = {}
        for topic, kind, log_ns, data in entries:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=ROS2)
            writer.write(connections[topic], log_ns, data)
    return folder


def write_ros1(path: Path, entries: Sequence[Entry], compression: str | None = None) -> Path:
    from rosbags.rosbag1 import Writer as Rosbag1Writer

    writer = Rosbag1Writer(path)
    if compression:
        writer.set_compression(Rosbag1Writer.CompressionFormat[compression])
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, log_ns, data in entries:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=ROS1)
            writer.write(
                connections[topic], log_ns, bytes(ROS1.serialize_ros1(_as_ros1(ROS2.deserialize_cdr(data, kind)), kind))
            )
    return path


def _cdr(message: Any, kind: str) -> bytes:
    return bytes(ROS2.serialize_cdr(message, kind))


def _as_ros1(message: Any) -> Any:
    """The same message in the types of ROS 1: headers count, and matrices have capital names."""
    kind = getattr(message, "__msgtype__", None)
    if kind is None or kind == "builtin_interfaces/msg/Time":
        return message
    names = [name for name, _ in ROS1.fielddefs[kind][1]]
    values = {name: getattr(message, name, getattr(message, name.lower(), 0)) for name in names}
    return ROS1.types[kind](**{name: _as_ros1(value) for name, value in values.items()})


def read_instances(path: Path) -> list[InstanceArray]:
    """The `InstanceArray` messages of a bag, in the order of the file."""
    problems: list[str] = []
    found = [raw for raw in read_mcap(path, problems) if raw.type == "roadmask_msgs/InstanceArray"]
    return [decode(raw.data) for raw in found]


def entries(count: int = 6, topic: str = TOPIC, start_ns: int = EPOCH_NS) -> list[Entry]:
    return [image_entry(topic, start_ns + n * PERIOD_NS, numbered_image(n)) for n in range(count)]


def numbers(items: list[Frame | LostFrame]) -> list[int | None]:
    return [number_of(item.image) if isinstance(item, Frame) else None for item in items]


def read_all(path: Path, camera: str = "camera_front") -> list[Frame | LostFrame]:
    return list(open_camera(camera, [str(path)]))
