"""A video of one camera with its masks drawn, or with its road users blurred."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from roadmask.streaming.formats.export.anonymize import anonymized
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.export.source_images import images
from roadmask.streaming.sinks.overlay import OverlayVideo
from roadmask.streaming.sinks.sink import CameraDescription, TrackedFrame
from roadmask.streaming.sinks.video_writer import VideoWriter
from roadmask.streaming.store import CameraReader
from roadmask.tracking import Tracks

_PAUSE_NS = 1_000_000_000
"""Between two epochs, whose clocks may have nothing in common."""


def write(job: ExportJob, path: Path) -> None:
    """Writes the stored frames without sound; failed and dropped frames are not shown.

    The metadata of the video state when its first frame was captured, if the recording does; those of an anonymized
    video do not.

    Raises:
        InputError: there are several cameras, or the images cannot be found; see `images`.
    """
    camera = job.only_camera("video")
    if job.anonymize and not job.overlay:
        _write_plain(job, path)
        return
    overlay = OverlayVideo(path, created=None if job.anonymize else _began(camera))
    overlay.open(camera.name, CameraDescription(camera.class_names))
    try:
        for frame, stored in images(job, camera):
            shown = frame
            if job.anonymize:
                image = anonymized(frame.image, stored.instances, whole_boxes=job.whole_boxes)
                shown = replace(frame, image=image)
            overlay.write(TrackedFrame(shown, Tracks.from_ids(stored.instances, stored.track_ids, stored.states)))
        overlay.close(len(camera))
    except BaseException:
        overlay.abort()
        raise


def _write_plain(job: ExportJob, path: Path) -> None:
    epoch, shift_ns, shown_ns = None, 0, 0
    with VideoWriter(path) as video:
        for frame, stored in images(job, job.only_camera("video")):
            if epoch not in (None, frame.epoch):
                shift_ns = shown_ns + _PAUSE_NS - frame.timestamp_ns
            epoch, shown_ns = frame.epoch, frame.timestamp_ns + shift_ns
            video.write(anonymized(frame.image, stored.instances, whole_boxes=job.whole_boxes), shown_ns)


def _began(camera: CameraReader) -> datetime | None:
    first = next((epoch for epoch in camera.epochs if len(epoch)), None)
    return None if first is None else camera.wall_clock(int(first.timestamp_ns[0]), first.info.epoch)
