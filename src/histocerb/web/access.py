"""Who may ask: whoever has the link that was printed, under the names this server has, and no other page."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer; the policy also keeps the pages themselves from asking any other machine."""

Next = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Access:
    """Token and names of a server.

    Attributes:
        token: secret of this run.
        hosts: names (with port) under which it may be asked; others are pages that pretend to be it.
        cookie: name of the cookie that keeps the token; one per port, as browsers share them over ports.
    """

    token: str
    hosts: frozenset[str]
    cookie: str

    async def guard(self, request: Request, call_next: Next) -> Response:
        """Answer a request, or refuse it."""
        response = await self._answer(request, call_next)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def _answer(self, request: Request, call_next: Next) -> Response:
        if self.hosts and request.headers.get("host", "") not in self.hosts:
            return PlainTextResponse("This server is not known under that name.\n", 421)
        given = request.query_params.get("token")
        if given is not None and self._is_right(given):
            return self._welcome(request)
        if not self._is_right(request.cookies.get(self.cookie, "")):
            return PlainTextResponse(
                "Expected the link that histocerb view printed, found no token; open that link.\n",
                403,
            )
        return await call_next(request)

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    def _welcome(self, request: Request) -> Response:
        """Keep the token as a cookie and take it out of the address, where people would copy it."""
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        target = request.url.path + (f"?{urlencode(rest)}" if rest else "")
        response = RedirectResponse("/" + target.lstrip("/"), 303)
        response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return response
