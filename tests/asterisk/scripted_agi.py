"""Asterisk's side of FastAGI, played over a real socket: it asks a server of ours, carries out its commands, remembers them.

Whoever wants another Asterisk than that of `Caller` writes to the socket himself.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from perezvon.asterisk.agi import AgiServer, Handler, Patience

QUICK = Patience(greeting=0.3, answer=0.3, thinking=0.4, lag=0.4)

ENVIRONMENT = {
    "agi_network": "yes",
    "agi_network_script": "main/menu",
    "agi_request": "agi://127.0.0.1/main/menu",
    "agi_channel": "PJSIP/carrier-00000001",
    "agi_language": "ru",
    "agi_uniqueid": "1732190400.7",
    "agi_callerid": "79161234567",
    "agi_calleridname": "Иван «Рога»",
    "agi_dnid": "70000000002",
    "agi_context": "perezvon-menu",
    "agi_extension": "s",
    "agi_threadid": "139",
}


def greeting(changes: Mapping[str, str | None] | None = None) -> bytes:
    lines = ENVIRONMENT | dict(changes or {})
    return "".join(f"{name}: {value}\n" for name, value in lines.items() if value is not None).encode() + b"\n"


@asynccontextmanager
async def served(handler: Handler, *, patience: Patience = QUICK, **options: object) -> AsyncIterator[AgiServer]:
    server = AgiServer({"menu": handler}, patience=patience, **options)  # pyright: ignore[reportArgumentType]
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


class Peer:
    """A socket to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, server: AgiServer, hello: bytes = greeting()) -> Peer:
        peer = cls(*await asyncio.open_connection("127.0.0.1", server.port))
        peer.writer.write(hello)
        return peer

    async def hears(self) -> str:
        """The next command; "" when the server has closed."""
        try:
            return (await asyncio.wait_for(self.reader.readline(), 5)).decode("utf-8", "surrogateescape").rstrip("\n")
        except ConnectionError:
            return ""

    def says(self, text: str) -> None:
        self.writer.write(text.encode())

    async def closed(self, within: float = 5.0) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), within) == b""
        except ConnectionError:
            return True


@dataclass
class Caller:
    """One whose dialplan asks. After a run, `commands` holds all that was asked for, `variables` what he has."""

    variables: dict[str, str] = field(default_factory=dict[str, str])
    commands: list[list[str]] = field(default_factory=list[list[str]])

    async def calls(self, server: AgiServer, hello: bytes = greeting()) -> Caller:
        peer = await Peer.to(server, hello)
        while line := await peer.hears():
            words = shlex.split(line)
            self.commands.append(words)
            match words:
                case ["SET", "VARIABLE", name, value]:
                    self.variables[name] = value
                    peer.says("200 result=1\n")
                case ["GET", "VARIABLE", name]:
                    peer.says(f"200 result=1 ({self.variables[name]})\n" if name in self.variables else "200 result=0\n")
                case ["EXEC", "MSet", pairs]:
                    self.variables |= dict(pair.split("=", 1) for pair in pairs.split(","))
                    peer.says("200 result=0\n")
                case _:
                    peer.says("200 result=0\n")
        await peer.closed()
        peer.writer.close()
        return self
