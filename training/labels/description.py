"""`set.toml`: the classes of a label set, and where its images come from.

roadmask only adds to the file, so comments stay::

    format = 1

    [classes]          # name = category id; those of COCO have COCO's, others an id from 91 to 255
    pedestrian = 1
    cyclist = 101

    [sources.city]     # a recording, or files
    licence = "CC BY 4.0"
    specs = ["../city.mp4"]
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from roadmask.engines.classes import CLASS_NAMES, category_id
from roadmask.engines.errors import InputError, StoreError
from roadmask.engines.files import write_atomically
from roadmask.streaming.camera_names import check_camera_name

DESCRIPTION_NAME = "set.toml"
FORMAT = 1
OWN_IDS = range(91, 256)
"""Category ids of classes that COCO does not have."""
UNKNOWN_LICENCE = "unknown"
_SOURCE_FIELDS = {
    "licence": str, "specs": list, "recording": str, "recorded_at": str, "model": str
}  # fmt: skip


@dataclass(frozen=True)
class LabelSource:
    """A recording, or a folder of files, that images of a label set come from."""

    name: str
    """Name of the drive."""
    licence: str = UNKNOWN_LICENCE
    """Licence of its images."""
    specs: tuple[str, ...] = ()
    """Sources of the recording as `roadmask run` takes them, paths relative to the label set; empty for files."""
    recording: Mapping[str, Any] = field(default_factory=dict)
    """What `FrameSource.describe` says of the recording, by which it is known again; empty for files."""
    recorded_at: str | None = None
    """Wall clock of time 0 of the recording, as ISO 8601; None where it is not known."""
    model: str | None = None
    """`model:` and the SHA-256 of the weights that annotated it; None where no model did."""


@dataclass(frozen=True)
class SetDescription:
    """What `set.toml` says."""

    classes: Mapping[str, int]
    """Class name -> category id."""
    sources: Mapping[str, LabelSource]
    """Name of the drive -> source."""


def read_description(folder: Path) -> SetDescription:
    """Reads `set.toml` of a label set.

    Raises:
        InputError: it is missing or says something that cannot be used.
    """
    path = folder / DESCRIPTION_NAME
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"expected {folder} to be a label set, cannot read {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from error
    if document.get("format") != FORMAT:
        raise InputError(f"{path}: expected format = {FORMAT}, got {document.get('format')!r}: upgrade roadmask.")
    classes, sources = document.get("classes", {}), document.get("sources", {})
    if not isinstance(classes, dict) or not isinstance(sources, dict):
        raise InputError(f"{path}: expected the tables [classes] and [sources.NAME].")
    if unknown := sorted(document.keys() - {"format", "classes", "sources"}):
        raise InputError(f"{path}: expected format, [classes] and [sources.NAME], got {', '.join(unknown)} as well.")
    try:
        check_classes(classes)
        return SetDescription(classes, {name: _source(name, given) for name, given in sources.items()})
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def check_classes(classes: Mapping[str, Any]) -> None:
    """Checks names and category ids.

    Raises:
        InputError: a class of COCO has another id than COCO's, another class has none of `OWN_IDS`, or two share one.
    """
    owner: dict[int, str] = {}
    for name, number in classes.items():
        if not name or name != name.strip().lower():
            raise InputError(f"expected class names in lower case without spaces around them, got {name!r}.")
        coco = category_id(name)
        if coco is not None and CLASS_NAMES[coco] != name:
            raise InputError(f"expected the class {CLASS_NAMES[coco]!r}, got {name!r}, COCO's name for it.")
        if coco is not None and number != coco:
            raise InputError(f"expected {name} = {coco}, its category id in COCO, got {number!r}.")
        if coco is None and (type(number) is not int or number not in OWN_IDS):
            raise InputError(
                f"expected a category id from {OWN_IDS[0]} to {OWN_IDS[-1]} for {name}, a class that COCO does not "
                f"have, got {number!r}."
            )
        if (other := owner.setdefault(number, name)) != name:
            raise InputError(f"the classes {other} and {name} share the category id {number}: give each its own.")


def classes_named(names: Iterable[str], known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Returns names with category ids: those known, COCO's, and for others the next ones that are free.

    Raises:
        InputError: a name cannot be used.
    """
    classes = dict(known or {})
    for given in names:
        name = given.strip().lower()
        coco = category_id(name)
        if coco is not None:
            classes[CLASS_NAMES[coco]] = coco
        elif name not in classes:
            # 101 leaves room below for those that later versions of COCO may bring.
            classes[name] = next(number for number in (*range(101, 256), *OWN_IDS) if number not in classes.values())
    check_classes(classes)
    return classes


