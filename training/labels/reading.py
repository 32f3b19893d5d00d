"""Reads a label set with suspicion: every line is checked, and a message names the one that is wrong."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from roadmask.engines.errors import InputError, InstancesError
from roadmask.engines.masks import RleMasks
from roadmask.training.labels.description import DESCRIPTION_NAME, SetDescription, read_description
from roadmask.training.labels.records import (
    ImageKey,
    Label,
    LabelKey,
    LabelledImage,
    LabelState,
    Record,
    from_line,
)

LABELS_NAME = "labels.jsonl"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LabelSet:
    """A label set, as of the moment when it was read."""

    path: Path
    """Folder of the set."""
    description: SetDescription
    """Its classes and sources."""
    images: Mapping[ImageKey, LabelledImage]
    """Labelled images by drive and frame index, in this order; those without an object as well."""
    labels: Mapping[LabelKey, Label]
    """Labels by drive, frame index and object, in this order: the highest revision of each, rejected ones too."""

    @cached_property
    def version(self) -> str:
        """SHA-256 of all that is labelled: classes, licences, images and labels, without times and older revisions.

        The order of lines, and comments in `set.toml`, change nothing.
        """
        whole = hashlib.sha256(json.dumps(sorted(self.description.classes.items())).encode())
        for name, source in sorted(self.description.sources.items()):
            whole.update(json.dumps([name, source.licence, source.recording], sort_keys=True).encode())
        for image in self.images.values():
            # a file is known by its content, wherever it lies
            whole.update(json.dumps([*image.key, image.size, image.sha256]).encode())
        for each in self.labels.values():
            said = [*each.key, each.class_name, each.source, each.state, round(each.score, 4), each.crowd]
            whole.update(json.dumps(said).encode() + each.counts + b"\n")
        return whole.hexdigest()

    @cached_property
    def by_image(self) -> dict[ImageKey, list[Label]]:
        """Labels of each image that are not rejected, in the order of objects."""
        found: dict[ImageKey, list[Label]] = {key: [] for key in self.images}
        for label in self.labels.values():
            if label.state is not LabelState.REJECTED:
                found[label.drive, label.frame].append(label)
        return found

    @cached_property
    def objects(self) -> dict[tuple[str, int], list[Label]]:
        """Labels of each object that are not rejected, in the order of frames, by drive and object; crowds left out."""
        found: dict[tuple[str, int], list[Label]] = defaultdict(list)
        for label in self.labels.values():
            if label.state is not LabelState.REJECTED and not label.crowd:
                found[label.drive, label.object].append(label)
        return dict(sorted(found.items()))


def is_label_set(folder: Path) -> bool:
    """Returns whether a folder holds a label set."""
    return (folder / DESCRIPTION_NAME).is_file()


def read_label_set(folder: Path | str) -> LabelSet:
    """Reads a label set.

    What a killed writer left at the end of `labels.jsonl`, a line without its end, does not count.

    Raises:
        InputError: a file is missing, a line is broken, an id or class is used twice or is not known; the message names
            the line.
    """
    folder = Path(folder)
    description = read_description(folder)
    path = folder / LABELS_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    *lines, rest = content.split(b"\n")
    if rest:
        _log.warning("%s ends in an unfinished line, which a killed program left: it does not count", path)
    records: list[tuple[str, Record]] = []
    for number, line in enumerate(lines, 1):
        try:
            records.append((f"{path}:{number}", from_line(line)))
        except InputError as error:
            raise InputError(f"{path}:{number}: {str(error).rstrip('.')}.") from error
    return checked_set(folder, description, records)


def checked_set(folder: Path, description: SetDescription, records: Iterable[tuple[str, Record]]) -> LabelSet:
    """Returns the set of records, in any order, after they were checked against each other.

    Args:
        folder: of the set.
        description: its classes and sources.
        records: each with its place, for messages.

    Raises:
        InputError: one contradicts another, or uses a class or drive that is not known.
    """
    images: dict[ImageKey, tuple[str, LabelledImage]] = {}
    revisions: dict[tuple[LabelKey, int], tuple[str, Label]] = {}
    for place, record in records:
        if record.drive not in description.sources:
            raise InputError(
                f"{place}: the drive {record.drive!r} is not in {DESCRIPTION_NAME}: add [sources.{record.drive}]."
            )
        if isinstance(record, LabelledImage):
            if (known := images.setdefault(record.key, (place, record)))[0] != place:
                raise InputError(f"{place}: the image {record.drive}/{record.frame} is at {known[0]} already.")
            continue
        if record.class_name not in description.classes:
            raise InputError(
                f"{place}: the class {record.class_name!r} is not in {DESCRIPTION_NAME}: it has "
                f"{', '.join(description.classes) or 'none'}."
            )
        if (seen := revisions.setdefault((record.key, record.revision), (place, record)))[0] != place:
            raise InputError(
                f"{place}: object {record.object} is in {record.drive}/{record.frame} already, at {seen[0]}: give "
                "another object another id, or a change the next revision."
            )
    newest: dict[LabelKey, tuple[str, Label]] = {}
    for (key, revision), (place, label) in revisions.items():
        if key not in newest or newest[key][1].revision < revision:
            newest[key] = place, label
    _check_masks(images, list(revisions.values()))
    _check_objects(newest.values())
    return LabelSet(
        folder,
        description,
        {key: image for key, (_, image) in sorted(images.items())},
        {key: label for key, (_, label) in sorted(newest.items())},
    )


def _check_masks(images: Mapping[ImageKey, tuple[str, LabelledImage]], labels: list[tuple[str, Label]]) -> None:
    by_size: dict[tuple[int, int], list[tuple[str, Label]]] = defaultdict(list)
    for place, label in labels:
        image = images.get((label.drive, label.frame))
        if image is None:
            raise InputError(
                f"{place}: the image {label.drive}/{label.frame} of object {label.object} is not in the set: add its "
                "line, with image, drive and size."
            )
        by_size[image[1].size].append((place, label))
    for size, group in by_size.items():
        try:
            area = RleMasks.from_coco([label.counts for _, label in group], size).area
        except InstancesError:
            for place, label in group:
                try:
                    RleMasks.from_coco([label.counts], size)
                except InstancesError as error:
                    raise InputError(f"{place}: the run lengths of object {label.object} are broken: {error}") from None
            raise
        for (place, label), pixels in zip(group, area.tolist(), strict=True):
            if not pixels and label.state is not LabelState.REJECTED:
                raise InputError(f"{place}: the mask of object {label.object} is empty: reject the label instead.")


def _check_objects(labels: Iterable[tuple[str, Label]]) -> None:
    """Checks that an id belongs to one object: of one class."""
    of_object: dict[tuple[str, int], tuple[str, Label]] = {}
    for place, label in labels:
        if label.state is LabelState.REJECTED:
            continue
        before, first = of_object.setdefault((label.drive, label.object), (place, label))
        if first.class_name != label.class_name:
            raise InputError(
                f"{place}: object {label.object} of {label.drive} is a {label.class_name}, at {before} it is a "
                f"{first.class_name}: an object has one class, give another one another id."
            )
