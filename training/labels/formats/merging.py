"""Adds the labels of another tool to a label set.

Images that are in the set were exported from it: what came back unchanged is accepted, what changed is fixed, what is
missing is rejected. Other images are new.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks
from roadmask.training.labels.description import UNKNOWN_LICENCE, LabelSource, classes_named
from roadmask.training.labels.formats.interchange import ForeignImage, ForeignLabel, ForeignLabels
from roadmask.training.labels.formats.registry import LabelFormat
from roadmask.training.labels.records import ImageKey, Label, LabelledImage, LabelState, Record, now
from roadmask.training.labels.writing import LabelWriter

SAME_IOU = 0.98
"""IoU from which on a mask came back unchanged: other tools draw polygons with rounded corners."""


@dataclass(frozen=True)
class Merged:
    """What an import changed."""

    images: int = 0
    """Images that were added."""
    added: int = 0
    """Labels of images that were added, or that were drawn in images of the set."""
    accepted: int = 0
    """Labels that came back unchanged."""
    fixed: int = 0
    """Labels whose mask or class changed."""
    rejected: int = 0
    """Labels that did not come back."""


def merge(
    writer: LabelWriter,
    foreign: ForeignLabels,
    chosen: LabelFormat,
    person: str,
    *,
    images: Path | None = None,
    licence: str = UNKNOWN_LICENCE,
    add_classes: bool = False,
) -> Merged:
    """Adds the labels of a file; all of them or none.

    Args:
        writer: the label set.
        foreign: what the file says.
        chosen: its format.
        person: who made or checked the labels.
        images: folder of images that are not in the set, by their names in the file.
        licence: licence of these images.
        add_classes: add classes that the set does not have.

    Raises:
        InputError: a class or an image is unknown, an id is used twice, or an image is missing.
        StoreError: the set cannot be written.
    """
    classes = _classes(writer, foreign, add_classes)
    known = writer.labels
    keys = _keys(foreign, {drive for drive, _ in known.images})
    by_image: dict[int, list[ForeignLabel]] = defaultdict(list)
    for label in foreign.labels:
        by_image[label.image].append(label)
    merging = _Merging(writer, chosen, person, classes, _free_objects(writer, foreign, keys))
    for position, (key, image) in enumerate(zip(keys, foreign.images, strict=True)):
        if key not in known.images:
            if not by_image[position] and images is None:
                continue  # frames that the set leaves out, such as those of --every
            merging.records.append(_new_image(writer.folder, image, key, images))
            merging.counts["images"] += 1
        elif known.images[key].size != image.size:
            raise InputError(
                f"{image.name} is {image.size}, {key[0]}/{key[1]} of the label set is {known.images[key].size} "
                "(height, width): export it again."
            )
        merging.take(key, image, by_image[position])
    if add_classes:
        writer.add_classes(classes_named(classes.values(), writer.classes))
    for drive in sorted({drive for drive, _ in keys} - known.description.sources.keys()):
        writer.add([], LabelSource(drive, licence))
    writer.add(merging.records)
    return Merged(**merging.counts)


class _Merging:
    """Compares what came back with what is in the set, image by image."""

    def __init__(
        self, writer: LabelWriter, chosen: LabelFormat, person: str, classes: Mapping[str, str], free: dict[str, int]
    ) -> None:
        self._writer, self._format, self._person, self._classes, self._free = writer, chosen, person, classes, free
        self._when = now()
        self.records: list[Record] = []
        self.counts: Counter[str] = Counter()

    def take(self, key: ImageKey, image: ForeignImage, labels: list[ForeignLabel]) -> None:
        """Takes what the file says of one image."""
        before = {
            label.object: label
            for label in self._writer.labels.by_image.get(key, ())
            if (self._format.classes is None or label.class_name in self._format.classes)
            and (self._format.crowds or not label.crowd)
        }
        seen: set[int] = set()
        for each in labels:
            number = each.object
            if number is None:
                number = self._free[key[0]]
                self._free[key[0]] += 1
            if number in seen:
                raise InputError(f"object {number} is twice in {image.name}: give another object another id.")
            seen.add(number)
            self._compare(self._label(each, key, number), each.score, before.get(number), image.size)
        for number, label in before.items():
            if number not in seen:
                gone = replace(label, source=f"person:{self._person}", when=self._when, doubt=0.0, why=())
                self._decide(gone, LabelState.REJECTED, "rejected")

    def _label(self, each: ForeignLabel, key: ImageKey, number: int) -> Label:
        class_name, source = self._classes[each.class_name], f"person:{self._person}"
        return Label(*key, number, class_name, each.counts, source, self._when, LabelState.ACCEPTED, crowd=each.crowd)

    def _compare(self, label: Label, score: float, before: Label | None, size: tuple[int, int]) -> None:
        if before is None:
            if score < 1 and (label.drive, label.frame) not in self._writer.labels.images:
                self._decide(replace(label, score=score, source=f"model:{self._person}"), LabelState.PROPOSED, "added")
            else:
                self._decide(label, LabelState.FIXED, "added")
            return
        same = before.class_name == label.class_name and (
            before.counts == label.counts
            or RleMasks((before.counts,), size).iou(RleMasks((label.counts,), size))[0, 0] >= SAME_IOU
        )
        if not same:
            self._decide(label, LabelState.FIXED, "fixed")
        elif not before.state.decided:
            self._decide(replace(label, counts=before.counts), LabelState.ACCEPTED, "accepted")

    def _decide(self, label: Label, state: LabelState, counted: str) -> None:
        known = self._writer.labels.labels.get(label.key)
        revision = 0 if known is None else known.revision + 1
        self.records.append(replace(label, state=state, revision=revision))
        self.counts[counted] += 1


def _free_objects(writer: LabelWriter, foreign: ForeignLabels, keys: list[ImageKey]) -> dict[str, int]:
    """Returns for each drive the first object id above all that are used."""
    free: dict[str, int] = defaultdict(lambda: 1)
    used = [(drive, number) for drive, _, number in writer.labels.labels]
    used += [(keys[label.image][0], label.object or 0) for label in foreign.labels]
    for drive, number in used:
        free[drive] = max(free[drive], number + 1)
    return free


def _classes(writer: LabelWriter, foreign: ForeignLabels, add_classes: bool) -> Mapping[str, str]:
    """Returns the name in the label set of each class in the file."""
    found = {}
    for name in dict.fromkeys(label.class_name for label in foreign.labels):
        [ours] = classes_named([name]) if name.strip() else [""]
        if ours not in writer.classes and not add_classes:
            near = get_close_matches(ours, writer.classes, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(writer.classes) or 'none'}."
            raise InputError(f"the label set has no class {name!r}: {hint} Add it with --add-classes.")
        found[name] = ours
    return found


def _keys(foreign: ForeignLabels, known: set[str]) -> list[ImageKey]:
    """Returns drive and frame index of each image; images without a frame index are counted."""
    counts: dict[str, int] = defaultdict(int)
    keys: list[ImageKey] = []
    stated = [(image.drive, image.frame) for image in foreign.images]
    # Numbers in names are frame indices only if they tell images apart.
    drives = {drive for drive, _ in stated}
    counted = {
        drive
        for drive in drives - known
        if any(frame is None for of, frame in stated if of == drive)
        or len({frame for of, frame in stated if of == drive}) < sum(of == drive for of, _ in stated)
    }
    for image in foreign.images:
        if image.frame is None or image.drive in counted:
            keys.append((image.drive, counts[image.drive]))
            counts[image.drive] += 1
        else:
            keys.append((image.drive, image.frame))
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise InputError(f"the file names the image {twice[0][0]}/{twice[0][1]} twice: remove one of them.")
    return keys


def _new_image(folder: Path, image: ForeignImage, key: ImageKey, images: Path | None) -> LabelledImage:
    path = None if images is None else images / image.name
    if path is None or not path.is_file():
        raise InputError(
            f"{image.name} is not in the label set, and "
            + ("no folder of images was given: add --images." if path is None else f"there is no {path}.")
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LabelledImage(key[0], key[1], image.size, file=os.path.relpath(path, folder), sha256=digest)
