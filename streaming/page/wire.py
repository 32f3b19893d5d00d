"""What travels between the server and a browser.

An image is one binary message: the length of a JSON header (4 bytes, big-endian), the header, the JPEG. Everything
else is JSON text with a `type`. Times are milliseconds on the server's own clock, which starts at 0 with the server and
never jumps: `at` is the time of publication, `captured` the capture time of an image. Only `wall`, the capture time by
the wall clock, counts from 1970. On the page of a recorded store, times count from the beginning of the drive, and
`wall` is null where the store does not state it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from typing import Any

import numpy as np

from roadmask.streaming.live.reports import LiveImage, LiveReport


def image_message(image: LiveImage, key: int, at_ms: float, captured_ms: float, wall_ms: float | None) -> bytes:
    """Returns an image with its boxes as one message."""
    header = {
        "key": key,
        "camera": image.camera,
        "epoch": image.epoch,
        "frame_index": image.frame_index,
        "at": round(at_ms, 1),
        "captured": round(captured_ms, 1),
        "wall": None if wall_ms is None else round(wall_ms, 3),
        "size": image.size,
        "instances": [
            {
                "id": instance.track_id,
                "label": instance.label,
                "score": round(float(instance.score), 3),
                "box": [round(float(edge), 1) for edge in instance.box],
            }
            for instance in image.instances
        ],
    }
    text = to_json(header).encode()
    return struct.pack(">I", len(text)) + text + image.jpeg


def report_fields(report: LiveReport) -> dict[str, Any]:
    """Returns a report as JSON fields; the ledger of a camera is laid flat, with `watched` beside `dropped`."""
    fields = dataclasses.asdict(report)
    for camera, told in zip(fields["cameras"], report.cameras, strict=True):
        ledger = camera.pop("ledger")
        camera |= {"captured": ledger["captured"], "stored": ledger["stored"], "watched": told.watched}
        camera |= {"dropped": told.dropped, "failed": ledger["failed"], "in_flight": ledger["in_flight"]}
    return fields


def to_json(fields: object) -> str:
    """Returns compact JSON that any parser accepts: numbers that are not finite become null."""
    return json.dumps(_finite(fields), allow_nan=False, separators=(",", ":"))


def _finite(fields: Any) -> Any:
    if isinstance(fields, np.generic):  # numbers that come from arrays
        fields = fields.item()
    if isinstance(fields, float):
        return fields if math.isfinite(fields) else None
    if isinstance(fields, dict):
        return {str(name): _finite(value) for name, value in fields.items()}
    if isinstance(fields, (list, tuple)):
        return [_finite(value) for value in fields]
    return fields
