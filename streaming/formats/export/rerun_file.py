"""A recording for the viewer of rerun: boxes, id maps and, if requested, images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr

from roadmask.streaming.formats.export.anonymize import anonymized
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.export.source_images import images
from roadmask.streaming.frames import Frame
from roadmask.streaming.sinks.drawing import track_colour
from roadmask.streaming.store import CameraReader, StoredFrame

_JPEG_QUALITY = 85


def write(job: ExportJob, path: Path) -> None:
    """Writes CAMERA/boxes, CAMERA/id_map and CAMERA/image on the timelines `frame` (capture count) and `time`.

    Where the recording states when it began, there is also the timeline `wall_clock`. The id map holds track ids modulo
    65536, the range of segmentation images in rerun. Images are included if `--source` or `--anonymize` is given.

    Raises:
        InputError: images are requested and cannot be found; see `images`.
    """
    stream = rr.RecordingStream("roadmask", recording_id=job.drive.path.stem)
    stream.save(path)
    try:
        for camera in job.cameras:
            for frame, stored in _frames(job, camera):
                _log(stream, job, camera, frame, stored)
    finally:
        stream.flush()
        stream.disconnect()


def _frames(job: ExportJob, camera: CameraReader) -> Iterator[tuple[Frame | None, StoredFrame]]:
    if job.anonymize or camera.name in job.sources:
        yield from images(job, camera)
        return
    for position in range(len(camera)):
        yield None, camera.frame(position)
        job.on_progress((position + 1) / len(camera))


def _log(stream: Any, job: ExportJob, camera: CameraReader, frame: Frame | None, stored: StoredFrame) -> None:
    epoch = next(each for each in camera.epochs if each.info.epoch == stored.epoch)
    stream.set_time("frame", sequence=stored.frame_index)
    if epoch.info.clock == "unix":
        stream.set_time("time", timestamp=np.datetime64(stored.timestamp_ns, "ns"))
    else:
        stream.set_time("time", duration=np.timedelta64(stored.timestamp_ns, "ns"))
    captured = camera.wall_clock(stored.timestamp_ns, stored.epoch)
    if captured is not None:
        stream.set_time("wall_clock", timestamp=captured)
    if frame is not None:
        image = frame.image
        if job.anonymize:
            image = anonymized(image, stored.instances, whole_boxes=job.whole_boxes)
        stream.log(f"{camera.name}/image", rr.Image(image).compress(jpeg_quality=_JPEG_QUALITY))
    id_map = camera.id_map(stored.position)
    stream.log(f"{camera.name}/id_map", rr.SegmentationImage((id_map & 0xFFFF).astype(np.uint16)))
    seen = stored.instances
    names = [
        f"{camera.class_name(category_id)} {track_id}"
        for category_id, track_id in zip(seen.category_ids.tolist(), stored.track_ids.tolist(), strict=True)
    ]
    boxes = rr.Boxes2D(
        array=seen.boxes,
        array_format=rr.Box2DFormat.XYXY,
        labels=names,
        colors=[track_colour(track_id) for track_id in stored.track_ids.tolist()],
        class_ids=seen.category_ids.astype(np.uint16),
    )
    stream.log(f"{camera.name}/boxes", boxes)