def write_description(folder: Path, classes: Mapping[str, int], sources: Iterable[LabelSource] = ()) -> SetDescription:
    """Adds classes and sources to `set.toml`, which is made if it is absent; what is there stays.

    Raises:
        InputError: a class has another category id there, or a source of that name is another recording.
        StoreError: the file cannot be written.
    """
    path = folder / DESCRIPTION_NAME
    if path.exists():
        before, text = read_description(folder), path.read_text(encoding="utf-8")
    else:
        before = SetDescription({}, {})
        text = f"# A label set of roadmask: see roadmask annotate --help\nformat = {FORMAT}\n\n[classes]\n"
    merged = dict(before.classes) | dict(classes)
    changed = [name for name, number in before.classes.items() if merged[name] != number]
    if changed:
        raise InputError(
            f"{path}: the class {changed[0]} has the category id {before.classes[changed[0]]} there and "
            f"{merged[changed[0]]} here: a class keeps its id."
        )
    check_classes(merged)
    lines = "".join(f"{_key(name)} = {number}\n" for name, number in classes.items() if name not in before.classes)
    if lines:
        head, header, tail = text.partition("[classes]")
        rest, newline, after = tail.partition("\n")
        text = f"{head}{header or '[classes]'}{rest}{newline or chr(10)}{lines}{after}"
    for source in sources:
        there = before.sources.get(source.name)
        if there is None:
            text = f"{text.rstrip()}\n\n{_source_table(source)}"
        elif there != source:
            raise InputError(
                f"{path}: the source {source.name} is described differently there: give this one another name, as in "
                f"{source.name}_2=SOURCE."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text, sync=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}. Free space, or choose another place.") from error
    return read_description(folder)


def _source(name: str, given: Any) -> LabelSource:
    check_camera_name(name)
    if not isinstance(given, dict):
        raise InputError(f"expected [sources.{name}] to be a table, got {given!r}.")
    for key, value in given.items():
        if key not in _SOURCE_FIELDS or not isinstance(value, _SOURCE_FIELDS[key]):
            known = ", ".join(f"{each} ({kind.__name__})" for each, kind in _SOURCE_FIELDS.items())
            raise InputError(f"[sources.{name}]: expected {known}, got {key} = {value!r}.")
    if given.get("recorded_at") is not None:
        try:
            datetime.fromisoformat(given["recorded_at"])
        except ValueError as error:
            raise InputError(f"[sources.{name}]: expected recorded_at as ISO 8601: {error}.") from error
    try:
        recording = json.loads(given.get("recording", "{}"))
    except ValueError as error:
        raise InputError(f"[sources.{name}]: expected recording to be JSON: {error}.") from error
    return LabelSource(
        name,
        given.get("licence", UNKNOWN_LICENCE),
        tuple(map(str, given.get("specs", ()))),
        recording,
        given.get("recorded_at"),
        given.get("model"),
    )


def _source_table(source: LabelSource) -> str:
    rows: dict[str, Any] = {"licence": source.licence}
    if source.specs:
        rows["specs"] = list(source.specs)
    if source.recording:
        rows["recording"] = json.dumps(source.recording, sort_keys=True)
    rows |= {name: value for name in ("recorded_at", "model") if (value := getattr(source, name)) is not None}
    # Strings and lists of JSON are strings and lists of TOML.
    lines = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in rows.items())
    return f"[sources.{_key(source.name)}]\n{lines}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
