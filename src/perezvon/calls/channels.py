"""Which channels and bridges there are, who dialled whom, and who can hear whom. Knows nothing of clients and employees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from perezvon.calls.names import HELPERS, LOCAL, parse

RING = 4
"""State of a channel that came in and is calling."""

RINGING = 5
"""State of a channel that was dialled and rings at the other end."""

UP = 6
UNKNOWN = "<unknown>"
GONE_KEPT = 4096
"""Unique ids of channels that have hung up: their late events are not taken for new channels."""

HOLDING = "holding_bridge"
"""The technology of a bridge in which nobody hears anybody (parking, waiting)."""


@dataclass(slots=True)
class Channel:
    """A live channel. `half`: 1 or 2 of a Local pair, `other`: the unique id of its other half.

    `call`: the id of the call it belongs to; `guest_of`: other calls whose client it talks with (a conference).
    `source`: who dialled it, `dialled_at` when, `meant`: the extension for which the dialplan did.
    `side`: below an originated pair, which half's dial brought it: "A" or "B".
    `hung_up`: when its other end hung up (the dialplan may go on for a while). `placed`: how many calls it has placed.
    """

    uid: str
    name: str
    tech: str
    peer: str
    context: str
    half: int
    linkedid: str
    created: float
    state: int = 0
    number: str = ""
    caller: str = ""
    exten: str = ""
    place: str = ""
    app: str = ""
    dial_string: str = ""
    other: str = ""
    bridge: str = ""
    call: str = ""
    source: str = ""
    side: str = ""
    dialled: bool = False
    dialled_at: float = 0.0
    meant: str = ""
    dials: bool = False
    helper: bool = False
    placed: int = 0
    hung_up: float = 0.0
    guest_of: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        return self.half != 0


class Switchboard:
    """Live channels by unique id, bridges as sets of them."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.names: dict[str, str] = {}
        self.bridges: dict[str, dict[str, None]] = {}
        self.holding: set[str] = set()
        self.gone: dict[str, None] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self.channels

    def get(self, uid: str) -> Channel | None:
        return self.channels.get(uid)

    def add(self, headers: Mapping[str, str], prefix: str, at: float) -> Channel | None:
        """A channel seen for the first time; None when it has hung up already, or when the headers do not name one."""
        uid = headers.get(prefix + "uniqueid", "")
        name = headers.get(prefix + "channel", "")
        if not uid or not name or uid in self.gone or uid in self.channels:
            return None
        parsed = parse(name)
        channel = Channel(
            uid=uid,
            name=name,
            tech=parsed.tech,
            peer=parsed.peer,
            context=headers.get(prefix + "context", ""),
            half=parsed.half,
            linkedid=headers.get(prefix + "linkedid", "") or uid,
            created=at,
            state=number_of(headers.get(prefix + "channelstate", "")),
            number=known(headers.get(prefix + "calleridnum", "")),
            caller=known(headers.get(prefix + "calleridname", "")),
            exten=headers.get(prefix + "exten", "") if parsed.tech != LOCAL else parsed.peer,
            helper=parsed.tech in HELPERS,
        )
        self.put(channel)
        return channel

    def put(self, channel: Channel) -> None:
        self.channels[channel.uid] = channel
        self.names[channel.name] = channel.uid
        if channel.half and not channel.other:
            twin = self.by_name(channel.name[:-1] + ("2" if channel.half == 1 else "1"))
            if twin is not None:
                channel.other, twin.other = twin.uid, channel.uid

    def by_name(self, name: str) -> Channel | None:
        uid = self.names.get(name)
        return self.channels.get(uid) if uid is not None else None

    def rename(self, channel: Channel, name: str) -> None:
        if self.names.get(channel.name) == channel.uid:
            del self.names[channel.name]
        parsed = parse(name)
        channel.name, channel.tech, channel.peer = name, parsed.tech, parsed.peer
        self.names[name] = channel.uid

    def remove(self, uid: str) -> Channel | None:
        self.gone[uid] = None
        if len(self.gone) > GONE_KEPT:
            del self.gone[next(iter(self.gone))]
        channel = self.channels.pop(uid, None)
        if channel is None:
            return None
        if self.names.get(channel.name) == uid:
            del self.names[channel.name]
        self.leave(channel)
        return channel

    def enter(self, channel: Channel, bridge: str, technology: str) -> None:
        if channel.bridge != bridge:
            self.leave(channel)
        channel.bridge = bridge
        self.bridges.setdefault(bridge, {})[channel.uid] = None
        if technology == HOLDING:
            self.holding.add(bridge)

    def leave(self, channel: Channel) -> None:
        members = self.bridges.get(channel.bridge)
        if members is not None:
            members.pop(channel.uid, None)
            if not members:
                del self.bridges[channel.bridge]
                self.holding.discard(channel.bridge)
        channel.bridge = ""

    def twin(self, channel: Channel) -> Channel | None:
        """The other half of a Local channel, while it lives."""
        return self.channels.get(channel.other) if channel.other else None

    def reach(self, starts: Iterable[str], stops: Iterable[str] = ()) -> Iterator[Channel]:
        """Every channel that hears one of `starts`, through bridges and Local pairs, in order of discovery, themselves left
        out. The way never goes through a channel of `stops`."""
        seen: set[str] = set(stops)
        ways: list[str] = []
        for uid in starts:
            seen.add(uid)
            ways.append(uid)
        channels = self.channels
        rooms = set(self.holding)
        for uid in ways:
            channel = channels.get(uid)
            if channel is None:
                continue
            if channel.bridge and channel.bridge not in rooms:
                rooms.add(channel.bridge)
                for other in self.bridges.get(channel.bridge, ()):
                    if other not in seen and other in channels:
                        seen.add(other)
                        ways.append(other)
                        yield channels[other]
            if channel.other and channel.other not in seen and channel.other in channels:
                seen.add(channel.other)
                ways.append(channel.other)
                yield channels[channel.other]


def known(value: str) -> str:
    """A caller's number or name; Asterisk writes `<unknown>` for an empty one."""
    return "" if value == UNKNOWN else value


def number_of(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 4 else 0
