"""Frames: one image of one camera with its capture time, or the record of one that was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Clock = Literal["media", "unix", "monotonic"]
"""What a timestamp counts from: the start of the recording, 1970, or an arbitrary point of this machine."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of one camera."""

    camera: str
    """Name of the camera: letters, digits, '_' and '-'."""
    epoch: int
    """Epoch of the camera, from 0: a part of it with one image size, rotation and clock."""
    frame_index: int
    """Capture count of the camera from 0, over all epochs; frames that were lost on the way count too."""
    timestamp_ns: int
    """Capture time in nanoseconds of `clock`."""
    clock: Clock
    """What the timestamp counts from."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB image."""
    monotonic_ns: int | None = None
    """Capture time on this machine's monotonic clock, which is never set: ages are measured on it. None where the
    source does not run live."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.image.shape[0], self.image.shape[1]

    def __repr__(self) -> str:
        height, width = self.image_size
        seconds = self.timestamp_ns / 1e9
        when = f"at {seconds:.3f} s ({self.clock})"
        return f"Frame({self.camera}/{self.epoch} #{self.frame_index} {when}, {width} x {height})"


@dataclass(frozen=True)
class LostFrame:
    """A frame that was captured but has no tracks: it gave no image, could not be segmented, or was dropped."""

    camera: str
    """Name of the camera."""
    epoch: int
    """Epoch that the frame would have belonged to."""
    frame_index: int
    """Capture count of the camera, as in `Frame`; no frame has the same."""
    timestamp_ns: int | None
    """Capture time in nanoseconds as the packet states it, on the camera's clock; None if nothing states it. It may be
    earlier than that of the previous frame, because a packet is known to be lost only when a later one gives its
    image."""
    reason: str = "decode"
    """Why it has no place in the store, as one word: `decode`, `engine`, ..."""
    outcome: Literal["failed", "dropped"] = "failed"
    """Whether it could not be used or was left out on purpose."""
