"""Training and validation images, split by drive.

Neighbouring frames of a drive show the same objects: a validation frame beside a training frame measures memory. So
all images of a drive, and all images that look alike, stay on one side.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from roadmask.engines.errors import InputError
from roadmask.training.guard import NEAR_BITS, dhash, is_plain
from roadmask.training.samples import TrainingImage, TrainingSet


@dataclass(frozen=True, eq=False)
class Split:
    """Two sets of images that share no drive."""

    training: tuple[TrainingImage, ...]
    validation: tuple[TrainingImage, ...]
    """Empty where there is only one drive, or none is asked for."""


def split_by_drive(training: TrainingSet, share: float, on_image: Callable[[], None] = lambda: None) -> Split:
    """Splits images by drive, near-duplicates kept together.

    Which side a group falls on hangs on the names of its images alone, so that more images move no others.

    Args:
        training: all labelled images.
        share: of the images that validate, 0 to 0.5; what is reached depends on the sizes of the drives.
        on_image: called after each image.

    Raises:
        InputError: the share is out of range, or an image cannot be read.
    """
    if not 0 <= share <= 0.5:
        raise InputError(f"expected a share of validation images from 0 to 0.5, got {share}.")
    if not share:
        return Split(training.images, ())
    groups = group_images(training.images, on_image)
    if len(groups) < 2:
        return Split(training.images, ())
    ordered = sorted(groups, key=lambda group: hashlib.sha256(min(image.name for image in group).encode()).digest())
    wanted, chosen = share * len(training.images), list[TrainingImage]()
    for group in ordered:
        # a drive so long that it would take more than twice what is wanted stays in training
        if len(chosen) < wanted and len(chosen) + len(group) <= max(2 * wanted, 1):
            chosen += group
    names = {image.name for image in chosen}
    rest = tuple(image for image in training.images if image.name not in names)
    return Split(rest, tuple(image for image in training.images if image.name in names))


def group_images(
    images: Sequence[TrainingImage], on_image: Callable[[], None] = lambda: None
) -> list[list[TrainingImage]]:
    """Returns images that must stay together: of one drive, or alike by their difference hashes."""
    parents = list(range(len(images)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    first_of: dict[str, int] = {}
    hashes = np.zeros(len(images), np.uint64)
    plain = np.zeros(len(images), np.bool_)
    for place, image in enumerate(images):
        parents[root(place)] = root(first_of.setdefault(image.drive, place))
        value = dhash(image.read())
        hashes[place], plain[place] = value, is_plain(value)
        on_image()
    for place in np.flatnonzero(~plain).tolist():
        alike = np.bitwise_count(hashes[:place] ^ hashes[place]) <= NEAR_BITS
        for other in np.flatnonzero(alike & ~plain[:place]).tolist():
            parents[root(place)] = root(other)
    groups: dict[int, list[TrainingImage]] = defaultdict(list)
    for place, image in enumerate(images):
        groups[root(place)].append(image)
    return list(groups.values())
