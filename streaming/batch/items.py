"""The videos and folders of images that lie where a batch was told to look."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from glob import has_magic, iglob
from pathlib import Path

from roadmask.engines.errors import SourceError
from roadmask.streaming.batch.patterns import channel_folder
from roadmask.streaming.sources.files import is_image, natural_key
from roadmask.streaming.sources.registry import is_recording, recording_in

_PLAIN_FOLDERS = frozenset(
    {"data", "data_rect", "data_rgb", "frames", "image", "images", "img", "img1", "imgs", "jpg", "png", "rgb"}
)
"""Names of folders of images that say nothing: the folder around them names the camera."""


@dataclass(frozen=True)
class Item:
    """A video or a folder of images."""

    path: Path
    """Absolute path of the video or folder."""
    root: Path
    """Folder that was searched."""
    is_folder: bool = False
    """Whether it is a folder of images, or of the files of a bag."""

    @property
    def place(self) -> Path:
        """Path that names the item: `image_02` for the folder of images `image_02/data`."""
        return self.path.parent if self.is_folder and self.path.name.lower() in _PLAIN_FOLDERS else self.path

    @property
    def stem(self) -> str:
        """Name without the suffix of a video."""
        return self.place.name if self.is_folder else self.path.stem

    @property
    def folder(self) -> tuple[str, ...]:
        """Names of the folders between the searched folder and the item."""
        return names_between(self.root, self.place.parent)

    @property
    def channel(self) -> tuple[Path, str]:
        """The folder of all cameras of a recorder, and the channel whose folder holds the item; empty if none does."""
        found = channel_folder(self.place.parent.name)
        if found is None:
            return self.place.parent, ""
        rest, channel = found
        return (self.place.parent.with_name(rest) if rest else self.place.parent.parent), channel


def names_between(root: Path, folder: Path) -> tuple[str, ...]:
    """Returns the names of the folders from `root` down to `folder`."""
    return folder.relative_to(root).parts if folder.is_relative_to(root) else ()


def all_items(inputs: Sequence[str], out: Path | None, left_out: dict[Path, str]) -> Iterator[Item]:
    """Yields every item once, in the order of the inputs.

    Args:
        inputs: files, folders and globs.
        out: folder of the results, which is not searched.
        left_out: receives what is not recorded, with the reason.

    Raises:
        SourceError: an input does not exist, or a folder cannot be read.
    """
    seen: set[Path] = set()
    for text in inputs:
        for item in _items_of(text, None if out is None else out.resolve(), left_out):
            if item.path not in seen:
                seen.add(item.path)
                yield item


def _items_of(text: str, out: Path | None, left_out: dict[Path, str]) -> Iterator[Item]:
    path = Path(text)
    if path.is_dir():
        yield from _walk(path.resolve(), out, left_out)
    elif path.exists():
        yield Item(path.resolve(), path.resolve().parent)
    elif has_magic(text):
        matches = sorted(map(Path, iglob(text, recursive=True)), key=lambda match: natural_key(Path(match.as_posix())))  # noqa: PTH207  absolute patterns too
        if not matches:
            raise SourceError(f"no file matches {text!r}: check the glob and its folder.")
        for match in matches:
            if match.is_dir():
                for item in _walk(match.resolve(), out, left_out):
                    yield replace(item, root=match.resolve().parent)
            elif is_recording(match):
                yield Item(match.resolve(), match.resolve().parent)
            elif is_image(match):
                left_out[match.resolve().parent] = "its images are read together; give the folder instead of a glob"
    else:
        raise SourceError(f"no file or folder {path}: check its name.")


def _walk(root: Path, out: Path | None, left_out: dict[Path, str]) -> Iterator[Item]:
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
            yield Item(folder, root if folder != root else root.parent, is_folder=True)
            continue
        shown = sorted((Path(file) for file in files if not file.startswith(".")), key=natural_key)
        videos = [file for file in shown if is_recording(folder / file)]
        for file in videos:
            yield Item(folder / file, root)
        images = [file for file in shown if is_image(file)]
        if images and not videos:
            yield Item(folder, root if folder != root else root.parent, is_folder=True)
        thumbnails = {video.stem for video in videos}
        beside = sum(image.stem not in thumbnails for image in images)
        if videos and beside > 1:  # one image is no recording
            left_out[folder] = f"its {beside} images lie beside videos; move them to a folder of their own"
