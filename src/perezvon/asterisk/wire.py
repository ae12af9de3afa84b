"""From the bytes of an AMI connection to messages and events. Pure.

Works on bytes: a TCP segment may end in the middle of a character. Nine messages of ten interest nobody, so the fast way
(`Sieve`) looks at the event's name in the bytes and parses only what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from perezvon.asterisk.errors import ProtocolBroken
from perezvon.asterisk.message import END_COMMAND, FOLLOWS, Message, decode, moment, parse
from perezvon.calls import Event

MESSAGE_CAP = 4 * 1024 * 1024
"""Bytes of one message above which the connection is dropped. Events of 200 kB do occur."""

BLANK = b"\r\n\r\n"
_EVENT = b"Event: "
_VARIABLE = b"\r\nVariable: "


class Framer:
    """Cuts a byte stream at its blank lines. `feed` may be given any pieces, down to single bytes."""

    def __init__(self, cap: int = MESSAGE_CAP) -> None:
        self._cap = cap
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now, without their blank lines. Raises ProtocolBroken above the cap."""
        rest = self._rest
        searched = max(0, len(rest) - len(BLANK) + 1)
        rest += data
        frames: list[bytes] = []
        if rest.find(BLANK, searched) >= 0:
            frames = bytes(rest).split(BLANK)
            self._rest = bytearray(frames.pop())
            if FOLLOWS in rest:
                frames = self._join_follows(frames)
            frames = [frame.lstrip(b"\r\n") if frame[:1] in b"\r\n" else frame for frame in frames]
        if len(self._rest) > self._cap or (len(rest) > self._cap and any(len(frame) > self._cap for frame in frames)):
            raise ProtocolBroken(f"a message of more than {self._cap} bytes: this is no AMI, or the PBX is out of its mind")
        return [frame for frame in frames if frame]

    def _join_follows(self, frames: list[bytes]) -> list[bytes]:
        """A raw command output (Asterisk 13 and older) ends at its own mark, whatever blank lines it contains."""
        joined: list[bytes] = []
        output: list[bytes] | None = None
        for frame in frames:
            if output is None and not frame.lstrip(b"\r\n").startswith(FOLLOWS):
                joined.append(frame)
                continue
            output = [] if output is None else output
            output.append(frame)
            if frame.endswith(END_COMMAND):
                joined.append(BLANK.join(output))
                output = None
        if output is not None:
            self._rest = bytearray(BLANK.join([*output, bytes(self._rest)]))
        return joined


class _Lowered(dict[str, str]):
    """Header name -> its lower-case form. A name that no AMI header has raises ValueError: the full parse takes over."""

    def __missing__(self, name: str) -> str:
        if not name or ":" in name:
            raise ValueError(name)
        lowered = name.lower()
        if len(self) < 4096:  # a UserEvent may bring any names
            self[name] = lowered
        return lowered


class Sieve:
    """Tells the wanted events from the rest by their name in the bytes, and parses those.

    `wanted`: event names, or None for all of them; `variables`: of the `VarSet` events, those that are wanted.
    """

    def __init__(self, wanted: Set[str] | None, variables: Set[str] | None = None, *, fallback: str = "cp1251") -> None:
        self._wanted = None if wanted is None else frozenset(name.encode() for name in wanted)
        self._variables = None if variables is None else frozenset(name.encode() for name in variables)
        self._fallback = fallback
        self._lowered = _Lowered()

    def event(self, frame: bytes, arrived: float) -> Event | None:
        """The event, when `frame` is one and wanted. `arrived`: POSIX seconds, for a PBX that sends no `Timestamp`."""
        if not frame.startswith(_EVENT):
            return self._odd(frame, arrived)
        end = frame.find(b"\r\n", 7)
        name = frame[7:end] if end >= 0 else frame[7:]
        if self._wanted is not None and name not in self._wanted:
            return None
        if name == b"VarSet" and self._variables is not None:
            start = frame.find(_VARIABLE) + len(_VARIABLE)
            if frame[start : frame.find(b"\r\n", start)] not in self._variables:
                return None
        return self._parse(frame, arrived)

    def _odd(self, frame: bytes, arrived: float) -> Event | None:
        """A message that does not begin with `Event: ` may still be an event: `event: …`, or with another header first."""
        if b"vent" not in frame and b"VENT" not in frame:
            return None
        message = parse(frame, self._fallback)
        if not message.is_event:
            return None
        event = message.as_event(arrived)
        if self._wanted is not None and event.name.encode() not in self._wanted:
            return None
        if event.name == "VarSet" and self._variables is not None and event["variable"].encode() not in self._variables:
            return None
        return event

    def _parse(self, frame: bytes, arrived: float) -> Event:
        """The same as `parse(frame).as_event(arrived)`, three times as fast; in doubt that one is called."""
        try:
            text = frame.decode()
        except UnicodeDecodeError:
            text = decode(frame, self._fallback)
        if "ChanVariable(" in text:
            return parse(frame, self._fallback).as_event(arrived)
        before, *variables = text.split("\r\nChanVariable: ")
        lines = before.split("\r\n")
        found: dict[str, str] = {}
        for piece in variables:
            pair, _, after = piece.partition("\r\n")
            if after:
                lines += after.split("\r\n")
            name, _, value = pair.partition("=")
            found.setdefault(name, value)
        lowered = self._lowered
        try:
            headers = {lowered[name]: value for name, value in [line.split(": ", 1) for line in lines]}
        except ValueError:
            return parse(frame, self._fallback).as_event(arrived)
        if "chanvariable" in headers or len(headers) != len(lines):  # in another case; a header is repeated
            return parse(frame, self._fallback).as_event(arrived)
        if variables:
            headers["chanvariable"] = variables[0].partition("\r\n")[0]
        return Event(headers["event"], moment(headers, arrived), headers, found)


def messages(recording: bytes, *, fallback: str = "cp1251") -> Iterator[Message]:
    """Every message of a recorded raw AMI stream (line ends may have become LF on the way). Raises ProtocolBroken."""
    for frame in frames(recording):
        yield parse(frame, fallback)


def events(
    recording: bytes, wanted: Set[str] | None, variables: Set[str] | None = None, *, fallback: str = "cp1251"
) -> Iterator[Event]:
    """The wanted events of a recorded raw AMI stream; an event without `Timestamp` is at 0. Raises ProtocolBroken."""
    sieve = Sieve(wanted, variables, fallback=fallback)
    for frame in frames(recording):
        if (event := sieve.event(frame, 0.0)) is not None:
            yield event


def frames(recording: bytes) -> Iterator[bytes]:
    if b"\r\n" not in recording:
        recording = recording.replace(b"\n", b"\r\n")
    framer = Framer()
    for start in range(0, len(recording), 1 << 18):
        yield from framer.feed(recording[start : start + (1 << 18)])
    yield from framer.feed(BLANK)
