"""The buttons of a call's card, on a real Asterisk: each does what the key does, nobody is hung up, and errors are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from talks import Answers, Steps, Talk

from perezvon.asterisk import AmiAddress, Fate, Supervisor
from perezvon.asterisk.agi import AgiServer
from perezvon.calls import Call, CallEnded, Event, Numbering, Snapshot, Tracker
from perezvon.conference import (
    CodeUnknown,
    Control,
    Dialling,
    Found,
    Matching,
    NoSuchCall,
    NotDialable,
    NotInRoom,
    NotNow,
    Origin,
    PbxAway,
    Place,
    Role,
    Room,
    RoomBook,
    RoomGone,
    Stage,
    members_of,
)
from perezvon.sandbox.pbx import PbxSandbox

pytestmark = pytest.mark.asterisk

WAYS = ("incoming", "outgoing")
both_ways = pytest.mark.parametrize("way", WAYS)


@dataclass(slots=True)
class Desk:
    """What the service puts together for a PBX, without the service."""

    pbx: PbxSandbox
    tracker: Tracker = field(default_factory=lambda: Tracker("main", Numbering()))
    book: RoomBook = field(default_factory=lambda: RoomBook("main"))
    numbers: dict[str, str] = field(default_factory=dict[str, str])
    ended: dict[str, Call] = field(default_factory=dict[str, Call])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: Supervisor = field(init=False)
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(AmiAddress.parse(self.pbx.office_ami), self._on_snapshot, self._on_events, name="main")
        self.control = Control(
            self.supervisor, self.book, self.tracker.live, self._find, lambda: self.tracker.numbering, Dialling
        )

    async def _on_snapshot(self, snapshot: Snapshot) -> None:
        self.tracker.resync(snapshot)
        self.book.resync(snapshot)

    async def _on_events(self, events: list[Event]) -> None:
        for event in events:
            for fact in self.tracker.feed(event):
                if isinstance(fact, CallEnded):
                    self.ended[fact.call] = fact.record
            self.book.feed(event)
        self.changed.set()
        self.changed = asyncio.Event()

    async def _find(self, code: str) -> Found:
        number = self.numbers.get(code, "")
        return Found(number, Origin.OWN if number else Origin.NONE)

    async def call_of(self, talk: Talk) -> str:
        """The id of the call, once the tracker has seen it answered."""
        number = "+" + talk.number_of("client")
        async with asyncio.timeout(5):
            while True:
                for call in self.tracker.live():
                    if call.client == number and call.answered is not None:
                        return call.id
                await self.changed.wait()

    async def record(self, call: str) -> Call:
        async with asyncio.timeout(5):
            while call not in self.ended:
                await self.changed.wait()
        return self.ended[call]


@pytest.fixture(scope="module")
async def steps(pbx_session: PbxSandbox) -> AsyncIterator[Steps]:
    async with Steps(pbx_session).following() as steps:
        yield steps


@pytest.fixture(scope="module")
async def desk(pbx_session: PbxSandbox) -> AsyncIterator[Desk]:
    desk = Desk(pbx_session)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(desk.supervisor.run(), name="supervisor")
        await desk.supervisor.until_live()
        yield desk
        running.cancel()


NUMBERS = iter(range(31, 99))


@asynccontextmanager
async def talking(desk: Desk, steps: Steps, way: str) -> AsyncIterator[tuple[Talk, str]]:
    """A talk; afterwards nobody has heard what he should not, and all have gone."""
    talk = Talk(desk.pbx, steps, Answers(), way == "incoming", next(NUMBERS))
    desk.numbers |= {talk.code(who): talk.number_of(who) for who in ("third", "fourth")}
    try:
        await talk.begin()
        yield talk, await desk.call_of(talk)
        await talk.over()
    finally:
        await talk.clear()
    assert talk.differences() == []


async def rung(talk: Talk, adding: Awaitable[Room], who: str = "third") -> Room:
    """What the button does, and the leg of whoever rings because of it."""
    number = talk.pbx.world.number(talk.number_of(who))
    await number.rings()
    room = await adding
    talk.legs[who] = await number.ringing()
    return room


def third_of(room: Room) -> str:
    third = room.who(Role.THIRD)
    assert third is not None
    return third.channel


@both_ways
async def test_from_the_talk_to_the_room(pbx: PbxSandbox, desk: Desk, steps: Steps, way: str) -> None:
    """Start, by code, join, mute, unmute, drop: the whole of it, by buttons."""
    control = desk.control
    async with talking(desk, steps, way) as (talk, call):
        seen = control.look(call)
        assert (seen.room.stage, [person.role for person in seen.room.people]) == (Stage.TALK, [Role.CLIENT, Role.MANAGER])
        await talk.listen(client="manager", manager="client")
        room = await control.start(call)
        assert (room.id, room.stage) == (talk.room, Stage.CODE)
        await talk.parties("client")
        await talk.listen(1.2, client="music")
        room = await rung(talk, control.add_by_code(call, talk.code("third")))
        assert (room.stage, room.to) == (Stage.RING, talk.number_of("third"))
        await talk.listen(client="music", manager="ringing")
        third = await talk.legs["third"].answer()
        await talk.step("private")
        await third.talking(to=talk.legs["manager"])
        await talk.listen(1.2, client="music", manager="third", third="manager")
        room = await control.join(call)
        await talk.parties("client", "manager", "third")
        assert [(person.role, person.place) for person in room.people if person.role is Role.CLIENT] == [
            (Role.CLIENT, Place.ROOM)
        ]
        await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
        client = control.look(call).room.who(Role.CLIENT)
        assert client is not None
        room = await control.mute(call, client.channel)
        assert [person.muted for person in room.people if person.role is Role.CLIENT] == [True]
        await talk.listen(1.2, client="manager third", manager="third", third="manager")
        assert {entry["channel"] for entry in await members_of(desk.supervisor) if entry["muted"] == "Yes"} == {
            client.channel
        }
        await control.mute(call, client.channel, on=False)
        await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
        await control.drop(call, third_of(room))
        await third.ended()
        await talk.parties("client", "manager")
        await talk.listen(1.2, client="manager", manager="client")
        await talk.legs["client"].hangup()
    record = await desk.record(call)
    assert record.third_parties == ("+" + talk.number_of("third"),)
    assert record.last_talker == "bitrix24"
    with pytest.raises(NoSuchCall):
        await control.start(call)


@both_ways
async def test_at_once_from_the_talk_and_dropped_while_it_rings(
    pbx: PbxSandbox, desk: Desk, steps: Steps, way: str
) -> None:
    async with talking(desk, steps, way) as (talk, call):
        await rung(talk, desk.control.add(call, talk.number_of("third")))
        await talk.listen(client="music", manager="ringing")
        room = await desk.control.drop(call)
        assert room is not None
        assert room.stage is Stage.ROOM
        await talk.legs["third"].ended()
        await talk.back()
        await talk.listen(1.2, client="manager", manager="client")
        await talk.legs["manager"].hangup()


@both_ways
async def test_dropped_in_the_private_talk_and_the_next_one(pbx: PbxSandbox, desk: Desk, steps: Steps, way: str) -> None:
    async with talking(desk, steps, way) as (talk, call):
        await rung(talk, desk.control.add(call, talk.number_of("third")))
        third = await talk.legs["third"].answer()
        await talk.step("private")
        await desk.control.drop(call)
        await third.ended()
        await talk.back()
        await talk.listen(1.2, client="manager", manager="client")
        room = await desk.control.start(call)
        assert room.stage is Stage.CODE
        await talk.parties("client")
        await talk.listen(client="music")
        await desk.control.back(call)
        await talk.back()
        await talk.listen(1.2, client="manager", manager="client")
        await talk.legs["client"].hangup()


@both_ways
async def test_invited_straight_into_the_room(pbx: PbxSandbox, desk: Desk, steps: Steps, way: str) -> None:
    """The client hears music for a moment only; the third person is in no call of his own."""
    async with talking(desk, steps, way) as (talk, call):
        number = talk.pbx.world.number(talk.number_of("third"))
        await number.rings()
        inviting = asyncio.create_task(desk.control.invite(call, talk.number_of("third")))
        talk.legs["third"] = third = await number.ringing()
        assert await desk.book.until(lambda rooms: any(one.who(Role.THIRD) for one in rooms), 5)
        room = desk.control.look(call).room
        assert (room.stage, [one.place for one in room.people if one.role is Role.THIRD]) == (Stage.ROOM, [Place.RINGING])
        await talk.parties("client", "manager")
        await talk.listen(1.2, client="manager", manager="client")
        await third.answer()
        assert (await inviting).fate is Fate.ANSWERED
        await talk.parties("client", "manager", "third")
        await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
        await third.hangup()
        await talk.legs["client"].hangup()
    record = await desk.record(call)
    assert record.third_parties == ("+" + talk.number_of("third"),)
    assert not any(other.id != call and talk.number_of("third") in other.client for other in desk.ended.values())


async def test_errors_that_change_nothing(pbx: PbxSandbox, desk: Desk, steps: Steps) -> None:
    control = desk.control
    async with talking(desk, steps, "incoming") as (talk, call):

        async def refused(error: type[Exception], act: Callable[[], Awaitable[object]]) -> str:
            with pytest.raises(error) as raised:
                await act()
            return str(raised.value)

        assert "nobody has the code 999" in await refused(CodeUnknown, lambda: control.add_by_code(call, "999"))
        await refused(NotDialable, lambda: control.add(call, "102&PJSIP/666@carrier"))
        await refused(NoSuchCall, lambda: control.start("main-0.0"))
        await refused(NoSuchCall, lambda: control.start(call, "101"))
        await refused(RoomGone, lambda: control.join(call))
        await refused(RoomGone, lambda: control.drop(call))
        await talk.listen(client="manager", manager="client")
        await control.start(call, "bitrix24")
        assert "stage code" in await refused(NotNow, lambda: control.join(call))
        await refused(NotNow, lambda: control.start(call))
        await refused(NotInRoom, lambda: control.drop(call))
        await refused(NotInRoom, lambda: control.mute(call, "PJSIP/nobody-1"))
        await control.back(call)
        await refused(NotNow, lambda: control.back(call))
        await talk.back()
        await talk.listen(1.2, client="manager", manager="client")
        await talk.legs["client"].hangup()


async def test_a_call_of_another_dialplan_is_left_alone(pbx: PbxSandbox, desk: Desk) -> None:
    """The same redirect would hang up the employee there."""
    client = await pbx.world.call(frm="79160001122", to="74950000101")
    phone = await pbx.world.phone("101").talking()
    await client.talks(0.3)
    [call] = [one for one in desk.tracker.live() if one.client == "+79160001122"]
    with pytest.raises(NotNow, match="does not go through Perezvon's dialplan"):
        await desk.control.start(call.id)
    await phone.talking(to=client)
    await client.hangup()
    await phone.ended()


async def test_a_pbx_that_is_away(pbx: PbxSandbox, desk: Desk, steps: Steps) -> None:
    async def nothing(_: object) -> None: ...

    away = Supervisor(AmiAddress.parse(pbx.office_ami), nothing, nothing, name="main")
    control = Control(away, desk.book, desk.tracker.live, desk._find, lambda: desk.tracker.numbering, Dialling)
    async with talking(desk, steps, "incoming") as (talk, call):
        with pytest.raises(PbxAway, match="nothing was sent"):
            await control.start(call)
        await talk.legs["client"].hangup()


# ---- a second call of the portal


async def test_a_second_call_finds_the_right_client(pbx: PbxSandbox, desk: Desk, steps: Steps) -> None:
    """Two talks go on; the number that the portal shows tells which one it is about, or nobody is taken."""
    matching = Matching(desk.tracker.live, desk.book.channels, lambda: desk.tracker.numbering)
    server = AgiServer({"match": matching.match, "menu": matching.match})
    host, _, port = pbx.agi_bind.rpartition(":")
    async with talking(desk, steps, "incoming") as (talk, call), talking(desk, steps, "outgoing") as (other, other_call):
        await server.start(host, int(port))
        try:
            doubtful = await pbx.world.connector.dial("900")
            await doubtful.ended(15)
            await talk.legs["manager"].talking(to=talk.legs["client"])
            await other.legs["manager"].hangup()
            await desk.record(other_call)
            first = talk.legs["manager"]
            talk.legs["manager"] = await pbx.world.connector.dial("900")
            await first.ended()
            await talk.parties("client")
            await talk.listen(client="music")
            await talk.press("*")
            await talk.back()
            await talk.listen(1.2, client="manager", manager="client")
            await talk.legs["client"].hangup()
        finally:
            await server.close()
    record = await desk.record(call)
    assert (record.talkers, record.transfers) == (("bitrix24",), ())
