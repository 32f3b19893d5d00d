"""Opens the sources of a camera as they are typed on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from roadmask.engines.errors import SourceError
from roadmask.streaming.camera_names import check_camera_name
from roadmask.streaming.sources.arguments import scheme_of, unreadable_scheme
from roadmask.streaming.sources.files import (
    VIDEO_SUFFIXES,
    is_glob,
    is_image,
    list_folder,
    list_glob,
    require_file,
    split_query,
)
from roadmask.streaming.sources.registry import SourceKind, SourceRequest, kind_of_file, kind_of_scheme, recording_in
from roadmask.streaming.sources.source import FrameSource


def open_camera(camera: str, specs: Sequence[str]) -> FrameSource:
    """Opens the recording of one camera.

    A source is one of:

    - a video file; several files are chapters of one recording, joined by time (see `VideoSource`);
    - a folder of images, or a glob of images or of videos, in natural order; `?fps=25` after it sets the frame
      rate of images, which is 10 by default;
    - images, several files in the order given;
    - a bag of ROS or Foxglove, a file or a folder; `?topic=/front/image_raw` after it chooses the camera;
    - `synthetic:` or `synthetic:VIEW`, the sample drive, with `?fps=10&seconds=4` and the other fields of its
      configuration;
    - any other kind in `roadmask.streaming.sources.registry`.

    Args:
        camera: name of the camera: letters, digits, '_' and '-'.
        specs: sources of the camera, at least one.

    Raises:
        InputError: the name cannot be used.
        SourceError: a source cannot be read, or the sources are of different kinds.
    """
    check_camera_name(camera)
    if not specs:
        raise SourceError(f"expected at least one source for camera {camera!r}, got none.")
    for spec in specs:
        scheme = scheme_of(spec)
        if scheme is None:
            continue
        kind = kind_of_scheme(scheme)
        if kind is None:
            raise SourceError(unreadable_scheme(scheme, spec))
        if len(specs) > 1:
            raise SourceError(f"camera {camera!r} has {spec!r} and other sources: give it a camera of its own.")
        return kind.open(SourceRequest(camera, (spec,), query=spec.partition("?")[2]))
    names, queries = zip(*map(split_query, specs), strict=True)
    paths = tuple(path for name in names for path in _files(name))
    query = "&".join(filter(None, queries))
    return _one_kind(camera, paths).open(SourceRequest(camera, tuple(specs), paths, query))


def _files(name: str) -> list[Path]:
    """Returns the files of one source: a file, those that match a glob, or the images of a folder."""
    if is_glob(name):
        return list_glob(name)
    path = Path(name)
    if not path.is_dir():
        return [require_file(path)]
    files = list_folder(path)
    images = [file for file in files if is_image(file)]
    if images:
        return images
    recording = recording_in(path)
    if recording is not None:
        return recording[1]
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        raise SourceError(
            f"the folder {path} holds no images but {len(videos)} videos: "
            f"to join them by time, write 'NAME={path / ('*' + videos[0].suffix)}' in quotes."
        )
    raise SourceError(
        f"the folder {path} holds no images: expected .jpg, .png, .bmp, .tif, .webp, .avif or .ppm files directly in "
        f"it, got {len(files)} other files."
    )


def _one_kind(camera: str, paths: Sequence[Path]) -> SourceKind:
    first = {kind_of_file(path).name: path for path in reversed(paths)}
    if len(first) > 1:
        mixed = " and ".join(f"{name} ({path})" for name, path in sorted(first.items()))
        raise SourceError(f"camera {camera!r} mixes {mixed}: give each its own camera.")
    return kind_of_file(paths[0])
