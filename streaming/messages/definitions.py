"""Definitions of the ROS messages that bags carry, as they stand in a bag beside the messages.

vision_msgs is version 4, as in ROS 2 Humble and later (github.com/ros-perception/vision_msgs). The annotations follow
github.com/foxglove/foxglove-sdk, schemas/ros2, with its pairs of metadata. Fields differ between its versions: readers
of a bag decode by the definition that is in it.
"""

from __future__ import annotations

import re

from roadmask.streaming.messages.fields import DEFINITIONS

INSTANCE_ARRAY = "roadmask_msgs/msg/InstanceArray"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
ANNOTATIONS = "foxglove_msgs/msg/ImageAnnotations"
_OURS = ("InstanceArray", "Instance", "LostTrack", "FrameCount")
_SEPARATOR = "=" * 80
_OTHERS = {
    "builtin_interfaces/msg/Time": "int32 sec\nuint32 nanosec",
    "std_msgs/msg/Header": "builtin_interfaces/Time stamp\nstring frame_id",
    "geometry_msgs/msg/Point": "float64 x\nfloat64 y\nfloat64 z",
    "geometry_msgs/msg/Quaternion": "float64 x\nfloat64 y\nfloat64 z\nfloat64 w",
    "geometry_msgs/msg/Pose": "geometry_msgs/Point position\ngeometry_msgs/Quaternion orientation",
    "geometry_msgs/msg/PoseWithCovariance": "geometry_msgs/Pose pose\nfloat64[36] covariance",
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nstring id"
    ),
    DETECTIONS: "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
    "foxglove_msgs/msg/Point2": "float64 x\nfloat64 y",
    "foxglove_msgs/msg/Color": "float64 r\nfloat64 g\nfloat64 b\nfloat64 a",
    "foxglove_msgs/msg/KeyValuePair": "string key\nstring value",
    "foxglove_msgs/msg/CircleAnnotation": (
        "builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nfloat64 diameter\nfloat64 thickness\n"
        "foxglove_msgs/Color fill_color\nfoxglove_msgs/Color outline_color\nfoxglove_msgs/KeyValuePair[] metadata"
    ),
    "foxglove_msgs/msg/PointsAnnotation": (
        "builtin_interfaces/Time timestamp\nuint8 type\nfoxglove_msgs/Point2[] points\n"
        "foxglove_msgs/Color outline_color\nfoxglove_msgs/Color[] outline_colors\nfoxglove_msgs/Color fill_color\n"
        "float64 thickness\nfoxglove_msgs/KeyValuePair[] metadata"
    ),
    "foxglove_msgs/msg/TextAnnotation": (
        "builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\nstring text\nfloat64 font_size\n"
        "foxglove_msgs/Color text_color\nfoxglove_msgs/Color background_color\n"
        "foxglove_msgs/KeyValuePair[] metadata"
    ),
    ANNOTATIONS: (
        "foxglove_msgs/CircleAnnotation[] circles\nfoxglove_msgs/PointsAnnotation[] points\n"
        "foxglove_msgs/TextAnnotation[] texts"
    ),
}


def ros2_schema(name: str) -> str:
    """Returns the definition of a type and, behind it, those of all types in it, as MCAP's `ros2msg` has them.

    Args:
        name: `INSTANCE_ARRAY`, `DETECTIONS` or `ANNOTATIONS`.
    """
    known = _OTHERS | {
        f"roadmask_msgs/msg/{each}": (DEFINITIONS / "msg" / f"{each}.msg").read_text(encoding="utf-8") for each in _OURS
    }
    needed = [name]
    for each in needed:  # grows while it is read
        for found in re.findall(r"^([\w/]+)(?:\[\d*\])? [a-z_]+$", known[each], re.MULTILINE):
            package = each.partition("/")[0]
            full = found.replace("/", "/msg/") if "/" in found else f"{package}/msg/{found}"
            if full in known and full not in needed:
                needed.append(full)
    first, *rest = needed
    parts = [known[first].strip()]
    parts += [f"{_SEPARATOR}\nMSG: {each.replace('/msg/', '/')}\n{known[each].strip()}" for each in rest]
    return "\n".join(parts) + "\n"
