"""Runs a segmenter over the images of a ground truth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from roadmask.engines.classes import CLASS_NAMES, category_ids, named_classes
from roadmask.engines.errors import ConfigError, InputError
from roadmask.engines.images import STORED_RGB, read_image
from roadmask.engines.segmenter import Image, Segmenter
from roadmask.evaluation.coco_json import CocoTruth, Result, TruthImage

_SHOWN = 3
"""Number of missing files that an error names."""


def common_classes(
    truth: CocoTruth, model_categories: Mapping[int, str] | Iterable[int], classes: Collection[str] | None = None
) -> tuple[str, ...]:
    """Returns the names of the classes to score: all with masks in the truth, or those asked for.

    Args:
        truth: the ground truth.
        model_categories: category id -> name of the classes that the model can tell apart, or only COCO's ids.
        classes: names; `person` is accepted for pedestrian.

    Raises:
        ConfigError: the model does not know one of them.
        InputError: the truth does not know one of them.
    """
    known = named_classes(model_categories)
    if classes is None:
        names = set(known.values())
        foreign = [name for name in truth.annotated_classes if name not in names]
        if foreign:
            both = [name for name in truth.annotated_classes if name in names]
            remedy = f"choose classes that both know: {','.join(both)}" if both else "choose other weights"
            raise ConfigError(
                f"{truth.path} has masks of {', '.join(foreign)}, which the model does not know: {remedy}."
            )
        return truth.annotated_classes
    chosen = tuple(known[category] for category in category_ids(classes, known))
    missing = [name for name in chosen if name not in truth.annotated_classes]
    if missing:
        raise InputError(
            f"{truth.path} has no masks of {', '.join(missing)}, it has {', '.join(truth.annotated_classes)}: "
            "choose from these."
        )
    return chosen


def find_images(truth: CocoTruth, folder: Path) -> dict[int, Path]:
    """Returns the file of each image, by its id.

    Raises:
        InputError: the folder or some files are missing; the first ones are named.
    """
    if not folder.is_dir():
        raise InputError(f"expected {folder} to be the folder of the images of {truth.path}: there is none.")
    files = {image.id: folder / image.file_name for image in truth.images.values()}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        named = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
        raise InputError(
            f"expected {len(files)} images in {folder}, {len(missing)} are missing: {named}. "
            f"Copy them there, or give the folder that {truth.path.name} belongs to."
        )
    return files


def segment_truth(
    segmenter: Segmenter,
    truth: CocoTruth,
    folder: Path,
    on_image: Callable[[], None] = lambda: None,
    batch: int = 1,
) -> list[Result]:
    """Runs a segmenter over all images of a ground truth.

    Args:
        segmenter: reports any classes; those that the truth does not have are left out.
        truth: the ground truth; its categories and ours are brought together by name.
        folder: of the images.
        on_image: called after each image.
        batch: how many images of one size it is given at a time, at most.

    Returns:
        Results in the order of the truth's images.

    Raises:
        InputError: an image is missing, unreadable or of another size than the ground truth says.
        EngineError: the engine failed.
    """
    files = find_images(truth, folder)
    own_category = {name: category for category, name in truth.class_names.items()}
    names = CLASS_NAMES | segmenter.info.class_names
    results: dict[int, list[Result]] = {image: [] for image in truth.images}
    for images in _batches(truth.images.values(), batch):
        found = segmenter([_read(files[image.id], image) for image in images])
        for image, instances in zip(images, found, strict=True):
            masks = instances.masks
            if masks is None:
                raise InputError(f"expected masks, the engine {segmenter.info.engine} reports boxes alone.")
            for label, score, rle in zip(instances.category_ids, instances.scores, masks.to_rle().coco, strict=True):
                category = own_category.get(names[int(label)])
                if category is not None:
                    results[image.id].append(Result(image.id, category, rle, float(score)))
            on_image()
    return list(chain.from_iterable(results.values()))


def _batches(images: Iterable[TruthImage], batch: int) -> Iterator[list[TruthImage]]:
    """Yields images of one size together, at most so many."""
    by_size: dict[tuple[int, int], list[TruthImage]] = {}
    for image in images:
        by_size.setdefault(image.size, []).append(image)
    for alike in by_size.values():
        yield from (alike[start : start + batch] for start in range(0, len(alike), batch))


def _read(path: Path, truth: TruthImage) -> Image:
    image = read_image(path, STORED_RGB)  # the masks of COCO ignore EXIF orientation
    if image.shape[:2] != truth.size:
        raise InputError(
            f"{path} is {image.shape[1]} x {image.shape[0]}, the ground truth says {truth.size[1]} x "
            f"{truth.size[0]}: the masks would not fit; use the images that it was made on."
        )
    return image
