"""Where the tracks of a camera go: the one protocol of the store, the overlay video and the live page.

A recorded run gives each camera one `Recorder`, which tracks the camera's instances and hands every frame to its sinks.
A live run feeds its sinks itself. To add a sink, write a class with these methods (`BaseSink` has defaults for most of
them) and pass it to `record_drive(..., sinks=...)`::

    class TrackCounter(BaseSink):
        def __init__(self, camera: str) -> None:
            self.counts: list[int] = []

        def write(self, tracked: TrackedFrame) -> None:
            self.counts.append(len(tracked.tracks))

    record_drive({"front": "drive.mp4"}, "drive.zarr", sinks=lambda camera: [TrackCounter(camera)])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.ledger import Ledger
from roadmask.tracking import TrackerState, Tracks


@dataclass(frozen=True)
class CameraDescription:
    """What a sink is told of its camera before the first frame."""

    class_names: Mapping[int, str]
    """Category id -> name of every class that the segmenter reports."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """What `FrameSource.describe` returned: plain data without secrets. Empty for a live camera."""
    fps: float | None = None
    """Nominal frames per second; None where the source does not state it."""


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame and everything that is known of it. Further results of a frame become further fields here."""

    frame: Frame
    """The image, its camera and its time. The pixels are valid only if the sink has `needs_image` set; otherwise the
    image may be black, but it always has the right size."""
    tracks: Tracks
    """The instances in the image, each with its track. In the store and in recorded runs the tracks are backfilled (see
    `Backfill`); for the live page, which cannot wait, they are not."""
    tracker: TrackerState | None = None
    """The state of the tracker right after this frame. A store keeps that of its last committed frame, so that a run
    can be resumed there. None where the run cannot be resumed."""


@dataclass(frozen=True, eq=False)
class ResumePoint:
    """What an earlier run committed of a camera: where a resumed run continues."""

    ledger: Ledger = field(default_factory=Ledger)
    """The outcomes of its frames so far. The first `ledger.accounted` items of the source are not handed on again."""
    finished: bool = False
    """Whether the source was read to its end: no frames will be written."""
    epoch: int | None = None
    """The epoch of the last committed frame; None before the first one."""
    tracker: Mapping[str, NDArray[np.generic]] | None = None
    """The state of the tracker right after the last committed frame; None before the first one."""
    tracks: Mapping[int, int] = field(default_factory=dict)
    """Track id -> category id of every confirmed track so far."""


class TrackSink(Protocol):
    """Takes the tracked frames of one camera.

    The calls, all from the code that records this camera and never two at a time, are::

        open  (write | lost | commit)*  (close | abort)

    They may come from another thread than the one that constructed the sink, and each sink of a camera may have its
    own thread. With Ray, a sink is constructed in the process that records its camera.

    A method that fails raises a `RoadmaskError`, usually a `StoreError`. A recorded run then ends: `abort` is called on
    every sink of every camera, and the error becomes the run's. A live run goes on without the sink.
    """

    needs_image: bool
    """Whether `write` reads the pixels of frames. Frames wait until their tracks are resolved; if no sink of the camera
    needs them, the pixels are released at once."""

    def open(self, camera: str, description: CameraDescription) -> ResumePoint | None:
        """Begins the camera; called once, before everything else.

        Args:
            camera: name of the camera.
            description: what is known of it.

        Returns:
            Where to continue, if this sink holds what an earlier run committed; None otherwise. At most one sink of a
            camera resumes (the store); the others receive only the frames that follow.

        Raises:
            InputError: the sink cannot be written with this camera or these settings.
            StoreError: the sink cannot be written.
        """
        ...

    def write(self, tracked: TrackedFrame) -> None:
        """Takes the next frame.

        Frame indices strictly increase, and timestamps do within an epoch. The epoch number grows where the size of the
        images, their rotation or the clock changes; track ids and frame indices go on. The sink may keep what it is
        given, but must not change it.

        Raises:
            StoreError: the frame cannot be written.
        """
        ...

    def lost(self, item: LostFrame) -> None:
        """Takes a captured frame that has no tracks, in its place between the frames of `write`.

        Live runs do not call it: most of their losses happen in other processes, which only count them.

        Args:
            item: which frame, and why it was dropped or failed.
        """
        ...

    def commit(self) -> None:
        """Makes what was written so far durable and visible to readers.

        Live runs call it every few seconds. Recorded runs never do: a sink chooses its own moments to commit.

        Raises:
            StoreError: it cannot be written now; a later `commit` may succeed.
        """
        ...

    def close(self, captured: int | None) -> None:
        """Writes the rest and ends the camera; nothing is called afterwards.

        Every sink of a camera is closed, even if one of them fails; the store is closed last.

        Args:
            captured: frames that left the source, counted there, once it ended. None if the run was stopped before
                that: what is written stays valid, and a sink that can be resumed keeps what it needs for it.

        Raises:
            LedgerError: written and lost frames do not add up to `captured`; everything that came is written.
            StoreError: the sink cannot be written.
        """
        ...

    def abort(self) -> None:
        """Ends the camera after an error, here or elsewhere, that the run raises already.

        A sink keeps what is whole (the store commits what it can) and removes what is not (an unfinished video). Must
        not raise. May be called at any moment after construction, also before `open`, after `close` and repeatedly.
        """
        ...


class BaseSink:
    """Defaults for a `TrackSink` that only has to write: it needs no image, buffers nothing and cannot be resumed."""

    needs_image = False

    def open(self, camera: str, description: CameraDescription) -> ResumePoint | None:  # noqa: ARG002 - a default
        """Begins the camera."""
        return None

    def lost(self, item: LostFrame) -> None:
        """Ignores a frame without tracks."""

    def commit(self) -> None:
        """Does nothing: every frame is written at once."""

    def close(self, captured: int | None) -> None:
        """Ends the camera."""

    def abort(self) -> None:
        """Ends the camera after an error."""
