"""Camera names and sources as they are typed on a command line: `[NAME=]SOURCE`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.redaction import redact_address
from roadmask.streaming.sources.files import is_glob, is_image, split_query

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
"""Two letters at least, so that a drive letter is none."""
SYNTHETIC = "synthetic"


def parse_sources(args: Sequence[str]) -> dict[str, list[str]]:
    """Sorts sources by camera.

    `NAME=SOURCE` names the camera; several sources under one name are chapters of one recording. Without a name, each
    source is a camera of its own, named after its file or folder, and images that lie in one folder (as a shell
    expands `drive/*.png`) are one camera together. What exists under a name with '=' in it is taken as it is.

    Args:
        args: as typed, in order.

    Returns:
        Sources by camera, both in the order given.

    Raises:
        InputError: no source, a name that is empty or cannot name a folder in the store, an empty source, or two
            unnamed sources that would get one name.
    """
    if not args:
        raise InputError("expected at least one source: a video file, a folder or glob of images, or 'synthetic:'.")
    cameras: dict[str, list[str]] = {}
    owners: dict[str, str] = {}
    for position, arg in enumerate(args):
        name, spec = _split(arg)
        owner = "named" if name is not None else _owner(spec, position)
        if name is None:
            name = _derived_name(spec)
        if owners.setdefault(name, owner) != owner:
            raise InputError(
                f"two sources would both be camera {name!r}: {cameras[name][0]} and {spec}. "
                f"Name them apart, for example '{name}_2={spec}', or give both the same name to join them by time."
            )
        cameras.setdefault(name, []).append(spec)
    return cameras


def require_name(name: str) -> str:
    """Returns a camera's name that the store can use.

    Raises:
        InputError: it holds anything but letters, digits, '_' and '-'.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a camera: expected letters, digits, '_' and '-', as in 'front=drive.mp4'. "
            "If it is part of a file's name, write './' before the file."
        )
    return name


def scheme_of(spec: str) -> str | None:
    """Returns what stands before the first ':' of a source, in lower case; None for a path."""
    match = _SCHEME.match(spec)
    return match[1].lower() if match and not Path(spec).exists() else None


def _split(arg: str) -> tuple[str | None, str]:
    name, equals, spec = arg.partition("=")
    # A '=' after any of these belongs to a path, a pattern or a query.
    if not equals or Path(arg).exists() or any(mark in name for mark in "/\\?*["):
        name, spec = "", arg
        if not spec.strip():
            raise InputError("expected a source, got an empty one.")
        return None, spec
    if scheme_of(name) is not None:
        return None, arg
    if not spec.strip():
        raise InputError(f"expected a source after '{name}=', got nothing.")
    return require_name(name), spec


def _owner(spec: str, position: int) -> str:
    """Unnamed sources with equal owners belong to one camera: images of one folder."""
    if scheme_of(spec) is None and not is_glob(spec) and is_image(Path(spec)):
        return f"images in {Path(spec).resolve().parent}"
    return f"source {position}"


def _derived_name(spec: str) -> str:
    scheme = scheme_of(spec)
    if scheme == SYNTHETIC:
        return require_name(spec.partition(":")[2].partition("?")[0] or "front")
    if scheme is not None:
        raise SourceError(unreadable_scheme(scheme, spec))
    plain, _ = split_query(spec)
    path = Path(plain).resolve()
    if is_glob(plain):
        plain_parts = [part for part in path.parts[:-1] if not any(mark in part for mark in "*?[")]
        stem = Path(*plain_parts).name
    elif is_image(path):
        stem = path.parent.name
    else:
        stem = path.name if path.is_dir() else path.stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")
    if not name:
        raise InputError(f"no camera name can be made of {spec!r}: name it, for example 'front={spec}'.")
    return name


def unreadable_scheme(scheme: str, spec: str) -> str:
    """Says why a URL is no source of a recorded drive."""
    return (
        f"{redact_address(spec)!r}: live and remote sources ({scheme}:) are not read by `run`. "
        "Expected a video file, a folder or glob of images, or 'synthetic:'."
    )
