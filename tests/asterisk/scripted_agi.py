"""Asterisk's side of FastAGI, played over a real socket: it asks a server of ours, carries out its commands, remembers them.

`Caller` is a caller who presses keys at chosen moments; whoever wants another Asterisk writes to the socket himself.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
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
    """`keys`: what he presses during the nth prompt (0 the first) or wait, counted together. `missing`: files that his PBX
    cannot open. `gone_at`: he hangs up during that prompt or wait. After a run, `commands` holds all that was asked for."""

    keys: Mapping[int, str] = field(default_factory=dict[int, str])
    missing: Sequence[str] = ()
    gone_at: int | None = None
    variables: dict[str, str] = field(default_factory=dict[str, str])
    commands: list[list[str]] = field(default_factory=list[list[str]])
    pressed: list[str] = field(default_factory=list[str])

    async def calls(self, server: AgiServer, hello: bytes = greeting()) -> Caller:
        peer = await Peer.to(server, hello)
        heard = 0
        while line := await peer.hears():
            words = shlex.split(line)
            self.commands.append(words)
            match words:
                case ["STREAM", "FILE", path, escape]:
                    if path in self.missing:
                        peer.says("200 result=-1 endpos=0\n")
                        continue
                    key = self.keys.get(heard, "")
                    if heard == self.gone_at:
                        peer.says("HANGUP\n200 result=-1 endpos=4000\n")
                        break
                    heard += 1
                    peer.says(f"200 result={ord(key) if key and key in escape else 0} endpos=8000\n")
                case ["WAIT", "FOR", "DIGIT", _]:
                    if heard == self.gone_at:
                        peer.says("HANGUP\n200 result=-1\n")
                        break
                    key = self.keys.get(heard, "")
                    heard += 1
                    peer.says(f"200 result={ord(key) if key else 0}\n")
                case ["SET", "VARIABLE", name, value]:
                    self.variables[name] = value
                    peer.says("200 result=1\n")
                case ["EXEC", "MSet", pairs]:
                    self.variables |= dict(pair.split("=", 1) for pair in pairs.split(","))
                    peer.says("200 result=0\n")
                case ["CHANNEL", "STATUS"]:
                    peer.says("200 result=6\n")
                case _:
                    peer.says("200 result=0\n")
        await peer.closed()
        peer.writer.close()
        return self

    @property
    def prompts(self) -> list[str]:
        return [words[2] for words in self.commands if words[:2] == ["STREAM", "FILE"]]

    @property
    def waits(self) -> list[float]:
        return [int(words[3]) / 1000 for words in self.commands if words[:2] == ["WAIT", "FOR"]]

    @property
    def told(self) -> list[dict[str, str]]:
        """The PerezvonMenu events, as AMI would show them."""
        events: list[dict[str, str]] = []
        for words in self.commands:
            if words[:2] == ["EXEC", "UserEvent"]:
                name, *headers = words[2].split(",")
                assert name == "PerezvonMenu"
                events.append(dict(header.split(": ", 1) for header in headers))
        return events
