"""The channel event log told as the AMI events that it stands for, so that the same tracker is fed with them. Pure.

What the log leaves out is inferred: who dialled whom (the channel of the same linkedid that is in `Dial` or `Queue` at that
moment), how a dial ended (the hangup's cause; the dialler's DIALSTATUS), the name of the queue. Nothing tells of recordings
and holding.
Source: https://docs.asterisk.org/Configuration/Reporting/Channel-Event-Logging-CEL/CEL-Event-Types/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from perezvon.asterisk.cel import Row
from perezvon.calls import Event

DIALS = frozenset({"dial", "queue", "followme", "page"})
DIALLED = frozenset({"appdial", "appqueue"})
ORIGINATED = frozenset({"appdial2"})
DOWN, RING, UP = "0", "4", "6"
BUSY = frozenset({"17", "21"})
NOT_AVAILABLE = "N/A"


def events_of(rows: Iterable[Row]) -> list[Event]:
    """`rows` in order of time. Each event has a `linkedid` header, that of its row."""
    rows = list(rows)
    return _Translation(rows).events()


@dataclass(slots=True)
class _Channel:
    """`apps`: all applications that the log ever names for it; `to_come`: (moment, argument) of its dialling ones, from the
    last to the next. `dialler`: the unique id of who dialled it, "" for nobody. `caller`, `number`: as told last."""

    name: str
    linkedid: str
    apps: set[str] = field(default_factory=set[str])
    to_come: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    app: str = ""
    data: str = ""
    status: str = ""
    cause: str = ""
    ended: float = float("inf")
    dialler: str = ""
    dialled: bool = False
    up: bool = False
    caller: str = ""
    number: str = ""


class _Translation:
    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._channels: dict[str, _Channel] = {}
        self._told: list[Event] = []
        self._linked: dict[str, dict[str, _Channel]] = {}
        for row in rows:
            channel = self._channels.setdefault(row.uniqueid, _Channel(row.channel, row.linkedid))
            self._linked.setdefault(row.linkedid, {})[row.uniqueid] = channel
            channel.apps.add(row.app.lower())
            if row.app.lower() in DIALS:
                channel.to_come.append((row.at, row.data))
            if row.kind == "HANGUP":
                channel.status = row.extra.get("dialstatus", "")
                channel.cause = row.extra.get("hangupcause", "")
                channel.ended = row.at

    def events(self) -> list[Event]:
        for channel in self._channels.values():
            channel.to_come.reverse()
        for row in self._rows:
            tell = TELL.get(row.kind)
            if tell is None:
                continue
            channel = self._channels[row.uniqueid]
            if row.kind != "CHAN_START":
                self._notice(row, channel)
            tell(self, row, channel)
            channel.linkedid = row.linkedid
        return self._told

    def _say(self, name: str, row: Row, headers: Mapping[str, str]) -> None:
        self._told.append(Event(name, row.at, {"linkedid": row.linkedid, **headers}))

    def _headers(self, row: Row) -> dict[str, str]:
        return {
            "uniqueid": row.uniqueid,
            "channel": row.channel,
            "linkedid": row.linkedid,
            "calleridnum": row.number,
            "calleridname": row.caller,
            "exten": row.exten,
            "context": row.context,
        }

    def _named(self, prefix: str, uid: str, row: Row) -> dict[str, str]:
        """The headers of another channel that the row names; nothing when it is not in the log."""
        channel = self._channels.get(uid)
        if channel is None:
            return {}
        return {
            f"{prefix}uniqueid": uid,
            f"{prefix}channel": channel.name,
            f"{prefix}linkedid": channel.linkedid or row.linkedid,
        }

    def _notice(self, row: Row, channel: _Channel) -> None:
        """A caller id was changed; a dialling application has begun (the log does not tell of applications that it is not
        set to, nor of one that is run twice in a row)."""
        if (row.number, row.caller) != (channel.number, channel.caller):
            channel.number, channel.caller = row.number, row.caller
            self._say("NewCallerid", row, self._headers(row))
        if row.app.lower() in DIALS and row.kind not in {"APP_END", "HANGUP"}:
            before, channel.app, channel.data = channel.data, row.app.lower(), row.data
            if channel.app == "queue" and before != row.data:
                self._say("QueueCallerJoin", row, {**self._headers(row), "queue": row.data.partition(",")[0]})

    def _dialling(self, channel: _Channel, at: float) -> tuple[str, str]:
        """The argument with which a channel dials at this moment, and the one that it is seen with next."""
        while channel.to_come and channel.to_come[-1][0] < at:
            channel.to_come.pop()
        return channel.data, channel.to_come[-1][1] if channel.to_come else ""

    # ---- one of these for each kind of row

    def start(self, row: Row, channel: _Channel) -> None:
        channel.number, channel.caller = row.number, row.caller
        second = row.channel.endswith(";2")
        originated = bool(channel.apps & ORIGINATED)
        dialler, string = ("", "") if second or originated else self._dialler(row, channel)
        channel.dialled = bool(dialler) or originated
        state = RING if second or not channel.dialled else DOWN
        self._say("Newchannel", row, {**self._headers(row), "channelstate": state})
        if not channel.dialled:
            return
        dest = {f"dest{name}": value for name, value in self._headers(row).items()} | {"destchannelstate": DOWN}
        channel.dialler = dialler
        source = self._named("", dialler, row) if dialler else {}
        self._say("DialBegin", row, {**dest, **source, "dialstring": string})

    def _dialler(self, row: Row, channel: _Channel) -> tuple[str, str]:
        """Who is dialling this new channel, and with which words; "" when it places a call itself."""
        if row.uniqueid == row.linkedid:
            return "", ""
        here = [
            (uid, other)
            for uid, other in self._linked.get(row.linkedid, {}).items()
            if uid != row.uniqueid and other.app in DIALS and other.ended >= row.at
        ]
        for uid, other in reversed(here):
            for data in self._dialling(other, row.at):
                if string := _dial_string(data, row.channel):
                    return uid, string
        known = channel.apps - {""}
        if not known or known & DIALLED:
            for uid, other in reversed(here):
                if other.app != "dial" or known:
                    return uid, ""
        return "", ""

    def answer(self, row: Row, channel: _Channel) -> None:
        channel.up = True
        self._say("Newstate", row, {**self._headers(row), "channelstate": UP})

    def app_start(self, row: Row, channel: _Channel) -> None:
        channel.app = row.app.lower()
        told = {"extension": row.exten, "application": row.app, "appdata": row.data}
        self._say("Newexten", row, {**self._headers(row), **told})

    def app_end(self, _row: Row, channel: _Channel) -> None:
        channel.app = channel.data = ""

    def bridge_enter(self, row: Row, channel: _Channel) -> None:
        bridge = row.extra.get("bridge_id", "")
        technology = row.extra.get("bridge_technology", "")
        headers = {"bridgeuniqueid": bridge, "bridgetechnology": technology}
        self._say("BridgeEnter", row, {**self._headers(row), **headers})

    def bridge_exit(self, row: Row, channel: _Channel) -> None:
        self._say("BridgeLeave", row, {**self._headers(row), "bridgeuniqueid": row.extra.get("bridge_id", "")})

    def hangup(self, row: Row, channel: _Channel) -> None:
        cause = row.extra.get("hangupcause", "")
        if channel.dialled and not channel.up and not row.channel.endswith(";2"):
            dest = {f"dest{name}": value for name, value in self._headers(row).items()}
            self._say("DialEnd", row, {**dest, "dialstatus": self._status(row, channel, cause)})
        if channel.status == "BUSY":
            self._busy(row)
        self._say("Hangup", row, {**self._headers(row), "cause": cause})

    def _busy(self, row: Row) -> None:
        """Whoever dialled hangs up, and the log may tell of that a millisecond before it tells of those who were busy."""
        for uid, other in self._linked.get(row.linkedid, {}).items():
            rung = other.dialler == row.uniqueid and other.dialled and not other.up
            if rung and other.cause in BUSY and other.ended > row.at:
                self._say("DialEnd", row, {**self._named("dest", uid, row), "dialstatus": "BUSY"})
                other.dialled = False

    def _status(self, row: Row, channel: _Channel, cause: str) -> str:
        if cause in BUSY:
            return "BUSY"
        dialler = self._channels.get(channel.dialler)
        if dialler is not None and dialler.ended < row.at + 0.5 and dialler.status not in {"", "ANSWER"}:
            return dialler.status
        if cause == "26" or (dialler is not None and dialler.ended <= row.at):
            return "CANCEL"
        return "NOANSWER"

    def blind(self, row: Row, channel: _Channel) -> None:
        self._say(
            "BlindTransfer",
            row,
            {
                **self._named("transferer", row.uniqueid, row),
                **self._named("transferee", row.extra.get("transferee_channel_uniqueid", ""), row),
                "result": "Success",
                "extension": row.extra.get("extension", ""),
                "context": row.extra.get("context", ""),
            },
        )

    def attended(self, row: Row, channel: _Channel) -> None:
        extra = row.extra
        target = extra.get("transfer_target_channel_uniqueid", NOT_AVAILABLE)
        self._say(
            "AttendedTransfer",
            row,
            {
                **self._named("origtransferer", row.uniqueid, row),
                **self._named("secondtransferer", extra.get("channel2_uniqueid", ""), row),
                **self._named("transferee", extra.get("transferee_channel_uniqueid", ""), row),
                **self._named("transfertarget", target, row),
                "result": "Success",
                "desttype": "App" if "app" in extra else "Bridge",
            },
        )

    def pickup(self, row: Row, channel: _Channel) -> None:
        """The row is the ringing channel's; the event is the picker's."""
        picker = row.extra.get("pickup_channel_uniqueid", "")
        named = self._named("", picker, row)
        if named:
            self._say("Pickup", row, {**named, **self._named("target", row.uniqueid, row)})

    def dtmf(self, row: Row, channel: _Channel) -> None:
        self._say("DTMFEnd", row, {**self._headers(row), "digit": row.extra.get("digit", "")})


def _dial_string(data: str, channel: str) -> str:
    """The part of `PJSIP/101&PJSIP/7916@carrier,30` that made this channel: what comes after the technology."""
    tech, _, name = channel.partition("/")
    peer = name.rpartition("-")[0] or name
    if tech != "Local":
        peer = peer.partition("/")[0]
    for target in data.partition(",")[0].split("&"):
        wanted, _, rest = target.partition("/")
        first = rest.partition("/")[0]
        names = {first} if tech == "Local" else {rest, first, rest.partition("@")[0], rest.partition("@")[2]}
        if wanted == tech and peer in names:
            return rest
    return ""


TELL: Mapping[str, Callable[[_Translation, Row, _Channel], None]] = {
    "CHAN_START": _Translation.start,
    "ANSWER": _Translation.answer,
    "APP_START": _Translation.app_start,
    "APP_END": _Translation.app_end,
    "BRIDGE_ENTER": _Translation.bridge_enter,
    "BRIDGE_EXIT": _Translation.bridge_exit,
    "HANGUP": _Translation.hangup,
    "BLINDTRANSFER": _Translation.blind,
    "ATTENDEDTRANSFER": _Translation.attended,
    "PICKUP": _Translation.pickup,
    "DTMF": _Translation.dtmf,
}
