"""YouTube-VIS JSON, by which video instance segmentation is measured: an annotation is an object over time.

The format: https://github.com/youtubevos/cocoapi
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from roadmask.engines.errors import InputError
from roadmask.engines.interop.coco import rle_of_segmentation
from roadmask.training.labels.formats.interchange import (
    ForeignImage,
    ForeignLabel,
    ForeignLabels,
    Placed,
    box_and_area,
    foreign_image,
    image_name,
    read_object,
)
from roadmask.training.labels.reading import LabelSet
from roadmask.training.labels.records import Label, LabelledImage


def write(labels: LabelSet, path: Path) -> None:
    """Writes a video for each drive; run lengths stay byte for byte.

    Raises:
        InputError: the images of a drive have several sizes, which the format does not have.
    """
    by_drive: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in labels.images.values():
        by_drive[image.drive].append(image)
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (drive, images) in enumerate(by_drive.items(), 1):
        sizes = sorted({image.size for image in images})
        if len(sizes) > 1:
            raise InputError(
                f"expected one image size in the drive {drive}, got {sizes} (height, width): a video has "
                "one. Export to COCO."
            )
        (height, width) = sizes[0]
        videos.append(
            {
                "id": number,
                "file_names": [image_name(image) for image in images],
                "frame_indices": [image.frame for image in images],
                "drive": drive,
                "height": height,
                "width": width,
                "length": len(images),
            }
        )
        objects: dict[int, dict[int, Label]] = defaultdict(dict)
        for image in images:
            for label in labels.by_image[image.key]:
                objects[label.object][image.frame] = label
        for object_id, seen in sorted(objects.items()):
            first = next(iter(seen.values()))
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1,
                "video_id": number,
                "category_id": labels.description.classes[first.class_name],
                "iscrowd": int(first.crowd),
                "track_id": object_id,
                "height": height,
                "width": width,
                "segmentations": [],
                "bboxes": [],
                "areas": [],
                "scores": [],
            }
            for image in images:
                there = seen.get(image.frame)
                box, area = (None, None) if there is None else box_and_area(there.counts, image.size)
                rle = None if there is None else {"size": [height, width], "counts": there.counts.decode("ascii")}
                annotation["segmentations"].append(rle)
                annotation["bboxes"].append(box)
                annotation["areas"].append(area)
                annotation["scores"].append(None if there is None else there.score)
            annotations.append(annotation)
    classes = sorted(labels.description.classes.items(), key=lambda each: each[1])
    categories = [{"id": number, "name": name} for name, number in classes]
    path.write_text(json.dumps({"videos": videos, "annotations": annotations, "categories": categories}))


def read(path: Path, drive: str) -> ForeignLabels:
    """Reads a file.

    Args:
        path: the file.
        drive: drive of images whose names have none.

    Raises:
        InputError: it is not of YouTube-VIS's form; the message names what is wrong.
    """
    document = read_object(path, "videos", "annotations", "categories")
    names: dict[Any, str] = {}
    images: list[ForeignImage] = []
    first_of: dict[Any, int] = {}
    lengths: dict[Any, int] = {}
    for position, row in enumerate(document["categories"]):
        with Placed(path, f"category {position}"):
            names[row["id"]] = str(row["name"])
    for position, row in enumerate(document["videos"]):
        with Placed(path, f"video {position}"):
            size, files = (int(row["height"]), int(row["width"])), row["file_names"]
            first_of[row["id"]], lengths[row["id"]] = len(images), len(files)
            frames = row.get("frame_indices") or [None] * len(files)
            for name, frame in zip(files, frames, strict=True):
                images.append(foreign_image(str(name), size, drive, row.get("drive"), frame))
    labels = []
    for position, row in enumerate(document["annotations"]):
        with Placed(path, f"annotation {position}"):
            if row["video_id"] not in first_of:
                raise ValueError(f"video_id {row['video_id']} is not among the videos")
            if row["category_id"] not in names:
                raise ValueError(f"category_id {row['category_id']} is not among the categories")
            masks = row["segmentations"]
            if len(masks) != lengths[row["video_id"]]:
                raise ValueError(f"expected {lengths[row['video_id']]} segmentations, got {len(masks)}")
            number = int(row.get("track_id") or row["id"])
            scores = row.get("scores") or [None] * len(masks)
            for n, (mask, score) in enumerate(zip(masks, scores, strict=True)):
                if mask is None:
                    continue
                image = first_of[row["video_id"]] + n
                labels.append(
                    ForeignLabel(
                        image,
                        number,
                        names[row["category_id"]],
                        rle_of_segmentation(mask, images[image].size),
                        1.0 if score is None else float(score),
                        bool(row.get("iscrowd", 0)),
                    )
                )
    return ForeignLabels(tuple(images), tuple(labels))
