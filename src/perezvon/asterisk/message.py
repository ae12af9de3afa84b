"""One AMI message: an ordered list of headers, read from bytes and written to bytes. Pure.

Source: https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/AMI-v2-Specification/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perezvon.asterisk.errors import InjectionRefused
from perezvon.calls import Event

END_COMMAND = b"--END COMMAND--"
FOLLOWS = b"Response: Follows"
_FOLLOWS_HEADERS = frozenset({"response", "privilege", "actionid", "message"})
LATEST = 1e11
"""POSIX seconds; a `Timestamp` beyond it (or NaN) is nonsense and the moment of arrival is taken."""

_AFTER_THE_CALLER = ("context", "exten", "priority", "uniqueid", "linkedid")
"""Ends of names of headers (`DestUniqueid`) that Asterisk writes behind the caller's number and name. Line breaks in those
may bring headers of the caller's own, which come first; so of these the last counts."""

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Message:
    """`pairs` are the headers in the order in which they came; a line without a colon is the pair `("", line)`.

    Names match without case. Of a repeated header the first counts (`message["Event"]`), or the last where a caller could
    have forged the first; `all()` gives every value.
    """

    pairs: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(repr=False, compare=False)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Message:
        kept = tuple(pairs)
        headers: dict[str, str] = {}
        for name, value in kept:
            lowered = name.lower()
            if lowered.endswith(_AFTER_THE_CALLER):
                headers[lowered] = value
            elif name:
                headers.setdefault(lowered, value)
        return cls(kept, headers)

    def __getitem__(self, name: str) -> str:
        """The first value, or an empty string: AMI says "nothing" in both ways."""
        return self.headers.get(name.lower(), "")

    def __contains__(self, name: str) -> bool:
        return name.lower() in self.headers

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for name, value in self.pairs if name.lower() == wanted]

    @property
    def is_event(self) -> bool:
        """`OriginateResponse` is an event although it carries `Response:`, so `Event` is what decides."""
        return "event" in self.headers

    @property
    def action_id(self) -> str:
        return self["ActionID"]

    def as_event(self, arrived: float) -> Event:
        """`arrived`: POSIX seconds, used when the message has no `Timestamp`."""
        variables: dict[str, str] = {}
        for header, value in self.pairs:
            # `ChanVariable(SIP/…)`: before Asterisk 13, and in OriginateResponse
            if header.lower() == "chanvariable" or header.startswith("ChanVariable("):
                name, _, content = value.partition("=")
                variables.setdefault(name, content)
        return Event(self["Event"], moment(self.headers, arrived), self.headers, variables)


def moment(headers: Mapping[str, str], arrived: float) -> float:
    try:
        at = float(headers["timestamp"])
    except (KeyError, ValueError):
        return arrived
    return at if 0.0 < at < LATEST else arrived


def parse(frame: bytes, fallback: str = "cp1251") -> Message:
    """Any bytes give a message. `frame` is what stands between two blank lines, without them."""
    if frame.startswith(FOLLOWS):
        return _parse_follows(decode(frame, fallback))
    return Message.of([_pair(line) for line in decode(frame, fallback).split("\r\n") if line])


def _pair(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name:
        return "", line
    return name, value.removeprefix(" ")


def _parse_follows(text: str) -> Message:
    """Asterisk 13 and older answer `Command` with raw text; its lines become `Output` headers, as newer ones send them."""
    pairs: list[tuple[str, str]] = []
    rest = text
    while rest:
        line, _, after = rest.partition("\r\n")
        name, value = _pair(line)
        if name.lower() not in _FOLLOWS_HEADERS or "\n" in line:
            break
        pairs.append((name, value))
        rest = after
    output = rest.rstrip("\r\n").removesuffix(END_COMMAND.decode()).removesuffix("\n").removesuffix("\r")
    pairs.extend(("Output", line.removesuffix("\r")) for line in output.split("\n") if output)
    return Message.of(pairs)


def decode(frame: bytes, fallback: str = "cp1251") -> str:
    """UTF-8; when it is not, line by line UTF-8 or else `fallback`. Never raises: what fits neither becomes U+FFFD.

    Asterisk cuts a long name to the size of its own buffers, in the middle of a character if need be: that tail is dropped.
    """
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return "\r\n".join([_decode_line(line, fallback) for line in frame.split(b"\r\n")])


def _decode_line(line: bytes, fallback: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        whole = line[: error.start]
        if error.reason == "unexpected end of data" and not whole.isascii():
            return whole.decode()
        return line.decode(fallback, "replace")


def encode(action: str, headers: Headers = (), *, action_id: str = "") -> bytes:
    """The bytes of an action, blank line included. InjectionRefused for CR, LF or NUL anywhere, or a colon in a name."""
    lines = [_line("Action", action)]
    if action_id:
        lines.append(_line("ActionID", action_id))
    lines.extend(_line(name, value) for name, value in headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def _line(name: str, value: str) -> str:
    for text in (name, value):
        if "\r" in text or "\n" in text or "\0" in text:
            raise InjectionRefused(f"a line break or NUL in the AMI header {name[:40]!r}: the action was not sent")
    if not name or ":" in name or name != name.strip():
        raise InjectionRefused(f"{name[:40]!r} cannot be the name of an AMI header: the action was not sent")
    return f"{name}: {value}"
