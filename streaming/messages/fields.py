"""The messages of roadmask_msgs as Python objects; their fields are documented in `roadmask_msgs/msg`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from math import nan
from pathlib import Path

SCHEMA_VERSION = 1
"""Version of the definitions; a change of any field makes another one."""
DEFINITIONS = Path(__file__).parent / "roadmask_msgs"
"""Folder with `msg`, `idl`, the C++ header in `include`, and the files that make it a ROS 2 package."""


class Status(IntEnum):
    """Whether a camera's results can be used."""

    OK = 0
    """The camera works as configured."""
    DEGRADED = 1
    """Results are valid but worse than configured."""
    STALE = 2
    """No image came in time."""
    FAILED = 3
    """The image could not be processed."""


class Reason(IntFlag):
    """Why a status is not OK."""

    LATE = 1
    """The result came later than its deadline."""
    RATE_CUT = 2
    """Fewer images than the camera sends are processed."""
    SIZE_CUT = 4
    """The network sees smaller images than configured."""
    UNCALIBRATED = 8
    """Distances need a calibration, and there is none."""
    FROZEN = 16
    """The camera repeats the same image."""
    DARK = 32
    """The image is too dark to see anything in it."""
    SYNC = 64
    """The images of several cameras are not of the same moment."""


class RangeReason(IntEnum):
    """Why a distance is not known."""

    KNOWN = 0
    """The distance is known."""
    NOT_ESTIMATED = 1
    """Distance was not estimated."""
    CUT = 2
    """The border of the image cuts the object."""
    HIDDEN_FOOT = 3
    """Something hides where the object stands on the ground."""
    UNCALIBRATED = 4
    """The camera is not calibrated."""
    ABOVE_HORIZON = 5
    """The object stands above the horizon."""


PATH_NO, PATH_YES, PATH_UNKNOWN = 0, 1, 255
"""Values of `InstanceMessage.in_path`."""


@dataclass(slots=True)
class FrameCount:
    """A number of images with one outcome."""

    reason: str = ""
    """Reason of the outcome as one word."""
    count: int = 0
    """Number of images."""


@dataclass(slots=True)
class InstanceMessage:
    """One road user in one image, in the order of the fields on the wire."""

    track_id: int = 0
    """Track id; 0 for an instance without a track."""
    age_ns: int = 0
    """Time since the first detection of the track in nanoseconds."""
    category_id: int = 0
    """COCO category id."""
    state: int = 0
    """Value of `TrackState`."""
    range_reason: int = RangeReason.NOT_ESTIMATED
    """Value of `RangeReason`."""
    in_path: int = PATH_UNKNOWN
    """Whether the object is in the path of the vehicle: `PATH_NO`, `PATH_YES` or `PATH_UNKNOWN`."""
    score: float = 0.0
    """Confidence, 0 to 1."""
    x: float = 0.0
    """Left edge of the box in pixels."""
    y: float = 0.0
    """Top edge of the box in pixels."""
    width: float = 0.0
    """Width of the box in pixels."""
    height: float = 0.0
    """Height of the box in pixels."""
    velocity_x: float = nan
    """Velocity of the box centre to the right in pixels per second; NaN if it is not known."""
    velocity_y: float = nan
    """Velocity of the box centre downwards in pixels per second; NaN if it is not known."""
    distance: float = nan
    """Distance to the nearest face in metres; NaN if it is not known."""
    distance_sigma: float = nan
    """Standard deviation of the distance in metres."""
    lateral: float = nan
    """Offset to the right in metres; NaN if it is not known."""
    lateral_sigma: float = nan
    """Standard deviation of the offset in metres."""
    closing_speed: float = nan
    """Closing speed in metres per second; NaN if it is not known."""
    closing_speed_sigma: float = nan
    """Standard deviation of the closing speed in metres per second."""
    time_to_contact: float = nan
    """Time to contact in seconds; NaN if it is not known."""
    time_to_contact_sigma: float = nan
    """Standard deviation of the time to contact in seconds."""
    category: str = ""
    """Name of the category."""
    mask: bytes = b""
    """COCO's compressed run lengths of the mask of the whole image; empty if there is no mask."""


@dataclass(slots=True)
class LostTrackMessage:
    """A confirmed track that was not found in the image, in the order of the fields on the wire."""

    track_id: int = 0
    """Track id."""
    unseen_ns: int = 0
    """Time since the last detection in nanoseconds."""
    category_id: int = 0
    """COCO category id."""
    x: float = 0.0
    """Left edge of the predicted box in pixels."""
    y: float = 0.0
    """Top edge of the predicted box in pixels."""
    width: float = 0.0
    """Width of the predicted box in pixels."""
    height: float = 0.0
    """Height of the predicted box in pixels."""
    category: str = ""
    """Name of the category."""


@dataclass(slots=True)
class InstanceArray:
    """The instances in one image of one camera, and the account of all its frames so far."""

    stamp_ns: int = 0
    """Capture time in nanoseconds, in the header."""
    frame_id: str = ""
    """Optical frame of the camera, in the header."""
    schema_version: int = SCHEMA_VERSION
    """Version of the definitions that the message was written after."""
    camera: str = ""
    """Name of the camera."""
    model: str = ""
    """Name of the model; empty if it is not known."""
    processed_ns: int = 0
    """Time at which the result was ready in nanoseconds; 0 if it is not known."""
    sequence: int = 0
    """Capture count of the camera from 0."""
    epoch: int = 0
    """Epoch of the camera."""
    height: int = 0
    """Height of the image in pixels."""
    width: int = 0
    """Width of the image in pixels."""
    status: int = Status.OK
    """Value of `Status`."""
    reasons: int = 0
    """Sum of the values of `Reason` that hold."""
    captured: int = 0
    """Number of images captured so far, this one included."""
    stored: int = 0
    """Number of images so far whose result was published, this one included."""
    dropped: list[FrameCount] = field(default_factory=list)
    """Images so far that were left out on purpose, by reason."""
    failed: list[FrameCount] = field(default_factory=list)
    """Images so far that could not be used, by reason."""
    instances: list[InstanceMessage] = field(default_factory=list)
    """What was found in the image."""
    lost: list[LostTrackMessage] = field(default_factory=list)
    """Confirmed tracks that were not found in the image."""
