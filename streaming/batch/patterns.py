"""Reads drive, camera and chapter from the name of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from roadmask.engines.errors import ConfigError

FIELDS = ("drive", "camera", "chapter")

_SIDES = "front|forward|fwd|rear|back|left|right|top|wide|narrow|main|road"
_PLACES = "interior|inside|inner|cabin|driver|repeater|pillar|side|corner"
_CAMERA = rf"(?:cam(?:era)?[_-]?[a-z0-9]+|(?:{_SIDES}|{_PLACES})(?:[_-]?(?:{_SIDES}|{_PLACES}|cam(?:era)?)|[0-9]+)*)"
"""Words that name a camera, alone or combined: front, rear_left, left_repeater, cam0, camera_2."""
_CHAPTER = r"[0-9](?:[0-9_.T-]*[0-9])?"
"""A number, or a date with a time."""
_MOMENT = r"(?:[0-9]{4}[_-]?[0-9]{2}[_-]?[0-9]{2}|[0-9]{6})[_T-][0-9]{2}[_-]?[0-9]{2}(?:[_-]?[0-9]{2})?"
"""A date with a time: 20240131_120000, 2024-01-31_12-00-00, 240131_1200."""

_CAMERA_FILE = re.compile(rf"(?P<camera>{_CAMERA})(?:[_-](?P<chapter>{_CHAPTER}))?", re.IGNORECASE)
_TIMED_CAMERA_FILE = re.compile(rf"(?P<chapter>{_MOMENT})[_-](?P<camera>{_CAMERA})", re.IGNORECASE)
_RECORDING = rf"(?P<drive>(?:[A-Za-z]+_?)?{_MOMENT}(?:[_-][0-9]+)?)"
_DASHCAM = re.compile(rf"{_RECORDING}[_-]?(?P<camera>[NEPMIS]?[FRI]|[FRI]H)")
"""Viofo 20240131_120000_0001F, BlackVue 20240131_120000_NF, Thinkware REC_2024_01_31_12_00_00_F, Nextbase _FH."""
_DASHCAM_WORD = re.compile(
    rf"(?P<drive>(?:[A-Za-z]+_?)?{_MOMENT}(?:[_-][0-9]+)?)[_-](?P<camera>{_CAMERA})", re.IGNORECASE
)
_GOPRO = re.compile(r"(?P<make>G[HXLP])(?P<chapter>[0-9]{2})(?P<number>[0-9]{4})|GOPR(?P<first>[0-9]{4})")
_LETTERS = {"F": "front", "R": "rear", "I": "interior"}


@dataclass(frozen=True)
class NameParts:
    """Parts of a file name."""

    drive: str | None = None
    """Name of the drive; None if the folder is the drive."""
    camera: str | None = None
    """Name of the camera; None if the file name has none."""
    chapter: str = ""
    """Text that orders the files of a camera, numbers by their value; empty if the file name has none."""


def camera_in_drive_folder(stem: str) -> NameParts | None:
    """Reads `front`, `front_0001` or `2024-01-31_12-00-00-left_repeater`; returns None for any other name."""
    match = _CAMERA_FILE.fullmatch(stem) or _TIMED_CAMERA_FILE.fullmatch(stem)
    return NameParts(camera=match["camera"], chapter=match["chapter"] or "") if match else None


def recorder_name(stem: str) -> NameParts | None:
    """Reads names of dashcams and GoPros: `20240131_120000_F`, `GX020123`; returns None for any other name."""
    if match := _GOPRO.fullmatch(stem):
        if match["first"]:
            return NameParts(f"GOPR{match['first']}")
        make = "GOPR" if match["make"] == "GP" else match["make"]  # GP01xxxx is the chapter after GOPRxxxx
        return NameParts(f"{make}{match['number']}", chapter=match["chapter"])
    if match := _DASHCAM.fullmatch(stem):
        return NameParts(match["drive"], _LETTERS[match["camera"].removesuffix("H")[-1]])
    if match := _DASHCAM_WORD.fullmatch(stem):
        return NameParts(match["drive"], match["camera"])
    return None


class Pattern:
    """A pattern of paths such as `{drive}/{camera}_{chapter}.mp4`.

    `{drive}` and `{camera}` match the shortest possible text within one folder or file name. `{chapter}` begins and
    ends with a digit. `*` matches any text within one folder or file name. A pattern of n parts is compared with the
    last n parts of a path. Upper and lower case are equal.

    Args:
        text: text of the pattern, with `{drive}`.

    Raises:
        ConfigError: a field is unknown, repeated or missing, or a brace has no partner.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        parts = re.split(r"(\{[^{}]*\}|\*)", text.strip("/"))
        names = [part[1:-1] for part in parts if part.startswith("{")]
        for name in names:
            if name not in FIELDS:
                raise self._invalid(f"there is no field {{{name}}}")
        for name in FIELDS:
            if names.count(name) > 1:
                raise self._invalid(f"{{{name}}} occurs twice")
        if "drive" not in names:
            raise self._invalid("{drive} is missing")
        if any(brace in part for part in parts if not part.startswith("{") for brace in "{}"):
            raise self._invalid("a brace has no partner")
        self.depth = text.strip("/").count("/") + 1
        """Number of parts of a path that the pattern is compared with."""
        self._expression = re.compile("".join(map(self._piece, parts)), re.IGNORECASE)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def match(self, parts: Sequence[str]) -> NameParts | None:
        """Returns what the pattern reads from a path, given as its parts; None if it does not match."""
        if len(parts) < self.depth:
            return None
        match = self._expression.fullmatch("/".join(parts[-self.depth :]))
        if match is None:
            return None
        found = match.groupdict()
        return NameParts(found["drive"], found.get("camera"), found.get("chapter") or "")

    @staticmethod
    def _piece(part: str) -> str:
        if part == "*":
            return "[^/]*?"
        if part == "{chapter}":
            return f"(?P<chapter>{_CHAPTER})"
        return f"(?P<{part[1:-1]}>[^/]+?)" if part.startswith("{") else re.escape(part)

    def _invalid(self, why: str) -> ConfigError:
        return ConfigError(
            f"cannot use the pattern {self.text!r}: {why}. Expected {{drive}} and optionally {{camera}} and "
            "{chapter}, as in '{drive}/{camera}_{chapter}.mp4'."
        )
