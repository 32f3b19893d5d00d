"""Finds drives: groups files by their folders and names."""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import has_magic, iglob
from itertools import pairwise
from pathlib import Path

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.batch.patterns import (
    NameParts,
    Pattern,
    Recording,
    camera_in_drive_folder,
    channel_folder,
    channel_names,
    gopro_name,
    has_moment,
    name_recordings,
    recording_of,
    same_side,
)
from roadmask.streaming.camera_names import camera_name
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.sources.files import is_image, natural_key
from roadmask.streaming.sources.registry import expanded, is_recording, recording_in, recording_suffixes

_PLAIN_FOLDERS = frozenset(
    {"data", "data_rect", "data_rgb", "frames", "image", "images", "img", "img1", "imgs", "jpg", "png", "rgb"}
)
"""Names of folders of images that say nothing: the folder around them names the camera."""


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


@dataclass(frozen=True)
class _Item:
    """A video or a folder of images."""

    path: Path
    root: Path
    """Folder that was searched."""
    is_folder: bool = False

    @property
    def place(self) -> Path:
        """Path that names the item: `image_02` for the folder of images `image_02/data`."""
        return self.path.parent if self.is_folder and self.path.name.lower() in _PLAIN_FOLDERS else self.path

    @property
    def stem(self) -> str:
        return self.place.name if self.is_folder else self.path.stem

    @property
    def folder(self) -> tuple[str, ...]:
        """Names of the folders between the searched folder and the item."""
        return _between(self.root, self.place.parent)

    @property
    def channel(self) -> tuple[Path, str]:
        """The folder of all cameras of a recorder, and the channel whose folder holds the item; empty if none does."""
        found = channel_folder(self.place.parent.name)
        if found is None:
            return self.place.parent, ""
        rest, channel = found
        return (self.place.parent.with_name(rest) if rest else self.place.parent.parent), channel


Found = Iterator[tuple[_Item, NameParts]]


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
    items = list(_all_items(inputs, out, left_out))
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


def _first_match(patterns: Sequence[Pattern], item: _Item) -> NameParts | None:
    return next((found for pattern in patterns if (found := pattern.match(item.path.parts))), None)


def _read_names(items: Iterable[_Item], left_out: dict[Path, str]) -> Found:
    """Reads names without a pattern, first of folders whose files are named after cameras."""
    folders: dict[Path, list[_Item]] = {}
    for item in items:
        folders.setdefault(item.place.parent, []).append(item)
    recorded: dict[Path, list[tuple[_Item, Recording]]] = {}
    rest: dict[tuple[Path, str], list[_Item]] = {}
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


def _read_plain(base: Path, stem: str, items: Sequence[_Item]) -> Found:
    """Reads names that tell nothing: the same name in the folders of several cameras is one drive."""
    channels = [item.channel[1] for item in items]
    if len(items) > 1 and len(set(channels)) == len(items):
        names = channel_names([Recording(stem, channel=channel) for channel in channels if channel])
        for item, channel in zip(items, channels, strict=True):
            where = _between(item.root, base)
            yield item, NameParts("_".join([*where, stem]), names.get(channel))
        return
    for item in items:
        parts = gopro_name(stem) or NameParts(stem)
        yield item, NameParts("_".join([*item.folder, parts.drive or ""]), parts.camera, parts.chapter)


def _read_recorder(base: Path, files: Sequence[tuple[_Item, Recording]], left_out: dict[Path, str]) -> Found:
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
            yield item, NameParts("_".join([*_between(item.root, base), named.drive]), named.camera)
        else:
            left_out[item.path] = f"it is a copy of {ours[named.original][0].path.name} in low resolution"


def _leave_out_proxies(items: Sequence[_Item], left_out: dict[Path, str]) -> None:
    """Leaves out the copies of low resolution that action cameras and drones write beside their videos."""
    whole = {_proxy_key(item): item for item in items if not _is_proxy(item)}
    for item in items:
        if _is_proxy(item) and _proxy_key(item) in whole:
            left_out[item.path] = f"it is a copy of {whole[_proxy_key(item)].path.name} in low resolution"


