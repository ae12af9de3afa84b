"""A small language for AMI streams: a test writes what the PBX does, in order, and gets the events.

    pbx = Script()
    client = pbx.incoming("PJSIP/trunk-1", "79161234567", "74951234567")
    phone = pbx.dial(client, "PJSIP/101-1", "101")
    pbx.answer(phone)
    pbx.talk(client, phone)
    pbx.hangup(client, phone)

Every event comes 10 ms after the one before; `wait` lets time pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from perezvon.calls import CallEnded, Event, ExpectedCall, Fact, Numbering, Tracker
from perezvon.calls.call import Call

START = 1_700_000_000.0
STEP = 0.01
DOWN, RING, RINGING, UP = 0, 4, 5, 6
UNKNOWN = "<unknown>"


@dataclass(slots=True)
class Chan:
    name: str
    uid: str
    linkedid: str
    number: str = ""
    caller: str = ""
    context: str = "from-internal"
    exten: str = "s"
    state: int = DOWN
    source: Chan | None = None
    twin: Chan | None = None
    bridge: str = ""


@dataclass(slots=True)
class Script:
    """`pair` in the verbs below is a Local channel's `;1` (its `twin` is the `;2`)."""

    at: float = START
    events: list[Event] = field(default_factory=list[Event])
    number: int = 0
    bridges: int = 0

    # ---- channels come and go

    def send(self, name: str, **headers: object) -> Event:
        event = Event(name, round(self.at, 6), {key: str(value) for key, value in headers.items()})
        self.events.append(event)
        self.at += STEP
        return event

    def wait(self, seconds: float) -> None:
        self.at += seconds

    def new(self, name: str, *, uid: str = "", linked: Chan | None = None, **fields: object) -> Chan:
        self.number += 1
        own = uid or f"{int(START)}.{self.number}"
        channel = Chan(name, own, linked.linkedid if linked is not None else own)
        for key, value in fields.items():
            setattr(channel, key, value)
        self.send("Newchannel", **told(channel))
        return channel

    def incoming(self, name: str, number: str, exten: str, context: str = "from-pstn", caller: str = "") -> Chan:
        return self.new(name, number=number, exten=exten, context=context, caller=caller, state=RING)

    def local(self, exten: str, context: str, *, linked: Chan | None = None, uid: str = "") -> Chan:
        self.number += 1
        name = f"Local/{exten}@{context}-{self.number:08x}"
        one = self.new(f"{name};1", uid=uid, linked=linked, exten=exten, context=context)
        two = self.new(f"{name};2", uid=f"{uid};2" if uid else "", linked=one, exten=exten, context=context, state=RING)
        one.twin, two.twin = two, one
        self.send("LocalBridge", **told(one, "localone"), **told(two, "localtwo"))
        return one

    def hangup(self, *channels: Chan, cause: int = 16) -> None:
        for channel in channels:
            self.leave(channel)
            self.send("Hangup", **told(channel), cause=cause)

    def caller_id(self, channel: Chan, number: str, caller: str = "") -> None:
        channel.number, channel.caller = number, caller or channel.caller
        self.send("NewCallerid", **told(channel))

    # ---- dials

    def dial(self, source: Chan, name: str, dial_string: str, number: str = "") -> Chan:
        """`number`: the caller id of the dialled channel, that is, whom it is thought to be."""
        target = self.new(name, linked=source, number=number or dial_string.partition("@")[0])
        return self.begin(source, target, dial_string)

    def dial_local(self, source: Chan, exten: str, context: str) -> Chan:
        one = self.local(exten, context, linked=source)
        self.begin(source, one, f"{exten}@{context}")
        return one

    def begin(self, source: Chan | None, target: Chan, dial_string: str) -> Chan:
        target.source = source
        self.send("DialBegin", **(told(source) if source else {}), **told(target, "dest"), dialstring=dial_string)
        return target

    def state(self, channel: Chan, state: int) -> None:
        channel.state = state
        self.send("Newstate", **told(channel))

    def ringing(self, *channels: Chan) -> None:
        for channel in channels:
            self.state(channel, RINGING)

    def up(self, *channels: Chan) -> None:
        for channel in channels:
            self.state(channel, UP)

    def end(self, target: Chan, status: str, *, sourceless: bool = False, **more: object) -> None:
        source = told(target.source) if target.source and not sourceless else {}
        self.send("DialEnd", **source, **told(target, "dest"), dialstatus=status, **more)

    def answer(self, target: Chan) -> None:
        """The phone is picked up: it is up, its dial has ended, and so the caller is up too."""
        self.state(target, UP)
        self.end(target, "ANSWER")
        if target.source is not None and target.source.state != UP:
            self.state(target.source, UP)
            if target.source.name.endswith(";2") and target.source.twin is not None:
                self.up(target.source.twin)

    # ---- bridges

    def talk(self, *channels: Chan, technology: str = "simple_bridge") -> str:
        self.bridges += 1
        bridge = f"bridge-{self.bridges}"
        for channel in channels:
            self.enter(channel, bridge, technology)
        return bridge

    def enter(self, channel: Chan, bridge: str, technology: str = "simple_bridge", **more: object) -> None:
        channel.bridge = bridge
        self.send("BridgeEnter", **told(channel), bridgeuniqueid=bridge, bridgetechnology=technology, **more)

    def leave(self, channel: Chan) -> None:
        if channel.bridge:
            self.send("BridgeLeave", **told(channel), bridgeuniqueid=channel.bridge)
            channel.bridge = ""

    # ---- the rest

    def exten(self, channel: Chan, app: str, data: str = "", *, context: str = "", exten: str = "") -> None:
        channel.context, channel.exten = context or channel.context, exten or channel.exten
        self.send("Newexten", **told(channel), application=app, appdata=data, extension=channel.exten)

    def key(self, channel: Chan, digit: str) -> None:
        self.send("DTMFEnd", **told(channel), digit=digit, direction="Received")

    def variable(self, channel: Chan, name: str, value: str) -> None:
        self.send("VarSet", **told(channel), variable=name, value=value)

    def blind(self, transferer: Chan, transferee: Chan, exten: str) -> None:
        self.send(
            "BlindTransfer",
            result="Success",
            isexternal="Yes",
            extension=exten,
            **told(transferer, "transferer"),
            **told(transferee, "transferee"),
        )

    def attended(
        self, first: Chan, second: Chan, transferee: Chan | None, target: Chan | None, desttype: str = "Bridge"
    ) -> None:
        parties = told(first, "origtransferer") | told(second, "secondtransferer")
        for channel, prefix in ((transferee, "transferee"), (target, "transfertarget")):
            if channel is not None:
                parties |= told(channel, prefix)
        self.send("AttendedTransfer", result="Success", desttype=desttype, **parties)


