"""A PBX on paper: it takes the actions of the conference's control and tells the events that a real one tells then.

Real are the tracker, the rooms, the control, the service's desk; what the PBX does is written in `conference_script`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from ami_script import Chan
from conference_script import CLIENT, DID, Conference

from perezvon.asterisk import AmiError, Fate, Message, NotConnected, Originate, Originated
from perezvon.asterisk.message import Headers
from perezvon.bitrix24.directory import Directory, Employee
from perezvon.calls import Numbering, Tracker
from perezvon.company import DatabaseTrouble
from perezvon.conference import Control, Dialling, Found, Origin, RoomBook
from perezvon.service.conferences import Conferences
from perezvon.service.dialling import Exchange
from perezvon.service.house import House

CODES = {"1": "74952223344", "2": "78123334455"}
ANNA = Employee("7", "Anna", "101")
BORIS = Employee("8", "Boris", "102")


@dataclass
class Talk(Conference):
    """A client's talk with the employee of an extension."""

    def with_employee(self, extension: str, number: str = CLIENT) -> Talk:
        self.number = self.bridges = int(extension) * 100
        self.client = self.incoming(f"PJSIP/carrier-{self.number:08x}", number, DID, context="perezvon-in")
        self.room = self.client.uid
        self.variable(self.client, "__PEREZVON_ROOM", self.room)
        self.manager = self.dial(self.client, f"PJSIP/{extension}-{self.number:08x}", extension)
        self.variable(self.manager, "__PEREZVON_ROOM", self.room)
        self._picked_up(self.manager, self.client)
        return self

    @property
    def id(self) -> str:
        return f"main-{self.room}"


class PaperPbx:
    """`error`: what the next action meets with. `deaf`: it takes orders and does nothing."""

    def __init__(self) -> None:
        self.tracker = Tracker("main", Numbering(trunks=frozenset({"carrier"})))
        self.book = RoomBook("main")
        self.talks: list[Talk] = []
        self.error: AmiError | None = None
        self.deaf = False
        self.features = "perezvon_third"
        self.trouble: DatabaseTrouble | None = None
        self.acted: list[str] = []
        self.fate = Fate.ANSWERED
        self.status = SimpleNamespace(state=SimpleNamespace(value="live"))
        self.control = Control(self, self.book, self.tracker.live, self._code, lambda: self.tracker.numbering, Dialling)

    def talk(self, extension: str = "101", number: str = CLIENT) -> Talk:
        talk = Talk().with_employee(extension, number)
        self.talks.append(talk)
        self.happens(talk)
        return talk

    def happens(self, talk: Talk, *steps: Callable[[], object]) -> None:
        for step in steps:
            step()
        for event in talk.events:
            self.book.feed(event)
            self.tracker.feed(event)
        talk.events.clear()

    async def _code(self, code: str) -> Found:
        if self.trouble is not None:
            return Found("", Origin.NONE, self.trouble)
        number = CODES.get(code, "")
        return Found(number, Origin.OWN if number else Origin.NONE)

    # ---- conference.control.Pbx

    async def action(self, name: str, headers: Headers = (), *, timeout: float = 10.0) -> Message:
        if self.error is not None:
            raise self.error
        asked = dict(headers)
        self.acted.append(name)
        await asyncio.sleep(0.002)  # others get their turn, as over a real wire
        if name == "Getvar":
            talk = self._talk_of(asked["Channel"])
            known = {"DYNAMIC_FEATURES": self.features, "PEREZVON_ROOM": talk.room, "PEREZVON_CLIENT": CLIENT}
            return Message.of([("Response", "Success"), ("Value", known.get(asked["Variable"], DID))])
        if not self.deaf:
            self._obey(name, asked)
        return Message.of([("Response", "Success")])

    def _obey(self, name: str, asked: dict[str, str]) -> None:
        talk = self._talk_of(asked["Channel"])
        channel = next(one for one in (talk.client, talk.manager, *talk.thirds) if one.name == asked["Channel"])
        match name, asked.get("Context", ""), asked.get("Exten", ""), asked.get("Priority", ""):
            case "Setvar", _, _, _:
                if asked["Variable"] == "PEREZVON_TO":
                    channel.exten = asked["Value"]
            case "Redirect", "perezvon-room-manager", "call", _:
                if channel in talk.inside:
                    talk.leave_room(channel)
                self.happens(talk, lambda: talk.rings(channel.exten))
            case "Redirect", "perezvon-room-manager", _, "room":
                self.happens(talk, talk.back)
            case "Redirect", "perezvon-room-third", _, _:
                self.happens(talk, talk.merge)
            case "Redirect", _, _, _:
                self.happens(talk, talk.consult)
            case "Hangup", _, _, _:
                self.happens(talk, talk.drops_talking)
            case "ConfbridgeKick", _, _, _:
                self.happens(talk, talk.third_hangs_up)
            case "ConfbridgeMute" | "ConfbridgeUnmute", _, _, _:
                self.happens(talk, lambda: self._muted(talk, channel, name))
            case _:
                raise AssertionError((name, asked))

    def _muted(self, talk: Talk, channel: Chan, name: str) -> None:
        talk.send(name, conference=talk.room, uniqueid=channel.uid, channel=channel.name)

    async def collect(self, name: str, headers: Headers = (), *, timeout: float = 30.0) -> list[Message]:
        return []

    async def originate(self, call: Originate) -> Originated:
        if self.error is not None:
            raise self.error
        talk = next(one for one in self.talks if one.room == call.variables["__PEREZVON_ROOM"])
        if self.fate is Fate.ANSWERED:
            self.happens(talk, lambda: self._invited(talk))
        return Originated(self.fate, self.fate.value, "u", call.channel)

    def _invited(self, talk: Talk) -> None:
        third = talk.new(f"PJSIP/carrier-{talk.number + 1:08x}", number="74952223344")
        talk.variable(third, "__PEREZVON_ROOM", talk.room)
        talk.begin(None, third, "x")
        talk.thirds.append(third)

    def _talk_of(self, channel: str) -> Talk:
        for talk in self.talks:
            if any(one.name == channel for one in (talk.client, talk.manager, *talk.thirds)):
                return talk
        raise NotConnected(channel)


@dataclass
class Office:
    """The service's desk over a paper PBX and a portal that knows Anna (101) and Boris (102)."""

    pbx: PaperPbx = field(default_factory=PaperPbx)
    employees: Iterable[Employee] = (ANNA, BORIS)
    now: float = 1_700_000_000.0
    desk: Conferences = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Conferences(clock=lambda: self.now)
        self.move_in()

    def move_in(self) -> None:
        """A house is built, or built anew."""
        pbx = self.pbx
        nothing = cast("Any", None)
        named = cast("Any", SimpleNamespace(name="main"))
        exchange = Exchange(named, pbx.tracker.numbering, cast("Any", pbx), nothing, pbx.book, nothing, pbx.control)
        link = SimpleNamespace(directory=Directory.of(self.employees, self.now))
        settings = SimpleNamespace(portal_of=lambda _: SimpleNamespace(name="main"))
        house = SimpleNamespace(exchanges={"main": exchange}, portals={"main": link}, settings=settings)
        self.desk.moved_in(cast("House", house))
