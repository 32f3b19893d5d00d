"""An image in, its tracks out: the stages of roadmask as one synchronous call.

This is what a vehicle's perception stack imports. It starts no threads, touches no disk, and needs neither Ray nor
Zarr; `roadmask run` drives the same stages.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from roadmask.engines import Image, Instances, Segmenter
from roadmask.engines.errors import InputError
from roadmask.engines.images import checked_image
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.distance.estimator import DistanceEstimator
from roadmask.streaming.frames import Clock, Frame
from roadmask.streaming.ignore import IgnoreRegion
from roadmask.tracking import IouTracker, Tracker, TrackerState, Tracks

_log = logging.getLogger(__name__)


class TrackStage:
    """Tracks the instances of one camera, ends all tracks where an epoch ends, and drops what lies in a region.

    Args:
        tracker: the tracker of this camera; no other camera may share it.
        ignore: a region whose instances are dropped before tracking, for instance the vehicle's own bonnet.
        distance: what estimates distances, for this camera alone; None for a camera without a calibration.
    """

    def __init__(
        self, tracker: Tracker, ignore: IgnoreRegion | None = None, distance: DistanceEstimator | None = None
    ) -> None:
        self._tracker = tracker
        self._ignore = ignore
        self._distance = distance
        self._warned: set[str] = set()
        self._doubted = False
        self._epoch: int | None = None

    def __call__(self, frame: Frame, instances: Instances) -> Tracks:
        """Returns the tracks of a frame; a semantic map beside the instances stays beside them.

        Raises:
            InputError: the frame is not later than the previous one of its epoch.
            CalibrationError: the image is not of the size that was calibrated, nor scaled from it.
        """
        if self._epoch is not None and frame.epoch != self._epoch:
            self._tracker.start_epoch()
            if self._distance is not None:
                self._distance.start_epoch()
        self._epoch = frame.epoch
        if self._ignore is not None:
            instances = instances[~self._ignore.covers(instances)]
        tracks = self._tracker.update(instances, frame.timestamp_ns, frame.image)
        if self._distance is None:
            return tracks
        found = self._distance(tracks.instances, tracks.track_ids, frame.timestamp_ns)
        self._warn(frame.camera, self._distance)
        return replace(tracks, distances=found)

    def _warn(self, camera: str, distance: DistanceEstimator) -> None:
        """Logs what is wrong with the calibration, each once."""
        for reason in (distance.ground_plane_off, None if self._doubted else distance.pitch_doubt):
            if reason is not None and reason not in self._warned:
                self._warned.add(reason)
                self._doubted = self._doubted or reason != distance.ground_plane_off
                _log.warning("camera %s: %s", camera, reason)

    @property
    def distance(self) -> DistanceEstimator | None:
        """What estimates distances; None for a camera without a calibration."""
        return self._distance

    def state(self) -> TrackerState:
        """Returns the present state of the tracker, and of what estimates distances."""
        tracker = self._tracker.state()
        return tracker if self._distance is None else _MeasuredState(tracker, self._distance.to_arrays())

    def restore(self, tracker: Mapping[str, NDArray[np.generic]], epoch: int) -> None:
        """Continues from a saved state, as if this stage had seen the frames before it.

        Args:
            tracker: the state's arrays, see `TrackerState.to_arrays`.
            epoch: epoch of the frame after which the state was saved.

        Raises:
            InputError: the arrays are the state of another kind of tracker.
        """
        if self._distance is not None:
            self._distance.restore(
                {name[len(_DISTANCE) :]: each for name, each in tracker.items() if name.startswith(_DISTANCE)}
            )
            tracker = {name: each for name, each in tracker.items() if not name.startswith(_DISTANCE)}
        self._tracker.restore(tracker)
        self._epoch = epoch


_DISTANCE = "distance/"
"""Prefix of the arrays that hold what was learned about distances, beside those of the tracker."""


@dataclass(frozen=True, eq=False)
class _MeasuredState:
    """State of a tracker and of an estimator of distances after a frame."""

    tracker: TrackerState
    distance: Mapping[str, NDArray[np.generic]]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        return {**self.tracker.to_arrays(), **{_DISTANCE + name: each for name, each in self.distance.items()}}


class Pipeline:
    """Segments and tracks the images of one camera.

    Example::

        pipeline = Pipeline(load_segmenter("lite"))
        pipeline.warm_up((720, 1280))
        tracks = pipeline.step(image, time.monotonic_ns())

    Args:
        segmenter: finds the instances; pipelines of several cameras may share it if one thread calls them all.
        tracker: the tracker of this camera, which no other camera may share; an `IouTracker` with its defaults if None.
        ignore: a region whose instances are dropped.
        camera: name of the camera, for frames that `step` makes of plain images.
        clock: what the timestamps of plain images count from.
        calibration: of the camera; with it, `Tracks.distances` holds the distance of each instance.

    Raises:
        InputError: the clock is unknown.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        tracker: Tracker | None = None,
        *,
        ignore: IgnoreRegion | None = None,
        camera: str = "camera",
        clock: Clock = "monotonic",
        calibration: Calibration | None = None,
    ) -> None:
        if clock not in get_args(Clock):
            raise InputError(f"expected the clock {', '.join(get_args(Clock))}, got {clock!r}.")
        self._segmenter = segmenter
        distance = None if calibration is None else DistanceEstimator(calibration)
        self._track = TrackStage(tracker if tracker is not None else IouTracker(), ignore, distance)
        self._camera, self._clock = camera, clock
        self._last: Frame | None = None

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Prepares for images of this (height, width), so that the first real one is not late."""
        self._segmenter.warm_up(image_size)

    def step(self, image: Image | Frame, timestamp_ns: int | None = None) -> Tracks:
        """Returns the tracks of the next image.

        An image of another size than the previous one begins a new epoch: all tracks end and ids go on.

        Args:
            image: uint8 (H, W, 3) RGB image, or a `Frame` from a program that counts its own frames and epochs.
            timestamp_ns: capture time of the image in nanoseconds; None with a `Frame`, which has its own.

        Raises:
            InputError: the timestamp is missing, is not an integer, is given with a `Frame`, or is not later than the
                previous one; or a `Frame` has another image size than the previous one of its epoch.
            InstancesError: the image has another type or shape.
            EngineError: the segmenter failed on the image. The next image can be passed as usual.
        """
        frame = self._checked(image, timestamp_ns) if isinstance(image, Frame) else self._made(image, timestamp_ns)
        self._last = frame
        (instances,) = self._segmenter([frame.image])
        return self._track(frame, instances)

    def _checked(self, frame: Frame, timestamp_ns: int | None) -> Frame:
        if timestamp_ns is not None:
            raise InputError(
                f"expected a Frame alone or an image with timestamp_ns, got a Frame with timestamp_ns {timestamp_ns}: "
                "a Frame has its own timestamp."
            )
        last = self._last
        if last is not None and frame.epoch == last.epoch and frame.image_size != last.image_size:
            raise InputError(
                f"expected images of {last.image_size} in epoch {frame.epoch}, got one of {frame.image_size}: begin a "
                "new epoch where the image size changes."
            )
        return frame

    def _made(self, image: Image, timestamp_ns: int | None) -> Frame:
        if isinstance(timestamp_ns, bool) or not isinstance(timestamp_ns, int | np.integer):
            raise InputError(
                f"expected timestamp_ns as an integer number of nanoseconds, got {timestamp_ns!r}: pass the capture "
                "time of the image, for instance time.monotonic_ns()."
            )
        image, last = checked_image(image), self._last
        epoch, frame_index = 0, 0
        if last is not None:
            epoch = last.epoch + (image.shape[:2] != last.image_size)
            frame_index = last.frame_index + 1
        return Frame(self._camera, epoch, frame_index, int(timestamp_ns), self._clock, image)
