"""CVAT XML 1.1 "for video": tracks of polygons."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines import RleMasks
from roadmask.engines.errors import InputError
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.store import CameraReader, Sighting

_TOLERANCE_PX = 0.5
"""Maximum distance in pixels of a polygon from the edge of its mask."""


def write(job: ExportJob, path: Path) -> None:
    """Writes one camera; frames are numbered by capture count, like the frames of the video in CVAT.

    Tracks of CVAT interpolate polygons and not masks: each mask becomes the outline of its largest part, without holes
    and further parts. Instances without a track are left out.

    Raises:
        InputError: there are several cameras, or the image size changes, which a CVAT task does not support.
    """
    camera = job.only_camera("cvat")
    sizes = {epoch.info.image_size for epoch in camera.epochs}
    if len(sizes) > 1:
        raise InputError(
            f"expected one image size for camera {camera.name!r}, got {sorted(sizes)} (height, width): a CVAT task has "
            f"one. Export the epochs of the store to another format."
        )
    with path.open("w", encoding="utf-8") as file:
        xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        xml.startDocument()
        _open(xml, "annotations")
        _text(xml, "version", "1.1")
        frames = _frames(camera)
        _write_meta(xml, camera, frames, next(iter(sizes), (1, 1)))
        summaries = camera.tracks()
        for done, summary in enumerate(summaries, 1):
            track = camera.track(summary.track_id)
            seen = tuple(each for each in track if not (job.detected_only and each.since_detected_ns))
            _open(xml, "track", id=str(track.track_id), label=track.class_name, source="auto")
            _write_shapes(xml, seen, frames)
            xml.endElement("track")
            xml.ignorableWhitespace("\n")
            job.on_progress(done / len(summaries))
        xml.endElement("annotations")
        xml.endDocument()


def _frames(camera: CameraReader) -> int:
    """Returns the number of frames of the video, as far as the store knows it."""
    last = int(camera.epochs[-1].frame_index[-1]) if len(camera) else -1
    return max(camera.ledger.captured, last + 1)


def _write_meta(xml: XMLGenerator, camera: CameraReader, frames: int, image_size: tuple[int, int]) -> None:
    _open(xml, "meta")
    _open(xml, "task")
    for name, value in (("name", camera.name), ("size", frames), ("mode", "interpolation"), ("overlap", 0)):
        _text(xml, name, str(value))
    _open(xml, "labels")
    for class_name in camera.class_names.values():
        _open(xml, "label")
        _text(xml, "name", class_name)
        _open(xml, "attributes")
        xml.endElement("attributes")
        xml.endElement("label")
    xml.endElement("labels")
    _open(xml, "original_size")
    _text(xml, "width", str(image_size[1]))
    _text(xml, "height", str(image_size[0]))
    xml.endElement("original_size")
    xml.endElement("task")
    xml.endElement("meta")
    xml.ignorableWhitespace("\n")


def _write_shapes(xml: XMLGenerator, sightings: tuple[Sighting, ...], frames: int) -> None:
    for n, seen in enumerate(sightings):
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in outline(seen.mask).tolist())
        if not points:
            continue
        following = sightings[n + 1].frame_index if n + 1 < len(sightings) else None
        _write_shape(xml, seen.frame_index, points, outside=False)
        # Without this CVAT would keep showing the last polygon; it refuses a frame after the last one.
        if (following is None or following > seen.frame_index + 1) and seen.frame_index + 1 < frames:
            _write_shape(xml, seen.frame_index + 1, points, outside=True)


def _write_shape(xml: XMLGenerator, frame: int, points: str, *, outside: bool) -> None:
    hidden = str(int(outside))
    _open(xml, "polygon", frame=str(frame), outside=hidden, occluded="0", keyframe="1", points=points, z_order="0")
    xml.endElement("polygon")


def _open(xml: XMLGenerator, name: str, **attributes: str) -> None:
    xml.startElement(name, AttributesImpl(attributes))


def _text(xml: XMLGenerator, name: str, value: str) -> None:
    _open(xml, name)
    xml.characters(value)
    xml.endElement(name)


def outline(mask: RleMasks) -> NDArray[np.float64]:
    """Returns the (P, 2) outline x, y in pixels of the largest part of one mask, along the edges of its pixels."""
    crop = mask.crop(0)
    if not crop.inside.size:
        return np.zeros((0, 2))
    # Contours pass through the centres of pixels; doubling the resolution brings them within a quarter of the edge.
    inside = np.repeat(np.repeat(crop.inside.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    points = cv2.approxPolyDP(largest, 2 * _TOLERANCE_PX, True).reshape(-1, 2)
    if len(points) < 3:
        points = cv2.boxPoints(cv2.minAreaRect(largest))
    moved: NDArray[np.float64] = (points + 0.5) / 2 + (crop.left, crop.top)
    return moved
