"""What the containers of bags give: messages as bytes, with their topic, type and serialization."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Serialization = Literal["cdr", "ros1", "protobuf", "json", "other"]
"""How the bytes of a message are laid out; `other` for what roadmask does not read."""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message of a bag."""

    topic: str
    """Topic, such as `/camera/front/image_raw`."""
    type: str
    """Type as `package/Name` or, without a package, as the bag states it; see `plain_type`."""
    serialization: Serialization
    """Layout of `data`."""
    log_ns: int
    """Time at which the message was recorded, in nanoseconds."""
    data: bytes
    """The serialized message."""


class DamagedBagError(Exception):
    """A bag ends, or a part of it cannot be read; the argument says where and why. Never leaves this package."""


def plain_type(name: str) -> str:
    """Returns the name of a type in one form for all containers: `sensor_msgs/Image`, `foxglove/CompressedVideo`.

    ROS 2 writes `sensor_msgs/msg/Image`, ROS 1 `sensor_msgs/Image`, Foxglove's Protobuf `foxglove.CompressedImage` and
    its ROS messages `foxglove_msgs/msg/CompressedImage`.
    """
    name = name.replace("/msg/", "/").replace("foxglove_msgs/", "foxglove/")
    return re.sub(r"^foxglove\.", "foxglove/", name)
