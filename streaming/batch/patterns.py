"""Reads drive, camera and chapter from the name of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roadmask.engines.errors import ConfigError

FIELDS = ("drive", "camera", "chapter")

_SIDES = "front|forward|fwd|rear|back|left|right|top|wide|narrow|main|road"
_PLACES = "interior|inside|inner|cabin|driver|repeater|pillar|side|corner"
_CAMERA = (
    rf"(?:cam(?:era)?(?:[_-]?(?:{_SIDES}|{_PLACES}))+|cam(?:era)?[_-]?[a-z0-9]+|image_0[0-9]"
    rf"|(?:{_SIDES}|{_PLACES})(?:[_-]?(?:{_SIDES}|{_PLACES}|cam(?:era)?)|[0-9]+)*)"
)
"""Words that name a camera, alone or combined: front, rear_left, left_repeater, cam0, CAM_FRONT_LEFT, image_02."""
_CHAPTER = r"[0-9](?:[0-9_.T-]*[0-9])?"
"""A number, or a date with a time."""
_MOMENT = (
    r"(?:(?:[0-9]{4}[_-]?[0-9]{2}[_-]?[0-9]{2}|[0-9]{6})[_T-][0-9]{2}[_-]?[0-9]{2}(?:[_-]?[0-9]{2})?"
    r"|20[0-9]{12}(?:[0-9]{2})?)"
)
"""A date with a time: 20240131_120000, 2024_0131_120000, 2024-01-31_12-00-00, 240131_1200, 20240131120000."""

_CAMERA_FILE = re.compile(rf"(?P<camera>{_CAMERA})(?:[_-](?P<chapter>{_CHAPTER}))?", re.IGNORECASE)
_TIMED_CAMERA_FILE = re.compile(rf"(?P<chapter>{_MOMENT})[_-](?P<camera>{_CAMERA})", re.IGNORECASE)
_GOPRO = re.compile(r"(?P<make>G[HXSLP])(?P<chapter>[0-9]{2})(?P<number>[0-9]{4})|GOPR(?P<first>[0-9]{4})")

_RECORDING = rf"(?P<moment>(?:[A-Z]+_?)?{_MOMENT})(?P<counter>[_-][0-9]+)?"
_RECORDERS = [
    re.compile(text, re.IGNORECASE)
    for text in (
        # Nextbase: side and quality, 240131_120000_001_FH
        rf"{_RECORDING}_(?P<channel>[FRBIC])(?P<quality>[HL])",
        # Vantrue: mode and lens, 20240131_120000_0001_N_A
        rf"{_RECORDING}_(?P<mode>[A-Z])_(?P<cabin>[A-D])",
        # Vueroid: 20240131_120000_INF_F_N
        rf"{_RECORDING}_[A-Z]{{3}}_(?P<channel>[FRI])_(?P<mode>[A-Z])",
        # Viofo 2024_0131_120000_000001PF, BlackVue 20240131_120000_NF, Thinkware REC_2024_01_31_12_00_00_F, RedTiger
        # 20240131120000_000001F, Wolfbox 2024_01_31_120000_00_F, 70mai NO20240131-120000-000001B
        rf"{_RECORDING}[_-]?(?P<mode>[A-Z])?(?P<channel>[FRITOL])(?:-[0-9]{{14}})?",
        # Novatek 2024_0131_120000_001A, CarCam REC20240131-120000-527-A, 360 degrees 20240131120000_000001AC
        rf"{_RECORDING}[_-]?A?(?P<channel>[A-D])(?P<mode>[A-Z])?(?:-[0-9]{{14}})?",
        # SigmaStar: CH1-20240131-120000
        rf"(?P<channel>CH[1-9])[_-](?P<moment>{_MOMENT})(?P<counter>[_-][0-9]+)?",
        rf"{_RECORDING}[_-](?P<channel>{_CAMERA})",
        # the folder says which camera it is: Normal/F/REC20240131-120000-527
        _RECORDING,
    )
]
_CHANNEL_FOLDER = re.compile(
    r"(?P<channel>front|rear|back|left|right|interior|inside|cabin|CH[1-9]|[A-DFRI])"
    r"|(?P<stem>emr|event|movie|normal|parking|record|video)_(?P<letter>[A-DFRI])|(?P<side>front|rear|extra|inside)_(?P<kind>norm|emer|photo)",
    re.IGNORECASE,
)
"""Folders for each camera: Front, Back, F, CH1, RedTiger's Movie_F, Wolfbox' rear_norm."""
_LETTERS = {"F": "front", "R": "rear", "B": "rear", "I": "interior", "O": "interior", "C": "interior"}
_LETTERS |= {"T": "telephoto", "L": "left", "": "front"}
_FOLDERS = {"BACK": "REAR", "EXTRA": "INTERIOR"}
_LENSES = {"A": "front", "B": "rear", "C": "interior", "D": "side"}
"""Letters that count lenses."""
_VANTRUE_LENSES = {"A": "front", "B": "interior", "C": "rear", "D": "side"}
_LATE_MAX = timedelta(seconds=2)
_SAME_SIDE = ("F", "RB", "ICO", "A", "D", "L", "T")
"""First letters of channels that may be the same camera."""


@dataclass(frozen=True)
class NameParts:
    """Parts of a file name."""

    drive: str | None = None
    """Name of the drive; None if the folder is the drive."""
    camera: str | None = None
    """Name of the camera; None if the file name has none."""
    chapter: str = ""
    """Text that orders the files of a camera, numbers by their value; empty if the file name has none."""


def has_moment(stem: str) -> bool:
    """Returns whether a name is a date with a time and a camera, as Tesla writes them."""
    return _TIMED_CAMERA_FILE.fullmatch(stem) is not None


def camera_in_drive_folder(stem: str) -> NameParts | None:
    """Reads `front`, `front_0001` or `2024-01-31_12-00-00-left_repeater`; returns None for any other name."""
    match = _CAMERA_FILE.fullmatch(stem) or _TIMED_CAMERA_FILE.fullmatch(stem)
    return NameParts(camera=match["camera"], chapter=match["chapter"] or "") if match else None


@dataclass(frozen=True)
class Recording:
    """What the name of a recorder's file says: when it was recorded, and by which of its cameras."""

    moment: str
    """Prefix, date and time as in the name: those of all cameras of one recording are equal."""
    counter: str = ""
    """Counter behind the moment, with its separator; some recorders count each camera's files, and some all files."""
    mode: str = ""
    """Letter of the mode, such as P for parking; empty if the name has none."""
    channel: str = ""
    """Letter or word for the camera, in capitals; empty if the name has none."""
    cabin: bool = False
    """Whether the letter counts lenses as Vantrue does: front, interior, rear."""
    low: bool = False
    """Whether the file is a copy of low resolution."""


