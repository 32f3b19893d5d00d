"""Sources as they are typed on a command line, `[NAME=]SOURCE`, sorted by camera."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.camera_names import camera_name, check_camera_name
from roadmask.streaming.redaction import redact_address
from roadmask.streaming.sources.files import is_glob, is_image, split_query
from roadmask.streaming.sources.registry import expanded, expected_sources, kind_of_scheme

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
"""Two letters at least: a single one is a Windows drive."""


def parse_sources(args: Sequence[str]) -> dict[str, list[str]]:
    """Sorts sources by camera.

    `NAME=SOURCE` names the camera; several sources under one name are chapters of one recording. Without a name, each
    source is a camera of its own, named after its file or folder, and images that lie in one folder (as a shell
    expands `drive/*.png`) are one camera together. A bag gives
    all its cameras, named after their topics. An argument that is the name of an existing file is taken as that
    file, even with '=' in it.

    Args:
        args: arguments as typed, in order.

    Returns:
        Sources by camera, both in the order given.

    Raises:
        InputError: there is no source, a source or its name is empty, a name cannot name a folder in the store, or
            two unnamed sources would get the same name.
        SourceError: no kind of source has the scheme of an unnamed source.
    """
    if not args:
        raise InputError(f"expected at least one source: {expected_sources()}.")
    cameras: dict[str, list[str]] = {}
    owners: dict[str, str] = {}
    for position, arg in enumerate(args):
        name, spec = _split(arg)
        alone = name is None and scheme_of(spec) is None and not is_glob(split_query(spec)[0])
        inside = expanded(spec) if alone else None
        if inside is not None:
            for camera, each in inside.items():
                _add(cameras, owners, camera, each, f"source {position}")
            continue
        owner = "named" if name is not None else _owner(spec, position)
        if name is None:
            name = _derived_name(spec)
        _add(cameras, owners, name, spec, owner)
    return cameras


def _add(cameras: dict[str, list[str]], owners: dict[str, str], name: str, spec: str, owner: str) -> None:
    if owners.setdefault(name, owner) != owner:
        raise InputError(
            f"two sources would both be camera {name!r}: {cameras[name][0]} and {spec}. "
            f"Give them different names, for example '{name}_2={spec}', or the same name to join them by time."
        )
    cameras.setdefault(name, []).append(spec)


def scheme_of(spec: str) -> str | None:
    """Returns what stands before the first ':' of a source, in lower case; None for a path."""
    match = _SCHEME.match(spec)
    return match[1].lower() if match and not Path(spec).exists() else None


def unreadable_scheme(scheme: str, spec: str) -> str:
    """Returns the message for a source whose scheme no kind of source has."""
    return (
        f"cannot read {redact_address(spec)!r}: `roadmask run` does not read {scheme}: sources. "
        f"Expected {expected_sources()}; for live cameras use `roadmask live`."
    )


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
    try:
        return check_camera_name(name), spec
    except InputError as error:
        hint = "Write NAME=SOURCE, as in 'front=drive.mp4', or './' before a file whose name holds '='."
        raise InputError(f"{error} {hint}") from None


def _owner(spec: str, position: int) -> str:
    """Unnamed sources with equal owners belong to one camera: images of one folder."""
    if scheme_of(spec) is None and not is_glob(spec) and is_image(Path(spec)):
        return f"images in {Path(spec).resolve().parent}"
    return f"source {position}"


def _derived_name(spec: str) -> str:
    scheme = scheme_of(spec)
    if scheme is not None:
        if kind_of_scheme(scheme) is None:
            raise SourceError(unreadable_scheme(scheme, spec))
        return camera_name(Path(spec.partition(":")[2].partition("?")[0]).stem) or "front"
    plain, query = split_query(spec)
    path = Path(plain).resolve()
    if is_glob(plain):
        plain_parts = [part for part in path.parts[:-1] if not any(mark in part for mark in "*?[")]
        stem = Path(*plain_parts).name
    elif is_image(path):
        stem = path.parent.name
    else:
        stem = path.name if path.is_dir() else path.stem
    name = camera_name(stem)
    if not name:
        raise InputError(f"cannot make a camera name from {spec!r}: name the camera, for example 'front={spec}'.")
    track = dict(parse_qsl(query)).get("track", "")  # several tracks of a file are several cameras
    return f"{name}_{track}" if track.isdigit() else name
