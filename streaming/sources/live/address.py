"""Addresses of live cameras: how they are written, and what of them may be shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.camera_names import camera_name, check_camera_name
from roadmask.streaming.hosts import encode_login
from roadmask.streaming.redaction import redact_address, redact_text
from roadmask.streaming.sources.files import require_file, split_query

Kind = Literal["rtsp", "http", "udp", "device", "replay"]

_KINDS: dict[str, Kind] = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "http": "http",
    "https": "http",
    "udp": "udp",
    "replay": "replay",
}
_EXPECTED = "rtsp://, http:// (MJPEG or MPEG-TS), udp://, /dev/video0 or replay:clip.mp4"
_OTHER_PROTOCOLS = {
    **dict.fromkeys(("rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpte", "rtmpts"), "RTMP"),
    **dict.fromkeys(("mms", "mmsh", "mmst"), "MMS"),
    **dict.fromkeys(("webrtc", "whep", "whip", "ws", "wss"), "WebRTC or a WebSocket"),
    **dict.fromkeys(("ftp", "ftps", "sftp", "smb", "nfs", "s3", "gs"), "a file server"),
    **{name: name.upper() for name in ("srt", "rtp", "rist", "tcp", "onvif", "ndi", "dvb", "hls")},
}
"""Schemes that are no misspelling of one that is read."""
_PLAYLISTS = {".m3u8": "an HLS playlist", ".m3u": "an HLS playlist", ".mpd": "a DASH manifest"}
"""Suffixes of addresses whose images come in files of several seconds."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


@dataclass(frozen=True)
class Address:
    """The address of one live camera. Its `repr` and `shown` hold no credentials; only `secret` does."""

    camera: str
    """Name of the camera."""
    kind: Kind
    """How the camera is read."""
    secret: str = field(repr=False)
    """What FFmpeg opens, with credentials: only for the process that reads the camera."""
    shown: str
    """What people, logs and stores see: without credentials."""

    @property
    def ends(self) -> bool:
        """Whether the source has an end, as a file does."""
        return self.kind == "replay"

    def redact(self, text: str) -> str:
        """Returns a text with every address in it shortened to what may be shown, and no credential of this one."""
        return redact_text(text.replace(self.secret, self.shown), [self.secret])


def parse_live_sources(arguments: Sequence[str]) -> tuple[Address, ...]:
    """Reads `[NAME=]SOURCE...`; a camera without a name is named after its host or file, and numbered if two agree.

    Args:
        arguments: sources as typed on a command line.

    Raises:
        InputError: no source, a name that cannot be used, or one name twice.
        SourceError: an unknown scheme, an address without a host, or a file to replay that cannot be read.
    """
    if not arguments:
        raise InputError(f"expected at least one camera: {_EXPECTED}.")
    addresses: list[Address] = []
    for argument in arguments:
        name, source = _split(argument)
        kind, secret, shown, derived = _read(source)
        taken = {address.camera for address in addresses}
        if name is not None:
            if check_camera_name(name) in taken:
                raise InputError(f"two cameras are named {name!r}: a live camera has one source; name them apart.")
        else:
            name = derived
            number = 2
            while name in taken:
                name, number = f"{derived}_{number}", number + 1
        addresses.append(Address(name, kind, secret, shown))
    return tuple(addresses)


def _split(argument: str) -> tuple[str | None, str]:
    name, equals, source = argument.partition("=")
    if not equals or any(mark in name for mark in "/:?") or Path(argument).exists():
        name, source = "", argument
    if not source.strip():
        raise InputError(f"expected a camera's source after {argument!r}: {_EXPECTED}.")
    return (name if equals and source != argument else None), source


def _read(source: str) -> tuple[Kind, str, str, str]:
    """Returns kind, what to open, what to show, and a name made of it."""
    scheme = _SCHEME.match(source)
    if scheme is None:
        return _read_path(source)
    kind = _KINDS.get(scheme[1].lower())
    if kind is None:
        raise _unknown_scheme(source, scheme[1])
    if kind == "replay":
        file, query = split_query(source.partition(":")[2])
        path = require_file(Path(file))
        track = f"?{query}" if query else ""
        return kind, f"{path}{track}", f"replay:{path.name}{track}", _name_of(path.stem)
    behind = source[scheme.end() :]
    shown = redact_address(f"{scheme[1]}://{behind.lstrip('/')}")
    if not behind.startswith("//"):
        raise SourceError(f"expected '//' behind '{scheme[1]}:' in the address of a camera: did you mean {shown!r}?")
    shown = redact_address(source)
    try:
        secret = encode_login(source)
        parts = urlsplit(shown)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _unreadable(shown, error) from None
    if kind == "udp":
        if port is None:
            raise SourceError(f"{shown!r} names no port: expected an address such as udp://0.0.0.0:5000.")
    elif not host:
        raise SourceError(f"{shown!r} names no host: expected an address such as {kind}://HOST/PATH.")
    playlist = _PLAYLISTS.get(PurePosixPath(parts.path.lower()).suffix) if kind == "http" else None
    if playlist is not None:
        raise SourceError(
            f"{shown!r} is {playlist}, whose images arrive in files of several seconds, too late for a live run: use "
            "the camera's rtsp:// address, or its MJPEG or MPEG-TS stream."
        )
    return kind, secret, shown, _name_of(host or f"udp_{port}")


def _unknown_scheme(source: str, scheme: str) -> SourceError:
    shown = redact_address(source)
    protocol = _OTHER_PROTOCOLS.get(scheme.lower())
    if protocol is not None:
        return SourceError(
            f"cannot read {shown!r}: live cameras are not read over {protocol}, expected {_EXPECTED}. Most cameras and "
            "media servers offer rtsp:// as well."
        )
    if scheme.lower() == "file":
        return SourceError(f"cannot read {shown!r}: write replay:clip.mp4 to replay a file at its own pace.")
    near = get_close_matches(scheme.lower(), _KINDS, n=1)
    hint = f"did you mean {near[0]}:?" if near else f"expected {_EXPECTED}."
    return SourceError(f"cannot read {shown!r}: unknown scheme {scheme!r}; {hint}")


def _unreadable(shown: str, error: ValueError) -> SourceError:
    if "password" in str(error):
        return SourceError(
            f"cannot tell where the password ends in the address that is shown as {shown!r}: write %40 for '@', %2F "
            "for '/', %3F for '?' and %23 for '#' in the user, in the password and in the path."
        )
    return SourceError(f"cannot read {shown!r}: {error}; expected an address such as rtsp://HOST:554/PATH.")


def _read_path(source: str) -> tuple[Kind, str, str, str]:
    path = Path(source)
    if path.parent == Path("/dev"):
        return "device", source, source, _name_of(path.name)
    if path.is_file():
        raise SourceError(
            f"{source} is a file: write 'replay:{source}' to replay it at its own pace, or record it whole with "
            f"`roadmask run`."
        )
    raise SourceError(f"cannot read {redact_address(source)!r} as a live camera: expected {_EXPECTED}.")


def _name_of(text: str) -> str:
    return camera_name(text) or "camera"
