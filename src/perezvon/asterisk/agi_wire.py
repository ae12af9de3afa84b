"""The bytes between us and an Asterisk that asks over FastAGI: environment, commands, answers. One socket, no meaning.

AGI is half-duplex: one command, one answer. The values inside are not escaped, and a caller may bring line breaks in his
name or number; so whatever comes that was not asked for, is there twice or stands in the wrong place ends the conversation,
and the dialplan goes on without us. `HANGUP` alone may come at any time.
Source: https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Gateway-Interface-AGI/ (and Asterisk's res/res_agi.c)

What can go wrong; the class says what the script can do::

    AgiError
    ├── ChannelGone    the caller has hung up, or the connection has ended: nothing is left to do
    ├── AgiRefused     Asterisk did not do it (510 unknown, 511 not on a dead channel, 520 wrong usage): a defect of ours
    ├── AgiSilent      no answer in time: the connection has been closed
    ├── AgiBroken      what came is no AGI: the connection has been closed
    └── Unsendable     a line break or NUL in what was to be sent, or too much of it: nothing was sent
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

UNREAD_CAP = 64 * 1024
"""Bytes that a peer may send without a line end being used up."""
LINE_CAP = 2000
"""Bytes of a command: Asterisk cuts at 2048."""
MOST_HEADERS = 200

_HANGUP = b"HANGUP\n"
_ANSWER = re.compile(r"200 result=(\S*)(?: \((.*)\))?(?: endpos=\d+)?", re.DOTALL)


class AgiError(Exception):
    """Any failure of a conversation over FastAGI."""


class ChannelGone(AgiError):
    pass


class AgiRefused(AgiError):
    """`code`: 510, 511 or 520; 200 when the command itself told a failure."""

    def __init__(self, code: int, command: str, words: str) -> None:
        super().__init__(f"Asterisk refused the AGI command {command}: {code} {words}")
        self.code = code


class AgiSilent(AgiError):
    pass


class AgiBroken(AgiError):
    pass


class Unsendable(AgiError):
    pass


@dataclass(frozen=True, slots=True)
class Answer:
    """`200 result=RESULT (VALUE)`. `result` is a number."""

    result: str
    value: str = ""


def command_line(*words: str) -> bytes:
    """The first word is the command's name (`STREAM FILE`), the others are quoted. Raises Unsendable."""
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words[1:])
    line = " ".join([words[0], *(f'"{word}"' for word in quoted)])
    data = line.encode("utf-8", "surrogateescape")
    if any(character in line for character in "\r\n\0"):
        raise Unsendable(f"a line break or NUL in what was to be sent to Asterisk: {line!r}")
    if len(data) > LINE_CAP:
        raise Unsendable(f"{len(data)} bytes were to be sent to Asterisk, which takes {LINE_CAP}: {line[:80]!r}…")
    return data + b"\n"


def application_argument(value: str) -> str:
    """As one argument among several of a dialplan application, in which `,`, quotes and brackets have a meaning."""
    return re.sub(r'([\\,"()])', r"\\\1", value)


