"""What a worker does: records one drive into its store. Whatever happens, it returns an outcome."""

from __future__ import annotations

import base64
import logging
import os
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from roadmask.engines import Segmenter
from roadmask.engines.errors import RoadmaskError, StoreError, StoreLockedError, StoreResumeError
from roadmask.streaming.batch.drives import DriveFiles
from roadmask.streaming.batch.outcome import DriveOutcome, Notes, Status
from roadmask.streaming.batch.publishing import PublishedFolder
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.result import CameraProgress
from roadmask.streaming.redaction import redact_text
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.store import open_drive, summarize_drive
from roadmask.streaming.store.layout import json_data

Build = Callable[[], Segmenter]
_THUMBNAIL_FRAMES = 250
"""The frame for the report is chosen from this many first frames."""
_THUMBNAIL_WIDTH = 480
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriveTask:
    """What a worker is given."""

    drive: DriveFiles
    """Files of the drive."""
    out: Path
    """Folder of the stores, absolute."""
    config: RunConfig
    """Configuration of the run."""
    threads: int
    """Number of threads of the engine. The last digits of its results depend on it, so it is the same on every node."""
    build: Build | None = None
    """Builds the segmenter; None builds the one of the configuration."""
    command: str = ""
    """Command line for the store's provenance, without credentials."""
    cwd: str = ""
    """Folder that relative paths in the configuration start from."""
    weights_sha256: str = ""
    """SHA-256 of the weights; empty if only `build` knows them."""
    destination: str = ""
    """URL that finished stores are moved to; empty leaves them in `out`."""
    frames_expected: int | None = None
    """Number of frames of all cameras; None if the files do not state it."""
    attempts: int = 1
    """Number of workers that the drive was given to, with this one."""

    @property
    def store(self) -> Path:
        """Path of the drive's store."""
        return self.out / f"{self.drive.name}.zarr"

    @property
    def segmenter(self) -> Build:
        """Function that builds the segmenter with the number of threads of this task."""
        engine = replace(self.config.engine, threads=self.threads)
        return self.build or partial(build_segmenter, engine)

    def made_of(self) -> dict[str, Any]:
        """Returns what the store depends on: configuration, weights, and name, size and time of change of each file."""
        files = {camera: [_state(path) for path in paths] for camera, paths in self.drive.cameras.items()}
        return {"config": json_data(self.config.describe(), "config"), "weights": self.weights_sha256, "files": files}

    def finished_before(self) -> DriveOutcome | None:
        """Returns the outcome of the drive if it was finished with the same files, weights and settings, else None.

        Raises:
            StoreError: the destination cannot be read.
        """
        if self.destination:
            return PublishedFolder(self.destination).finished(self.drive.name, self.made_of())
        return Notes(self.out).finished(self.drive.name, self.made_of())


def _state(path: Path) -> list[Any]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [file.stat() for file in files]
    return [path.name, len(found), sum(stat.st_size for stat in found), max(stat.st_mtime_ns for stat in found)]


def record_task(task: DriveTask, stop: threading.Event, on_frames: Callable[[int], None]) -> DriveOutcome:
    """Records a drive: skips a finished store and resumes an interrupted one. Raises nothing.

    Args:
        task: drive to record.
        stop: event that ends the recording early when set.
        on_frames: called with the number of frames recorded so far.
    """
    started, clock = time.time(), time.monotonic()
    common: dict[str, Any] = {"started": started, "host": socket.gethostname(), "attempts": task.attempts}
    try:
        if task.cwd and Path(task.cwd).is_dir():
            os.chdir(task.cwd)
        cv2.setNumThreads(1)
        outcome = _record(task, stop, on_frames)
    except StoreLockedError as error:
        outcome = DriveOutcome(task.drive.name, "locked", str(error))
    except RoadmaskError as error:
        _log.warning("%s: %s", task.drive.name, error)
        broken = isinstance(error, StoreError) and not isinstance(error, StoreResumeError)
        outcome = DriveOutcome(task.drive.name, "failed", redact_text(str(error)), store_failed=broken)
    except Exception as error:  # whatever a broken drive raises must not stop the others
        _log.exception("recording %s failed", task.drive.name)
        outcome = DriveOutcome(task.drive.name, "failed", redact_text(f"{type(error).__name__}: {error}"))
    outcome = replace(outcome, **common, seconds=time.monotonic() - clock)
    if outcome.status in ("stored", "incomplete"):
        try:
            _publish(task, outcome)
        except StoreError as error:
            return replace(outcome, status="failed", reason=str(error), store_failed=True)
    return outcome


