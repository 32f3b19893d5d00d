"""Estimates the distance of each instance of a camera's frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.distance.config import ClassGeometry, DistanceConfig
from roadmask.geometry.distance.distances import DistanceReason, Distances
from roadmask.geometry.distance.feet import Feet, feet_of
from roadmask.geometry.distance.horizon import HorizonFilter, Learned
from roadmask.geometry.distance.motion import MotionFilter
from roadmask.geometry.lens import rays_of

Floats = NDArray[np.float64]

_FAR = 1e-4
"""Smallest tangent of an angle to the horizon that is divided by: a road seen 15 km away."""
_STATED = "stated_"
"""Prefix of the arrays of the filter that relies on the stated pitch."""
_NEAREST = 0.1
"""Smallest distance in metres."""
_CONTACT_SIGMAS = 2.0
"""Standard deviations by which a rate of approach must exceed 0 for a time to contact."""


class DistanceEstimator:
    """Estimates distances of the instances of one camera, frame by frame.

    The distance of an instance is found twice, from its foot on the road and from its size, and the two are averaged
    by their variances. The horizon and the sizes of tracked objects are learned on the way, see `HorizonFilter`. A
    camera whose height is not known sees no road: its distances are from size alone.

    Args:
        calibration: the camera.
        config: the settings; the defaults if None.
    """

    def __init__(self, calibration: Calibration, config: DistanceConfig | None = None) -> None:
        self._given = calibration
        self.config = config or DistanceConfig()
        self._calibration = calibration
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forgets what was learned, because the image size or the clock changes."""
        config = self.config
        # A second filter does not rely on the pitch that the calibration states, so that it sees when that is wrong.
        self._free = HorizonFilter(config, config.unknown_pitch_sigma)
        self._stated = None if self._given.pitch is None else HorizonFilter(config, config.pitch_sigma)
        self._motion = MotionFilter(config)

    @property
    def calibration(self) -> Calibration:
        """The calibration for images of the size seen last."""
        return self._calibration

    @property
    def ground_plane_off(self) -> str | None:
        """Why the road is not used; None if it is."""
        if self._given.height is None:
            return "the height of the camera is not known: pass --camera-height, or distances are from size alone."
        return None

    @property
    def pitch_error(self) -> tuple[float, float]:
        """Learned minus calibrated pitch in radians, positive where the camera looks further down, and its sigma."""
        return self._free.pitch_error

    @property
    def pitch_doubt(self) -> str | None:
        """Why the calibrated pitch is probably wrong; None while there is no reason to think so."""
        error, sigma = self.pitch_error
        warning = self.config.pitch_warning
        if self._given.height is None or self._given.pitch is None:  # nothing is stated that could be wrong
            return None
        if abs(error) < warning or sigma > warning / 3:
            return None
        way = "down" if error > 0 else "up"
        return (
            f"the camera looks {math.degrees(abs(error)):.1f} +- {math.degrees(sigma):.1f} degrees further {way} than "
            "its calibration says: calibrate its pitch or height again."
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns what was learned as named arrays, from which `restore` continues."""
        stated = {} if self._stated is None else self._stated.to_arrays()
        named = {_STATED + name: each for name, each in stated.items()}
        return {**self._free.to_arrays(), **self._motion.to_arrays(), **named}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Continues from the result of `to_arrays`, as if this estimator had seen the frames before."""
        if arrays:
            self._free.restore(arrays)
            if self._stated is not None:
                self._stated.restore({name: arrays[_STATED + name] for name in self._stated.to_arrays()})
            self._motion.restore(arrays)

    def __call__(self, instances: Instances, track_ids: NDArray[np.integer], timestamp_ns: int) -> Distances:
        """Returns the distances of a frame's instances.

        Args:
            instances: N instances with masks; no frame may be earlier than the previous one.
            track_ids: (N,) their tracks, 0 for none.
            timestamp_ns: time of the frame in nanoseconds.

        Raises:
            CalibrationError: the image is not of the size that was calibrated, nor scaled from it.
        """
        if self._calibration.image_size != instances.image_size:
            self._calibration = self._given.for_images(instances.image_size)
        seconds, ids = timestamp_ns / 1e9, np.asarray(track_ids, np.int64)
        reasons = np.zeros(len(instances), np.uint8)
        if instances.masks is None:
            reasons[:] = DistanceReason.NO_SIZE
            return Distances.unknown(reasons)
        feet = feet_of(instances.masks, self.config.border_pixels)
        sized = np.array([each in self.config.classes for each in instances.category_ids.tolist()], np.bool_)
        # the first reason of several is given
        reasons[feet.hidden > self.config.hidden_share] = DistanceReason.HIDDEN_FOOT
        reasons[feet.cut] = DistanceReason.CUT
        reasons[~sized] = DistanceReason.NO_SIZE
        rows = np.flatnonzero(reasons == 0)
        if not len(rows):
            self._learn(seconds, ids[:0], _NONE, _NONE, *_NONE)
            return Distances.unknown(reasons)
        found = self._measure(seconds, ids[rows], instances.category_ids[rows], feet, rows)
        return _placed(found, rows, reasons)

    def _measure(
        self, seconds: float, ids: NDArray[np.int64], categories: NDArray[np.int64], feet: Feet, rows: NDArray[np.intp]
    ) -> Distances:
        config, camera = self.config, self._calibration
        count = len(rows)
        classes = [config.classes[each] for each in categories.tolist()]
        left, right, bottom, top = feet.left[rows], feet.right[rows], feet.bottom[rows], feet.top[rows]
        middle = (left + right) / 2
        ends = ((middle, bottom), (middle, top), (left, bottom), (right, bottom))
        points = np.concatenate([np.stack(each, axis=1) for each in ends])
        rays = np.c_[rays_of(camera, points), np.ones(4 * count)].reshape(4, count, 3)
        up = camera.up
        ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
        ahead /= np.linalg.norm(ahead)
        aside = np.cross(ahead, up)  # to the right, as up points against y
        foot, head = rays[0], rays[1]
        tall = np.maximum(head @ up - foot @ up, _FAR)
        below = -(foot @ up)
        pixel = 1 / camera.focal[1]
        depth, sigma, fresh, above = self._depths(seconds, ids, classes, tall, below, pixel)
        setback, setback_sigma = np.array([(c.setback, c.setback_sigma) for c in classes]).T
        whole = depth * (foot @ ahead)
        metres = np.maximum(whole - setback, _NEAREST)
        relative = np.hypot(whole * sigma, setback_sigma) / metres
        lateral = depth * (foot @ aside)
        edges = depth * (rays[2:] @ aside)
        rate, rate_sigma = self._motion.update(seconds, ids, np.where(above, np.nan, metres), fresh)
        half = config.path_half_width
        in_path = (edges[0] < half) & (edges[1] > -half)
        lost = ~np.isfinite(metres)
        reasons = np.where(lost, DistanceReason.OUTSIDE_LENS, np.where(above, DistanceReason.ABOVE_HORIZON, 0))
        known = reasons == 0
        speed = metres * rate
        speed_sigma = np.hypot(metres * rate_sigma, speed * relative)
        with np.errstate(divide="ignore", invalid="ignore"):
            contact = np.where(rate > _CONTACT_SIGMAS * rate_sigma, 1 / rate, np.nan)
        spread = (edges[1] - edges[0]) / 4
        values = {
            "metres": metres,
            "metres_sigma": metres * relative,
            "lateral": lateral,
            "lateral_sigma": np.hypot(lateral * relative, spread),
            "closing_speed": speed,
            "closing_speed_sigma": speed_sigma,
            "time_to_contact": contact,
            "time_to_contact_sigma": contact * contact * rate_sigma,
        }
        with np.errstate(over="ignore"):
            shown = {name: np.where(known, value, np.nan).astype(np.float32) for name, value in values.items()}
        return Distances(
            **shown,
            in_path=np.where(known, in_path, -1).astype(np.int8),
            reasons=reasons.astype(np.uint8),
        )

    def _learn(self, *observed: Any) -> Learned:
        """Returns what is known of the horizon after a frame: by the stated pitch, unless that is doubted."""
        free = self._free.update(*observed)
        stated = None if self._stated is None else self._stated.update(*observed)
        return free if stated is None or self.pitch_doubt else stated

    def _depths(
        self,
        seconds: float,
        ids: NDArray[np.int64],
        classes: list[ClassGeometry],
        tall: Floats,
        below: Floats,
        pixel: float,
    ) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
        """Returns depths, relative sigmas with and without the error of the size, and which feet are too high."""
        config, camera_height = self.config, self._calibration.height
        height, spread, foot_pixels, ground, uneven = np.array(
            [(c.height, c.height_sigma, c.foot_sigma_pixels, c.ground_sigma, c.road_factor) for c in classes]
        ).T
        tall_sigma = np.hypot(config.edge_sigma_pixels * pixel, config.size_sigma * tall)
        if camera_height is None:
            size_relative = tall_sigma / tall
            return height / tall, np.hypot(spread, size_relative), size_relative, np.zeros(len(tall), np.bool_)
        prior = camera_height / height
        below_sigma = np.hypot(foot_pixels * pixel, ground / camera_height * np.maximum(below, 0))
        learned = self._learn(
            seconds, ids, (prior, prior * spread), (below, tall), np.hypot(below_sigma, prior * tall_sigma), uneven
        )
        size, foot = learned.ratio * tall, below + learned.error
        fresh_size, fresh_foot = (learned.ratio * tall_sigma) ** 2, below_sigma**2
        size_variance = fresh_size + learned.ratio_variance * tall**2
        foot_variance = fresh_foot + learned.error_variance + learned.road_variance * uneven**2
        weight = foot_variance / (size_variance + foot_variance)
        slope = weight * size + (1 - weight) * foot
        variance = size_variance * weight
        # two measures that contradict each other are both less certain
        contradiction = (size - foot) ** 2 / (size_variance + foot_variance)
        variance = variance * np.maximum(contradiction / 4, 1)
        slope_safe = np.maximum(slope, _FAR)
        fresh = np.sqrt(weight**2 * fresh_size + (1 - weight) ** 2 * (foot_pixels * pixel) ** 2) / slope_safe
        above = (foot < -3 * np.sqrt(foot_variance)) | (slope <= _FAR)
        return camera_height / slope_safe, np.sqrt(variance) / slope_safe, fresh, above


_NONE = (np.zeros(0), np.zeros(0))


def _placed(found: Distances, rows: NDArray[np.intp], reasons: NDArray[np.uint8]) -> Distances:
    """Returns the distances of all instances, of which those in `rows` were measured."""
    whole = Distances.unknown(reasons)
    for name, values in vars(whole).items():
        values[rows] = getattr(found, name)
    return whole
