"""What can be set on the IoU tracker."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from roadmask.engines.errors import ConfigError


@dataclass(frozen=True)
class IouTrackerConfig:
    """Settings of `IouTracker`; times are seconds, so they hold at any frame rate.

    Raises:
        ConfigError: a value lies outside the range stated below.
    """

    overlap_min: float = 0.2
    """Lowest overlap (see `mask_weight`) at which a predicted track and an instance may belong together, 0 to 1."""
    mask_weight: float = 0.5
    """Share of the mask IoU in the overlap, 0 to 1; the rest is box IoU. Without masks the box IoU counts alone."""
    score_confident: float = 0.5
    """Instances of at least this score are matched first and may start tracks, 0 to 1; weaker ones only go on with
    tracks that they overlap, and tell nothing of the camera."""
    duplicate_iou: float = 0.85
    """An instance starts no track where it overlaps another of its class by more, by the boxes and by the masks where
    there are any, 0 to 1. 1: it always may."""
    confirm_hits: int = 2
    """A track is believed once it was seen in at least this many frames ..."""
    confirm_after_s: float = 0.1
    """... and at least this long after it was first seen. 0: the hits alone decide."""
    keep_tentative_s: float = 0.1
    """A tentative track that is missed in a frame is given up if it was last seen longer ago than this ..."""
    recall_tentative_s: float = 2.0
    """... but goes on with its id when it is found again within this time. Up to `keep_tentative_s`: never."""
    newborn_still: bool = True
    """A track that was seen once is looked for also where it was, not only where the others' motion would take it."""
    far_overlap_min: float = -0.35
    """What is left without a partner may be paired at this generalised IoU or above, -1 to 1: below 0 even things as
    large as each other that do not touch. 1: never."""
    far_doubt: float = 3.0
    """An instance of score s that far must be nearer by this times 1 - s, unless it is as large as what was seen there
    a moment ago. 0: the score does not count."""
    recall_overlap_min: float = -0.2
    """A track that is lost may go on with what nothing else claimed at this generalised IoU or above with where it
    would be if it moved evenly in space, -1 to 1; see `motion.nearer`. 1: never."""
    whole_fade_s: float = 2.0
    """What was hidden of a thing when it was last seen is recalled with it; time constant by which a larger size is
    forgotten. 0: what is seen is the whole."""
    camera_share: float = 0.3
    """Share of the tracks that must find their box again by a common displacement, and would not without it, for the
    camera to have turned, above 0 to 1. 1: the camera is taken to stand still."""
    follow_lost_s: float = 2.0
    """A track that was last seen longer ago than this may only go on as `recall_overlap_min` tells."""
    keep_lost_s: float = 4.0
    """A track is dropped if it was last seen longer ago than this. Above the time between two frames, or nothing is
    ever tracked."""
    velocity_smoothing_s: float = 0.3
    """Time constant of the exponential smoothing of velocities; 0: the last two sightings alone."""

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
            raise ConfigError("expected overlap_min above 0, got 0: tracks would jump to instances they never touch.")
        if int(self.confirm_hits) != self.confirm_hits:
            raise ConfigError(f"expected confirm_hits as a whole number from 1 up, got {self.confirm_hits}.")
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
    "confirm_hits": (1, math.inf, "as a whole number from 1 up"),
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
"""Lowest and highest value of each number, and how a message says so."""
