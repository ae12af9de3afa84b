"""A listening address with uvicorn's HTTP protocol behind it, which can be shut and opened again and whose connections
can be broken.

uvicorn.Server owns signals and a slow main loop; the pretend portal needs neither, but needs outages and resets.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

RESET = struct.pack("ii", 1, 0)


class Listener:
    """`port` 0 takes a free one at the first opening and keeps it from then on."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._config = uvicorn.Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._connections: dict[tuple[str, int], _Connection] = {}

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in {"", "0.0.0.0"} else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self) -> None:
        self._config.load() if not self._config.loaded else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self._connections, self._config, self._state),
            self.host,
            self.port,
            reuse_address=True,
            backlog=512,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Refuse new connections and break those there are; requests under way are worked off, unanswered."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections.values()):
            connection.transport.abort()

    async def close(self) -> None:
        """Shut for good, and end the requests under way."""
        self.shut()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def break_connection(self, scope: Scope, *, reset: bool) -> bool:
        """Break the connection a request came by; with a TCP reset, or as if the server had closed it."""
        connection = self._connections.get(scope["client"])
        if connection is None:
            return False
        if reset:
            raw: Any = connection.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.transport.abort()
        return True


class _Connection(H11Protocol):
    def __init__(self, connections: dict[tuple[str, int], _Connection], config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._known = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        if self.client:
            self._known[self.client] = self

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client:
            self._known.pop(self.client, None)
