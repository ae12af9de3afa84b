"""Servers that go wrong: one that takes connections and says nothing, and a way to a real one that can be cut or frozen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


@asynccontextmanager
async def silent() -> AsyncGenerator[int]:
    """The port of a server that accepts and never answers."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_ones:
            writer.transport.abort()


class Connection:
    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.frozen = False

    def reset(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Way:
    """A TCP way to a server. `taken`: connections so far."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._open: list[Connection] = []
        self._server: asyncio.Server | None = None
        self.port = 0
        self.taken = 0

    async def open(self) -> None:
        """Also again, after `close`."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def freeze(self) -> None:
        """The connections that are open now: what is sent stays on the way, nothing is closed."""
        for one in self._open:
            one.frozen = True

    def cut(self) -> None:
        """The connections that are open now are reset."""
        for one in self._open:
            one.reset()
        self._open.clear()

    def close(self) -> None:
        """New connections are refused too."""
        assert self._server is not None
        self._server.close()
        self.cut()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        one = Connection(writer, back)
        if self._server is None or not self._server.is_serving():
            one.reset()
            return
        self._open.append(one)
        self.taken += 1
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(one, reader, back))
                group.create_task(_carry(one, there, writer))
        except* OSError:
            pass
        finally:
            one.reset()


async def _carry(one: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        if not one.frozen:
            writer.write(data)
    if not one.frozen:
        writer.close()


@asynccontextmanager
async def way_to(port: int) -> AsyncGenerator[Way]:
    way = Way(port)
    await way.open()
    try:
        yield way
    finally:
        way.close()
