"""The pixels of labelled images: files where they lie, frames of recordings decoded once into `frames/`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import cv2

from roadmask.engines.errors import InputError, StoreError
from roadmask.engines.files import write_atomically
from roadmask.streaming.formats.export.source_images import is_recorded_from
from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import open_camera
from roadmask.streaming.sources.arguments import scheme_of
from roadmask.training.labels.description import LabelSource
from roadmask.training.labels.reading import LabelSet
from roadmask.training.labels.records import ImageKey, LabelledImage

FRAMES_FOLDER = "frames"
_JPEG_QUALITY = 95


def image_files(
    labels: LabelSet, keys: Iterable[ImageKey] | None = None, on_image: Callable[[], None] = lambda: None
) -> dict[ImageKey, Path]:
    """Returns a file with the pixels of each image.

    Frames of recordings are decoded where that was not done before, each recording once, into `frames/` of the label
    set as JPEG. The folder may be deleted: what is needed is decoded again.

    Args:
        labels: the label set.
        keys: images to be read; all of them if None.
        on_image: called after each image.

    Raises:
        InputError: a file or a recording is missing or has other content than what was labelled.
        StoreError: the frames cannot be written.
    """
    found: dict[ImageKey, Path] = {}
    missing: dict[str, dict[int, LabelledImage]] = defaultdict(dict)
    for key in labels.images if keys is None else keys:
        image = labels.images[key]
        if image.file is not None:
            found[key] = _checked_file(labels, image)
            on_image()
            continue
        found[key] = labels.path / FRAMES_FOLDER / image.drive / f"{image.frame:06d}.jpg"
        if found[key].exists():
            on_image()
        else:
            missing[image.drive][image.frame] = image
    for drive, images in missing.items():
        _decode(labels, labels.description.sources[drive], images, found, on_image)
    return found


def resolved_specs(folder: Path, source: LabelSource) -> list[str]:
    """Returns the sources of a recording with paths as they are seen from here."""
    return [spec if scheme_of(spec) is not None else str(folder / spec) for spec in source.specs]


def _checked_file(labels: LabelSet, image: LabelledImage) -> Path:
    path = labels.path / str(image.file)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"cannot read {path}, the image {image.drive}/{image.frame} of {labels.path}: {error.strerror}."
        ) from error
    if digest != image.sha256:
        raise InputError(
            f"{path} changed since it was labelled as {image.drive}/{image.frame} of {labels.path}: expected the "
            f"SHA-256 {str(image.sha256)[:12]}..., got {digest[:12]}.... Restore the file."
        )
    return path


def _decode(
    labels: LabelSet,
    source: LabelSource,
    images: Mapping[int, LabelledImage],
    files: Mapping[ImageKey, Path],
    on_image: Callable[[], None],
) -> None:
    if not source.specs:
        raise InputError(
            f"expected the images of {source.name} as files or a recording, {labels.path} names neither: add specs to "
            f"[sources.{source.name}] of its set.toml."
        )
    left = dict(images)
    with closing(open_camera(source.name, resolved_specs(labels.path, source))) as camera:
        if not is_recorded_from(camera, source.recording):
            raise InputError(
                f"expected the recording of {source.name} that was labelled, {', '.join(source.specs)} has other "
                f"content: put the path of the original into [sources.{source.name}] of {labels.path / 'set.toml'}."
            )
        for item in camera:
            if not isinstance(item, Frame) or (image := left.pop(item.frame_index, None)) is None:
                continue
            if item.image_size != image.size:
                raise InputError(
                    f"frame {image.frame} of {source.name} is {item.image_size}, it was labelled as {image.size} "
                    "(height, width): label the recording again."
                )
            _, encoded = cv2.imencode(".jpg", item.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            path = files[image.key]
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, encoded.tobytes())
            except OSError as error:
                raise StoreError(f"cannot write {path}: {error.strerror}. Free space and try again.") from error
            on_image()
            if not left:
                break
    if left:
        raise InputError(
            f"expected {len(images)} labelled frames in the recording of {source.name}, it ended before frame "
            f"{min(left)}: give the whole recording."
        )
