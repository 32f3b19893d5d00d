"""The images that a drive was made of, found again and matched to what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import open_camera
from roadmask.streaming.sources.registry import kind_named
from roadmask.streaming.store import CameraReader, StoredFrame
from roadmask.streaming.store.layout import plain


def images(job: ExportJob, camera: CameraReader) -> Iterator[tuple[Frame, StoredFrame]]:
    """Yields every stored frame with its image; images that have no stored frame are left out.

    Raises:
        InputError: the source cannot be found, or is not the one the store was made of.
        SourceError: it cannot be read.
    """
    stored = job.drive.attributes["sources"].get(camera.name, {})
    specs = job.sources.get(camera.name) or _recorded(job, camera.name, stored)
    with closing(open_camera(camera.name, specs)) as source:
        if plain(source.describe(), "source") != stored:
            raise InputError(
                f"{', '.join(specs)} is not what camera {camera.name!r} was made of: the store recorded "
                f"{_named(stored)}, with other contents. Give the original with --source {camera.name}=..."
            )
        position = 0
        for item in source:
            if position == len(camera):
                break
            frame = camera.frame(position)
            if isinstance(item, Frame) and item.frame_index == frame.frame_index:
                yield item, frame
                position += 1
                job.on_progress(position / len(camera))
    if position < len(camera):
        raise InputError(
            f"the images of camera {camera.name!r} end after {position} of {len(camera)} stored frames: "
            "the source changed since it was recorded."
        )


def _recorded(job: ExportJob, camera: str, stored: dict[str, Any]) -> tuple[str, ...]:
    """A store keeps names, not paths, so files are looked for here and beside the store."""
    kind = kind_named(stored.get("kind", ""))
    if kind is not None and (spec := kind.find(stored)) is not None:
        return (spec,)
    names = [file["name"] for file in stored.get("files", ())]
    for folder in (Path(), job.drive.path.parent):
        if names and all((folder / name).is_file() for name in names):
            return tuple(str(folder / name) for name in names)
    raise InputError(
        f"the images of camera {camera!r} are needed, and {_named(stored)} is neither here nor beside the store: "
        f"say where with --source {camera}=PATH."
    )


def _named(stored: dict[str, Any]) -> str:
    names = [file["name"] for file in stored.get("files", ())] or [stored.get("first", stored.get("kind", "nothing"))]
    return ", ".join(names)
