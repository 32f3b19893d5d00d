"""COCO JSON of instances, with their tracks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from roadmask.streaming.formats.export.job import ExportJob, wall_clock_text


def write(job: ExportJob, path: Path) -> None:
    """Writes `images`, `annotations` and `categories`, with the run lengths of the store byte for byte.

    Ids count from 1 over all cameras. An image also has `camera`, `epoch`, `frame_index` (capture count) and
    `timestamp_ns`, and `date_captured` where the recording states when it began; an annotation also has `score`,
    `track_id` (0 = none; unique within a camera) and `state`.
    """
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
                    "file_name": f"{camera.name}/{index:06d}.jpg",
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
            }
