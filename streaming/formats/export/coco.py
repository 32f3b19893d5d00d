"""COCO JSON of instances, with their tracks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import cv2

from roadmask.streaming.formats.export.anonymize import anonymized
from roadmask.streaming.formats.export.job import ExportJob, since_detected, wall_clock_text
from roadmask.streaming.formats.export.source_images import images

_JPEG_QUALITY = 95


def write(job: ExportJob, path: Path) -> None:
    """Writes `images`, `annotations` and `categories`, with the run lengths of the store byte for byte.

    Ids count from 1 over all cameras. An image also has `camera`, `epoch`, `frame_index` (capture count) and
    `timestamp_ns`, and `date_captured` where the recording states when it began; an annotation also has `score`,
    `track_id` (0 = none; unique within a camera), `state` and, where instances may be propagated, `since_detected_ns`.

    With `image_files`, the images are written to CAMERA/FRAME_INDEX.jpg beside the file.

    Raises:
        InputError: images are requested and cannot be found; see `images`.
    """
    if job.image_files:
        _write_images(job, path.parent)
    with path.open("w", encoding="ascii") as file:
        file.write('{"images":')
        _write_list(file, _images(job))
        file.write(',\n"annotations":')
        _write_list(file, _annotations(job))
        categories = [{"id": category_id, "name": name} for category_id, name in sorted(job.drive.class_names.items())]
        file.write(f',\n"categories":{json.dumps(categories)}}}\n')


def _write_list(file: TextIO, items: Iterable[dict[str, Any]]) -> None:
    """Writes a list item by item."""
    separator = "[\n"
    for item in items:
        file.write(separator + json.dumps(item, separators=(",", ":")))
        separator = ",\n"
    file.write("[]" if separator == "[\n" else "\n]")


def _file_name(camera: str, frame_index: int) -> str:
    return f"{camera}/{frame_index:06d}.jpg"


def _write_images(job: ExportJob, folder: Path) -> None:
    for camera in job.cameras:
        (folder / camera.name).mkdir()
        for frame, stored in images(job, camera):
            image = frame.image
            if job.anonymize:
                image = anonymized(image, stored.instances, whole_boxes=job.whole_boxes)
            _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            (folder / _file_name(camera.name, frame.frame_index)).write_bytes(encoded.tobytes())


def _images(job: ExportJob) -> Iterable[dict[str, Any]]:
    number = 0
    for camera in job.cameras:
        for epoch in camera.epochs:
            height, width = epoch.info.image_size
            for index, timestamp_ns in zip(epoch.frame_index.tolist(), epoch.timestamp_ns.tolist(), strict=True):
                number += 1
                captured = wall_clock_text(camera, timestamp_ns, epoch.info.epoch)
                yield {
                    "id": number,
                    "file_name": _file_name(camera.name, index),
                    "height": height,
                    "width": width,
                    "camera": camera.name,
                    "epoch": epoch.info.epoch,
                    "frame_index": index,
                    "timestamp_ns": timestamp_ns,
                    **({"date_captured": captured} if captured else {}),
                }


def _annotations(job: ExportJob) -> Iterable[dict[str, Any]]:
    number = 0
    for image_id, (_, frame) in enumerate(job.frames(), 1):
        seen = frame.instances
        if not len(seen):
            continue
        assert seen.masks is not None  # noqa: S101 - a store keeps masks
        masks = seen.masks.to_rle()
        for n, (area, counts) in enumerate(zip(masks.area.tolist(), masks.counts, strict=True)):
            number += 1
            x1, y1, x2, y2 = seen.boxes[n].tolist()
            yield {
                "id": number,
                "image_id": image_id,
                "category_id": int(seen.category_ids[n]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": area,
                "iscrowd": 0,
                "segmentation": {"size": list(masks.image_size), "counts": counts.decode("ascii")},
                "score": float(seen.scores[n]),
                "track_id": int(frame.track_ids[n]),
                "state": int(frame.states[n]),
                **since_detected(seen, n),
                **({} if frame.distances is None else {"distance": frame.distances.record(n)}),
            }
