"""From what was typed to a source that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from roadmask.engines.errors import SourceError
from roadmask.streaming.sources.arguments import SYNTHETIC, require_name, scheme_of, unreadable_scheme
from roadmask.streaming.sources.files import (
    VIDEO_SUFFIXES,
    is_glob,
    is_image,
    list_folder,
    list_glob,
    require_file,
    split_query,
)
from roadmask.streaming.sources.images import DEFAULT_FPS, ImageSource
from roadmask.streaming.sources.source import FrameSource


def open_camera(camera: str, specs: Sequence[str]) -> FrameSource:
    """Opens what one camera recorded.

    A source is one of:

    - a video file; several are chapters, joined by time (see `VideoSource`);
    - a folder of images, or a glob of images or of videos, in natural order; `?fps=25` after it states the frame
      rate of images, which is 10 otherwise;
    - images, several files in the order given;
    - `synthetic:` or `synthetic:VIEW`, the sample drive, with `?fps=10&seconds=4` and the other fields of its
      configuration.

    Args:
        camera: the camera's name: letters, digits, '_' and '-'.
        specs: its sources, at least one.

    Raises:
        InputError: the name cannot be used.
        SourceError: a source cannot be read, or the sources are of different kinds.
    """
    require_name(camera)
    if not specs:
        raise SourceError(f"expected at least one source for camera {camera!r}, got none.")
    for spec in specs:
        scheme = scheme_of(spec)
        if scheme == SYNTHETIC:
            if len(specs) > 1:
                raise SourceError(f"camera {camera!r} has {spec!r} and other sources: give it a camera of its own.")
            return _open_synthetic(camera, spec)
        if scheme is not None:
            raise SourceError(unreadable_scheme(scheme, spec))

    paths: list[Path] = []
    fps = None
    for spec in specs:
        found, stated = _files(spec)
        paths += found
        fps = stated or fps
    images = [path for path in paths if is_image(path)]
    if len(images) == len(paths):
        return ImageSource(camera, paths, fps or DEFAULT_FPS)
    if images:
        video = next(path for path in paths if not is_image(path))
        raise SourceError(
            f"camera {camera!r} mixes images ({images[0]}) and videos ({video}): give each its own camera."
        )
    if fps is not None:
        raise SourceError(f"'?fps=' is for images; the video {paths[0]} has its own times: leave it out.")
    from roadmask.streaming.sources.recording import VideoSource  # noqa: PLC0415  PyAV only where videos are read

    return VideoSource(camera, paths)


def _files(spec: str) -> tuple[list[Path], float | None]:
    """Returns the files of one source, and the frame rate it states."""
    name, query = split_query(spec)
    fps = _parameters(spec, query, {"fps": float}).get("fps")
    if is_glob(name):
        return list_glob(name), fps
    path = Path(name)
    if not path.is_dir():
        return [require_file(path)], fps
    files = list_folder(path)
    images = [file for file in files if is_image(file)]
    if images:
        return images, fps
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        raise SourceError(
            f"the folder {path} holds no images but {len(videos)} videos: "
            f"to join them by time, write 'NAME={path / ('*' + videos[0].suffix)}' in quotes."
        )
    raise SourceError(
        f"the folder {path} holds no images: expected .jpg, .png, .bmp, .tif or .webp files directly in it, "
        f"got {len(files)} other files."
    )


def _open_synthetic(camera: str, spec: str) -> FrameSource:
    from roadmask.sample_drive import SampleDriveConfig  # noqa: PLC0415  only this source needs the renderer
    from roadmask.streaming.sources.synthetic import SyntheticSource  # noqa: PLC0415

    view, _, query = spec.partition(":")[2].partition("?")
    defaults = SampleDriveConfig()
    types: dict[str, type] = {
        field.name: type(getattr(defaults, field.name)) for field in fields(SampleDriveConfig) if field.name != "view"
    }
    stated = _parameters(spec, query, types)
    if view:
        stated["view"] = view
    try:
        return SyntheticSource(camera, SampleDriveConfig(**stated))
    except ValueError as error:
        raise SourceError(f"the sample drive cannot be rendered as {spec!r}: {error}") from error


def _parameters(spec: str, query: str, types: dict[str, type]) -> dict[str, Any]:
    """Reads `a=1&b=2`; every value is a positive number, or an integer where the type is int."""
    values: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in types:
            near = get_close_matches(name, types, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(types)}."
            raise SourceError(f"unknown parameter {name!r} in {spec!r}: {hint}")
        try:
            value = types[name](text)
        except ValueError:
            value = None
        if value is None or not 0 <= value < 1e9 or (value == 0 and name != "seed"):
            kind = "whole number" if types[name] is int else "number"
            raise SourceError(f"expected a positive {kind} for {name!r} in {spec!r}, got {text!r}.")
        values[name] = value
    return values
