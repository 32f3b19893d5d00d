"""Where the page is served: its address, the sockets bound to it, and the URL that people open."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

import psutil

from roadmask.engines.errors import PageError

DEFAULT_ADDRESS = "127.0.0.1:8642"


@dataclass(frozen=True)
class PageAddress:
    """A host and a port to listen on."""

    host: str
    """Host name, or IPv4 or IPv6 address without brackets."""
    port: int
    """Port number; 0 takes any free port."""

    @classmethod
    def parse(cls, text: str) -> PageAddress:
        """Reads `host:port`, `[IPv6]:port`, or a port alone, which means loopback.

        Raises:
            PageError: the text is none of these.
        """
        host, _, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise PageError(f"page address {text!r}: write an IPv6 address in brackets, like [::1]:8642.")
        if not port.isdecimal() or int(port) > 65535:
            raise PageError(
                f"page address {text!r}: expected host:port, like {DEFAULT_ADDRESS}, with a port from 0 to 65535."
            )
        return cls(host or "127.0.0.1", int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return all(is_loopback(host) for _, host in self._resolved())

    def bind(self) -> list[socket.socket]:
        """Returns listening sockets, all on one port; a name may resolve to an IPv4 and an IPv6 address.

        Raises:
            PageError: the port is in use, or the address does not belong to this machine.
        """
        sockets: list[socket.socket] = []
        failure: OSError | None = None
        port = self.port
        for family, host in self._resolved():
            try:
                both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
                sockets.append(socket.create_server((host, port), family=family, dualstack_ipv6=both))
                port = sockets[0].getsockname()[1]
            except OSError as error:
                failure = error
                if error.errno == errno.EADDRINUSE:
                    break
        if failure is not None and (not sockets or failure.errno == errno.EADDRINUSE):
            for bound in sockets:
                bound.close()
            raise self._refusal(failure) from failure
        return sockets

    def url_host(self) -> str:
        """Returns the host for a URL: one that others can reach if every address is listened on."""
        host = self.host
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            host = _own_address() or socket.gethostname()
        return f"[{host}]" if ":" in host else host

    def _resolved(self) -> list[tuple[socket.AddressFamily, str]]:
        """Returns the family and the numeric address of everything that the host resolves to."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            raise PageError(
                f"page address {self}: no such host ({error}); "
                "use 127.0.0.1 for this machine alone, 0.0.0.0 for all its networks."
            ) from error
        return list(dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found))

    def _refusal(self, error: OSError) -> PageError:
        if error.errno == errno.EADDRINUSE:
            another = PageAddress(self.host, self.port + 1 if self.port < 65535 else 8642)
            return PageError(
                f"page address {self}: port {self.port} is in use by another program, perhaps by another run: "
                f"stop it, or choose another port with --page {another}."
            )
        if error.errno == errno.EACCES:
            return PageError(f"page address {self}: ports below 1024 need root; choose a higher one, like 8642.")
        if error.errno == errno.EADDRNOTAVAIL:
            return PageError(
                f"page address {self}: this machine has no such address; 0.0.0.0 listens on all that it has."
            )
        return PageError(
            f"cannot listen on page address {self}: {error.strerror or error}; choose another with --page."
        )


def is_loopback(host: str) -> bool:
    """Returns whether a host, as written, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_address() -> str | None:
    """Returns the first IPv4 address of this machine that is up and not loopback."""
    up = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        if name in up and up[name].isup:
            for address in addresses:
                if address.family == socket.AF_INET and not is_loopback(address.address):
                    return str(address.address)
    return None
