"""One HTTP exchange: sent once, answered within its time and size, and an error that says whether it left our machine.

aiohttp underneath. No redirect is followed and nothing is sent twice. The pool keeps connections alive.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from perezvon.bitrix24.errors import Ambiguous, NotSent, PortalError
from perezvon.rules.vocabulary import Reason

USER_AGENT = f"Perezvon/{version('perezvon')} (Asterisk integration)"
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Reply:
    """`location`: where a redirect points to, as given, else empty."""

    status: int
    content_type: str
    location: str
    body: bytes


@dataclass(slots=True)
class _Flight:
    """Whether the request's first byte was handed to the connection."""

    left: bool = False


class Wire:
    """A pool of HTTP connections. Seconds for all time-outs; `connect` covers DNS, TCP and TLS.

    `proxy`: `http://user:password@host:port`. `ca_file`: PEM file of a further certificate authority.
    """

    def __init__(
        self,
        *,
        total: float = 60.0,
        connect: float = 10.0,
        max_bytes: int = 32 * 1024 * 1024,
        proxy: str = "",
        ca_file: Path | str | None = None,
        verify: bool = True,
        connections: int = 16,
    ) -> None:
        self.total = total
        self.connect = connect
        self.max_bytes = max_bytes
        self._proxy = proxy or None
        self._ca_file = ca_file
        self._verify = verify
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def exchange(
        self,
        verb: str,
        url: str,
        *,
        what: str,
        body: bytes | aiohttp.FormData | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        total: float | None = None,
        max_bytes: int | None = None,
    ) -> Reply | PortalError:
        """The reply, or NotSent or Ambiguous. `what` names the exchange in messages (a method, never the address)."""
        flight = _Flight()
        total = self.total if total is None else total
        limit = self.max_bytes if max_bytes is None else max_bytes
        try:
            async with self._opened().request(
                verb,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(total=total, sock_connect=self.connect),
                trace_request_ctx=flight,
            ) as response:
                content = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK):
                    content += chunk
                    if len(content) > limit:
                        response.close()
                        told = Reason(
                            "{method}: the answer is longer than {bytes} bytes", {"method": what, "bytes": str(limit)}
                        )
                        return Ambiguous(told, status=response.status, method=what)
                return Reply(response.status, response.content_type, response.headers.get("Location", ""), bytes(content))
        except TimeoutError:
            if flight.left:
                return Ambiguous(
                    Reason("{method}: no answer within {seconds} s", {"method": what, "seconds": f"{total:g}"}), method=what
                )
            told = Reason(
                "{method}: no connection within {seconds} s",
                {"method": what, "seconds": f"{min(self.connect, total):g}"},
            )
            return NotSent(told, method=what)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Made and returned here, raised elsewhere: the cause, which may hold the address, does not travel along.
            told = Reason("{method}: {why}", {"method": what, "why": _in_words(error)})
            return Ambiguous(told, method=what) if flight.left else NotSent(told, method=what)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_mark)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._ssl(), keepalive_timeout=12.0),
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
                trace_configs=[trace],
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _ssl(self) -> ssl.SSLContext | bool:
        if not self._verify:
            return False
        if not self._ca_file:
            return True
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=str(self._ca_file))
        return context


async def _mark(_session: aiohttp.ClientSession, context: Any, _sent: aiohttp.TraceRequestHeadersSentParams) -> None:
    """Called right before the first byte is written. aiohttp sends a GET again by itself when the connection breaks; a
    refresh of a token must not go twice, so the second time ends here."""
    flight: _Flight = context.trace_request_ctx
    if flight.left:
        raise aiohttp.ServerDisconnectedError
    flight.left = True


def _in_words(error: Exception) -> Reason:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Reason("the name {host} cannot be resolved", {"host": error.host})
        case aiohttp.ClientConnectorCertificateError():
            return Reason(
                "the certificate of {host} is not accepted: {why}",
                {"host": error.host, "why": str(error.certificate_error)},
            )
        case aiohttp.ClientSSLError():
            return Reason("TLS with {host} fails: {why}", {"host": error.host, "why": error.strerror or str(error)})
        case aiohttp.ClientProxyConnectionError():
            return Reason("no connection to the proxy: {why}", {"why": error.strerror or str(error)})
        case aiohttp.ClientConnectorError():
            return Reason(
                "no connection to {host}:{port}: {why}",
                {"host": error.host, "port": str(error.port), "why": error.strerror or str(error)},
            )
        case aiohttp.InvalidURL():
            return Reason("the address is not valid")
        case aiohttp.ServerDisconnectedError():
            return Reason("the connection was closed before the answer")
        case aiohttp.ClientPayloadError():
            return Reason("the connection broke in the middle of the answer")
        case aiohttp.ClientHttpProxyError():
            return Reason("the proxy refuses: HTTP {status}", {"status": str(error.status)})
        case OSError():
            return Reason("the connection broke: {why}", {"why": error.strerror or type(error).__name__})
        case _:
            return Reason("the exchange failed: {why}", {"why": type(error).__name__})


__all__ = ["USER_AGENT", "Reply", "Wire"]
