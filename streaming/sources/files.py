"""Finding the files of a source, and saying which ones they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from difflib import get_close_matches
from glob import has_magic, iglob
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".avi", ".h264", ".h265", ".hevc", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".ts", ".webm"}
)
"""What counts as a video when a folder is searched; a file named outright may be called anything."""


def is_image(path: Path) -> bool:
    """Returns whether a file is named like an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def split_query(spec: str) -> tuple[str, str]:
    """Splits `drive/?fps=25` at its '?'; a '?' that is part of a name or a pattern stays where it is."""
    match = re.fullmatch(r"(.+?)\?(\w+=.*)", spec)
    return (match[1], match[2]) if match and not Path(spec).exists() else (spec, "")


def is_glob(spec: str) -> bool:
    """Returns whether a source is a pattern; what exists under that very name is not."""
    return has_magic(spec) and not Path(spec).exists()


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sorts img2 before img10."""
    parts = re.split(r"([0-9]+)", path.name)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def list_folder(folder: Path) -> list[Path]:
    """Returns the files of a folder in natural order, hidden ones left out.

    Raises:
        SourceError: this user may not read the folder.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except PermissionError as error:
        raise SourceError(f"the folder {folder} may not be read by this user: change its permissions.") from error
    return sorted(files, key=natural_key)


def list_glob(pattern: str) -> list[Path]:
    """Returns the files that match a pattern, in natural order.

    Raises:
        SourceError: none does.
    """
    files = [path for path in map(Path, iglob(pattern, recursive=True)) if path.is_file()]  # noqa: PTH207  absolute patterns too
    if not files:
        raise SourceError(f"no file matches {pattern!r}: check the pattern and the folder it names.")
    return sorted(files, key=lambda path: (path.parent.as_posix(), natural_key(path)))


def require_file(path: Path) -> Path:
    """Returns the path of a file that exists, may be read and holds something.

    Raises:
        SourceError: otherwise; the message names the nearest existing file.
    """
    try:
        if path.is_file():
            with path.open("rb") as file:
                if not file.read(1):
                    raise SourceError(f"{path} is an empty file (0 bytes): copy it again from where it was recorded.")
            return path
        if path.exists():
            raise SourceError(f"expected a file, got {path}, which is a folder or device.")
    except PermissionError as error:
        raise SourceError(f"{path} may not be read by this user: change its permissions.") from error
    raise SourceError(f"no file or folder {path}: {_nearest(path)}")


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either."
    try:
        names = [entry.name for entry in folder.iterdir()]
    except PermissionError:
        return f"this user may not list the folder {folder}."
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {near[0]!r} in the same folder?" if near else "check the name and the folder."


def identify(path: Path) -> dict[str, Any]:
    """Returns a file's name, size in bytes and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def identify_all(paths: Iterable[Path]) -> dict[str, Any]:
    """Returns the number, total size and one common SHA-256 of files too many to list."""
    common, count, size = hashlib.sha256(), 0, 0
    for path in paths:
        one = identify(path)
        common.update(f"{one['sha256']}  {one['name']}\n".encode())
        count, size = count + 1, size + one["bytes"]
    return {"count": count, "bytes": size, "sha256": common.hexdigest()}
