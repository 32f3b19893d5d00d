"""Settings of the IoU tracker."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from roadmask.engines.errors import ConfigError


@dataclass(frozen=True)
class IouTrackerConfig:
    """Settings of `IouTracker`. Times are in seconds, so they hold at any frame rate.

    Raises:
        ConfigError: a value is outside the range stated below.
    """

    overlap_min: float = 0.2
    """Minimum overlap (see `mask_weight`) between a predicted track and an instance to match them, above 0 to 1."""
    mask_weight: float = 0.5
    """Weight of the mask IoU in the overlap, 0 to 1. The box IoU has the rest, and all of it without masks."""
    score_confident: float = 0.5
    """Minimum score of a confident instance, 0 to 1. Confident instances are matched first, may start tracks and
    contribute to the estimate of camera motion. Other instances only continue tracks that they overlap."""
    duplicate_iou: float = 0.85
    """Maximum IoU, 0 to 1, between an unmatched instance and another instance of its class at which it may start a
    track. Boxes are compared, and masks too where there are any. 1 disables the check."""
    confirm_hits: int = 2
    """Minimum number of frames in which a track must be detected before it is confirmed."""
    confirm_after_s: float = 0.1
    """Minimum time in seconds between the first detection of a track and its confirmation."""
    keep_tentative_s: float = 0.1
    """Time in seconds without a detection after which a tentative track is given up."""
    recall_tentative_s: float = 2.0
    """Time in seconds within which a tentative track that was given up continues with its id if it is detected again.
    A value of at most `keep_tentative_s` disables this."""
    newborn_still: bool = True
    """Whether a track that was detected once is also searched for at the place where it was, in addition to where the
    motion of the other tracks would take it."""
    far_overlap_min: float = -0.35
    """Minimum generalised IoU, -1 to 1, to match the tracks and instances that are left over. Below 0, boxes of equal
    size may match without touching. 1 disables this stage."""
    far_doubt: float = 3.0
    """Raises the GIoU threshold `far_overlap_min` for low-score detections by far_doubt * (1 - score), unless the
    detection has the size that the track had a moment ago. 0 ignores the score."""
    recall_overlap_min: float = -0.2
    """Minimum generalised IoU, -1 to 1, between an unmatched instance and the box that a lost track would have if it
    moved evenly in space (see `motion.nearer`). 1 disables the recall of lost tracks."""
    whole_fade_s: float = 2.0
    """Time constant in seconds with which the full size of a partly hidden thing is forgotten. 0 takes the visible
    part as the whole."""
    camera_share: float = 0.3
    """Minimum share of the tracks, above 0 to 1, that must match a box with a common displacement, and not without it,
    before the displacement is taken as camera motion. 1 assumes a static camera."""
    follow_lost_s: float = 2.0
    """Time in seconds without a detection after which a lost track can only be recalled (see `recall_overlap_min`)."""
    keep_lost_s: float = 4.0
    """Time in seconds without a detection after which a track is dropped. It must exceed the time between two frames,
    or nothing is ever tracked."""
    velocity_smoothing_s: float = 0.3
    """Time constant in seconds of the exponential smoothing of velocities. 0 uses the last two detections only."""

    def __post_init__(self) -> None:
        if not isinstance(self.newborn_still, bool):
            raise ConfigError(f"expected newborn_still as true or false, got {self.newborn_still!r}.")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "newborn_still":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"expected {field.name} as a finite number, got {value!r}.")
            lowest, highest, meaning = _RANGES[field.name]
            if not lowest <= value <= highest:
                raise ConfigError(f"expected {field.name} {meaning}, got {value}.")
        if self.overlap_min == 0:
            raise ConfigError(
                "expected overlap_min above 0, got 0: tracks would jump to instances that they do not touch."
            )
        if int(self.confirm_hits) != self.confirm_hits:
            raise ConfigError(f"expected confirm_hits as a whole number of at least 1, got {self.confirm_hits}.")
        for name in ("camera_share", "keep_lost_s"):
            if getattr(self, name) == 0:
                raise ConfigError(f"expected {name} {_RANGES[name][2]}, got 0.")
        for name in ("keep_tentative_s", "recall_tentative_s"):
            if getattr(self, name) > self.keep_lost_s:
                raise ConfigError(
                    f"expected {name} at most keep_lost_s ({self.keep_lost_s}), got {getattr(self, name)}."
                )


_SHARE = (0.0, 1.0, "from 0 to 1")
_GENERALISED = (-1.0, 1.0, "from -1 to 1")
_SECONDS = (0.0, math.inf, "in seconds, 0 or more")
_RANGES: dict[str, tuple[float, float, str]] = {
    "overlap_min": _SHARE,
    "mask_weight": _SHARE,
    "score_confident": _SHARE,
    "duplicate_iou": _SHARE,
    "confirm_hits": (1, math.inf, "as a whole number of at least 1"),
    "confirm_after_s": _SECONDS,
    "keep_tentative_s": _SECONDS,
    "recall_tentative_s": _SECONDS,
    "far_overlap_min": _GENERALISED,
    "far_doubt": (0.0, math.inf, "0 or more"),
    "recall_overlap_min": _GENERALISED,
    "whole_fade_s": _SECONDS,
    "camera_share": (0.0, 1.0, "above 0, up to 1"),
    "follow_lost_s": _SECONDS,
    "keep_lost_s": (0.0, math.inf, "in seconds, above 0"),
    "velocity_smoothing_s": _SECONDS,
}
"""Minimum and maximum of each number, and how error messages state them."""
