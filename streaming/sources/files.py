"""Finds and identifies the files of a source."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from glob import has_magic, iglob
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError

_IMAGES = "avif bmp dib heic heif hif jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tif tiff webp"
_VIDEOS = (
    "264 265 26l 360 3g2 3gp asf avc avi dav divx dv f4v flv h264 h265 hevc insv ivf jsv lrf lrv m1v m2t m2ts m2v m4v "
    "mjpeg mjpg mkv mod mov mp4 mpe mpeg mpg mpv mts mxf nut obu ogm ogv qt tod tp trp ts vob webm wmv y4m"
)
_OTHERS = (
    "aac bin csv db doc flac gps gpx gz html idx ini json jsonl log m4a md mka mp3 nmea npy npz oga ogg opus pcd pdf "
    "pkl ply py srt sub tar tgz thm txt vtt wav wma xml yaml yml zip"
)
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _IMAGES.split())
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _VIDEOS.split())
"""Suffixes of videos in a searched folder. A file that is given by its path may have any name."""
_FILE_NAMES = ("name", "file", "first", "last")
"""Keys of descriptions whose values are names of files."""
_OTHER_SUFFIXES = frozenset(f".{name}" for name in _OTHERS.split())
"""Suffixes of files that are not looked into: data sets have millions of them."""
_NO_VIDEO_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"M4A ", b"M4B ")
"""Brands of ISO base media files that hold images or sound."""
_MAGIC = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF, WMV
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG-1 and MPEG-2 video
    b"\x06\x0e+4",  # MXF
    b"DKIF",
    b"YUV4MPEG2",
    b"nut/multimedia container",
    b"\0\0\0\x01\x67",  # H.264, from here on
    b"\0\0\0\x01\x27",
    b"\0\0\0\x01\x09",
    b"\0\0\0\x01\x40\x01",  # H.265
    b"\0\0\0\x01\x46\x01",
)


def looks_like_video(path: Path) -> bool:
    """Returns whether a file of an unknown suffix begins like a video that FFmpeg reads."""
    if path.suffix.lower() in _OTHER_SUFFIXES or not path.is_file():  # a pipe would make the search wait
        return False
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return False
    return (
        head.startswith(_MAGIC)
        or head[4:8] in (b"moov", b"mdat", b"wide")
        or (head[4:8] == b"ftyp" and head[8:12] not in _NO_VIDEO_BRANDS)
        or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
        or (head.startswith(b"OggS") and b"theora" in head)
        or (head.startswith(b"GIF8") and b"NETSCAPE2.0" in head)  # a GIF that moves
        or any(head[at : at + 4 * step : step] == b"GGGG" for at, step in ((0, 188), (4, 192), (0, 204)))
    )


def is_image(path: Path) -> bool:
    """Returns whether a file has the suffix of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def split_query(spec: str) -> tuple[str, str]:
    """Splits `drive/?fps=25` at its '?'. A '?' that is part of a name or a glob is not split at."""
    match = re.fullmatch(r"(.+?)\?(\w+=.*)", spec)
    return (match[1], match[2]) if match and not Path(spec).exists() else (spec, "")


def is_glob(spec: str) -> bool:
    """Returns whether a source is a glob. The name of an existing file or folder is not."""
    return has_magic(spec) and not Path(spec).exists()


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Returns a sort key that puts img2 before img10."""
    parts = re.split(r"([0-9]+)", path.name)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def list_folder(folder: Path) -> list[Path]:
    """Returns the files of a folder in natural order, without hidden ones.

    Raises:
        SourceError: this user has no permission to read the folder.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except PermissionError as error:
        raise SourceError(f"no permission to read the folder {folder}: change its permissions.") from error
    return sorted(files, key=natural_key)


def list_glob(pattern: str) -> list[Path]:
    """Returns the files that match a glob, in natural order.

    Raises:
        SourceError: no file matches.
    """
    files = [path for path in map(Path, iglob(pattern, recursive=True)) if path.is_file()]  # noqa: PTH207  absolute patterns too
    if not files:
        raise SourceError(f"no file matches {pattern!r}: check the glob and its folder.")
    return sorted(files, key=lambda path: (path.parent.as_posix(), natural_key(path)))


def require_file(path: Path) -> Path:
    """Returns a path after checking that it is a readable file that is not empty.

    Raises:
        SourceError: it is not; the message suggests a file with a similar name.
    """
    try:
        if path.is_file():
            with path.open("rb") as file:
                if not file.read(1):
                    raise SourceError(f"{path} is an empty file (0 bytes): copy it again from where it was recorded.")
            return path
        if path.exists():
            raise SourceError(f"expected a file, got the folder or device {path}.")
    except PermissionError as error:
        raise SourceError(f"no permission to read {path}: change its permissions.") from error
    raise SourceError(f"no file or folder {path}: {_nearest(path)}")


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either."
    try:
        names = [entry.name for entry in folder.iterdir()]
    except PermissionError:
        return f"there is no permission to list the folder {folder}."
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {near[0]!r} in the same folder?" if near else "check the name and the folder."


def identify(path: Path) -> dict[str, Any]:
    """Returns a file's name, size in bytes and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def identify_all(paths: Iterable[Path]) -> dict[str, Any]:
    """Returns the number of files, their total size in bytes and one SHA-256 of their contents in this order."""
    common, count, size = hashlib.sha256(), 0, 0
    for path in paths:
        one = identify(path)
        common.update(f"{one['sha256']}\n".encode())
        count, size = count + 1, size + one["bytes"]
    return {"count": count, "bytes": size, "sha256": common.hexdigest()}


def without_names(description: Any) -> Any:
    """Returns the description of a source without the names of its files, which may have been renamed.

    Two descriptions that are equal without them are those of the same recording. A name counts only where no `sha256`
    stands beside it.
    """
    if isinstance(description, list):
        return [without_names(each) for each in description]
    if not isinstance(description, Mapping):
        return description
    names = _FILE_NAMES if "sha256" in description else ()
    return {key: without_names(value) for key, value in description.items() if key not in names}
