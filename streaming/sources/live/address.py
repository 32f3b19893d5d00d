"""Where live cameras are: what is typed on a command line, and what of it may be shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.sources.arguments import require_name
from roadmask.streaming.sources.files import require_file

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
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://[^\s'\"<>]+", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """One live camera. Its `repr` and `shown` hold no credentials; only `secret` does."""

    camera: str
    """Its name."""
    kind: Kind
    """How it is read."""
    secret: str = field(repr=False)
    """What FFmpeg opens, with whatever credentials it takes: for the process that reads the camera, nobody else."""
    shown: str
    """What people, logs and stores see: without user, password and query."""

    @property
    def ends(self) -> bool:
        """Whether the source has an end, as a file does."""
        return self.kind == "replay"

    def redact(self, text: str) -> str:
        """Returns a text with every address in it shortened to what may be shown, and no credential of this one."""
        text = redact_urls(text.replace(self.secret, self.shown))
        for part in _secrets(self.secret):
            if len(part) > 2:
                text = text.replace(part, "***")
        return text


def _secrets(url: str) -> list[str]:
    """Returns password, user and query of a URL, whatever characters they hold: urlsplit refuses some."""
    _, _, rest = url.partition("://")
    user, _, password = rest.rpartition("@")[0].partition(":")
    _, _, query = rest.rpartition("@")[2].partition("?")
    return [part for part in (password, unquote(password), user, unquote(user), query) if part]


def redact_urls(text: str) -> str:
    """Returns the text with every URL in it cut down to scheme, host and path."""
    return _URL.sub(lambda match: shown_url(match[0]), text)


def redact_argument(argument: str) -> str:
    """Returns an argument of a command line with the URL in it, if any, cut down; whatever characters it holds."""
    match = re.search(r"[A-Za-z][A-Za-z0-9+.-]*://", argument)
    return argument if match is None else argument[: match.start()] + shown_url(argument[match.start() :])


def _shown_source(source: str) -> str:
    """Returns what was typed for a source that is none: before the last '@' may stand a password."""
    return redact_argument(source) if "://" in source else source.rpartition("@")[2]


def shown_url(url: str) -> str:
    """Returns a URL without user, password, query and fragment."""
    scheme, _, rest = url.partition("://")
    before, slash, path = rest.partition("/")
    # A password may itself hold '/', '?', '#' or '@': whatever stands before the last '@' is never shown.
    if "@" in rest:
        before, slash, path = rest.rpartition("@")[2].partition("/")
    host = re.split(r"[?#]", before, maxsplit=1)[0]
    if host != before:
        return f"{scheme}://{host}"
    return f"{scheme}://{host}{slash}{re.split(r'[?#]', path, maxsplit=1)[0]}"


def parse_live_sources(arguments: Sequence[str]) -> tuple[Address, ...]:
    """Reads `[NAME=]SOURCE...`; a camera without a name is called after its host or file, numbered where two agree.

    Args:
        arguments: as typed.

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
            if require_name(name) in taken:
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
        near = get_close_matches(scheme[1].lower(), _KINDS, n=1)
        hint = f"did you mean {near[0]}:?" if near else f"expected {_EXPECTED}."
        raise SourceError(f"cannot read {_shown_source(source)!r}: unknown scheme {scheme[1]!r}; {hint}")
    if kind == "replay":
        path = require_file(Path(source.partition(":")[2]))
        return kind, str(path), f"replay:{path.name}", _name_of(path.stem)
    shown = shown_url(source)
    try:
        parts = urlsplit(shown)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SourceError(
            f"cannot read {shown!r}: {error}; expected an address such as rtsp://HOST:554/PATH."
        ) from None
    if kind == "udp":
        if port is None:
            raise SourceError(f"{shown!r} names no port: expected an address such as udp://0.0.0.0:5000.")
    elif not host:
        raise SourceError(f"{shown!r} names no host: expected an address such as {kind}://HOST/PATH.")
    return kind, source, shown, _name_of(host or f"udp_{port}")


def _read_path(source: str) -> tuple[Kind, str, str, str]:
    path = Path(source)
    if path.parent == Path("/dev"):
        return "device", source, source, _name_of(path.name)
    if path.is_file():
        raise SourceError(
            f"{source} is a file: write 'replay:{source}' to replay it at its own pace, or record it whole with "
            f"`roadmask run`."
        )
    raise SourceError(f"cannot read {_shown_source(source)!r} as a live camera: expected {_EXPECTED}.")


def _name_of(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-") or "camera"