def recording_of(stem: str) -> Recording | None:
    """Reads names of dashcams, such as `2024_0131_120000_000001F`; returns None for any other name."""
    match = next((found for form in _RECORDERS if (found := form.fullmatch(stem))), None)
    if match is None:
        return None
    text = {name: value or "" for name, value in match.groupdict().items()}
    cabin = text.get("cabin", "")
    return Recording(
        text["moment"],
        text.get("counter", ""),
        text.get("mode", "").upper(),
        (cabin or text.get("channel", "")).upper(),
        bool(cabin),
        text.get("quality", "").upper() == "L",
    )


def channel_folder(name: str) -> tuple[str, str] | None:
    """Returns the rest of a folder's name and the channel in it: `Movie_F` is Movie and F; None for other folders."""
    match = _CHANNEL_FOLDER.fullmatch(name)
    if match is None:
        return None
    channel = (match["channel"] or match["letter"] or match["side"]).upper()
    return match["stem"] or match["kind"] or "", _FOLDERS.get(channel, channel)


def same_side(one: str, other: str) -> bool:
    """Returns whether two channels, such as a folder's `BACK` and a name's `R`, may be the same camera."""
    return any(one[0] in side and other[0] in side for side in _SAME_SIDE)


def channel_names(recordings: Sequence[Recording], others: Sequence[Recording] = ()) -> dict[str, str]:
    """Names the channels of one recording.

    F, R and I are what they stand for. A, B and C count lenses; beside F, B is the one at the back. A name that two
    channels would get is completed by their letters.

    Args:
        recordings: files of the recording.
        others: all files of the recorder, because one letter alone does not tell what it stands for.
    """
    known = {one.channel for one in (*recordings, *others)}
    three = any(one.cabin and one.channel == "C" for one in (*recordings, *others))
    unmarked = any(not one.channel for one in recordings)  # a DDPai marks the files of its rear camera only
    names: dict[str, str] = {}
    for one in sorted(recordings, key=lambda one: (one.channel in ("B", "C", "O"), one.channel)):
        meanings = {**_LETTERS, **(_LENSES if "A" in known else {}), **(_VANTRUE_LENSES if one.cabin and three else {})}
        if one.channel == "R" and "L" in known and "F" not in known:
            meanings["R"] = "right"
        if unmarked:
            meanings["A"] = "rear"
        name = meanings.get(one.channel, one.channel.lower())
        taken = name in [other for channel, other in names.items() if channel != one.channel]
        names[one.channel] = f"{name}_{one.channel.lower()}" if taken else name
    return names


@dataclass(frozen=True)
class RecordedFile:
    """Where one file of a recorder belongs."""

    drive: str
    """Name of its recording: the moment, with the counter if all files of the recording share it."""
    camera: str
    """Name of its camera."""
    original: int | None = None
    """Place of the file that this one is a copy of in low resolution; None if it is no copy."""


