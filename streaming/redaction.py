"""Removes credentials from addresses, command lines and messages before they are shown, logged or stored.

A redacted address keeps its scheme, host, port and path. It loses the user, the password, the query, the fragment and
the values of secret parameters in its path. Invalid URLs are redacted too, because people paste passwords without
encoding them: a password may hold '@', '/', ':', '?', '#', blanks and quotes, and a path may hold '@'.

When several parts of an address could be its host, the part that looks most like a host wins: an IP address before a
dotted name before any other name, with a bonus for a usual port. Among equals the last one wins. Doubt therefore
costs the host and does not show a part of the password. One case remains: a password that itself holds '@', then a
better host than the real one, then '/'.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
"""Stands for a secret."""

_SCHEME = re.compile(r"[A-Za-z0-9+.-]{2,}://")
_NEXT_SCHEME = re.compile(r"(?<=[\s,;|&=/()\[\]{}])[A-Za-z][A-Za-z0-9+.-]+://")
"""Another address right behind one, as in a list."""
_END = re.compile(r"[\s'\"<>`]")
"""Ends an address within a text."""
_UNFINISHED_MAX = 200
"""Characters within which the '@' after a password that holds a blank or a quote is looked for."""

_HOST = re.compile(r"(?P<name>\[[^\]@/?#\s]+\]|[\w.*{}$-]*)(?P<colon>:(?P<port>\d{0,5}))?")
_DOTTED = re.compile(
    r"[\w*{}$-]+(?:\.[\w*{}$-]+)*\.(?!(?:sdp|mp4|m3u8|mjpe?g|jpe?g|png|ts|mkv|avi|mov)$)[A-Za-z][\w-]*\.?"
)
_USUAL_PORTS = frozenset({80, 81, 88, 443, 554, 1935, 7447, 8000, 8080, 8081, 8443, 8554, 8888, 8889, 9000, 10554})
_PARAMETER = re.compile(r"[/?#&;_][\w.-]+=")

_NAMES = "password|passwd|pwd|token|secret|signature|credential|api[_-]?key|access[_-]?key"
_IN_PATH = re.compile(rf"[\w-]*(?:{_NAMES}|user|usr|login|pass|psw|auth|key|sig|session|jwt)[\w-]*(?:=|%3D)", re.I)
_HARMLESS_TAIL = re.compile(r"(?:[_&](?:channel|stream|subtype|onvif)=\d+)+(?:\.sdp)?$", re.I)
_IN_TEXT = re.compile(
    rf"(?P<key>\b[\w-]*(?:{_NAMES})[\w-]*(?:=|%3D)|\bsig=|-[\w-]*(?:{_NAMES})[\w-]*\s+(?!-))"
    r"(?![A-Za-z][A-Za-z0-9+.-]+://)[^\s'\"<>]+",
    re.I,
)
_AUTHORIZATION = re.compile(r"(?P<key>\bauthorization\s*[:=]\s*)[^\r\n]+", re.I)
_LOGIN = re.compile(
    r"(?<![\w/\\.])(?!(?:replay|synthetic|file):)[A-Za-z][\w.+-]+:(?![/\\])[^\s/\\'\"<>]+@"
    r"(?=[\w-]+[:/]|[\w-]+(?:\.[\w-]+)+|\[)"
)
"""`user:password@host` without a scheme."""


def redact_text(text: str, known: Iterable[str] = ()) -> str:
    """Returns a message or a command line without credentials.

    Args:
        text: any text; addresses in it end at a blank, a quote or an angle bracket.
        known: addresses whose secrets must not be shown, whatever stands around them.
    """
    for address in known:
        text = text.replace(address, redact_address(address))
        user, secrets = _secrets_of(address)
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        if user:
            text = re.sub(rf"(?<!\w){re.escape(user)}(?!\w)", HIDDEN, text)
    return _redact(text, _END)


def redact_address(address: str) -> str:
    """Returns one address, or one argument of a command line that may hold some, without credentials.

    Nothing ends an address here but the text, or the next address: a password may hold blanks and quotes.
    """
    return _redact(address, None)


def redact_command(arguments: Sequence[str]) -> str:
    """Returns a command line, quoted for a shell, without credentials."""
    shown: list[str] = []
    for argument in arguments:
        is_value = bool(shown) and re.fullmatch(rf"-[\w-]*(?:{_NAMES})[\w-]*", shown[-1], re.I)
        shown.append(HIDDEN if is_value else redact_address(argument))
    return shlex.join(shown)


def redact_json(value: Any) -> Any:
    """Returns JSON data with every text in it redacted."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {redact_text(key): redact_json(each) for key, each in value.items()}
    return [redact_json(each) for each in value] if isinstance(value, list) else value


def redact_record(record: logging.LogRecord) -> bool:
    """Removes credentials from the message of a log record: a filter for a handler, which lets every record through."""
    record.msg, record.args = redact_text(record.getMessage()), None
    return True


