"""Keeps the evaluation sets out of training: what a network has seen says nothing about how good it is.

`data/evaluation_images.json` lists every image of the evaluation sets by its file's SHA-256, by its difference hash
(dHash: http://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html), which survives another size
or compression, and, for images of COCO, by the id in their name. `python -m benchmarks.evaluation_images` writes it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import cv2
import numpy as np

from roadmask.engines.errors import InputError
from roadmask.engines.segmenter import Image
from roadmask.training.samples import TrainingImage, TrainingSet

NEAR_BITS = 4
"""Two images whose difference hashes differ in at most this many of 64 bits are held to be the same."""
PLAIN_BITS = 8
"""A hash with fewer bits than this set, or unset, is of an image too plain for its hash to mean anything."""
_SHOWN = 5
_COCO_NAME = re.compile(r"(?:^|/|_)(\d{12})\.\w+$")


@dataclass(frozen=True)
class EvaluationImages:
    """How the images of the evaluation sets are known."""

    sha256: dict[str, str]
    """SHA-256 of an image file -> set and name."""
    dhash: dict[int, str]
    """Difference hash -> set and name."""
    coco_ids: dict[int, str]
    """Id of an image of COCO -> set and name."""

    def find(self, name: str, content: bytes, image: Image) -> str | None:
        """Returns why an image is one of the evaluation sets', or None.

        Args:
            name: of the file.
            content: of the file.
            image: its pixels, uint8 (H, W, 3) RGB.
        """
        if known := self.sha256.get(hashlib.sha256(content).hexdigest()):
            return f"it is {known}, byte for byte"
        if (number := coco_id(name)) is not None and (known := self.coco_ids.get(number)):
            return f"its name says that it is {known}, image {number} of COCO"
        value = dhash(image)
        if self.dhash and not is_plain(value):
            known_hashes = np.fromiter(self.dhash, np.uint64, len(self.dhash))
            distances = np.bitwise_count(known_hashes ^ np.uint64(value))
            nearest = int(np.argmin(distances))
            if distances[nearest] <= NEAR_BITS:
                return f"it looks like {self.dhash[int(known_hashes[nearest])]}"
        return None


def dhash(image: Image) -> int:
    """Returns the 64-bit difference hash of an image: where brightness rises from left to right, at 9 x 8 pixels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int(np.packbits(bits).view(">u8")[0])


def is_plain(value: int) -> bool:
    """Returns whether a difference hash is of an image too plain to be told from others by it."""
    return not PLAIN_BITS <= value.bit_count() <= 64 - PLAIN_BITS


def coco_id(name: str) -> int | None:
    """Returns the id in a file name of COCO's form (twelve digits), or None."""
    found = _COCO_NAME.search(name)
    return int(found.group(1)) if found else None


@cache
def evaluation_images() -> EvaluationImages:
    """Returns the shipped list."""
    rows = json.loads((files("roadmask.training") / "data" / "evaluation_images.json").read_text())["images"]
    sha256, hashes, coco_ids = {}, {}, {}
    for row in rows:
        known = f"{row['set']}/{row['name']}"
        if row["sha256"]:
            sha256[row["sha256"]] = known
        value = int(row["dhash"], 16)
        if not is_plain(value):
            hashes[value] = known
        if row["sha256"] and (number := coco_id(row["name"])) is not None:
            coco_ids[number] = known
    return EvaluationImages(sha256, hashes, coco_ids)


@dataclass(frozen=True)
class Refused:
    """A training image that belongs to an evaluation set."""

    image: TrainingImage
    why: str
    """Reason, as a part of a sentence."""


def find_evaluation_images(
    images: Iterable[TrainingImage],
    known: EvaluationImages | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> list[Refused]:
    """Returns the training images that belong to evaluation sets.

    Args:
        images: to be trained on.
        known: the evaluation sets; the shipped list by default.
        on_image: called after each image.

    Raises:
        InputError: an image cannot be read.
    """
    known = known or evaluation_images()
    refused = []
    for image in images:
        why = known.find(image.path.name, image.path.read_bytes(), image.read())
        if why is not None:
            refused.append(Refused(image, why))
        on_image()
    return refused


def without_evaluation_images(
    training: TrainingSet,
    *,
    leave_out: bool = False,
    known: EvaluationImages | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> TrainingSet:
    """Refuses a training set that holds images of an evaluation set, or leaves them out.

    Args:
        training: the images to be trained on.
        leave_out: leave such images out, with all other frames of their drives, instead of refusing.
        known: the evaluation sets; the shipped list by default.
        on_image: called after each image.

    Returns:
        The set itself, or what is left of it.

    Raises:
        InputError: some are images of an evaluation set and are not to be left out; or nothing is left.
    """
    refused = find_evaluation_images(training.images, known, on_image)
    if not refused:
        return training
    if not leave_out:
        named = ", ".join(f"{each.image.name} ({each.why})" for each in refused[:_SHOWN])
        more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise InputError(
            f"{len(refused)} training images belong to evaluation sets: {named}{more}. A network that has seen them "
            "cannot be measured on them: remove them, or leave out their drives with --leave-out-evaluation."
        )
    drives = {each.image.drive for each in refused}
    kept = tuple(image for image in training.images if image.drive not in drives)
    if not kept:
        raise InputError("every training image belongs to a drive of an evaluation set: nothing is left to learn from.")
    return replace(training, images=kept)
