"""Finds drives: groups files by their folders and names."""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from roadmask.engines.errors import InputError
from roadmask.streaming.batch.items import Item, all_items, names_between
from roadmask.streaming.batch.patterns import (
    NameParts,
    Pattern,
    Recording,
    camera_in_drive_folder,
    channel_names,
    gopro_name,
    has_moment,
    name_recordings,
    recording_of,
    same_side,
)
from roadmask.streaming.camera_names import camera_name
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.sources.files import natural_key
from roadmask.streaming.sources.registry import expanded, recording_suffixes

_ANY_CAMERA = "camera"
"""Name of a camera whose file's name has neither letters nor digits."""


@dataclass(frozen=True)
class DriveFiles:
    """One drive to record."""

    name: str
    """Name of the drive and of its store."""
    cameras: dict[str, tuple[Path, ...]]
    """Camera -> absolute paths of its chapters in order; a folder of images counts as one file."""

    def jobs(self) -> list[CameraJob]:
        """Returns the cameras as `record_drive` takes them."""
        jobs = []
        for camera, paths in self.cameras.items():
            inside = expanded(str(paths[0])) if len(paths) == 1 else None
            found = {camera: tuple(map(str, paths))} if inside is None else {each: (s,) for each, s in inside.items()}
            jobs += [CameraJob(name, specs) for name, specs in found.items()]
        return jobs


@dataclass(frozen=True)
class FoundDrives:
    """Result of a search for drives."""

    drives: list[DriveFiles]
    """Drives in natural order of their names."""
    left_out: Mapping[Path, str] = field(default_factory=dict)
    """Path of a video, or of a folder with images, that is not recorded -> the reason."""


Found = Iterator[tuple[Item, NameParts]]


def find_drives(inputs: Sequence[str], *, patterns: Sequence[Pattern] = (), out: Path | None = None) -> FoundDrives:
    """Searches folders, globs and files for drives.

    Without patterns, a folder is one drive if every video in it is named after a camera (`front.mp4`,
    `rear_0002.mp4`, `2024-01-31_12-00-00-left_repeater.mp4`). Otherwise each file is a drive of its own, except that
    the names and folders which dashcams and GoPros give tell which files belong together. Their copies of low
    resolution are left out. A folder of images counts as a video. A camera without a name of its own has the name of
    the drive, as with `roadmask run`.

    Args:
        inputs: folders to search recursively, globs, and files.
        patterns: patterns of paths; the first that matches a path decides, and the rules above do not apply.
        out: folder to leave out of the search.

    Raises:
        InputError: no drive was found, or two files claim the same place in a drive.
        SourceError: an input does not exist or cannot be read.
    """
    left_out: dict[Path, str] = {}
    items = list(all_items(inputs, out, left_out))
    if not items:
        expected = ", ".join(sorted(recording_suffixes()))
        raise InputError(f"no video and no folder of images in {', '.join(inputs)}: expected {expected}.")
    if patterns:
        parts = {item: _first_match(patterns, item) for item in items}
        unmatched = [item.path for item, found in parts.items() if found is None]
        if len(unmatched) == len(items):
            tried = " or ".join(repr(pattern.text) for pattern in patterns)
            raise InputError(
                f"expected videos that match {tried}, got {len(items)} others, such as {unmatched[0]}: change "
                "--pattern."
            )
        left_out |= dict.fromkeys(unmatched, "it matches no --pattern")
        return FoundDrives(_grouped((item, found) for item, found in parts.items() if found), left_out)
    return FoundDrives(_grouped(_read_names(items, left_out)), left_out)


def _first_match(patterns: Sequence[Pattern], item: Item) -> NameParts | None:
    return next((found for pattern in patterns if (found := pattern.match(item.path.parts))), None)


def _read_names(items: Iterable[Item], left_out: dict[Path, str]) -> Found:
    """Reads names without a pattern, first of folders whose files are named after cameras."""
    folders: dict[Path, list[Item]] = {}
    for item in items:
        folders.setdefault(item.place.parent, []).append(item)
    recorded: dict[Path, list[tuple[Item, Recording]]] = {}
    rest: dict[tuple[Path, str], list[Item]] = {}
    for members in folders.values():
        _leave_out_proxies(members, left_out)
        cameras = {item: camera_in_drive_folder(item.stem) for item in members if item.path not in left_out}
        alone = all(cameras.values())
        for item, parts in cameras.items():
            if parts is not None and (alone or has_moment(item.stem)):
                yield item, NameParts("_".join(item.folder) or item.root.name, parts.camera, parts.chapter)
                continue
            recording = recording_of(item.stem)
            base, channel = item.channel
            if recording is not None:
                if channel and recording.channel and not same_side(channel, recording.channel):
                    base = item.place.parent
                recording = replace(recording, channel=recording.channel or channel)
                recorded.setdefault(base, []).append((item, recording))
            else:
                rest.setdefault((base, item.stem), []).append(item)
    for base, files in recorded.items():
        yield from _read_recorder(base, files, left_out)
    for (base, stem), same in rest.items():
        yield from _read_plain(base, stem, same)


