"""Reads the images of a stored drive from its sources, and matches them to its frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import open_camera
from roadmask.streaming.sources.files import without_names
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
        if without_names(json_data(source.describe(), "source")) != without_names(stored):
            raise InputError(
                f"expected the source that camera {camera.name!r} was recorded from ({_named(stored)}), got "
                f"{', '.join(specs)}, with other content: give the original with --source {camera.name}=..."
            )
        position = 0
        for item in source:
            if position == len(camera):
                break
            frame = camera.frame(position)
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
    """Returns the sources of a camera: a store has the names of files, which are searched for here and beside it."""
    kind = kind_named(stored.get("kind", ""))
    if kind is not None and (spec := kind.find(stored)) is not None:
        return (spec,)
    names = [file["name"] for file in stored.get("files", ())]
    for folder in (Path(), job.drive.path.parent):
        if names and all((folder / name).is_file() for name in names):
            topic = f"?topic={quote(stored['topic'])}" if "topic" in stored else ""  # one camera of a bag
            return tuple(f"{folder / name}{topic}" for name in names)
    raise InputError(
        f"expected the images of camera {camera!r} ({_named(stored)}) in the current folder or beside the store, found "
        f"none: give their place with --source {camera}=PATH."
    )


def _named(stored: dict[str, Any]) -> str:
    names = [file["name"] for file in stored.get("files", ())] or [stored.get("first", stored.get("kind", "nothing"))]
    return ", ".join(names)
