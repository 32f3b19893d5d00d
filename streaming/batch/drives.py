"""Finds drives: groups files by their folders and names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import has_magic, iglob
from itertools import pairwise
from pathlib import Path

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.batch.patterns import NameParts, Pattern, camera_in_drive_folder, recorder_name
from roadmask.streaming.camera_names import camera_name
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.sources.files import is_image, natural_key
from roadmask.streaming.sources.registry import recording_suffixes


@dataclass(frozen=True)
class DriveFiles:
    """One drive to record."""

    name: str
    """Name of the drive and of its store."""
    cameras: dict[str, tuple[Path, ...]]
    """Camera -> absolute paths of its chapters in order; a folder of images counts as one file."""

    def jobs(self) -> list[CameraJob]:
        """Returns the cameras as `record_drive` takes them."""
        return [CameraJob(camera, tuple(map(str, paths))) for camera, paths in self.cameras.items()]


@dataclass(frozen=True)
class FoundDrives:
    """Result of a search for drives."""

    drives: list[DriveFiles]
    """Drives in natural order of their names."""
    left_out: list[Path] = field(default_factory=list)
    """Videos that match no pattern."""


@dataclass(frozen=True)
class _Item:
    """A video or a folder of images."""

    path: Path
    root: Path
    """Folder that was searched."""

    @property
    def stem(self) -> str:
        return self.path.name if self.path.is_dir() else self.path.stem

    @property
    def folder(self) -> tuple[str, ...]:
        """Names of the folders between the searched folder and the item."""
        return self.path.relative_to(self.root).parts[:-1]


def find_drives(inputs: Sequence[str], *, patterns: Sequence[Pattern] = (), out: Path | None = None) -> FoundDrives:
    """Searches folders, globs and files for drives.

    Without patterns, a folder is one drive if every video in it is named after a camera (`front.mp4`,
    `rear_0002.mp4`, `2024-01-31_12-00-00-left_repeater.mp4`). Otherwise each file is a drive of its own, except that
    the names which dashcams and GoPros give tell which files belong together. A folder of images counts as a video.
    A camera without a name of its own has the name of the drive, as with `roadmask run`.

    Args:
        inputs: folders to search recursively, globs, and files.
        patterns: patterns of paths; the first that matches a path decides, and the rules above do not apply.
        out: folder to leave out of the search.

    Raises:
        InputError: no drive was found, or two files claim the same place in a drive.
        SourceError: an input does not exist or cannot be read.
    """
    items = list(_all_items(inputs, out))
    if not items:
        expected = ", ".join(sorted(recording_suffixes()))
        raise InputError(f"no video and no folder of images in {', '.join(inputs)}: expected {expected}.")
    if patterns:
        parts = {item: _first_match(patterns, item) for item in items}
        left_out = [item.path for item, found in parts.items() if found is None]
        if len(left_out) == len(items):
            tried = " or ".join(repr(pattern.text) for pattern in patterns)
            raise InputError(
                f"expected videos that match {tried}, got {len(items)} others, such as {left_out[0]}: change --pattern."
            )
        return FoundDrives(_grouped((item, found) for item, found in parts.items() if found), left_out)
    folders: dict[Path, list[_Item]] = {}
    for item in items:
        folders.setdefault(item.path.parent, []).append(item)
    return FoundDrives(_grouped(pair for members in folders.values() for pair in _read_folder(members)))


def _first_match(patterns: Sequence[Pattern], item: _Item) -> NameParts | None:
    return next((found for pattern in patterns if (found := pattern.match(item.path.parts))), None)


def _read_folder(items: Sequence[_Item]) -> Iterator[tuple[_Item, NameParts]]:
    """Reads the file names of one folder without a pattern."""
    cameras = [camera_in_drive_folder(item.stem) for item in items]
    where = items[0].folder
    if all(cameras):
        drive = "_".join(where) or items[0].root.name
        for item, parts in zip(items, cameras, strict=True):
            if parts is not None:
                yield item, NameParts(drive, parts.camera, parts.chapter)
        return
    for item in items:
        parts = recorder_name(item.stem) or NameParts(item.stem)
        yield item, NameParts("_".join([*where, parts.drive or ""]), parts.camera, parts.chapter)


def _grouped(found: Iterable[tuple[_Item, NameParts]]) -> list[DriveFiles]:
    """Groups files into drives and refuses two files that claim the same place."""
    drives: dict[str, dict[str, list[tuple[_Item, NameParts]]]] = {}
    for item, parts in found:
        drive = _usable(_drive_name(parts.drive or ""), item)
        camera = _usable(camera_name(parts.camera or item.stem), item)
        if parts.camera is None and parts.chapter:
            camera = _usable(camera_name(parts.drive or ""), item)
        drives.setdefault(drive, {}).setdefault(camera, []).append((item, parts))
    result = []
    for drive, cameras in sorted(drives.items(), key=lambda entry: natural_key(Path(entry[0]))):
        unnamed = [item for members in cameras.values() for item, parts in members if parts.camera is None]
        if len({parts.chapter for members in cameras.values() for _, parts in members}) == 1 and len(unnamed) > 1:
            raise _same_name(drive, unnamed)
        if len(unnamed) > 1:  # chapters of one camera, the first without a number: GOPR0001, GP010001
            members = [member for of_camera in cameras.values() for member in of_camera]
            ordered = {_usable(camera_name(drive), unnamed[0]): _chapters(drive, members)}
        else:
            ordered = {camera: _chapters(drive, members) for camera, members in sorted(cameras.items())}
        result.append(DriveFiles(drive, ordered))
    return result


def _chapters(drive: str, members: Sequence[tuple[_Item, NameParts]]) -> tuple[Path, ...]:
    ordered = sorted(members, key=lambda member: (natural_key(Path(member[1].chapter or "0")), member[0].path))
    for (one, first), (other, second) in pairwise(ordered):
        if first.chapter == second.chapter:
            raise _same_name(drive, [one, other])
    return tuple(item.path for item, _ in ordered)


def _same_name(drive: str, items: Sequence[_Item]) -> InputError:
    return InputError(
        f"{items[0].path} and {items[1].path} would both be the same camera of drive {drive!r}: rename one of them, or "
        "state with --pattern what their names mean."
    )


def _drive_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text).strip("_-.")


def _usable(name: str, item: _Item) -> str:
    if not name:
        raise InputError(
            f"cannot make a name from {item.path}: rename it, or state with --pattern what its name means."
        )
    return name


def _all_items(inputs: Sequence[str], out: Path | None) -> Iterator[_Item]:
    seen: set[Path] = set()
    for text in inputs:
        for item in _items_of(text, None if out is None else out.resolve()):
            if item.path not in seen:
                seen.add(item.path)
                yield item


def _items_of(text: str, out: Path | None) -> Iterator[_Item]:
    path = Path(text)
    if path.is_dir():
        yield from _walk(path.resolve(), out)
    elif path.exists():
        yield _Item(path.resolve(), path.resolve().parent)
    elif has_magic(text):
        matches = sorted(map(Path, iglob(text, recursive=True)), key=lambda match: natural_key(Path(match.as_posix())))  # noqa: PTH207  absolute patterns too
        if not matches:
            raise SourceError(f"no file matches {text!r}: check the glob and its folder.")
        for match in matches:
            if match.is_dir():
                for item in _walk(match.resolve(), out):
                    yield _Item(item.path, match.resolve().parent)
            elif match.suffix.lower() in recording_suffixes():
                yield _Item(match.resolve(), match.resolve().parent)
    else:
        raise SourceError(f"no file or folder {path}: check its name.")


def _walk(root: Path, out: Path | None) -> Iterator[_Item]:
    """Walks a folder in natural order, without stores, hidden files and the output folder."""

    def refused(error: OSError) -> None:
        raise SourceError(f"the folder {error.filename} cannot be read: {error.strerror}.") from error

    for name, folders, files in os.walk(root, onerror=refused, followlinks=True):
        folder = Path(name)
        folders[:] = sorted(
            (
                inner
                for inner in folders
                if not inner.startswith(".") and not inner.endswith(".zarr") and folder / inner != out
            ),
            key=lambda inner: natural_key(Path(inner)),
        )
        shown = sorted((Path(file) for file in files if not file.startswith(".")), key=natural_key)
        videos = [file for file in shown if file.suffix.lower() in recording_suffixes()]
        for file in videos:
            yield _Item(folder / file, root)
        if not videos and any(is_image(file) for file in shown):
            yield _Item(folder, root if folder != root else root.parent)
