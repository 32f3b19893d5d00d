"""The two records of a label set, and their lines in `labels.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from roadmask.engines.errors import InputError
from roadmask.streaming.camera_names import check_camera_name

ImageKey = tuple[str, int]
"""Drive and frame index of an image."""
LabelKey = tuple[str, int, int]
"""Drive, frame index and object of a label."""
MAX_FRAME = 100_000_000
"""Maximum frame index: a larger one is a mistake."""


class LabelState(StrEnum):
    """What is decided of a label."""

    PROPOSED = "proposed"
    """A model made it, and nobody has decided yet."""
    ACCEPTED = "accepted"
    """A person found it right."""
    FIXED = "fixed"
    """A person made or changed it."""
    REJECTED = "rejected"
    """A person found that there is no such object: it is not learnt."""

    @property
    def decided(self) -> bool:
        """Whether a person has decided."""
        return self is not LabelState.PROPOSED


@dataclass(frozen=True)
class LabelledImage:
    """One image of a label set, which refers to its pixels: a frame of a recording, or a file."""

    drive: str
    """Name of the recording, a source of `set.toml`."""
    frame: int
    """Frame index in the recording, from 0; for files, a number of its own."""
    size: tuple[int, int]
    """Height and width in pixels."""
    time_ns: int | None = None
    """Capture time in nanoseconds on the clock of the recording; None where it is not known."""
    file: str | None = None
    """Path of the image, relative to the folder of the label set; None for a frame of a recording."""
    sha256: str | None = None
    """SHA-256 of the file in hexadecimal; None for a frame of a recording."""

    def __post_init__(self) -> None:
        check_camera_name(self.drive)
        _require(0 <= self.frame <= MAX_FRAME, "frame", f"a frame index from 0 to {MAX_FRAME}", self.frame)
        _require(len(self.size) == 2 and min(self.size) > 0, "size", "a height and width above 0", self.size)
        _require((self.file is None) == (self.sha256 is None), "sha256", "one for a file, and only there", self.sha256)

    @property
    def key(self) -> ImageKey:
        """What the image is known by."""
        return self.drive, self.frame


@dataclass(frozen=True)
class Label:
    """One object in one image."""

    drive: str
    """Drive of its image."""
    frame: int
    """Frame index of its image."""
    object: int
    """Id of the object, above 0; the same in all images of the drive, and of no other object there."""
    class_name: str
    """Name of its class, one of `set.toml`."""
    counts: bytes
    """COCO's compressed run lengths of its mask, which fill the image."""
    source: str
    """Who made it: `model:` and the SHA-256 of the weights, or `person:` and a name."""
    when: str
    """When it was made, as ISO 8601 with a time zone."""
    state: LabelState = LabelState.PROPOSED
    """What is decided of it."""
    score: float = 1.0
    """Confidence of the model, 0 to 1; 1 for a person's label."""
    crowd: bool = False
    """Whether it is a region that nobody took apart: what lies there is neither right nor wrong."""
    revision: int = 0
    """Counts the changes of this label from 0; the line with the highest revision holds."""
    doubt: float = 0.0
    """How doubtful it is, 0 to 1; see `doubts.py`."""
    why: tuple[str, ...] = ()
    """What makes it doubtful: score, flicker, area, gap or switch."""

    def __post_init__(self) -> None:
        _require(0 <= self.frame <= MAX_FRAME, "frame", f"a frame index from 0 to {MAX_FRAME}", self.frame)
        _require(0 < self.object < 2**31, "object", "an id from 1 to 2147483647", self.object)
        _require(self.revision >= 0, "revision", "a number from 0", self.revision)
        for name, value in (("score", self.score), ("doubt", self.doubt)):
            _require(0 <= value <= 1, name, "a number from 0 to 1", value)
        kind, colon, who = self.source.partition(":")
        _require(kind in ("model", "person") and bool(colon and who), "source", "model:... or person:...", self.source)
        try:
            zoned = datetime.fromisoformat(self.when).tzinfo is not None
        except ValueError:
            zoned = False
        _require(zoned, "when", "a time such as 2026-05-04T12:00:00+00:00", self.when)

    @property
    def key(self) -> LabelKey:
        """What the label is known by, whatever its revision."""
        return self.drive, self.frame, self.object


