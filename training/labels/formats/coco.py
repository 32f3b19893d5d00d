"""COCO JSON of instances; ids over time are `track_id`, in the annotation, and again in `attributes` and `extra`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from roadmask.engines.interop.coco import rle_of_segmentation
from roadmask.training.labels.formats.interchange import (
    ForeignLabel,
    ForeignLabels,
    Placed,
    box_and_area,
    foreign_image,
    image_name,
    read_object,
)
from roadmask.training.labels.reading import LabelSet


def write(labels: LabelSet, path: Path) -> None:
    """Writes `images`, `annotations` and `categories`; run lengths stay byte for byte.

    Tools keep the fields of an annotation, or those of `attributes` (CVAT, datumaro), or those of `extra` (V7).
    """
    numbers = {key: number for number, key in enumerate(labels.images, 1)}
    images = [
        {
            "id": numbers[key],
            "file_name": image_name(image),
            "height": image.size[0],
            "width": image.size[1],
            "drive": image.drive,
            "frame_index": image.frame,
        }
        for key, image in labels.images.items()
    ]
    annotations: list[dict[str, Any]] = []
    for key, image in labels.images.items():
        for label in labels.by_image[key]:
            box, area = box_and_area(label.counts, image.size)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": numbers[key],
                    "category_id": labels.description.classes[label.class_name],
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(label.crowd),
                    "segmentation": {"size": list(image.size), "counts": label.counts.decode("ascii")},
                    "score": label.score,
                    "track_id": label.object,
                    "attributes": {"track_id": label.object},
                    "extra": {"track_id": label.object, "instance_id": label.object, "state": label.state.value},
                }
            )
    classes = sorted(labels.description.classes.items(), key=lambda each: each[1])
    categories = [{"id": number, "name": name} for name, number in classes]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def read(path: Path, drive: str) -> ForeignLabels:
    """Reads a file; ids come from `track_id`, in the annotation, its `extra` or its `attributes`.

    Args:
        path: the file.
        drive: drive of images whose names have none.

    Raises:
        InputError: it is not of COCO's form; the message names what is wrong.
    """
    document = read_object(path, "images", "annotations", "categories")
    names, positions, images = {}, {}, []
    for position, row in enumerate(document["categories"]):
        with Placed(path, f"category {position}"):
            names[row["id"]] = str(row["name"])
    for position, row in enumerate(document["images"]):
        with Placed(path, f"image {position}"):
            size = int(row["height"]), int(row["width"])
            images.append(foreign_image(str(row["file_name"]), size, drive, row.get("drive"), row.get("frame_index")))
            positions[row["id"]] = position
    labels = []
    for position, row in enumerate(document["annotations"]):
        with Placed(path, f"annotation {position}"):
            if row["image_id"] not in positions:
                raise ValueError(f"image_id {row['image_id']} is not among the images")
            if row["category_id"] not in names:
                raise ValueError(f"category_id {row['category_id']} is not among the categories")
            image = positions[row["image_id"]]
            labels.append(
                ForeignLabel(
                    image,
                    _track_id(row),
                    names[row["category_id"]],
                    rle_of_segmentation(row["segmentation"], images[image].size),
                    float(row.get("score", 1.0)),
                    bool(row.get("iscrowd", 0)),
                )
            )
    return ForeignLabels(tuple(images), tuple(labels))


def _track_id(row: dict[str, Any]) -> int | None:
    for place in (row, row.get("extra") or {}, row.get("attributes") or {}):
        for name in ("track_id", "instance_id"):
            if place.get(name) is not None:
                return int(place[name])
    return None
