"""What a reader and its decoder process agree on; loads no FFmpeg, so that the coordinator stays small."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

OPEN_TIMEOUT_S = 5.0
"""Seconds within which a camera must send the headers of an image; it is tried again after that."""
READ_TIMEOUT_S = 2.5
"""Seconds of silence after which a stream is lost."""
FRAMING = struct.Struct("<IQ")
"""Precedes each message of the decoder: length of the JSON header, and of the pixels that follow it."""
REQUEST = struct.Struct("<f")
"""Requests one image. Its value is the maximum number of images per second from now on; 0 means no limit."""


class CameraState(StrEnum):
    """The state of a camera between its first connection and its end."""

    CONNECTING = "connecting"
    """Being opened; no frame has arrived yet."""
    LIVE = "live"
    """Frames arrive in time."""
    STALLED = "stalled"
    """Connected, but no frame has arrived for longer than the deadline."""
    RECONNECTING = "reconnecting"
    """The stream was lost; it is connected again after a pause."""
    REFUSED = "refused"
    """The camera refused the connection (login, unknown path); it is tried again, but rarely."""
    ENDED = "ended"
    """The source reached its end, as a replayed file does."""
    FAILED = "failed"
    """The source can never work (unknown codec, not a video); it is not tried again."""


@dataclass(frozen=True)
class FrameNote:
    """What travels beside a frame: everything that the run needs to know without loading the pixels."""

    frame_index: int
    """Capture count of the camera from 0."""
    number: int
    """Count of the frames that left the decoder, from 1; a gap means that frames were lost on the way."""
    monotonic_ns: int
    """Capture time on this machine's monotonic clock, nanoseconds."""
