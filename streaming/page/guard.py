"""Who may see the page.

At a loopback address everybody on this machine may, but no website that their browser has open: host names other than
those of this machine are refused (DNS rebinding), and so are WebSockets of other origins. At any other address, and
behind a reverse proxy, a token is needed. Behind this guard everything is read-only.

A reverse proxy may replace the `Host` that browsers send, so the page is told its public URL: WebSockets of that origin
are accepted, and the token replaces the check of host names. Headers such as X-Forwarded-Host are never believed.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from roadmask.engines.errors import PageError
from roadmask.streaming.page.address import PageAddress, is_loopback
from roadmask.streaming.page.public_url import PublicUrl

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_REPORTED_MAX = 8
"""Maximum number of refused hosts and origins that are logged: anybody can send any number of them."""
_HELP = "Open the whole address that roadmask printed; it ends with the token. Programs send it as a bearer token."

_log = logging.getLogger(__name__)


class Guard:
    """Lets requests through or refuses them."""

    def __init__(self, address: PageAddress, token: str | None, port: int, public_url: PublicUrl | None = None) -> None:
        """Creates the guard of an address.

        Args:
            address: where the page is served.
            token: token chosen by the user; if None, one is generated where the address needs one.
            port: port of the page; cookies do not distinguish ports, so two runs on one host need two names.
            public_url: where people open the page if a reverse proxy stands before it; None without a proxy.

        Raises:
            PageError: the token is too short, too long, or has characters that do not fit into an address.
        """
        if token is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,256}", token):
            raise PageError(
                f"expected a page token of 16 to 256 letters, digits, - or _, got {len(token)} characters: leave it "
                "out to get one."
            )
        self._checks_host = address.is_loopback and public_url is None
        self._host = address.host
        self._public_url = public_url
        self.token = token if token is not None or self._checks_host else secrets.token_urlsafe(32)
        self._cookie = f"roadmask-{port}"
        self._reported: set[str] = set()

    def middleware(self) -> Middleware:
        """Returns what stands before every handler."""

        @web.middleware
        async def guard(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            self._check_host(request)
            if self.token is None:
                return await handler(request)
            if request.path.endswith("/") and "token" in request.query:
                self._check_token(request.query["token"])
                return self._into_cookie(self.token)
            self._check_token(self._shown_token(request))
            return await handler(request)

        return guard

    def check_origin(self, request: web.Request) -> None:
        """Refuses a WebSocket that the page of another website opens: browsers do not ask permission for those.

        A page whose WebSocket failed asks the reason with an ordinary request, which names its origin in the query.
        """
        origin = request.headers.get("Origin", request.query.get("origin"))
        # browsers write origins in one form, so comparing text is enough
        if origin is None or origin.partition("://")[2] == request.headers.get("Host"):
            return
        if self._public_url is not None and origin == self._public_url.origin:
            return
        if self._public_url is not None:
            text = (
                f"Pages of {origin[:100]} may not watch this run, only those of {self._public_url.origin} (--page-url)."
            )
        else:
            text = (
                f"Pages of {origin[:100]} may not watch this run. Behind a reverse proxy, start roadmask with "
                "--page-url and the address that people open, such as https://example.org/cameras/."
            )
        self._report(text)
        _refuse(HTTPStatus.FORBIDDEN, text)

    def report_no_upgrade(self) -> None:
        """Logs that a WebSocket arrived as an ordinary request."""
        self._report(
            "A WebSocket of the page arrived without its Upgrade header: the reverse proxy has to pass on the headers "
            "Upgrade and Connection."
        )

    def _report(self, text: str) -> None:
        """Logs a refusal that the reverse proxy may cause, once."""
        if text not in self._reported and len(self._reported) < _REPORTED_MAX:
            self._reported.add(text)
            _log.warning("%s", text)

    def _check_host(self, request: web.Request) -> None:
        if not self._checks_host:
            return
        host = request.headers.get("Host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if not is_loopback(name) and name != self._host.lower():
            text = (
                "This page answers only to the names of its own machine: open 127.0.0.1. Behind a reverse proxy, start "
                "roadmask with --page-url and the address that people open, such as https://example.org/cameras/."
            )
            self._report(f"A request for the host {host[:100]!r} was refused. {text}")
            _refuse(HTTPStatus.FORBIDDEN, text)

    def _shown_token(self, request: web.Request) -> str | None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        return bearer.strip() if scheme.lower() == "bearer" else request.cookies.get(self._cookie)

    def _check_token(self, shown: str | None) -> None:
        if shown is None:
            _refuse(HTTPStatus.UNAUTHORIZED, f"This page needs its token. {_HELP}")
        # aiohttp passes what is not UTF-8 on as surrogates
        if not hmac.compare_digest(shown.encode(errors="surrogateescape"), (self.token or "").encode()):
            _refuse(HTTPStatus.FORBIDDEN, f"This is not the token of this run. {_HELP}")

    def _into_cookie(self, token: str) -> web.Response:
        """Answers with a cookie and an address without the token, so that nobody copies it from the address bar.

        The redirect is relative and the cookie has no path, so that both belong to the folder that the browser opened:
        a proxy may serve it below any path.
        """
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "./"})
        secure = self._public_url is not None and self._public_url.is_https
        # Lax, not Strict: the token's address is often opened from a mail or a chat
        response.set_cookie(self._cookie, token, httponly=True, samesite="Lax", path="", secure=secure or None)
        return response


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Sets the headers of every response."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _refuse(status: HTTPStatus, text: str) -> NoReturn:
    if status is HTTPStatus.UNAUTHORIZED:
        raise web.HTTPUnauthorized(text=text, headers={"WWW-Authenticate": 'Bearer realm="roadmask"'})
    raise web.HTTPForbidden(text=text)