def told(channel: Chan, prefix: str = "") -> dict[str, str]:
    """The headers by which AMI tells of a channel."""
    return {
        f"{prefix}channel": channel.name,
        f"{prefix}uniqueid": channel.uid,
        f"{prefix}linkedid": channel.linkedid,
        f"{prefix}channelstate": str(channel.state),
        f"{prefix}calleridnum": channel.number or UNKNOWN,
        f"{prefix}calleridname": channel.caller or UNKNOWN,
        f"{prefix}context": channel.context,
        f"{prefix}exten": channel.exten,
    }


def facts_of(
    script: Script | Iterable[Event], numbering: Numbering | None = None, expected: Iterable[ExpectedCall] = ()
) -> list[Fact]:
    tracker = Tracker("pbx", numbering or Numbering())
    for one in expected:
        tracker.expect(one)
    events = script.events if isinstance(script, Script) else script
    return [fact for event in events for fact in tracker.feed(event)]


def calls_of(
    script: Script | Iterable[Event], numbering: Numbering | None = None, expected: Iterable[ExpectedCall] = ()
) -> list[Call]:
    """The records of the calls that ended, without the consultations that became part of another."""
    ended = [fact.record for fact in facts_of(script, numbering, expected) if isinstance(fact, CallEnded)]
    return [call for call in ended if not call.absorbed_into]


def kinds(facts: Iterable[Fact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]
