"""Training sets on disk, read with suspicion: every object is checked before step 1."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.engines.classes import CLASS_NAMES
from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks
from roadmask.engines.segmenter import Image
from roadmask.evaluation import CocoTruth, read_truth
from roadmask.training.labels.frames import image_files
from roadmask.training.labels.reading import LabelSet, is_label_set, read_label_set
from roadmask.training.labels.records import Label

MIN_SIDE_PX = 2
"""Objects narrower or lower than this make boxes without area once an image is shrunk."""
_SHOWN = 3
"""Mistakes named in an error message."""
_FRAME_NUMBER = re.compile(r"[\W_]*\d+$")


@dataclass(frozen=True, eq=False)
class TrainingObject:
    """One labelled object."""

    category_id: int
    """COCO category id."""
    counts: bytes
    """Compressed COCO run lengths of its mask, in an image of `TrainingImage.size`."""
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels of the image, x2 and y2 exclusive."""
    weight: float
    """How far the label is trusted, 0 to 1: 1 for a person's label, the score of a model's."""
    crowd: bool
    """Whether it is a region that nobody took apart: what lies there is neither right nor wrong."""


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """One labelled image; its pixels are read when they are needed."""

    name: str
    """Unique over all sets: folder and file name."""
    path: Path
    size: tuple[int, int]
    """Height and width in pixels."""
    drive: str
    """Name of the recording it comes from; images of one drive stay on one side of a split."""
    objects: tuple[TrainingObject, ...]

    def read(self) -> Image:
        """Returns the pixels, uint8 (H, W, 3) RGB.

        Raises:
            InputError: the file is missing, unreadable or of another size than its labels.
        """
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            image = cv2.imdecode(np.fromfile(self.path, np.uint8), flags)
        except (OSError, cv2.error) as error:
            raise InputError(f"cannot read the training image {self.path}: {error}.") from error
        if image is None:
            raise InputError(f"cannot read {self.path}: expected an image, such as JPEG or PNG.")
        if image.shape[:2] != self.size:
            raise InputError(
                f"{self.path} is {image.shape[1]} x {image.shape[0]}, its labels say {self.size[1]} x {self.size[0]}: "
                "use the images that were labelled."
            )
        return np.ascontiguousarray(image, np.uint8)

    def masks(self) -> NDArray[np.bool_]:
        """Returns the masks of its objects, (N, H, W)."""
        masks = RleMasks(tuple(each.counts for each in self.objects), self.size)
        return np.array(list(masks.dense()), np.bool_).reshape(-1, *self.size)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """All images to learn from."""

    images: tuple[TrainingImage, ...]
    """In the order of their names, so that the order of sets and of lines in them changes nothing."""
    sources: tuple[str, ...]
    """Folders they came from, as given."""
    own_classes: Mapping[int, str] = field(default_factory=dict)
    """Category id -> name of the classes that COCO does not have."""
    label_versions: tuple[str, ...] = ()
    """Versions of the label sets among the sources, sorted."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of every name, label and pixel file; equal sets have equal digests wherever they lie."""
        whole = hashlib.sha256()
        for image in self.images:
            whole.update(image.name.encode() + b"\0" + hashlib.sha256(image.path.read_bytes()).digest())
            for each in image.objects:
                whole.update(f"{each.category_id} {each.weight:.6f} {each.crowd} ".encode() + each.counts + b"\n")
        return whole.hexdigest()

    @property
    def class_names(self) -> dict[int, str]:
        """Category id -> name of the classes that have objects to learn, crowds not counted."""
        names = CLASS_NAMES | dict(self.own_classes)
        return {category: names[category] for category in self.category_ids}

    @property
    def category_ids(self) -> tuple[int, ...]:
        """COCO category ids that have objects to learn, crowds not counted, ascending."""
        return tuple(sorted({each.category_id for image in self.images for each in image.objects if not each.crowd}))


def read_training_sets(
    folders: Sequence[Path], on_look: Callable[[str, int], Callable[[], None]] = lambda _what, _count: lambda: None
) -> TrainingSet:
    """Reads training sets: label sets, and folders in COCO's form with `instances.json` and `images/`.

    A label that a model made counts by its score, and one that a person accepted or made counts in full; in COCO's form
    an annotation may carry `score`. Rejected labels are left out.

    Args:
        folders: at least one; a folder that is given twice counts once.
        on_look: called before the images of a label set are looked at, with what for and how many there are; returns
            what to call after each image.

    Raises:
        InputError: a folder is missing or of neither form, an image is missing, a class is unknown to roadmask, or an
            object has no area; the first ones are named.
    """
    if not folders:
        raise InputError("expected at least one folder of labelled images, got none.")
    images: list[TrainingImage] = []
    own_classes: dict[int, str] = {}
    versions: list[str] = []
    for folder in dict.fromkeys(path.resolve() for path in folders):
        if not is_label_set(folder):
            images += _read_folder(folder)
            continue
        labels = read_label_set(folder)
        versions.append(labels.version)
        _add_classes(own_classes, labels)
        images += _read_labels(labels, on_look)
    if not any(not each.crowd for image in images for each in image.objects):
        raise InputError(f"expected labelled objects in {', '.join(map(str, folders))}, found none to learn from.")
    images.sort(key=lambda image: (image.name, str(image.path)))
    return TrainingSet(tuple(images), tuple(map(str, folders)), own_classes, tuple(sorted(versions)))


