"""Removes credentials from addresses, command lines and messages before they are shown, logged or stored.

A redacted address keeps its scheme, host, port and path. It loses the user, the password, the query, the fragment and
the values of secret parameters in its path. Invalid URLs are redacted too, because people paste passwords without
encoding them; `hosts` finds the host then. Doubt costs the host and does not show a part of the password: if a later
'@' may still end the password, nothing but the scheme is shown.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

from roadmask.streaming.hosts import HOST, authority_of, find_host, is_ip

HIDDEN = "***"
"""Stands for a secret."""

_SCHEME = re.compile(r"[A-Za-z0-9+.-]{2,}://|(?<![\w+.-])(?:rtsps?|https?|rtmps?|udp|srt):/(?=[^/])", re.I)
"""Begins an address; people leave out one of the two slashes."""
_NEXT_SCHEME = re.compile(r"(?<=[\s,;|&=/()\[\]{}])[A-Za-z][A-Za-z0-9+.-]+://")
"""Another address right behind one, as in a list."""
_END = re.compile(r"[\s'\"<>`]")
"""Ends an address within a text."""
_UNFINISHED_MAX = 200
"""Characters within which the '@' after a password that holds a blank or a quote is looked for."""

_NAMES = "password|passwd|pwd|token|secret|signature|credential|api[_-]?key|access[_-]?key"
_IN_PATH = re.compile(rf"[\w-]*(?:{_NAMES}|user|usr|login|pass|psw|auth|key|sig|session|jwt)[\w-]*(?:=|%3D)", re.I)
_SEGMENT_LOGIN = re.compile(r"(?<![^/])(?!(?:mp[34]|flv|smil|ngrp|amlst|id3|aac):)[^/:]{2,}:(?P<value>[^/]+)")
"""`user:password` as one part of a path; media servers write the format of a file like that."""
_SEGMENT_SECRET = re.compile(rf"(?<![^/])(?P<name>(?:{_NAMES}|pass|auth)/)(?P<value>[^/]+)", re.I)
"""The part of a path that follows one named `password` or alike."""
_PATH_SECRET = re.compile(
    rf"[\w-]*(?:{_NAMES})[\w-]*(?:=|%3D)(?P<value>[^&;/?]+?)(?=_(?:channel|stream|subtype|onvif)=|[&;/?]|$)", re.I
)
_OF_PATHS = (_PATH_SECRET, _SEGMENT_LOGIN, _SEGMENT_SECRET)
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
    if end is not None and "@" not in text[start:stop] and _is_login(authority_of(text[start:stop])):
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
    scheme, separator, rest = re.split("(://?)", url, maxsplit=1)
    authority = authority_of(rest)
    if scheme.lower() == "file" and re.fullmatch(r"|[A-Za-z]:", authority):
        return url
    if "@" not in rest and _is_login(authority):  # a user and a password, or the beginning of one
        return f"{scheme}{separator}{authority.partition(':')[0]}:{HIDDEN}"
    found = find_host(rest)
    if found.is_doubtful:
        return f"{scheme}{separator}{HIDDEN}"
    behind = rest[found.start :]
    host, _, path = behind.partition("/")
    shown = re.split(r"[?#]", host, maxsplit=1)[0]
    if shown == host and len(host) < len(behind):
        shown += "/" + _redact_path(re.split(r"[?#]", path, maxsplit=1)[0])
    return f"{scheme}{separator}{shown}"


def _redact_path(path: str) -> str:
    found = _IN_PATH.search(path)
    before, secret = (path, "") if found is None else (path[: found.start()], path[found.start() :])
    before = _SEGMENT_SECRET.sub(rf"\g<name>{HIDDEN}", _SEGMENT_LOGIN.sub(HIDDEN, before))
    if found is None:
        return before
    tail = _HARMLESS_TAIL.search(secret, len(found[0]))
    return before + found[0] + HIDDEN + (tail[0] if tail else "")


def _is_login(authority: str) -> bool:
    """Whether what stands before the path is no host with a port."""
    return ":" in authority and HOST.fullmatch(authority) is None and not is_ip(authority)


def _secrets_of(address: str) -> tuple[str, list[str]]:
    """Returns the user of an address, and its password, query and secrets in the path, encoded and not, longest first.

    What is shorter than three characters is left out: it occurs in any text.
    """
    _, _, rest = address.partition("://")
    found = find_host(rest)
    user = rest[: max(found.start - 1, 0)].partition(":")[0]
    passwords = [rest[: start - 1].partition(":")[2] for start in {found.start, found.last} if start > 0]
    behind = rest[found.start :]
    path, query = behind.partition("/")[2].partition("?")[0], behind.partition("?")[2]
    named = (part["value"] for each in _OF_PATHS for text in (path, query) for part in each.finditer(text))
    parts = [*passwords, query, *named]
    secrets = {part for each in parts for part in (each, unquote(each)) if len(part) > 2}
    return user if len(user) > 2 else "", sorted(secrets, key=len, reverse=True)