def name_recordings(recordings: Sequence[Recording]) -> list[RecordedFile]:
    """Groups the files of one recorder by moment, whether its cameras share a counter or each has its own.

    The cameras of some recorders begin a second or two after each other. Two files of one camera are in different
    recordings.

    Args:
        recordings: what the names say, all with a channel, apart from those of a DDPai's front camera.
    """
    moments: dict[str, list[int]] = {}
    for place, one in enumerate(recordings):
        moments.setdefault(one.moment, []).append(place)
    _join_close(moments, recordings)
    found: dict[int, RecordedFile] = {}
    for moment, places in moments.items():
        taken: set[str] = set()
        groups = _divided(recordings, places)
        names = channel_names([recordings[place] for place in places], recordings)
        for group in groups:
            first = recordings[group[0]]
            shared = len({recordings[place].counter for place in group}) == 1
            drive = moment + first.counter if shared or len(groups) > 1 else moment
            if drive in taken:
                drive = f"{drive}_{first.mode or len(taken) + 1}"
            taken.add(drive)
            sharp = {recordings[place].channel: place for place in group if not recordings[place].low}
            for place in group:
                one = recordings[place]
                found[place] = RecordedFile(drive, names[one.channel], sharp.get(one.channel) if one.low else None)
    return [found[place] for place in range(len(recordings))]


def _join_close(moments: dict[str, list[int]], recordings: Sequence[Recording]) -> None:
    """Joins moments that are at most two seconds apart and have no camera in common."""
    times = {moment: time for moment in moments if (time := _time_of(moment)) is not None}
    first = ""
    for moment in sorted(times, key=times.__getitem__):
        cameras = {recordings[place].channel for place in moments[moment]}
        before = {recordings[place].channel for place in moments.get(first, [])}
        same = first and times[moment][0] == times[first][0] and cameras.isdisjoint(before)
        if same and times[moment][1] - times[first][1] <= _LATE_MAX:
            moments[first] += moments.pop(moment)
        else:
            first = moment


def _time_of(moment: str) -> tuple[str, datetime] | None:
    """Returns the prefix and the time of a moment; None if it states no seconds or no date that exists."""
    prefix = re.match(r"[A-Za-z]*_?", moment)
    start = prefix[0] if prefix else ""
    digits = re.sub(r"\D", "", moment)
    form = "%y%m%d%H%M%S" if re.match(r"[0-9]{6}(?![0-9])", moment.removeprefix(start)) else "%Y%m%d%H%M%S"
    try:
        return start, datetime.strptime(digits[:14], form).replace(tzinfo=UTC)
    except ValueError:
        return None


def _divided(recordings: Sequence[Recording], places: Iterable[int]) -> list[list[int]]:
    """Divides files of one moment, so that no recording has two files of one camera."""

    def order(place: int) -> tuple[int, str]:
        return int(recordings[place].counter.strip("_-") or 0), recordings[place].mode

    groups: list[list[int]] = []
    seen: set[tuple[str, bool]] = set()
    for place in sorted(places, key=order):
        camera = recordings[place].channel, recordings[place].low
        if not groups or camera in seen:
            groups.append([])
            seen = set()
        groups[-1].append(place)
        seen.add(camera)
    return groups


def gopro_name(stem: str) -> NameParts | None:
    """Reads names of GoPros: `GX020123` is chapter 2 of GX0123; returns None for any other name."""
    match = _GOPRO.fullmatch(stem.upper())
    if match is None:
        return None
    if match["first"]:
        return NameParts(f"GOPR{match['first']}")
    make = "GOPR" if match["make"] == "GP" else match["make"]  # GP01xxxx is the chapter after GOPRxxxx
    return NameParts(f"{make}{match['number']}", chapter=match["chapter"])


class Pattern:
    """A pattern of paths such as `{drive}/{camera}_{chapter}.mp4`.

    `{drive}` and `{camera}` match the shortest possible text within one folder or file name, but `{drive}` does not end
    inside of a date that it begins with, and a counter before a camera's letter, as in `000001F`, is not part of
    `{camera}`. `{chapter}` begins and ends with a digit. `*` matches any text within one folder or file name. A pattern
    of n parts is compared with the last n parts of a path. Upper and lower case are equal.

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
        camera = found.get("camera")
        counted = camera and re.fullmatch(r"[0-9]{3,}([A-Za-z]{1,2})", camera)
        return NameParts(found["drive"], counted[1] if counted else camera, found.get("chapter") or "")

    @staticmethod
    def _piece(part: str) -> str:
        if part == "*":
            return "[^/]*?"
        if part == "{chapter}":
            return f"(?P<chapter>{_CHAPTER})"
        if part == "{drive}":
            return r"(?P<drive>[0-9]{4}[_-][0-9]{2}[_-]?[0-9]{2}(?![0-9])|[^/]+?)"
        return "(?P<camera>[^/]+?)" if part.startswith("{") else re.escape(part)

    def _invalid(self, why: str) -> ConfigError:
        return ConfigError(
            f"cannot use the pattern {self.text!r}: {why}. Expected {{drive}} and optionally {{camera}} and "
            "{chapter}, as in '{drive}/{camera}_{chapter}.mp4'."
        )
