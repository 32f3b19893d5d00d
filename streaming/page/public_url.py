"""The address at which people open the page if a reverse proxy stands before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yarl import URL

from roadmask.engines.errors import PageError

_PATH = re.compile(r"(?:/[\w.~-]+)*/?", re.ASCII)


@dataclass(frozen=True)
class PublicUrl:
    """A scheme, a host, a port and a path, as browsers see them in front of the proxy."""

    origin: str
    """Scheme, host and port in the form in which browsers send them as `Origin`."""
    prefix: str
    """Path below which the proxy serves the page, without a slash at its end; empty at the root of the host."""

    @classmethod
    def parse(cls, text: str) -> PublicUrl:
        """Reads an address such as `https://example.org/cameras/`.

        Raises:
            PageError: the text is no such address.
        """
        try:
            url = URL(text.strip())
            plain = url.scheme in {"http", "https"} and url.host and not (url.user or url.password)
            if plain and not (url.query_string or url.fragment) and _PATH.fullmatch(url.raw_path):
                return cls(_origin(url), url.raw_path.rstrip("/"))
        except ValueError:
            pass
        raise PageError(
            "expected the page URL as http:// or https://, a host and an optional path of letters, digits and - . _ ~ "
            "without login, query or fragment, such as https://example.org/cameras/: give --page-url the address that "
            "people open in front of the reverse proxy."
        )

    def __str__(self) -> str:
        return f"{self.origin}{self.prefix}/"

    @property
    def is_https(self) -> bool:
        """Whether browsers speak TLS with the proxy, so that cookies need not travel without it."""
        return self.origin.startswith("https:")


def _origin(url: URL) -> str:
    host = f"[{url.raw_host}]" if ":" in str(url.raw_host) else url.raw_host
    return f"{url.scheme}://{host}" + ("" if url.is_default_port() else f":{url.port}")
