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
    confirm_hits: int = 2
    """A track is believed once it was seen in at least this many frames ..."""
    confirm_after_s: float = 0.1
    """... and at least this long after it was first seen. 0: the hits alone decide."""
    keep_tentative_s: float = 0.1
    """A tentative track that is missed in a frame is dropped if it was last seen longer ago than this."""
    far_overlap_min: float = -0.35
    """What is left without a partner may be paired at this generalised IoU or above, -1 to 1: below 0 even things as
    large as each other that do not touch. 1: never."""
    camera_share: float = 0.5
    """Share of the tracks that must find their box again by a common displacement, and would not without it, for the
    camera to have turned, above 0 to 1. 1: the camera is taken to stand still."""
    keep_lost_s: float = 2.0
    """A track is dropped if it was last seen longer ago than this. Above the time between two frames, or nothing is
    ever tracked."""
    velocity_smoothing_s: float = 0.3
    """Time constant of the exponential smoothing of velocities; 0: the last two sightings alone."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"expected {field.name} as a finite number, got {value!r}.")
        for name in ("overlap_min", "mask_weight", "score_confident"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"expected {name} from 0 to 1, got {getattr(self, name)}.")
        if self.overlap_min == 0:
            raise ConfigError("expected overlap_min above 0, got 0: tracks would jump to instances they never touch.")
        if self.confirm_hits < 1 or int(self.confirm_hits) != self.confirm_hits:
            raise ConfigError(f"expected confirm_hits as a whole number from 1 up, got {self.confirm_hits}.")
        if not -1 <= self.far_overlap_min <= 1:
            raise ConfigError(f"expected far_overlap_min from -1 to 1, got {self.far_overlap_min}.")
        if not 0 < self.camera_share <= 1:
            raise ConfigError(f"expected camera_share above 0, up to 1, got {self.camera_share}.")
        for name in ("confirm_after_s", "keep_tentative_s", "velocity_smoothing_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"expected {name} in seconds, 0 or more, got {getattr(self, name)}.")
        if self.keep_lost_s <= 0:
            raise ConfigError(f"expected keep_lost_s in seconds, above 0, got {self.keep_lost_s}.")
        if self.keep_tentative_s > self.keep_lost_s:
            raise ConfigError(
                f"expected keep_tentative_s at most keep_lost_s ({self.keep_lost_s}), got {self.keep_tentative_s}."
            )