def _publish(task: DriveTask, outcome: DriveOutcome) -> None:
    """Notes that a drive is finished, after moving its store to the destination if there is one."""
    if task.destination:
        PublishedFolder(task.destination).put(task.store, outcome, task.made_of())
    Notes(task.out).finish(outcome, task.made_of())
    if task.destination:
        shutil.rmtree(task.store, ignore_errors=True)


def _record(task: DriveTask, stop: threading.Event, on_frames: Callable[[int], None]) -> DriveOutcome:
    notes, started = Notes(task.out), False

    def on_progress(cameras: dict[str, CameraProgress]) -> None:
        nonlocal started
        if not started:  # the sources are readable, and nothing is written yet
            notes.begin(task.drive.name)
            started = True
        on_frames(sum(progress.frames for progress in cameras.values()))

    result = record_drive(
        task.drive.jobs(),
        task.store,
        task.config,
        build=task.segmenter,
        on_progress=on_progress,
        stop=stop,
        command=task.command,
        resume=True,
    )
    if result.interrupted:
        return DriveOutcome(task.drive.name, "interrupted", "stopped; run the same command again to resume it")
    reasons = [f"camera {camera.camera} ended early: {camera.problem}" for camera in result.cameras if camera.problem]
    reasons += [
        f"camera {camera.camera}, {count} frames failed: {reason}"
        for camera in result.cameras
        for reason, count in camera.failures.items()
    ]
    outcome = _outcome(task, "stored" if result.exit_code == 0 else "incomplete", redact_text("; ".join(reasons)))
    return replace(outcome, skipped=result.finished_before)


def _outcome(task: DriveTask, status: Status, reason: str) -> DriveOutcome:
    summary = summarize_drive(task.store)
    lost: Counter[str] = Counter()
    tracks: Counter[str] = Counter()
    for camera in summary.cameras:
        for state, counts in (("failed", camera.ledger.failed), ("dropped", camera.ledger.dropped)):
            lost.update({f"{state}: {why}": count for why, count in counts.items()})
        tracks.update({found.class_name: found.tracks for found in camera.classes if found.tracks})
    size = next((epoch.image_size for camera in summary.cameras for epoch in camera.epochs), (0, 0))
    if any(camera.ledger.failed for camera in summary.cameras):  # what no player shows is no loss
        status = "incomplete"
        reason = reason or ", ".join(f"{count} frames {why}" for why, count in sorted(lost.items()))
    return DriveOutcome(
        task.drive.name,
        status,
        reason,
        cameras=len(summary.cameras),
        frames=summary.frames,
        lost=dict(sorted(lost.items())),
        tracks=dict(sorted(tracks.items())),
        video_s=summary.seconds,
        stored_bytes=summary.stored_bytes,
        files=sum(1 for path in task.store.rglob("*") if path.is_file()),
        height=size[0],
        width=size[1],
        thumbnail=_thumbnail(task),
    )


def _thumbnail(task: DriveTask) -> str:
    """Draws the early frame with the most tracks for the report; returns an empty text if that fails."""
    from roadmask.streaming.sinks.drawing import draw_overlay  # noqa: PLC0415 - fonts are loaded only where they are used
    from roadmask.tracking import Tracks  # noqa: PLC0415

    try:
        job = task.drive.jobs()[0]
        camera = open_drive(task.store)[job.camera]
        if not len(camera):
            return ""
        epoch = camera.epochs[0]
        seen = np.bincount(epoch.frame_of_instance[epoch.track_id > 0], minlength=len(epoch))[:_THUMBNAIL_FRAMES]
        stored = camera.frame(int(np.argmax(seen)))
        source = job.open()
        try:
            image = next(
                (
                    i
                    for i in islice(source, stored.frame_index + 1)
                    if isinstance(i, Frame) and i.frame_index == stored.frame_index
                ),
                None,
            )
        finally:
            source.close()
        if image is None:
            return ""
        tracks = Tracks.from_ids(stored.instances, stored.track_ids, stored.states)
        drawn = draw_overlay(image.image, tracks, camera.class_names)
        height, width = drawn.shape[:2]
        scale = min(1.0, _THUMBNAIL_WIDTH / width)
        small = cv2.resize(drawn, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        encoded = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        return base64.b64encode(encoded.tobytes()).decode()
    except RoadmaskError as error:
        _log.warning("no image for the report of %s: %s", task.drive.name, error)
        return ""