def _read_plain(base: Path, stem: str, items: Sequence[Item]) -> Found:
    """Reads names that tell nothing: the same name in the folders of several cameras is one drive."""
    channels = [item.channel[1] for item in items]
    if len(items) > 1 and len(set(channels)) == len(items):
        names = channel_names([Recording(stem, channel=channel) for channel in channels if channel])
        for item, channel in zip(items, channels, strict=True):
            where = names_between(item.root, base)
            yield item, NameParts("_".join([*where, stem]), names.get(channel))
        return
    for item in items:
        parts = gopro_name(stem) or NameParts(stem)
        yield item, NameParts("_".join([*item.folder, parts.drive or ""]), parts.camera, parts.chapter)


def _read_recorder(base: Path, files: Sequence[tuple[Item, Recording]], left_out: dict[Path, str]) -> Found:
    """Reads the files of one recorder; those that name no camera are drives of their own."""
    rear = {(one.moment, one.counter) for _, one in files if one.channel == "A"}  # a DDPai marks only these
    ours = []
    for item, one in files:
        if one.channel or (one.moment, one.counter) in rear:
            ours.append((item, one))
        else:
            yield from _read_plain(base, item.stem, [item])
    for (item, _), named in zip(ours, name_recordings([one for _, one in ours]), strict=True):
        if named.original is None:
            yield item, NameParts("_".join([*names_between(item.root, base), named.drive]), named.camera)
        else:
            left_out[item.path] = f"it is a copy of {ours[named.original][0].path.name} in low resolution"


def _leave_out_proxies(items: Sequence[Item], left_out: dict[Path, str]) -> None:
    """Leaves out the copies of low resolution that action cameras and drones write beside their videos."""
    whole = {_proxy_key(item): item for item in items if not _is_proxy(item)}
    for item in items:
        if _is_proxy(item) and _proxy_key(item) in whole:
            left_out[item.path] = f"it is a copy of {whole[_proxy_key(item)].path.name} in low resolution"


def _is_proxy(item: Item) -> bool:
    return item.path.suffix.lower() in (".lrf", ".lrv") or item.stem.upper().startswith("LRV_")


def _proxy_key(item: Item) -> str:
    """GL010123.LRV belongs to GX010123.MP4, LRV_20240131_120000_01_001 to VID_20240131_120000_00_001."""
    stem = item.stem.upper()
    if re.fullmatch(r"G[HLXSP][0-9]{6}", stem):
        return stem[2:]
    return re.sub(r"^(?:LRV|VID)_([0-9]{8}_[0-9]{6})_[0-9]{2}_", r"\1_", stem)


def _grouped(found: Iterable[tuple[Item, NameParts]]) -> list[DriveFiles]:
    """Groups files into drives and refuses two files that claim the same place."""
    drives: dict[str, dict[str, list[tuple[Item, NameParts]]]] = {}
    for item, parts in found:
        drive = _drive_name(parts.drive or "", item)
        camera = camera_name(parts.camera or item.stem) or _ANY_CAMERA
        if parts.camera is None and parts.chapter:
            camera = camera_name(parts.drive or "") or _ANY_CAMERA
        drives.setdefault(drive, {}).setdefault(camera, []).append((item, parts))
    result = []
    for drive, cameras in sorted(drives.items(), key=lambda entry: natural_key(Path(entry[0]))):
        unnamed = [item for members in cameras.values() for item, parts in members if parts.camera is None]
        if len({parts.chapter for members in cameras.values() for _, parts in members}) == 1 and len(unnamed) > 1:
            raise _same_name(drive, unnamed)
        if len(unnamed) > 1:  # chapters of one camera, the first without a number: GOPR0001, GP010001
            members = [member for of_camera in cameras.values() for member in of_camera]
            ordered = {camera_name(drive) or _ANY_CAMERA: _chapters(drive, members)}
        else:
            ordered = {camera: _chapters(drive, members) for camera, members in sorted(cameras.items())}
        result.append(DriveFiles(drive, ordered))
    return result


def _chapters(drive: str, members: Sequence[tuple[Item, NameParts]]) -> tuple[Path, ...]:
    ordered = sorted(members, key=lambda member: (natural_key(Path(member[1].chapter or "0")), member[0].path))
    for (one, first), (other, second) in pairwise(ordered):
        if first.chapter == second.chapter:
            raise _same_name(drive, [one, other])
    return tuple(item.path for item, _ in ordered)


def _same_name(drive: str, items: Sequence[Item]) -> InputError:
    return InputError(
        f"{items[0].path} and {items[1].path} would both be the same camera of drive {drive!r}: rename one of them, or "
        "state with --pattern what their names mean."
    )


def _drive_name(text: str, item: Item) -> str:
    """Returns a name for a folder made from any text, with the letters of any alphabet."""
    marked = unicodedata.normalize("NFC", text)
    kept = "".join(c if c in "._-" or unicodedata.category(c)[0] in "LMN" else "\0" for c in marked)
    name = re.sub("\0+", "_", kept).strip("_-.")
    return name or f"drive_{zlib.crc32(os.fsencode(item.path.name)):08x}"
