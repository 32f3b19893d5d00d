"""Reads the images of a stored drive from its sources, and matches them to its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import FrameSource, open_camera
from roadmask.streaming.sources.files import identify, list_folder, without_names
from roadmask.streaming.sources.registry import kind_named
from roadmask.streaming.store import CameraReader, StoredFrame
from roadmask.streaming.store.layout import json_data


def images(job: ExportJob, camera: CameraReader) -> Iterator[tuple[Frame, StoredFrame]]:
    """Yields every stored frame with its image, at the time that the store states; other images are left out.

    Raises:
        InputError: the source cannot be found, or is not the one that was recorded.
        SourceError: the source cannot be read.
    """
    stored = job.drive.attributes["sources"].get(camera.name, {})
    specs = job.sources.get(camera.name) or _recorded(job, camera.name, stored)
    with closing(open_camera(camera.name, specs)) as source:
        if not is_recorded_from(source, stored):
            raise InputError(
                f"expected the source that camera {camera.name!r} was recorded from ({source_name(stored)}), got "
                f"{', '.join(specs)}, with other content: give the original with --source {camera.name}=..."
            )
        position = 0
        for item in source:
            if position == len(camera):
                break
            frame = job.stored(camera, position)
            if isinstance(item, Frame) and item.frame_index == frame.frame_index:
                yield replace(item, timestamp_ns=frame.timestamp_ns), frame
                position += 1
                job.on_progress(position / len(camera))
    if position < len(camera):
        raise InputError(
            f"expected images for {len(camera)} stored frames of camera {camera.name!r}, got {position}: the source "
            "changed since it was recorded. Give the original with --source."
        )


def _recorded(job: ExportJob, camera: str, stored: dict[str, Any]) -> tuple[str, ...]:
    """Returns the sources of a camera, which are searched for in the current folder and beside the store."""
    specs = find_specs(stored, (Path(), job.drive.path.parent))
    if specs is None:
        raise InputError(
            f"expected the images of camera {camera!r} ({source_name(stored)}) in the current folder or beside the "
            f"store, found none: give their place with --source {camera}=PATH."
        )
    return specs


def find_specs(stored: Mapping[str, Any], folders: Iterable[Path]) -> tuple[str, ...] | None:
    """Searches folders for a recording.

    A store has the names of its files, not their folders. A video that was renamed is found by its size and hash.
    Images are searched for in the folders and one level below them.

    Args:
        stored: description of the source in the store.
        folders: folders to search, in this order.

    Returns:
        The specs of the source; None if it was not found. Whether a file of the right name has the right content is
        left to `is_recorded_from`.
    """
    kind = kind_named(stored.get("kind", ""))
    if kind is not None and (spec := kind.find(stored)) is not None:
        return (spec,)
    for folder in folders:
        if found := _find_files(stored, folder) or _find_images(stored, folder):
            return found
    return None


def is_recorded_from(source: FrameSource, stored: Mapping[str, Any]) -> bool:
    """Returns whether a camera was recorded from a source; reads its files to compare their hashes."""
    return bool(without_names(json_data(source.describe(), "source")) == without_names(stored))


def source_name(stored: Mapping[str, Any]) -> str:
    """Returns the names of the files of a source, for messages."""
    names = [file["name"] for file in stored.get("files", ())] or [stored.get("first", stored.get("kind", "nothing"))]
    return ", ".join(names)


def _find_files(stored: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """Returns the files of a video or a bag in a folder, whatever their names; nothing if one is missing."""
    found: list[str] = []
    query = f"?track={stored.get('track', 1)}" if stored.get("kind") == "video" else ""
    if "topic" in stored:  # one camera of a bag
        query = f"?topic={quote(stored['topic'])}"
    for file in stored.get("files", ()):
        path = folder / file["name"]
        if not path.is_file():
            same_size = (other for other in list_folder(folder) if other.stat().st_size == file["bytes"])
            renamed = next((other for other in same_size if identify(other)["sha256"] == file["sha256"]), None)
            if renamed is None:
                return ()
            path = renamed
        found.append(f"{path}{query}")
    return tuple(found)


def _find_images(stored: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    if stored.get("kind") != "images":
        return ()
    for place in (folder, *sorted(each for each in folder.iterdir() if each.is_dir())):
        if (place / stored["first"]).is_file() and (place / stored["last"]).is_file():
            return (f"{place}?fps={stored['fps']}",)
    return ()