def _redact(text: str, end: re.Pattern[str] | None) -> str:
    parts: list[str] = []
    position = 0
    while (scheme := _SCHEME.search(text, position)) is not None:
        stop = _stop(text, scheme.end(), end)
        url = text[scheme.start() : stop]
        if end is not None:  # punctuation of the sentence around it
            url = url.rstrip(".,;:!)}" if "[" in url else ".,;:!)}]")
        parts += [_without_logins(text[position : scheme.start()]), _redact_url(url)]
        position = max(scheme.start() + len(url), scheme.end())
    return "".join([*parts, _without_logins(text[position:])])


def _stop(text: str, start: int, end: re.Pattern[str] | None) -> int:
    """Returns where the address ends whose part after '://' begins at `start`."""
    following = _NEXT_SCHEME.search(text, start)
    limit = len(text) if following is None else following.start()
    found = None if end is None else end.search(text, start, limit)
    stop = limit if found is None else found.start()
    if end is not None and "@" not in text[start:stop] and _is_login(_authority(text[start:stop])):
        at = text.find("@", stop, min(limit, stop + _UNFINISHED_MAX))
        if at >= 0 and "\n" not in text[stop:at]:
            found = end.search(text, at, limit)
            stop = limit if found is None else found.start()
    return stop


def _without_logins(text: str) -> str:
    text = _LOGIN.sub("", text)
    text = _AUTHORIZATION.sub(rf"\g<key>{HIDDEN}", text)
    return _IN_TEXT.sub(rf"\g<key>{HIDDEN}", text)


def _redact_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    authority = _authority(rest)
    if scheme.lower() == "file" and re.fullmatch(r"|[A-Za-z]:", authority):
        return url
    if "@" not in rest and _is_login(authority):  # a user and a password, or the beginning of one
        return f"{scheme}://{authority.partition(':')[0]}:{HIDDEN}"
    host, _, path = rest[_host_start(rest) :].partition("/")
    shown = re.split(r"[?#]", host, maxsplit=1)[0]
    if shown == host and len(host) < len(rest[_host_start(rest) :]):
        shown += "/" + _redact_path(re.split(r"[?#]", path, maxsplit=1)[0])
    return f"{scheme}://{shown}"


def _redact_path(path: str) -> str:
    found = _IN_PATH.search(path)
    if found is None:
        return path
    tail = _HARMLESS_TAIL.search(path, found.end())
    return path[: found.end()] + HIDDEN + (tail[0] if tail else "")


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def _is_login(authority: str) -> bool:
    """Whether what stands before the path is no host with a port."""
    return ":" in authority and _HOST.fullmatch(authority) is None and not _is_ip(authority)


def _host_start(rest: str) -> int:
    """Returns where in an address, behind '://', its host begins."""
    authority = _authority(rest)
    if ":" not in authority and "@" not in authority:
        return 0  # no password can come before it
    first = _HOST.fullmatch(authority)
    if _is_ip(authority) or (first and (_is_ip(first["name"]) or first["name"] == "localhost")):
        return 0  # no user is called like that
    parameter = _PARAMETER.search(rest)
    starts = [0, *(match.end() for match in re.finditer("@", rest))]
    plain = {start: _likeness(rest[start:]) for start in starts if parameter is None or start <= parameter.start()}
    likeness = {start: score for start, score in plain.items() if score}
    for start in starts:
        if start not in plain:  # within a parameter's value, unless the parameter is within a password
            score = _likeness(rest[start:])
            likeness[start] = score if not any(plain.values()) else 2 * (score == _LIKE_IP)
    if not any(likeness.values()):
        return starts[-1]
    best = max(likeness.values())
    return max(start for start, score in likeness.items() if score == best)


_LIKE_IP, _LIKE_DOTTED, _LIKE_NAME, _USUAL_PORT = 4, 3, 1, 2


def _likeness(text: str) -> int:
    """Returns how much the beginning of a text looks like a host; 0 if it is none."""
    match = _HOST.fullmatch(_authority(text))
    if match is None:
        return 0
    name, port = match["name"], match["port"]
    if _is_ip(name) or name == "localhost":
        return _LIKE_IP
    usual = _USUAL_PORT * (bool(port) and int(port) in _USUAL_PORTS)
    if _DOTTED.fullmatch(name):
        return _LIKE_DOTTED + usual
    if name.isdigit() or "." in name or (not name and not port):
        return 0
    return _LIKE_NAME + usual


def _is_ip(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _secrets_of(address: str) -> tuple[str, list[str]]:
    """Returns the user of an address, and its password and query, encoded and not, longest first.

    What is shorter than three characters is left out: it occurs in any text.
    """
    _, _, rest = address.partition("://")
    start = _host_start(rest)
    user, _, password = rest[: max(start - 1, 0)].partition(":")
    query = rest[start:].partition("?")[2]
    secrets = {part for each in (password, query) for part in (each, unquote(each)) if len(part) > 2}
    return user if len(user) > 2 else "", sorted(secrets, key=len, reverse=True)