def _is_proxy(item: _Item) -> bool:
    return item.path.suffix.lower() in (".lrf", ".lrv") or item.stem.upper().startswith("LRV_")


def _proxy_key(item: _Item) -> str:
    """GL010123.LRV belongs to GX010123.MP4, LRV_20240131_120000_01_001 to VID_20240131_120000_00_001."""
    stem = item.stem.upper()
    if re.fullmatch(r"G[HLXSP][0-9]{6}", stem):
        return stem[2:]
    return re.sub(r"^(?:LRV|VID)_([0-9]{8}_[0-9]{6})_[0-9]{2}_", r"\1_", stem)


def _between(root: Path, folder: Path) -> tuple[str, ...]:
    return folder.relative_to(root).parts if folder.is_relative_to(root) else ()


def _grouped(found: Iterable[tuple[_Item, NameParts]]) -> list[DriveFiles]:
    """Groups files into drives and refuses two files that claim the same place."""
    drives: dict[str, dict[str, list[tuple[_Item, NameParts]]]] = {}
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


def _drive_name(text: str, item: _Item) -> str:
    """Returns a name for a folder made from any text, with the letters of any alphabet."""
    marked = unicodedata.normalize("NFC", text)
    kept = "".join(c if c in "._-" or unicodedata.category(c)[0] in "LMN" else "\0" for c in marked)
    name = re.sub("\0+", "_", kept).strip("_-.")
    return name or f"drive_{zlib.crc32(os.fsencode(item.path.name)):08x}"


def _all_items(inputs: Sequence[str], out: Path | None, left_out: dict[Path, str]) -> Iterator[_Item]:
    seen: set[Path] = set()
    for text in inputs:
        for item in _items_of(text, None if out is None else out.resolve(), left_out):
            if item.path not in seen:
                seen.add(item.path)
                yield item


def _items_of(text: str, out: Path | None, left_out: dict[Path, str]) -> Iterator[_Item]:
    path = Path(text)
    if path.is_dir():
        yield from _walk(path.resolve(), out, left_out)
    elif path.exists():
        yield _Item(path.resolve(), path.resolve().parent)
    elif has_magic(text):
        matches = sorted(map(Path, iglob(text, recursive=True)), key=lambda match: natural_key(Path(match.as_posix())))  # noqa: PTH207  absolute patterns too
        if not matches:
            raise SourceError(f"no file matches {text!r}: check the glob and its folder.")
        for match in matches:
            if match.is_dir():
                for item in _walk(match.resolve(), out, left_out):
                    yield replace(item, root=match.resolve().parent)
            elif is_recording(match):
                yield _Item(match.resolve(), match.resolve().parent)
            elif is_image(match):
                left_out[match.resolve().parent] = "its images are read together; give the folder instead of a glob"
    else:
        raise SourceError(f"no file or folder {path}: check its name.")


def _walk(root: Path, out: Path | None, left_out: dict[Path, str]) -> Iterator[_Item]:
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
        try:
            bag = "metadata.yaml" in files and recording_in(folder) is not None
        except SourceError as error:
            left_out[folder] = str(error)
            bag = False
        if bag:  # its files are read together
            folders.clear()
            yield _Item(folder, root if folder != root else root.parent, is_folder=True)
            continue
        shown = sorted((Path(file) for file in files if not file.startswith(".")), key=natural_key)
        videos = [file for file in shown if is_recording(folder / file)]
        for file in videos:
            yield _Item(folder / file, root)
        images = [file for file in shown if is_image(file)]
        if images and not videos:
            yield _Item(folder, root if folder != root else root.parent, is_folder=True)
        thumbnails = {video.stem for video in videos}
        beside = sum(image.stem not in thumbnails for image in images)
        if videos and beside > 1:  # one image is no recording
            left_out[folder] = f"its {beside} images lie beside videos; move them to a folder of their own"