def _add_classes(own_classes: dict[int, str], labels: LabelSet) -> None:
    """Adds the classes of a label set that COCO does not have; label sets must agree on their ids."""
    for name, category in labels.description.classes.items():
        if category in CLASS_NAMES:
            continue
        others = {other: id_ for id_, other in own_classes.items()}
        if own_classes.get(category, name) != name or others.get(name, category) != category:
            raise InputError(
                f"{labels.path} gives the class {name} the category id {category}, another label set has "
                f"{own_classes.get(category, name)} = {others.get(name, category)}: change set.toml so that they agree."
            )
        own_classes[category] = name


def _read_labels(labels: LabelSet, on_look: Callable[[str, int], Callable[[], None]]) -> Iterator[TrainingImage]:
    folder, classes = labels.path, labels.description.classes
    files = image_files(labels, on_image=on_look("Decoding labelled images", len(labels.images)))
    for key, image in labels.images.items():
        objects = [_object(each, classes[each.class_name], image.size) for each in labels.by_image[key]]
        yield TrainingImage(
            f"{folder.name}/{image.drive}/{image.frame:06d}",
            files[key],
            image.size,
            f"{folder.name}/{image.drive}",
            tuple(sorted(objects, key=lambda each: (each.category_id, each.counts))),
        )


def _object(label: Label, category: int, size: tuple[int, int]) -> TrainingObject:
    box = _box(label.counts, size)
    assert box is not None  # noqa: S101 - a label set has no empty masks
    # What a model found at the edge of the image may be a pixel wide: nothing to learn, and nothing to be punished.
    flat = min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE_PX
    weight = 1.0 if label.state.decided else label.score
    return TrainingObject(category, label.counts, box, weight, label.crowd or flat)


def _read_folder(folder: Path) -> Iterator[TrainingImage]:
    file = folder / "instances.json"
    if not file.is_file():
        raise InputError(
            f"expected {folder} to be a label set, or a folder with instances.json (COCO) and images/; there is no "
            f"set.toml and no {file.name}."
        )
    truth = read_truth(file)
    categories = _categories(truth)
    weights = _weights(file)
    by_image: dict[int, list[TrainingObject]] = {image: [] for image in truth.images}
    wrong = []
    for position, mask in enumerate(truth.masks):
        box = _box(mask.rle["counts"], truth.images[mask.image_id].size)
        flat = box is None or min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE_PX
        if flat and not mask.crowd:
            wrong.append(f"annotation {position} of {truth.images[mask.image_id].file_name}")
        if box is not None:
            by_image[mask.image_id].append(
                TrainingObject(categories[mask.category_id], mask.rle["counts"], box, weights[position], mask.crowd)
            )
    if wrong:
        named = ", ".join(wrong[:_SHOWN]) + (f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
        raise InputError(
            f"{file}: {len(wrong)} objects are less than {MIN_SIDE_PX} pixels wide or high ({named}). Such boxes make "
            "the losses infinite: remove them or mark them iscrowd."
        )
    missing = [
        image.file_name for image in truth.images.values() if not (folder / "images" / image.file_name).is_file()
    ]
    if missing:
        raise InputError(
            f"{file} names {len(missing)} images that are not in {folder / 'images'}: {', '.join(missing[:_SHOWN])}."
        )
    for image in truth.images.values():
        name = f"{folder.name}/{image.file_name}"
        objects = tuple(sorted(by_image[image.id], key=lambda each: (each.category_id, each.counts)))
        yield TrainingImage(name, folder / "images" / image.file_name, image.size, _drive(name), objects)


def _categories(truth: CocoTruth) -> dict[int, int]:
    ours = {name: category for category, name in CLASS_NAMES.items()}
    unknown = [name for name in truth.annotated_classes if name not in ours]
    if unknown:
        raise InputError(
            f"{truth.path} has objects of the classes {', '.join(unknown)}, which roadmask does not know: it knows "
            "COCO's."
        )
    return {category: ours.get(name, 0) for category, name in truth.class_names.items()}


def _weights(file: Path) -> list[float]:
    """Returns the score of each annotation, 1 where none is given; `read_truth` has checked the rest."""
    annotations = json.loads(file.read_bytes())["annotations"]
    weights = []
    for position, annotation in enumerate(annotations):
        score = float(annotation.get("score", 1.0))
        if not 0 <= score <= 1:
            raise InputError(f"{file}: expected the score of annotation {position} from 0 to 1, got {score}.")
        weights.append(score)
    return weights


def _drive(name: str) -> str:
    """Returns the name without the number of its frame: `clip_00012.jpg` is of the drive `clip`."""
    stem = name.rsplit(".", 1)[0]
    drive = _FRAME_NUMBER.sub("", stem)
    return stem if drive.endswith("/") or not drive.partition("/")[2] else drive


def _box(counts: bytes, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    x, y, width, height = coco_mask.toBbox({"size": list(size), "counts": counts}).tolist()
    return None if not width or not height else (x, y, x + width, y + height)
