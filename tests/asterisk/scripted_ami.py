"""A real TCP or TLS server that speaks AMI by a script: what a PBX does wrong cannot be ordered from a real one."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from perezvon.asterisk import AmiAddress, Message
from perezvon.asterisk.message import parse

GREETING = b"Asterisk Call Manager/11.0.0\r\n"
Reply = Callable[[Message], Iterable[bytes]]


def block(*pairs: tuple[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in pairs).encode() + b"\r\n"


def event(name: str, *pairs: tuple[str, str]) -> bytes:
    return block(("Event", name), *pairs)


def answer(action: Message, *pairs: tuple[str, str], response: str = "Success") -> bytes:
    return block(("Response", response), ("ActionID", action["ActionID"]), *pairs)


def listing(action: Message, complete: str, entries: Sequence[Sequence[tuple[str, str]]]) -> list[bytes]:
    mark = ("ActionID", action["ActionID"])
    return [
        answer(action, ("EventList", "start")),
        *(block(*entry, mark) for entry in entries),
        event(complete, mark, ("EventList", "Complete"), ("ListItems", str(len(entries)))),
    ]


class ScriptedPbx:
    """`replies` may be changed at any time: action name -> what is sent for it (None: nothing ever)."""

    def __init__(
        self,
        *,
        greeting: bytes = GREETING,
        secret: str = "s3:cret",
        challenge: bool = True,
        boots: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.secret = secret
        self.boots = boots
        self.channels: list[list[tuple[str, str]]] = []
        self.statuses: list[list[tuple[str, str]]] = []
        self.queues: list[list[tuple[str, str]]] = []
        self.startup = "07:54:24"
        self.actions: list[Message] = []
        self.logins = 0
        self.replies: dict[str, Reply | None] = {
            "Challenge": (lambda a: [answer(a, ("Challenge", "840415273"))])
            if challenge
            else (lambda a: [answer(a, ("Message", "Challenge not supported"), response="Error")]),
            "Login": self._login,
            "Ping": lambda a: [answer(a, ("Ping", "Pong"), ("Timestamp", "1795230221.740568"))],
            "CoreStatus": lambda a: [answer(a, ("CoreStartupDate", "2026-11-21"), ("CoreStartupTime", self.startup))],
            "CoreSettings": lambda a: [answer(a, ("AsteriskVersion", "22.10.1"))],
            "CoreShowChannels": lambda a: listing(a, "CoreShowChannelsComplete", self.channels),
            "Status": lambda a: listing(a, "StatusComplete", self.statuses),
            "QueueStatus": lambda a: listing(a, "QueueStatusComplete", self.queues),
            "Logoff": lambda a: [answer(a, ("Message", "Thanks for all the fish."), response="Goodbye")],
        }
        self._greeting = greeting
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.writers: list[asyncio.StreamWriter] = []
        self.connected = asyncio.Event()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=1 << 20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.drop()

    def address(self, *, secret: str = "s3%3Acret", options: str = "") -> AmiAddress:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return AmiAddress.parse(f"{'tls' if self._tls else 'tcp'}://perezvon:{secret}@127.0.0.1:{port}{options}")

    async def send(self, *blocks: bytes) -> None:
        """To the newest connection; returns when the other side has taken it all in."""
        writer = self.writers[-1]
        writer.write(b"".join(blocks))
        await writer.drain()

    async def drop(self) -> None:
        """Ends every connection without a word, as a PBX that is killed."""
        for writer in self.writers:
            if writer.transport is not None:
                writer.transport.abort()

    async def received(self, name: str, count: int = 1) -> list[Message]:
        """Waits until so many actions of this name have come in, over all connections."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.named(name)) >= count)
        return self.named(name)

    def named(self, name: str) -> list[Message]:
        return [action for action in self.actions if action["Action"] == name]

    def _login(self, action: Message) -> list[bytes]:
        key = hashlib.md5(("840415273" + self.secret).encode()).hexdigest()
        if action["Key"] != key and action["Secret"] != self.secret:
            return [answer(action, ("Message", "Authentication failed"), response="Error")]
        self.logins += 1
        booted = [event("FullyBooted", ("Status", "Fully Booted"))] if self.boots else []
        return [answer(action, ("Message", "Authentication accepted")), *booted]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.connected.set()
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(self._greeting)
            while True:
                action = parse((await reader.readuntil(b"\r\n\r\n"))[:-4])
                async with self._changed:
                    self.actions.append(action)
                    self._changed.notify_all()
                reply = self.replies.get(action["Action"], _unknown)
                if reply is not None:
                    writer.write(b"".join(reply(action)))
                    await writer.drain()
        writer.transport.abort()


def _unknown(action: Message) -> list[bytes]:
    return [answer(action, ("Message", "Invalid/unknown command"), response="Error")]