Record = LabelledImage | Label


def now() -> str:
    """Returns the time as labels have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def to_line(record: Record) -> str:
    """Returns the line of a record, without its end; what has its default value is left out."""
    if isinstance(record, LabelledImage):
        row: dict[str, Any] = {"image": record.frame, "drive": record.drive, "size": list(record.size)}
        given = {"time_ns": record.time_ns, "file": record.file, "sha256": record.sha256}
        row |= {name: value for name, value in given.items() if value is not None}
    else:
        row = {
            "object": record.object,
            "drive": record.drive,
            "frame": record.frame,
            "class": record.class_name,
            "rle": record.counts.decode("ascii"),
            "source": record.source,
            "when": record.when,
            "state": record.state.value,
        }
        row |= {"score": round(record.score, 4)} if record.score != 1 else {}
        row |= {"crowd": True} if record.crowd else {}
        row |= {"revision": record.revision} if record.revision else {}
        row |= {"doubt": round(record.doubt, 3), "why": list(record.why)} if record.doubt else {}
    return json.dumps(row, separators=(",", ":"))


def from_line(line: str | bytes) -> Record:
    """Reads a line.

    Raises:
        InputError: it is no record; the message is a part of a sentence.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON, got {line[:40]!r} ({error})") from error
    if not isinstance(row, dict) or ("image" in row) == ("object" in row):
        raise InputError("expected an object with either image or object, got something else")
    known = _IMAGE_FIELDS if "image" in row else _LABEL_FIELDS
    if unknown := sorted(row.keys() - known.keys()):
        raise InputError(f"expected the fields {', '.join(known)}, got {', '.join(unknown)} as well")
    if "image" in row:
        size = _get(row, "size", _IMAGE_FIELDS)
        _require(len(size) == 2 and all(type(side) is int for side in size), "size", "a list of height and width", size)
        return LabelledImage(
            _get(row, "drive", known), _get(row, "image", known), (size[0], size[1]), **_optional(row, known)
        )
    said = _get(row, "state", known)
    try:
        state = LabelState(said)
    except ValueError:
        raise InputError(f"expected state to be {', '.join(LabelState)}, got {said!r}") from None
    rle = _get(row, "rle", known)
    if not rle.isascii():
        raise InputError("expected rle to be COCO's compressed run lengths, got text that is not ASCII")
    return Label(
        _get(row, "drive", known),
        _get(row, "frame", known),
        _get(row, "object", known),
        _get(row, "class", known),
        rle.encode(),
        _get(row, "source", known),
        _get(row, "when", known),
        state,
        float(_get(row, "score", known, 1.0)),
        _get(row, "crowd", known, False),
        _get(row, "revision", known, 0),
        float(_get(row, "doubt", known, 0.0)),
        tuple(map(str, _get(row, "why", known, []))),
    )


_NUMBER = (int, float)
_Fields = dict[str, tuple[type, ...]]
_IMAGE_FIELDS: _Fields = {
    "image": (int,),
    "drive": (str,),
    "size": (list,),
    "time_ns": (int,),
    "file": (str,),
    "sha256": (str,),
}
_LABEL_FIELDS: _Fields = {
    "object": (int,),
    "drive": (str,),
    "frame": (int,),
    "class": (str,),
    "rle": (str,),
    "source": (str,),
    "when": (str,),
    "state": (str,),
    "score": _NUMBER,
    "crowd": (bool,),
    "revision": (int,),
    "doubt": _NUMBER,
    "why": (list,),
}
_MISSING = object()


def _get(row: Mapping[str, Any], name: str, fields: _Fields, default: Any = _MISSING) -> Any:
    value = row.get(name, default)
    if value is _MISSING:
        raise InputError(f"expected the field {name}, got {', '.join(row)}")
    kinds = fields[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise InputError(f"expected {name} to be {' or '.join(each.__name__ for each in kinds)}, got {value!r:.60}")
    return value


def _optional(row: Mapping[str, Any], fields: _Fields) -> dict[str, Any]:
    return {name: _get(row, name, fields) for name in ("time_ns", "file", "sha256") if name in row}


def _require(holds: bool, name: str, expected: str, got: object) -> None:
    if not holds:
        raise InputError(f"expected {name} to be {expected}, got {got!r}")
