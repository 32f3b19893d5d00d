"""The kinds of sources that a recorded run reads. Each is registered here and nowhere else.

A new source is a module with its `FrameSource`, a function in it that opens one, and an entry in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from roadmask.engines.errors import SourceError
from roadmask.streaming.sources.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_image, looks_like_video
from roadmask.streaming.sources.source import FrameSource


@dataclass(frozen=True)
class SourceRequest:
    """What a kind of source is asked to open."""

    camera: str
    """Name of the camera."""
    specs: tuple[str, ...]
    """Sources as typed; exactly one where the kind has a scheme."""
    paths: tuple[Path, ...] = ()
    """Files in the order to read them; empty where the kind has a scheme."""
    query: str = ""
    """Parameters as typed behind the '?', such as `fps=25`; see `parameters`."""

    @property
    def location(self) -> str:
        """What stands between the scheme and the query, such as `rear` in `synthetic:rear?fps=10`."""
        return self.specs[0].partition(":")[2].partition("?")[0]

    def parameters(self, types: Mapping[str, type]) -> dict[str, Any]:
        """Returns the parameters as positive numbers: integers where the type is int. A `seed` may be 0.

        Args:
            types: the parameters that the kind knows.

        Raises:
            SourceError: a parameter is unknown, or its value is no positive number.
        """
        shown = " ".join(self.specs)
        values: dict[str, Any] = {}
        for name, text in parse_qsl(self.query, keep_blank_values=True):
            if name not in types:
                near = get_close_matches(name, types, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(types) or 'no parameters'}."
                raise SourceError(f"unknown parameter {name!r} in {shown!r}: {hint}")
            try:
                value = types[name](text)
            except ValueError:
                value = None
            if value is None or not 0 <= value < 1e9 or (value == 0 and name != "seed"):
                kind = "whole number" if types[name] is int else "number"
                raise SourceError(f"expected a positive {kind} for {name!r} in {shown!r}, got {text!r}.")
            values[name] = value
        return values


@dataclass(frozen=True)
class SourceKind:
    """One kind of source. It is known by its scheme, or by the suffixes of its files."""

    name: str
    """Its name, which is also the `kind` of its `describe()`."""
    example: str
    """How to write such a source, as help texts and error messages show it."""
    opener: str
    """`module:function` that takes a `SourceRequest` and returns a `FrameSource`; imported when first needed."""
    scheme: str = ""
    """What stands before the ':' of such a source; empty for files."""
    suffixes: frozenset[str] = frozenset()
    """Suffixes of its files in lower case, with the dot."""
    expander: str = ""
    """`module:function` that returns camera -> source for each camera in one source; empty where a source is one
    camera."""
    lister: str = ""
    """`module:function` that returns the files of a folder that is one recording, none if it is not; empty where no
    folder is."""
    finder: str = ""
    """`module:function` that turns a stored description back into a spec, for sources that need no files."""

    def open(self, request: SourceRequest) -> FrameSource:
        """Opens a source of this kind.

        Raises:
            SourceError: it cannot be read.
        """
        source: FrameSource = _load(self.opener)(request)
        return source

    def expand(self, spec: str) -> dict[str, str] | None:
        """Returns camera -> source for each camera in a source; None where a source is one camera.

        Raises:
            SourceError: the source cannot be read or has no camera.
        """
        return dict(_load(self.expander)(spec)) if self.expander else None

    def find(self, description: Mapping[str, Any]) -> str | None:
        """Returns the spec that opens a described source again; None where its files must be found first."""
        return str(_load(self.finder)(description)) if self.finder else None


_HERE = "roadmask.streaming.sources"
KINDS = (
    SourceKind("video", "a video file", f"{_HERE}.chapters:open_videos", suffixes=VIDEO_SUFFIXES),
    SourceKind("images", "a folder or quoted glob of images", f"{_HERE}.images:open_images", suffixes=IMAGE_SUFFIXES),
    SourceKind(
        "bag",
        "a bag of ROS or Foxglove",
        f"{_HERE}.bags.source:open_bag",
        suffixes=frozenset({".mcap", ".db3", ".bag"}),
        expander=f"{_HERE}.bags.cameras:cameras_of",
        lister=f"{_HERE}.bags.bag:bag_files",
    ),
    SourceKind(
        "dataset",
        "a folder of KITTI raw or nuScenes",
        f"{_HERE}.datasets:open_dataset",
        scheme="dataset",
        expander=f"{_HERE}.datasets:cameras_of_dataset",
    ),
    SourceKind(
        "synthetic",
        "'synthetic:' (the sample drive)",
        f"{_HERE}.synthetic:open_synthetic",
        scheme="synthetic",
        finder=f"{_HERE}.synthetic:spec_of",
    ),
)
"""All kinds. Files of an unknown suffix are of the first one."""


def kind_of_scheme(scheme: str) -> SourceKind | None:
    """Returns the kind with a scheme, if there is one."""
    return next((kind for kind in KINDS if kind.scheme == scheme), None)


def kind_of_file(path: Path) -> SourceKind:
    """Returns the kind of a file by its suffix."""
    return next((kind for kind in KINDS if path.suffix.lower() in kind.suffixes), KINDS[0])


def recording_in(folder: Path) -> tuple[SourceKind, list[Path]] | None:
    """Returns the kind and the files of a folder that is one recording, such as a bag; None if it is not.

    Raises:
        SourceError: the folder is a recording that cannot be read.
    """
    for kind in KINDS:
        files: list[Path] = _load(kind.lister)(folder) if kind.lister else []
        if files:
            return kind, files
    return None


def expanded(spec: str) -> dict[str, str] | None:
    """Returns camera -> source for a file or folder that holds cameras of its own; None for any other source.

    Raises:
        SourceError: it cannot be read or has no camera.
    """
    path = Path(spec if Path(spec).exists() else spec.partition("?")[0])
    if path.is_dir():
        found = recording_in(path)
        if found:
            return found[0].expand(spec)
        inside = (kind.expand(spec) for kind in KINDS if kind.scheme and kind.expander)
        return next(filter(None, inside), None)
    return kind_of_file(path).expand(spec) if path.suffix else None


def recording_suffixes() -> frozenset[str]:
    """Returns the suffixes of files that are recordings by themselves: those of all kinds except images."""
    return frozenset().union(*(kind.suffixes for kind in KINDS if kind.name != "images"))


def is_recording(path: Path) -> bool:
    """Returns whether a file is a recording by itself: by its suffix, or, if that is unknown, by how it begins."""
    return path.suffix.lower() in recording_suffixes() or (not is_image(path) and looks_like_video(path))


def kind_named(name: str) -> SourceKind | None:
    """Returns the kind with a name, if there is one."""
    return next((kind for kind in KINDS if kind.name == name), None)


def expected_sources() -> str:
    """Returns all kinds as a list for help texts and messages: `a video file or a folder of images`."""
    *most, last = (kind.example for kind in KINDS)
    return f"{', '.join(most)} or {last}"


def _load(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    loaded: Callable[..., Any] = getattr(import_module(module), function)
    return loaded
