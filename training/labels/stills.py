"""Folders of images that are no recording: each image is labelled alone, and every object is seen once."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from roadmask.engines import Segmenter
from roadmask.engines.errors import InputError
from roadmask.streaming.camera_names import camera_name
from roadmask.streaming.config import RunConfig
from roadmask.streaming.segmentation import FailedSegmentation, build_segmenter, segment_each
from roadmask.streaming.sources.files import is_image, list_folder
from roadmask.streaming.sources.images import read_image
from roadmask.training.labels.annotate import AnnotatedDrive
from roadmask.training.labels.description import UNKNOWN_LICENCE, LabelSource
from roadmask.training.labels.doubts import DOUBTFUL, SURE_SCORE, UNSURE_SCORE
from roadmask.training.labels.records import Label, LabelledImage, now
from roadmask.training.labels.writing import LabelWriter


def annotate_stills(
    folders: Sequence[str],
    out: Path,
    config: RunConfig | None = None,
    *,
    licence: str = UNKNOWN_LICENCE,
    build: Callable[[], Segmenter] | None = None,
    on_image: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[AnnotatedDrive]:
    """Adds proposed labels of images to a label set; an image that is in it already, by its content, is left as it is.

    Args:
        folders: folders of images of any sizes, each as FOLDER or NAME=FOLDER.
        out: the label set; made if there is none.
        config: settings of the engine; the defaults if None.
        licence: licence of the images.
        build: builds the segmenter; the one that `config` asks for if None.
        on_image: called after each image.
        stop: asked after each image; what was labelled by then is added, and the same call continues.

    Raises:
        InputError: a folder holds no images, or a name is used for a recording already.
        EngineError: the segmenter cannot be built.
        StoreError: the label set cannot be written.
    """
    config = config or RunConfig()
    build = cache(build or partial(build_segmenter, config.engine))
    outcomes = []
    with LabelWriter(out) as writer:
        for name, paths in still_images(folders).items():
            outcomes.append(_annotate_folder(writer, name, paths, licence, build, on_image, stop))
            if stop():
                break
    return outcomes


def still_images(folders: Sequence[str]) -> dict[str, list[Path]]:
    """Returns the images of each folder, by the name of its drive.

    Raises:
        InputError: one is no folder of images, or two have one name.
    """
    found: dict[str, list[Path]] = {}
    for text in folders:
        name, equals, rest = text.partition("=")
        named = equals and not Path(text).exists()
        folder = Path(rest if named else text)
        drive = name if named else camera_name(folder.resolve().name)
        if not folder.is_dir():
            raise InputError(f"expected a folder of images for --stills, got {folder}.")
        images = [path for path in list_folder(folder) if is_image(path)]
        if not images:
            raise InputError(f"expected images (.jpg, .png, .bmp, .tif or .webp) directly in {folder}, found none.")
        if drive in found:
            raise InputError(f"two folders would both be the drive {drive!r}: name one of them, as in NAME=FOLDER.")
        found[drive] = images
    return found


def _annotate_folder(
    writer: LabelWriter,
    drive: str,
    paths: Sequence[Path],
    licence: str,
    build: Callable[[], Segmenter],
    on_image: Callable[[], None],
    stop: Callable[[], bool],
) -> AnnotatedDrive:
    there = [image for image in writer.labels.images.values() if image.drive == drive]
    if any(image.file is None for image in there):
        raise InputError(f"{drive} is a recording in {writer.folder}: give the folder another name, as in NAME=FOLDER.")
    known = {image.sha256 for image in there}
    frame = max((image.frame for image in there), default=-1)
    number = max((label.object for label in writer.labels.labels.values() if label.drive == drive), default=0)
    images: list[LabelledImage] = []
    labels: list[Label] = []
    unreadable = 0
    for path in paths:
        if stop():
            break
        on_image()
        if (digest := hashlib.sha256(path.read_bytes()).hexdigest()) in known:
            continue
        known.add(digest)
        image = read_image(path)
        [found] = segment_each(build(), [image]) if image is not None else [FailedSegmentation("no image")]
        if isinstance(found, FailedSegmentation):
            unreadable += 1
            continue
        info = build().info
        frame += 1
        file = os.path.relpath(path, writer.folder)
        images.append(LabelledImage(drive, frame, found.image_size, file=file, sha256=digest))
        if found.masks is None:
            raise InputError(f"expected masks from the segmenter {info.engine}, got boxes alone.")
        masks = found.masks.to_rle()
        for row in np.flatnonzero(masks.area).tolist():
            number += 1
            score = round(float(found.scores[row]), 4)
            doubt = round(float(np.clip((SURE_SCORE - score) / (SURE_SCORE - UNSURE_SCORE), 0, 1)), 3)
            labels.append(
                Label(
                    drive,
                    frame,
                    number,
                    info.class_names[int(found.category_ids[row])],
                    masks.counts[row],
                    f"model:{info.weights_sha256 or info.weights}",
                    now(),
                    score=score,
                    doubt=doubt,
                    why=("score",) if doubt >= 0.1 else (),
                )
            )
    if images:
        writer.add_classes({name: category for category, name in build().info.class_names.items()})
        new = drive not in writer.labels.description.sources
        writer.add([*images, *labels], LabelSource(drive, licence) if new else None)
    return AnnotatedDrive(
        drive,
        len(images),
        dict(Counter(label.class_name for label in labels)),
        len(labels),
        sum(label.doubt >= DOUBTFUL for label in labels),
        annotated_before=not images and not unreadable and not stop(),
        interrupted=stop(),
        problem=f"{unreadable} images could not be read" if unreadable else None,
    )
