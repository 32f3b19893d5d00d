"""V7 Darwin JSON 2.0: a file for each drive, an annotation for each object, polygons with holes as further paths.

Every frame is a keyframe and nothing is interpolated, so V7 does not guess. The format:
https://docs.v7labs.com/reference/darwin-json
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from roadmask.engines.errors import InputError
from roadmask.training.labels.formats.interchange import (
    ForeignImage,
    ForeignLabel,
    ForeignLabels,
    Placed,
    box_and_area,
    image_name,
    read_object,
)
from roadmask.training.labels.formats.polygons import mask_of_rings, rings_of
from roadmask.training.labels.reading import LabelSet
from roadmask.training.labels.records import Label, LabelledImage

_SCHEMA = "https://darwin-public.s3.eu-west-1.amazonaws.com/darwin_json/2.0/schema.json"
_SLOT = "0"


def write(labels: LabelSet, path: Path) -> None:
    """Writes DRIVE.json for each drive; frames are numbered by frame index.

    Raises:
        InputError: the images of a drive have several sizes, which a video does not have.
    """
    path.mkdir()
    by_drive: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in labels.images.values():
        by_drive[image.drive].append(image)
    for drive, images in by_drive.items():
        sizes = sorted({image.size for image in images})
        if len(sizes) > 1:
            raise InputError(
                f"expected one image size in the drive {drive}, got {sizes} (height, width): a video has one. "
                "Export to COCO."
            )
        height, width = sizes[0]
        slot: dict[str, Any] = {
            "type": "video",
            "slot_name": _SLOT,
            "width": width,
            "height": height,
            "frame_count": images[-1].frame + 1,
            "source_files": [{"file_name": drive, "url": ""}],
        }
        if len(images) == slot["frame_count"]:  # darwin-py takes an item for a video if it names its frames
            slot["frame_urls"] = [image_name(image) for image in images]
        document = {
            "version": "2.0",
            "schema_ref": _SCHEMA,
            "item": {"name": drive, "path": "/", "slots": [slot]},
            "annotations": [
                _annotation(drive, number, seen, sizes[0])
                for (of, number), seen in labels.objects.items()
                if of == drive
            ],
        }
        (path / f"{drive}.json").write_text(json.dumps(document))


def _annotation(drive: str, number: int, seen: list[Label], size: tuple[int, int]) -> dict[str, Any]:
    frames = [label.frame for label in seen]
    gaps = [n for n, (one, two) in enumerate(pairwise(frames), 1) if two > one + 1]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{drive}/{number}")),
        "name": seen[0].class_name,
        "slot_names": [_SLOT],
        "interpolated": False,
        "ranges": [[frames[a], frames[b - 1] + 1] for a, b in pairwise([0, *gaps, len(frames)])],
        "frames": {str(label.frame): _shape(label, size) for label in seen},
    }


def _shape(label: Label, size: tuple[int, int]) -> dict[str, Any]:
    (x, y, width, height), _ = box_and_area(label.counts, size)
    paths = [[{"x": float(x), "y": float(y)} for x, y in ring] for ring in rings_of(label.counts, size)]
    return {
        "keyframe": True,
        "bounding_box": {"x": x, "y": y, "w": width, "h": height},
        "polygon": {"paths": paths},
        "instance_id": {"value": label.object},
    }


def read(path: Path, drive: str) -> ForeignLabels:
    """Reads a file, or a folder of them; annotations without a polygon, such as tags, are left out.

    Args:
        path: the file or folder.
        drive: drive of a file that names no item.

    Raises:
        InputError: a file is not Darwin JSON 2.0; the message names what is wrong.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"expected Darwin JSON files in {path}, found none: check the folder.")
    images: list[ForeignImage] = []
    labels: list[ForeignLabel] = []
    for file in files:
        document = read_object(file, "annotations")
        if str(document.get("version", "")).split(".")[0] != "2":
            raise InputError(f"{file}: expected Darwin JSON 2.0, got version {document.get('version')!r}.")
        with Placed(file, "item"):
            item = document["item"]
            slot = item["slots"][0]
            size = int(slot["height"]), int(slot["width"])
            name, first = str(item.get("name") or drive), len(images)
            of = Path(name).stem
            count = int(slot.get("frame_count") or 1)
            images += [ForeignImage(f"{name}/{n:06d}", size, of, n) for n in range(count)]
        for position, row in enumerate(document["annotations"]):
            with Placed(file, f"annotation {position}"):
                for frame, shape in (row.get("frames") or {"0": row}).items():
                    if "polygon" not in shape:
                        continue
                    if not 0 <= int(frame) < count:
                        raise ValueError(f"frame {frame} is not among the {count} frames of the item")
                    rings = [[(point["x"], point["y"]) for point in ring] for ring in shape["polygon"]["paths"]]
                    number = (shape.get("instance_id") or row.get("instance_id") or {}).get("value")
                    labels.append(
                        ForeignLabel(
                            first + int(frame),
                            None if number is None else int(number),
                            str(row["name"]),
                            mask_of_rings(rings, size),
                        )
                    )
    return ForeignLabels(tuple(images), tuple(labels))
