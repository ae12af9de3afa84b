"""Remote control of a conference: what the buttons of a call's card do. The dialplan stays the owner of every leg.

Each action is one that leaves the call alive when it fails, and does nothing that the dialplan does not do itself:

* A consultation begins as with the key: two variables on the manager's channel, then the client alone is redirected. Our
  dialplan's Dial lets the manager go on by himself (option F for a called manager, g for a calling one), which it does only
  with those variables set; the same redirect out of anybody else's Dial would hang him up. So it is done only where the
  dialplan has given him the key (DYNAMIC_FEATURES).
* Out of the room, or while he keys in or rings, the manager alone is redirected: no bridge of two would break.
* The third person is redirected out of the private talk as by the key; the manager's Dial (option g) takes him on.

Source: asterisk/wiring/templates/extensions.conf; tests/e2e/test_room_control.py proves each on a real Asterisk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

import structlog

from perezvon.asterisk import (
    ActionRefused,
    ActionTimeout,
    AmiError,
    InjectionRefused,
    Message,
    Originate,
    Originated,
)
from perezvon.asterisk.message import Headers
from perezvon.calls import Call, Numbering
from perezvon.calls.call import Party
from perezvon.conference.book import RoomBook, Watch
from perezvon.conference.consultation import Consultation, Dialling, consultation, talk, talking
from perezvon.conference.dialable import dialable
from perezvon.conference.errors import (
    CodeUnknown,
    LookupFailed,
    NoSuchCall,
    NotDialable,
    NotInRoom,
    NotNow,
    PbxAway,
    PbxRefused,
    PbxSilent,
    RoomGone,
)
from perezvon.conference.lookup import Found
from perezvon.conference.people import Person, Place, Role
from perezvon.conference.rooms import Room, Rooms, Stage
from perezvon.rules.vocabulary import Reason

CLIENT, MANAGER, THIRD = "perezvon-room-client", "perezvon-room-manager", "perezvon-room-third"
KEY = "perezvon_third"
"""The feature whose presence on a channel tells that the manager may begin a consultation."""

SOON = 3.0
"""Seconds within which the PBX is seen to do what it was told."""

PROMPT = 0.15
"""Seconds after the step in which the prompt for a code has surely begun. A redirect just before lets it play on in the
room: Read then goes without stopping it (ast_app_getdata, ast_readstring). There is no event to wait for: Newexten comes
before Read opens the file, and AMI tells nothing of a file that is played."""

_NO_CALL = Reason("there is no running call {call} with {employee}")
_NOT_WIRED = Reason(
    "this call does not go through Perezvon's dialplan, or the client does not talk with this employee just now: see "
    "perezvon asterisk diff"
)
_BUSY = Reason("not at this moment: the conference is at the stage {stage}")
_GONE = Reason("the conference is over")
_NOBODY = Reason("{who} is not in the conference any more")
_UNKNOWN = Reason("nobody has the code {code}")
_UNREAD = Reason("the table of codes cannot be read: {trouble}")
_UNFIT = Reason("the code {code} stands for {told}, which is no number that could be dialled")
_NO_NUMBER = Reason("{number} is no number that could be dialled")
_AWAY = Reason("the PBX did not do it: {why}")
_SILENT = Reason("the PBX took the order, but nothing was seen to happen within {seconds} s")

log = structlog.get_logger(__name__)


class Pbx(Protocol):
    """A `Supervisor`, as far as it is needed here."""

    async def action(self, name: str, headers: Headers = (), *, timeout: float = 10.0) -> Message: ...

    async def collect(self, name: str, headers: Headers = (), *, timeout: float = 30.0) -> list[Message]: ...

    async def originate(self, call: Originate) -> Originated: ...


class Control:
    """Of one PBX. Each method raises the errors of errors.py; nothing was changed then, unless it says so.

    `call` is the id of a running call, `employee` his extension as the call's record has it (empty: whoever talks there).
    """

    def __init__(
        self,
        pbx: Pbx,
        book: RoomBook,
        live: Callable[[], Iterable[Call]],
        lookup: Callable[[str], Awaitable[Found]],
        numbering: Callable[[], Numbering],
        dialling: Callable[[], Dialling],
    ) -> None:
        self._pbx = pbx
        self._book = book
        self._live = live
        self._lookup = lookup
        self._numbering = numbering
        self._dialling = dialling

    # ---- looking

    def consultations(self) -> list[Consultation]:
        """Every running call with a client who talks, or waits in a conference."""
        rooms = self._book.by_channel()
        return [seen for call in self._live() if (seen := self._seen(call, rooms)) is not None]

    def look(self, call: str, employee: str = "") -> Consultation:
        seen = self._seen(self._call(call, employee), self._book.by_channel())
        if seen is None:
            raise NoSuchCall(Reason(_NO_CALL.text, {"call": call, "employee": employee or "—"}))
        return seen

    def _seen(self, call: Call, rooms: Mapping[str, Room]) -> Consultation | None:
        conferring = (rooms[leg.channel] for leg in call.legs if leg.ended is None and leg.channel in rooms)
        room = next(conferring, None) or talk(call)
        return None if room is None else consultation(self._book.pbx, call, room)

    def of_room(self, room: Room) -> Consultation | None:
        """The call that this room belongs to, with the room as it is given here."""
        channels = {person.channel for person in room.people}
        for call in self._live():
            if any(leg.channel in channels for leg in call.legs if leg.ended is None):
                return consultation(self._book.pbx, call, room)
        return None

    def _call(self, call_id: str, employee: str) -> Call:
        for call in self._live():
            if call.id == call_id and (not employee or talking(call, Party.EMPLOYEE, employee) is not None):
                return call
        raise NoSuchCall(Reason(_NO_CALL.text, {"call": call_id, "employee": employee or "—"}))

    def _room(self, call: str, employee: str) -> Room:
        room = self.look(call, employee).room
        if room.stage is Stage.TALK:
            raise RoomGone(_GONE)
        return room

    # ---- doing

    async def start(self, call: str, employee: str = "") -> Room:
        """The client hears music, the manager is asked for a code; also out of the room, for the next third person."""
        room = self.look(call, employee).room
        match room.stage:
            case Stage.TALK:
                room_id = await self._begin(room, _member(room, Role.MANAGER), _member(room, Role.CLIENT))
            case Stage.ROOM:
                room_id = room.id
                await self._redirect(_member(room, Role.MANAGER).channel, MANAGER)
            case _:
                raise _not_now(room)
        await self._seen_at(room_id, {Stage.CODE})
        await asyncio.sleep(PROMPT)
        return self._still(room_id)

    async def _begin(self, room: Room, manager: Person, client: Person) -> str:
        features = await self._get(manager.channel, "DYNAMIC_FEATURES")
        room_id = await self._get(manager.channel, "PEREZVON_ROOM")
        if KEY not in features.split("#") or not room_id:
            raise NotNow(_NOT_WIRED)
        await self._set(manager.channel, "PEREZVON_CONSULT", "1")
        await self._set(manager.channel, "__PEREZVON_HELD", client.channel)
        try:
            await self._set(manager.channel, "GROUP(perezvon)", f"{room_id}-out")
            await self._redirect(client.channel, CLIENT)
        except PbxRefused:
            await self._set(manager.channel, "PEREZVON_CONSULT", "")
            raise
        return room_id

    async def add_by_code(self, call: str, code: str, employee: str = "") -> Room:
        """As if the manager had keyed in the code."""
        return await self.add(call, await self.number_of(code), employee)

    async def number_of(self, code: str) -> str:
        found = await self._lookup(code)
        if found.unfit:
            raise NotDialable(Reason(_UNFIT.text, {"code": code[:20], "told": found.unfit}))
        if not found.number and found.trouble is not None:
            raise LookupFailed(Reason(_UNREAD.text, {"trouble": str(found.trouble.seen)}))
        if not found.number:
            raise CodeUnknown(Reason(_UNKNOWN.text, {"code": code[:20]}))
        return found.number

    async def add(self, call: str, number: str, employee: str = "") -> Room:
        """The manager rings this number and talks with whoever answers alone, while the client hears music."""
        wanted = self._dialable(number)
        room = self.look(call, employee).room
        if room.stage is Stage.TALK:
            room = await self.start(call, employee)
        if room.stage not in {Stage.CODE, Stage.ROOM}:
            raise _not_now(room)
        manager = _member(room, Role.MANAGER)
        await self._set(manager.channel, "PEREZVON_TO", wanted)
        with self._book.watch() as steps:
            await self._redirect(manager.channel, MANAGER, "call")
            return await self._rung(steps, room.id)

    async def _rung(self, steps: Watch, room_id: str) -> Room:
        """Waits until it rings, or has rung: a busy number may be given up within the same moment."""
        try:
            async with asyncio.timeout(SOON):
                async for delta in steps:
                    if delta.room != room_id or delta.what == "now":
                        continue
                    if delta.now is None:
                        raise RoomGone(_GONE)
                    if delta.now.stage in {Stage.RING, Stage.PRIVATE}:
                        return delta.now
        except TimeoutError:
            self._still(room_id)
        raise _silent()

    async def invite(self, call: str, number: str, employee: str = "") -> Originated:
        """Rings this number for the room, without a private talk before; returns when it is answered, or is not."""
        wanted = self._dialable(number)
        seen = self.look(call, employee)
        room = seen.room
        if room.stage is Stage.TALK:
            room = await self.start(call, employee)
        if room.stage is Stage.CODE:
            room = await self.back(call, employee)
        if room.stage is not Stage.ROOM:
            raise _not_now(room)
        manager, dialling = _member(room, Role.MANAGER), self._dialling()
        client = await self._get(manager.channel, "PEREZVON_CLIENT")
        line = await self._get(manager.channel, "PEREZVON_LINE")
        template = dialling.inside if len(wanted) <= dialling.inside_length else dialling.outside
        order = Originate(
            channel=template.format(number=wanted),
            context=THIRD,
            exten="s",
            caller_number=client if dialling.shows == "client" else line,
            timeout=dialling.ring,
            variables={"__PEREZVON_ROOM": room.id, "__PEREZVON_CLIENT": client, "__PEREZVON_LINE": line},
        )
        try:
            return await self._pbx.originate(order)
        except AmiError as error:
            raise _trouble(error) from error

    async def join(self, call: str, employee: str = "") -> Room:
        """The private talk is over: everybody hears everybody."""
        room = self._room(call, employee)
        if room.stage is not Stage.PRIVATE:
            raise _not_now(room)
        manager, third = _member(room, Role.MANAGER), self._third(room)
        await self._set(manager.channel, "PEREZVON_MERGE", "1")
        try:
            await self._set(manager.channel, "PUSH(PEREZVON_THIRDS,&)", third.channel)
            await self._redirect(third.channel, THIRD)
        except PbxRefused:
            await self._set(manager.channel, "PEREZVON_MERGE", "")
            raise
        return await self._seen_at(room.id, {Stage.ROOM})

    async def back(self, call: str, employee: str = "") -> Room:
        """The manager returns to the client: no code, no ringing any more."""
        room = self._room(call, employee)
        if room.stage not in {Stage.CODE, Stage.LOOKUP, Stage.RING}:
            raise _not_now(room)
        await self._redirect(_member(room, Role.MANAGER).channel, MANAGER, priority="room")
        return await self._seen_at(room.id, {Stage.ROOM})

    async def drop(self, call: str, channel: str = "", employee: str = "") -> Room | None:
        """Sends a third person away, ringing or talking: this one, or the newest. None when the room is over with that."""
        room = self._room(call, employee)
        third = self._third(room, channel)
        if third.place is Place.RINGING and room.stage is Stage.RING:
            return await self.back(call, employee)
        trouble: PbxRefused | None = None
        if third.place is Place.ROOM:
            await self._conference("ConfbridgeKick", room, third)
        else:
            try:
                await self._act("Hangup", [("Channel", third.channel), ("Cause", "16")])
            except PbxRefused as error:  # he may have hung up himself this very moment: then that is what was wanted
                trouble = error
        if not await self._book.until(lambda rooms: not _there(rooms, room.id, third), SOON):
            raise trouble or _silent()
        return self._book.rooms.get(room.id)

    async def mute(self, call: str, channel: str, employee: str = "", *, on: bool = True) -> Room:
        """Whoever is at this channel is heard by nobody in the room (or is heard again)."""
        room = self._room(call, employee)
        person = room.named(channel)
        if person is None or person.place is not Place.ROOM:
            raise NotInRoom(Reason(_NOBODY.text, {"who": channel}))
        await self._conference("ConfbridgeMute" if on else "ConfbridgeUnmute", room, person)

        def done(rooms: Rooms) -> bool:
            now = rooms.get(room.id)
            then = now.person(person.uniqueid) if now is not None else None
            return then is None or then.muted is on

        if not await self._book.until(done, SOON):
            raise _silent()
        return self._still(room.id)

    # ---- the PBX

    def _dialable(self, number: str) -> str:
        numbering = self._numbering()
        wanted = dialable(number.strip(), numbering.region, numbering.is_extension)
        if not wanted:
            raise NotDialable(Reason(_NO_NUMBER.text, {"number": number[:40]}))
        return wanted

    def _third(self, room: Room, channel: str = "") -> Person:
        third = room.named(channel) if channel else room.who(Role.THIRD)
        if third is None or third.role is not Role.THIRD:
            raise NotInRoom(Reason(_NOBODY.text, {"who": channel or "—"}))
        return third

    def _still(self, room_id: str) -> Room:
        room = self._book.rooms.get(room_id)
        if room is None:
            raise RoomGone(_GONE)
        return room

    async def _seen_at(self, room_id: str, stages: set[Stage]) -> Room:
        """Waits until the room is seen to have come there, with the manager. It may be over meanwhile."""
        existed = self._book.rooms.get(room_id) is not None

        def there(rooms: Rooms) -> bool:
            now = rooms.get(room_id)
            return now is not None and now.stage in stages and now.who(Role.MANAGER) is not None

        if not await self._book.until(there, SOON):
            if existed:
                self._still(room_id)
            raise _silent()
        return self._still(room_id)

    async def _conference(self, action: str, room: Room, person: Person) -> None:
        headers = [("Conference", room.id), ("Channel", person.channel)]
        try:
            await self._pbx.action(action, headers)
        except ActionRefused as error:
            who = Reason(_NOBODY.text, {"who": person.number or person.channel})
            raise (NotInRoom(who) if "channel" in error.reason.lower() else RoomGone(_GONE)) from error
        except AmiError as error:
            raise _trouble(error) from error
        log.info(f"conference: {action}", pbx=self._book.pbx, room=room.id, channel=person.channel)

    async def _redirect(self, channel: str, context: str, exten: str = "s", priority: str = "1") -> None:
        place = [("Context", context), ("Exten", exten), ("Priority", priority)]
        await self._act("Redirect", [("Channel", channel), *place])

    async def _set(self, channel: str, name: str, value: str) -> None:
        await self._act("Setvar", [("Channel", channel), ("Variable", name), ("Value", value)])

    async def _get(self, channel: str, name: str) -> str:
        return (await self._act("Getvar", [("Channel", channel), ("Variable", name)]))["Value"]

    async def _act(self, action: str, headers: list[tuple[str, str]]) -> Message:
        try:
            answer = await self._pbx.action(action, headers)
        except AmiError as error:
            raise _trouble(error) from error
        if action != "Getvar":
            log.info(f"conference: {action}", pbx=self._book.pbx, **{name.lower(): value for name, value in headers})
        return answer


async def members_of(pbx: Pbx) -> list[dict[str, str]]:
    """Who is in the PBX's conference rooms, for `RoomBook.heed_muted`. Raises AmiError."""
    try:
        rooms = await pbx.collect("ConfbridgeListRooms")
    except ActionRefused:  # "No active conferences."
        return []
    found: list[dict[str, str]] = []
    for room in rooms:
        try:
            entries = await pbx.collect("ConfbridgeList", [("Conference", room["Conference"])])
        except ActionRefused:  # over since
            continue
        found += [dict(entry.headers) for entry in entries if entry["Channel"]]
    return found


def _member(room: Room, role: Role) -> Person:
    person = room.who(role)
    if person is None:
        raise NotInRoom(Reason(_NOBODY.text, {"who": role.value}))
    return person


def _there(rooms: Rooms, room_id: str, person: Person) -> bool:
    room = rooms.get(room_id)
    now = room.person(person.uniqueid) if room is not None else None
    return now is not None and now.place is person.place


def _not_now(room: Room) -> NotNow:
    return NotNow(Reason(_BUSY.text, {"stage": room.stage.value}))


def _silent() -> PbxSilent:
    return PbxSilent(Reason(_SILENT.text, {"seconds": f"{SOON:g}"}))


def _trouble(error: AmiError) -> PbxAway:
    why = error.reason if isinstance(error, ActionRefused) else error.why
    reason = Reason(_AWAY.text, {"why": why})
    match error:
        case ActionRefused() | InjectionRefused():
            return PbxRefused(reason)
        case ActionTimeout():
            return PbxSilent(reason)
        case _:
            return PbxAway(reason)
