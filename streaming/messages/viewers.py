"""The same instances in messages of others: boxes for vision_msgs, contours and labels for Foxglove."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines.run_lengths import decode
from roadmask.streaming.messages.cdr import CdrWriter
from roadmask.streaming.messages.fields import InstanceArray, InstanceMessage

_NO_COVARIANCE = (0.0,) * 36
_LINE_LOOP = 2
_FILL, _OPAQUE = 0.25, 1.0
_FONT_SIZE, _THICKNESS = 12.0, 2.0


def detection_array(message: InstanceArray) -> bytes:
    """Returns the boxes as `vision_msgs/Detection2DArray`; `id` is the track id, or empty without a track."""
    writer = CdrWriter()
    _write_header(writer, message)
    writer.numbers("I", len(message.instances))
    for one in message.instances:
        _write_header(writer, message)
        writer.numbers("I", 1)
        writer.text(one.category)
        writer.numbers("d", one.score)
        writer.numbers("ddddddd", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # no pose: the origin, not turned
        writer.numbers(36 * "d", *_NO_COVARIANCE)
        centre = (one.x + one.width / 2, one.y + one.height / 2)
        writer.numbers("ddddd", *centre, 0.0, one.width, one.height)
        writer.text(str(one.track_id) if one.track_id else "")
    return writer.finish()


def image_annotations(message: InstanceArray, colours: list[tuple[int, int, int]]) -> bytes:
    """Returns the contours of the masks and their labels as `foxglove_msgs/ImageAnnotations`.

    The metadata of a contour has `track_id`, `category`, `score` and `state`.

    Args:
        message: the instances of one image.
        colours: red, green and blue of each instance, 0 to 255.
    """
    writer = CdrWriter()
    time = divmod(message.stamp_ns, 1_000_000_000)
    writer.numbers("I", 0)  # no circles
    found = list(zip(message.instances, colours, strict=True))
    contours = [(one, colour, points) for one, colour in found for points in _contours(one, message)]
    writer.numbers("I", len(contours))
    for one, colour, points in contours:
        writer.numbers("iI", *time)
        writer.numbers("B", _LINE_LOOP)
        writer.numbers("I", len(points))
        writer.doubles(points)
        _write_colour(writer, colour, _OPAQUE)
        writer.numbers("I", 0)  # no colours of single points
        _write_colour(writer, colour, _FILL)
        writer.numbers("d", _THICKNESS)
        _write_metadata(writer, one)
    writer.numbers("I", len(found))
    for one, colour in found:
        writer.numbers("iI", *time)
        writer.numbers("dd", one.x, one.y)
        writer.text(f"{one.category} {one.track_id}" if one.track_id else one.category)
        writer.numbers("d", _FONT_SIZE)
        _write_colour(writer, (255, 255, 255), _OPAQUE)
        _write_colour(writer, colour, _OPAQUE)
        _write_metadata(writer, one)
    return writer.finish()


def _contours(one: InstanceMessage, message: InstanceArray) -> Iterator[NDArray[np.float64]]:
    """Yields the outer contours of a mask as (P, 2) points, whose origin is the corner of the first pixel."""
    if not one.mask:
        return
    crop = decode([one.mask], (message.height, message.width)).crop(0, message.height)
    if not crop.inside.size:
        return
    found, _ = cv2.findContours(crop.inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in found:
        # OpenCV's points are centres of pixels.
        yield contour.reshape(-1, 2).astype(np.float64) + np.array([crop.left + 0.5, crop.top + 0.5])


def _write_header(writer: CdrWriter, message: InstanceArray) -> None:
    writer.numbers("iI", *divmod(message.stamp_ns, 1_000_000_000))
    writer.text(message.frame_id)


def _write_colour(writer: CdrWriter, colour: tuple[int, int, int], alpha: float) -> None:
    writer.numbers("dddd", *(value / 255 for value in colour), alpha)


def _write_metadata(writer: CdrWriter, one: InstanceMessage) -> None:
    pairs = {
        "track_id": str(one.track_id),
        "category": one.category,
        "score": f"{one.score:.3f}",
        "state": "confirmed" if one.state else "tentative",
    }
    writer.numbers("I", len(pairs))
    for key, value in pairs.items():
        writer.text(key)
        writer.text(value)
