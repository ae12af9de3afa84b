"""From where a request comes, also through a proxy whose word is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


class Proxied:
    """An application behind proxies: `trusted` gives their addresses and networks of the moment. For it a request comes
    from where the proxy says (the last address that is no proxy's), over what the proxy says."""

    def __init__(self, app: ASGIApp, trusted: Callable[[], Sequence[str]]) -> None:
        self._app: Any = app
        self._trusted = trusted
        self._believing: tuple[Sequence[str], ProxyHeadersMiddleware] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trusted = self._trusted()
        if self._believing is None or self._believing[0] != trusted:
            self._believing = trusted, ProxyHeadersMiddleware(self._app, list(trusted))
        believing: Any = self._believing[1]
        await believing(scope, receive, send)


def host_of(request: HTTPConnection) -> str:
    """The address that a request comes from, "" where there is none."""
    return request.client.host if request.client else ""


def peer_of(request: HTTPConnection) -> str:
    """The same for people to read, with what was passed on of it: that may be anything."""
    peer, told = host_of(request), request.headers.get("x-forwarded-for", "")
    return f"{peer} ({told[:100]})" if told else peer
