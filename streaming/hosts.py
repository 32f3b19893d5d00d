"""Finds the host of an address, although people paste passwords into addresses without encoding them.

A password may hold '@', '/', ':', '?', '#', blanks and quotes, and a path may hold '@'. When several parts of an
address could be its host, the part that looks most like a host wins: an IP address before a dotted name before any
other name, with a bonus for a usual port. Among equals the last one wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

HOST = re.compile(r"(?P<name>\[[^\]@/?#\s]+\]|[\w.*{}$-]*)(?P<colon>:(?P<port>\d{0,5}))?")
_DOTTED = re.compile(
    r"[\w*{}$-]+(?:\.[\w*{}$-]+)*\.(?!(?:sdp|mp4|m3u8|mjpe?g|jpe?g|png|ts|mkv|avi|mov)$)[A-Za-z][\w-]*\.?"
)
_USUAL_PORTS = frozenset({80, 81, 88, 443, 554, 1935, 7447, 8000, 8080, 8081, 8443, 8554, 8888, 8889, 9000, 10554})
_PARAMETER = re.compile(r"[/?#&;_][\w.-]+=")
_ENDS_LOGIN = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~!$&'()*+,;=%-]")
"""Characters that cannot stand in a user or a password; a '%' stays where it begins an encoded character."""

_LIKE_IP, _LIKE_DOTTED, _LIKE_NAME, _USUAL_PORT = 4, 3, 1, 2


@dataclass(frozen=True)
class FoundHost:
    """Where the host of an address begins, counted in characters behind '://'."""

    start: int
    """Where the part begins that looks most like a host."""
    standard: int
    """Where the host begins by the standard of URLs: behind the last '@' before the first '/', '?' or '#'."""
    last: int
    """Where the last part begins that could be the host; behind `start` if a later '@' may still end the password."""
    equals: int
    """Number of parts that look as much like a host as the one at `start`."""
    standard_fits: bool
    """Whether the part at `standard` could be a host."""

    @property
    def is_doubtful(self) -> bool:
        """Whether a password that holds '@' may reach beyond `start`, so that nothing behind it may be shown."""
        return 0 < self.start < self.last


def find_host(rest: str) -> FoundHost:
    """Returns where the host of an address begins.

    Args:
        rest: the address behind '://'.
    """
    authority = authority_of(rest)
    standard = authority.rfind("@") + 1
    fits = bool(_likeness(rest[standard:]))
    if ":" not in authority and "@" not in authority:
        return FoundHost(0, 0, 0, 1, fits)  # no password can come before it
    first = HOST.fullmatch(authority)
    if is_ip(authority) or (first and (is_ip(first["name"]) or first["name"] == "localhost")):
        return FoundHost(0, 0, 0, 1, True)  # no user is called like that
    parameter = _PARAMETER.search(rest)
    starts = [0, *(match.end() for match in re.finditer("@", rest))]
    plain = {start: _likeness(rest[start:]) for start in starts if parameter is None or start <= parameter.start()}
    likeness = {start: score for start, score in plain.items() if score}
    for start in starts:
        if start not in plain:  # within a parameter's value, unless the parameter is within a password
            score = _likeness(rest[start:])
            likeness[start] = score if not any(plain.values()) else 2 * (score == _LIKE_IP)
    best = max(likeness.values(), default=0)
    if not best:
        return FoundHost(starts[-1], standard, starts[-1], 1, fits)
    tops = [start for start, score in likeness.items() if score == best]
    last = max(start for start, score in likeness.items() if score)
    return FoundHost(max(tops), standard, last, len(tops), fits)


def encode_login(address: str) -> str:
    """Returns an address whose user and password hold no character that ends them, so that any parser finds the host.

    An address whose host is where the standard expects it is returned unchanged. What is percent-encoded stays so.

    Raises:
        ValueError: several parts of the address look alike, so that the password may end at any of them.
    """
    scheme, separator, rest = address.partition("://")
    found = find_host(rest)
    if not separator or found.start == found.standard:
        return address
    if found.equals > 1:
        raise ValueError("the password may end at several places")
    user, colon, password = rest[: found.start - 1].partition(":")
    return f"{scheme}://{_encoded(user)}{colon}{_encoded(password)}@{rest[found.start :]}"


def authority_of(rest: str) -> str:
    """Returns what stands before the path of an address, of which `rest` is the part behind '://'."""
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def is_ip(name: str) -> bool:
    """Returns whether a name is an IP address, perhaps in brackets."""
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _likeness(text: str) -> int:
    """Returns how much the beginning of a text looks like a host; 0 if it is none."""
    match = HOST.fullmatch(authority_of(text))
    if match is None:
        return 0
    name, port = match["name"], match["port"]
    if is_ip(name) or name == "localhost":
        return _LIKE_IP
    usual = _USUAL_PORT * (bool(port) and int(port) in _USUAL_PORTS)
    if _DOTTED.fullmatch(name):
        return _LIKE_DOTTED + usual
    if name.isdigit() or "." in name or (not name and not port):
        return 0
    return _LIKE_NAME + usual


def _encoded(part: str) -> str:
    return _ENDS_LOGIN.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), part)