def environment(lines: list[str]) -> Mapping[str, str]:
    """What Asterisk tells of the call, without the `agi_`. Raises AgiBroken for what Asterisk does not send."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.startswith("agi_"):
            raise AgiBroken(f"no AGI environment: {line[:80]!r}. A caller's name or number may hold a line break")
        name = name.removeprefix("agi_")
        if name in found or (name.startswith("arg_") and "threadid" not in found):
            raise AgiBroken(f"agi_{name} is not where Asterisk puts it: a caller's name or number holds line breaks")
        found[name] = value.removeprefix(" ")
    return found


def answer(line: str) -> Answer | None:
    """None when the line is no `200 result=…`. Raises AgiBroken when it is one that cannot be read."""
    if not line.startswith("200 "):
        return None
    matched = _ANSWER.fullmatch(line.rstrip("\r"))
    if matched is None:
        raise AgiBroken(f"an answer that cannot be read: {line[:80]!r}")
    return Answer(matched[1], matched[2] or "")


class Wire(asyncio.Protocol):
    """`ours_since`: since when it is our turn to send (time.monotonic()); None while Asterisk is at work. `thinking`:
    seconds that our turn may last. `cut`: why a watchdog has ended the connection; that is another thread's."""

    def __init__(self, made: Callable[[Wire], None], thinking: float = 1.8) -> None:
        self.thinking = thinking
        self.ours_since: float | None = time.monotonic()
        self.cut = ""
        self.gone = False
        self.transport: asyncio.Transport | None = None
        self._made = made
        self._unread = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._too_much = False

    # ---- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._unread += data
        if len(self._unread) > UNREAD_CAP:
            self._unread.clear()
            self._too_much = True
            self.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- called by the script's task

    def close(self) -> None:
        self._ended = True
        if self.transport is not None:
            self.transport.close()

    async def environment(self) -> Mapping[str, str]:
        """Raises ChannelGone, AgiBroken."""
        lines: list[str] = []
        while line := await self._line():
            lines.append(line)
            if len(lines) > MOST_HEADERS:
                raise AgiBroken(f"an AGI environment of more than {MOST_HEADERS} lines")
        found = environment(lines)
        self._expect_nothing()
        return found

    async def ask(self, line: bytes) -> Answer:
        """Raises ChannelGone, AgiRefused, AgiBroken."""
        self._expect_nothing()
        if self._ended or self.gone or self.transport is None:
            raise ChannelGone("the connection with Asterisk has ended")
        self.ours_since = None
        self.transport.write(line)
        try:
            found = await self._answer(line.partition(b'"')[0].decode().strip())
        finally:
            self.ours_since = time.monotonic()
        if self.gone:
            raise ChannelGone("the caller has hung up")
        return found

    async def ask_last(self, lines: Sequence[bytes]) -> list[Answer]:
        """The last commands of a script, at once. Asterisk reads to the end of what we say, and goes on in the dialplan
        without waiting for us to hang up. Raises as `ask`, for the first that went wrong; all are carried out."""
        self._expect_nothing()
        if self._ended or self.gone or self.transport is None:
            raise ChannelGone("the connection with Asterisk has ended")
        self.ours_since = None
        self.transport.write(b"".join(lines))
        self.transport.write_eof()
        answers = [await self._answer(line.partition(b'"')[0].decode().strip(), alone=False) for line in lines]
        if self.gone:
            raise ChannelGone("the caller has hung up")
        return answers

    async def _answer(self, command: str, *, alone: bool = True) -> Answer:
        """`alone`: nothing else may have come."""
        while True:
            line = await self._line()
            if line == "HANGUP":
                self.gone = True
                continue
            if re.match(r"1\d\d[ -]", line):  # Trying
                continue
            if re.match(r"5\d\d ", line):
                raise AgiRefused(int(line[:3]), command, line[4:])
            if re.match(r"5\d\d-", line):
                raise AgiRefused(int(line[:3]), command, await self._usage(line))
            while line.startswith("200 result=1 (") and not line.rstrip("\r").endswith(")"):
                line += "\n" + await self._line()  # a value of several lines
            found = answer(line)
            if found is None:
                raise AgiBroken(f"no AGI answer: {line[:80]!r}")
            if alone and not self.gone:
                self._expect_nothing()
            return found

    async def _usage(self, line: str) -> str:
        """`520-Invalid …`, any lines, `520 End of proper usage.`"""
        lines, end = [line[4:]], line[:3] + " "
        while not (line := await self._line()).startswith(end):
            lines.append(line)
            if len(lines) > MOST_HEADERS:
                raise AgiBroken("an explanation of the proper usage that does not end")
        return " ".join(part.strip() for part in lines)[:400]

    def _expect_nothing(self) -> None:
        """It is our turn: Asterisk may have said that the caller is gone (even twice), and nothing else."""
        if not self._unread:
            return
        if (_HANGUP * (len(self._unread) // len(_HANGUP) + 1)).startswith(self._unread):
            self.gone = True
        else:
            raise AgiBroken(f"what nobody asked for: {bytes(self._unread[:80])!r}")

    async def _line(self) -> str:
        while (end := self._unread.find(b"\n")) < 0:
            if self._too_much:
                raise AgiBroken(f"more than {UNREAD_CAP} bytes at once: this is no Asterisk")
            if self._ended:
                raise ChannelGone("Asterisk has ended the connection")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line.removesuffix(b"\r").decode("utf-8", "replace")
