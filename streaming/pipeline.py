"""An image in, its tracks out: the stages of roadmask as one synchronous call.

This is what a vehicle's perception stack imports. It starts no threads, touches no disk, and needs neither Ray nor
Zarr; `roadmask run` drives the same stages.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roadmask.engines import Instances, Segmenter
from roadmask.streaming.frames import Frame
from roadmask.streaming.ignore import IgnoreRegion
from roadmask.tracking import IouTracker, Tracker, TrackerState, Tracks


class TrackStage:
    """Follows the instances of one camera; knows when an epoch ends and which part of the image to ignore.

    Args:
        tracker: its own for this camera.
        ignore: instances inside this region are not followed, for instance the vehicle's own bonnet.
    """

    def __init__(self, tracker: Tracker, ignore: IgnoreRegion | None = None) -> None:
        self._tracker = tracker
        self._ignore = ignore
        self._epoch: int | None = None

    def __call__(self, frame: Frame, instances: Instances) -> Tracks:
        """Returns the tracks of a frame.

        Raises:
            InputError: the frame is not later than the one before it in its epoch.
        """
        if self._epoch is not None and frame.epoch != self._epoch:
            self._tracker.start_epoch()
        self._epoch = frame.epoch
        if self._ignore is not None:
            instances = instances[~self._ignore.covers(instances)]
        return self._tracker.update(instances, frame.timestamp_ns, frame.image)

    def state(self) -> TrackerState:
        """Returns what the tracker knows now."""
        return self._tracker.state()

    def restore(self, tracker: Mapping[str, NDArray[np.generic]], epoch: int) -> None:
        """Goes on after the frame of `epoch` that a tracker's state was taken at.

        Raises:
            InputError: it is the state of another kind of tracker.
        """
        self._tracker.restore(tracker)
        self._epoch = epoch


class Pipeline:
    """Segments and follows the frames of one camera.

    Example::

        pipeline = Pipeline(load_segmenter("lite"))
        pipeline.warm_up((720, 1280))
        tracks = pipeline.step(Frame("front", 0, 0, time.time_ns(), "unix", image))

    Args:
        segmenter: may be shared by the pipelines of several cameras, from one thread.
        tracker: its own for this camera; an `IouTracker` with its defaults if None.
        ignore: a region whose instances are dropped.
    """

    def __init__(
        self, segmenter: Segmenter, tracker: Tracker | None = None, *, ignore: IgnoreRegion | None = None
    ) -> None:
        self._segmenter = segmenter
        self._track = TrackStage(tracker if tracker is not None else IouTracker(), ignore)

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Prepares everything that images of this (height, width) need, so that the first real one is not late."""
        self._segmenter.warm_up(image_size)

    def step(self, frame: Frame) -> Tracks:
        """Returns the tracks of the next frame.

        Raises:
            InputError: the frame is not later than the one before it in its epoch.
            EngineError: the segmenter failed on the image.
        """
        (instances,) = self._segmenter([frame.image])
        return self._track(frame, instances)
