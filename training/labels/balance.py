"""What a label set holds, by class, size, hour and drive, and in words what it lacks.

Objects are counted, and sightings beside them: a hundred frames of one parked car teach as much as one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from roadmask.engines.masks import RleMasks
from roadmask.training.labels.reading import LabelSet
from roadmask.training.labels.records import Label, LabelState

SIZES = ("small", "medium", "large")
"""Sizes by the area of the mask as COCO has them: below 32 x 32 pixels, below 96 x 96, and the rest."""
PARTS = {
    "at night": range(22, 29),
    "in the morning": range(5, 11),
    "by day": range(11, 17),
    "in the evening": range(17, 22),
}
"""Parts of a day -> hours; those from 24 on are of the next day."""
DEFAULT_MIN = 50
"""Objects that a class should have."""
_FEW = 0.1
"""Share of its objects below which a class lacks a size."""
_MOST = 0.8
"""Share of its objects in one drive from which on a class hangs on that drive."""


@dataclass(frozen=True)
class ClassBalance:
    """What a label set holds of one class."""

    class_name: str
    objects: int
    """Number of objects; crowds and rejected labels are left out."""
    sightings: int
    """Number of labels of these objects."""
    images: int
    """Number of images that show the class."""
    decided: int
    """Number of these labels that a person decided."""
    by_size: Mapping[str, int]
    """Size -> objects whose median area has it."""
    by_hour: Mapping[int, int]
    """Hour of the day, 0 to 23 -> objects first seen then; of recordings whose time is known."""
    by_drive: Mapping[str, int]
    """Drive -> objects."""
    crowds: int
    """Number of crowd regions."""


@dataclass(frozen=True)
class Balance:
    """What a label set holds."""

    version: str
    """Version of the label set."""
    images: int
    empty_images: int
    """Images without an object; they teach what is none."""
    classes: tuple[ClassBalance, ...]
    """In the order of `set.toml`, those without an object as well."""
    hours_known: bool
    """Whether the time of day of any recording is known."""
    lacks: tuple[str, ...]
    """What is missing, as sentences; empty if nothing is."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)


def balance(labels: LabelSet, at_least: int = DEFAULT_MIN) -> Balance:
    """Counts a label set.

    Args:
        labels: the label set.
        at_least: objects that each class should have.
    """
    areas = _areas(labels)
    objects: dict[str, list[tuple[str, list[Label]]]] = defaultdict(list)
    for (drive, _), seen in labels.objects.items():
        objects[seen[0].class_name].append((drive, seen))
    crowds = Counter(
        label.class_name for label in labels.labels.values() if label.crowd and label.state is not LabelState.REJECTED
    )
    classes = []
    for name in labels.description.classes:
        mine = [label for _, seen in objects[name] for label in seen]
        sizes = Counter(_size(median(areas[label.key] for label in seen)) for _, seen in objects[name])
        hours = Counter(_hour(labels, seen[0]) for _, seen in objects[name])
        classes.append(
            ClassBalance(
                name,
                len(objects[name]),
                len(mine),
                len({(label.drive, label.frame) for label in mine}),
                sum(label.state.decided for label in mine),
                {size: sizes[size] for size in SIZES},
                {hour: count for hour, count in sorted(hours.items(), key=str) if hour is not None},
                dict(Counter(drive for drive, _ in objects[name]).most_common()),
                crowds[name],
            )
        )
    empty = sum(not seen for seen in labels.by_image.values())
    known = any(each.by_hour for each in classes)
    found = Balance(labels.version, len(labels.images), empty, tuple(classes), known, ())
    return Balance(*(*(getattr(found, name) for name in _COUNTED), tuple(_lacks(found, labels, at_least))))


_COUNTED = ("version", "images", "empty_images", "classes", "hours_known")


def _areas(labels: LabelSet) -> dict[tuple[str, int, int], int]:
    by_size: dict[tuple[int, int], list[Label]] = defaultdict(list)
    for seen in labels.objects.values():
        for label in seen:
            by_size[labels.images[label.drive, label.frame].size].append(label)
    return {
        label.key: area
        for size, group in by_size.items()
        for label, area in zip(group, RleMasks(tuple(label.counts for label in group), size).area.tolist(), strict=True)
    }


def _size(area: float) -> str:
    return SIZES[(area >= 32**2) + (area >= 96**2)]


def _hour(labels: LabelSet, label: Label) -> int | None:
    """Returns the hour of a label, in the time zone in which `set.toml` states the recording's start."""
    start = labels.description.sources[label.drive].recorded_at
    time_ns = labels.images[label.drive, label.frame].time_ns
    if start is None or time_ns is None:
        return None
    return (datetime.fromisoformat(start) + timedelta(microseconds=time_ns // 1000)).hour


def _lacks(found: Balance, labels: LabelSet, at_least: int) -> list[str]:
    if not found.images:
        return ["The label set is empty: add recordings with roadmask annotate."]
    said = []
    for each in found.classes:
        if each.objects < at_least:
            missing = at_least - each.objects
            said.append(f"{each.class_name} has {_count(each.objects, 'object')}, {missing} fewer than {at_least}.")
        if not each.objects:
            continue
        few = [size for size in SIZES if each.by_size[size] < _FEW * each.objects]
        if few:
            shares = " and ".join(f"{size} ones ({each.by_size[size]} of {each.objects})" for size in few)
            said.append(f"{each.class_name} lacks {shares}.")
        drive, most = next(iter(each.by_drive.items()))
        if most > _MOST * each.objects and each.objects > 1:
            where = "all" if most == each.objects else f"{most} of {each.objects}"
            said.append(f"{each.class_name} comes from one drive: {where} are in {drive}.")
        absent = [part for part, hours in PARTS.items() if not any(each.by_hour.get(hour % 24) for hour in hours)]
        if each.by_hour and absent:
            said.append(f"No {each.class_name} was labelled {' or '.join(absent)}.")
    counts = {each.class_name: each.objects for each in found.classes if each.objects}
    if len(counts) > 1:
        rare, common = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if counts[common] >= 10 * counts[rare]:
            said.append(f"There are {counts[common] // counts[rare]} times as many objects of {common} as of {rare}.")
    total, decided = (sum(getattr(each, name) for each in found.classes) for name in ("sightings", "decided"))
    if total and decided < _FEW * total:
        said.append(f"A person has decided {decided} of {total} labels.")
    unknown = sorted({name for name, _ in labels.images if labels.description.sources[name].licence == "unknown"})
    if unknown:
        said.append(f"The licence of {_listed(unknown)} is unknown: state it in set.toml.")
    return said


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
