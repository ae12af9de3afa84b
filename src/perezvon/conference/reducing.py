"""How the events of a PBX change its conferences. Pure; nonsense never raises, and the same events give the same changes.

Our own dialplan tells of every step (`UserEvent PerezvonRoom`: asterisk/wiring). Where such an event was lost, dials,
bridges and the ConfBridge's own events tell the same. The latter go another way through Asterisk (confbridge_manager.c has
a router of its own) and may come before the step that they belong to, or after the bridge's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from perezvon.calls import Event, Snapshot
from perezvon.calls.call import Party
from perezvon.calls.channels import RINGING, UP, known, number_of
from perezvon.calls.conferring import BY_MANAGER, BY_THIRD, CALLBACK, ROLES, ROOM
from perezvon.calls.names import HELPERS, parse
from perezvon.conference.people import Person, Place, Role
from perezvon.conference.rooms import Delta, Room, Rooms, Stage

STAGES: Mapping[str, Stage] = {
    "code": Stage.CODE,
    "lookup": Stage.LOOKUP,
    "rings": Stage.RING,
    "private": Stage.PRIVATE,
    "busy": Stage.CODE,
    "noanswer": Stage.CODE,
    "badcode": Stage.CODE,
    "back": Stage.ROOM,
}
"""Where a step leads. `joined` leads into the room when it is the manager who does."""

FAILURES = frozenset({"busy", "noanswer", "badcode"})
ENDINGS = frozenset({"left", "over", "dropped"})
"""Steps with which no room begins."""

FIRST = frozenset({"UserEvent", "ConfbridgeJoin"})
"""With which a conference can begin."""

Step = tuple[Rooms, Delta | None]
Entry = Mapping[str, str]
_ROLES = {Party.CLIENT: Role.CLIENT, Party.EMPLOYEE: Role.MANAGER, Party.THIRD_PARTY: Role.THIRD}


def reduce(rooms: Rooms, event: Event) -> Step:
    """The rooms after the event, and what has changed, if anything."""
    handler = HANDLERS.get(event.name)
    if handler is None or (not rooms.rooms and not rooms.early and event.name not in FIRST):
        return rooms, None
    return handler(rooms, event)


def _put(rooms: Rooms, room: Room, at: float, what: str) -> Step:
    if room == rooms.get(room.id):
        return rooms, None
    if not room.people:
        return rooms.putting(room), Delta(room.id, at, "over", None)
    return rooms.putting(room), Delta(room.id, at, what, room)


def _on_step(rooms: Rooms, event: Event) -> Step:
    step, role, at = event["step"], event["role"], event.at
    if event["userevent"] != "PerezvonRoom" or not event["room"] or not event["uniqueid"]:
        return rooms, None
    room = rooms.get(event["room"])
    if room is None:
        if step in ENDINGS:
            return rooms, None
        room = Room(event["room"], Stage.CODE, at)
    teller = _teller(step, role)
    if teller is not None:
        there = rooms.early.get(event["uniqueid"]) == room.id
        told = _told(event, "", teller, at, Place.ROOM if there else Place.AWAY)
        before = room.person(told.uniqueid)
        room = room.having(replace(before, role=teller) if before is not None else told)
        if before is None and teller is Role.MANAGER:  # a second call of his has taken the first one's place
            room = _handed_over(room, told)
    if not room.people:
        return rooms, None
    if event["result"] == "callback":
        room = room.at_stage(Stage.CALLBACK, at)
    elif step in STAGES or (step == "joined" and role == "manager"):
        room = room.at_stage(STAGES.get(step, Stage.ROOM), at)
    if step in {"lookup", "rings"}:
        room = replace(room, code=event["code"] or room.code, to=event["to"], failure="")
    elif step in FAILURES:
        room = replace(room, failure=step)
    return _put(rooms, room, at, step)


def _teller(step: str, role: str) -> Role | None:
    """In which role a channel tells of a step itself; None when it tells of somebody else, or is about to go."""
    match role:
        case "manager" if step in BY_MANAGER:
            return Role.MANAGER
        case "third" if step in BY_THIRD:
            return Role.THIRD
        case "client" if step in {"joined", "code"}:
            return Role.CLIENT
        case _:
            return None


def _handed_over(room: Room, manager: Person) -> Room:
    kept = [one for one in room.people if one.role is not Role.MANAGER or one.uniqueid == manager.uniqueid]
    return replace(room, people=tuple(kept))


def _told(event: Event, prefix: str, role: Role, at: float, place: Place = Place.AWAY) -> Person:
    return Person(
        uniqueid=event[prefix + "uniqueid"],
        channel=event[prefix + "channel"],
        role=role,
        place=place,
        since=at,
        number=known(event[prefix + "calleridnum"]),
        name=known(event[prefix + "calleridname"]),
    )


def _on_variable(rooms: Rooms, event: Event) -> Step:
    uid, room = event["uniqueid"], event["value"]
    if event["variable"].lstrip("_") == ROOM and room in rooms.rooms and uid and uid not in rooms.places:
        return rooms.promising(uid, room), None
    return rooms, None


def _on_dial_begin(rooms: Rooms, event: Event) -> Step:
    """The manager rings a third person, the client's channel rings the manager back, or a button rings somebody."""
    source, target = event["uniqueid"], event["destuniqueid"]
    room = rooms.of(source) if source else rooms.get(rooms.promised.get(target, ""))
    if room is None or not target or parse(event["destchannel"]).tech in HELPERS:
        return rooms, None
    dialler = room.person(source)
    role = Role.MANAGER if dialler is not None and dialler.role is Role.CLIENT else Role.THIRD
    person = _told(event, "dest", role, event.at, Place.RINGING)
    if role is Role.THIRD and dialler is not None:
        person = replace(person, number=room.to or person.number)
        room = room.at_stage(Stage.RING, event.at)
    return _put(rooms, room.having(person), event.at, "rings")


def _on_dial_end(rooms: Rooms, event: Event) -> Step:
    found = rooms.person(event["destuniqueid"])
    if found is None or found[1].place is not Place.RINGING:
        return rooms, None
    room, person = found
    if event["dialstatus"] != "ANSWER":
        return _put(rooms, room.without(person.uniqueid), event.at, event["dialstatus"].lower())
    return _put(rooms, _moved(room, person, Place.AWAY, event.at), event.at, "answered")


def _moved(room: Room, person: Person, place: Place, at: float) -> Room:
    return room.having(replace(person, place=place, since=at))


def _on_bridge_enter(rooms: Rooms, event: Event) -> Step:
    """Into a bridge of two: the private talk. The room's own bridge is told of by ConfbridgeJoin."""
    if event["bridgecreator"] == "ConfBridge" or event["bridgetechnology"] == "softmix":
        return rooms, None
    found = rooms.person(event["uniqueid"])
    if found is None or found[1].place is Place.ROOM or found[1].role is Role.CLIENT:
        return rooms, None
    room = _moved(*found, Place.PRIVATE, event.at)
    private = {one.role for one in room.people if one.place is Place.PRIVATE}
    if private == {Role.MANAGER, Role.THIRD}:
        room = room.at_stage(Stage.PRIVATE, event.at)
    return _put(rooms, room, event.at, "private")


def _on_bridge_leave(rooms: Rooms, event: Event) -> Step:
    found = rooms.person(event["uniqueid"])
    if found is None or found[1].place is not Place.PRIVATE:
        return rooms, None
    return _put(rooms, _moved(*found, Place.AWAY, event.at), event.at, "away")


def _on_join(rooms: Rooms, event: Event) -> Step:
    room = rooms.get(event["conference"])
    if not event["uniqueid"] or parse(event["channel"]).tech in HELPERS:
        return rooms, None
    if room is None:
        return replace(rooms, early={**rooms.early, event["uniqueid"]: event["conference"]}), None
    person = room.person(event["uniqueid"])
    if person is None:  # its step was lost
        role = Role.MANAGER if event["admin"] == "Yes" else Role.THIRD if room.who(Role.CLIENT) else Role.CLIENT
        person = _told(event, "", role, event.at)
    person = replace(person, place=Place.ROOM, since=event.at, muted=event["muted"] == "Yes")
    room = room.having(person)
    if person.role is Role.MANAGER:
        room = replace(room.at_stage(Stage.ROOM, event.at), failure="")
    return _put(rooms, room, event.at, "joined")


def _in_conference(rooms: Rooms, event: Event) -> tuple[Room, Person] | None:
    found = rooms.person(event["uniqueid"])
    return found if found is not None and found[0].id == event["conference"] else None


def _on_leave(rooms: Rooms, event: Event) -> Step:
    found = _in_conference(rooms, event)
    if found is None:
        return rooms.later(event["uniqueid"]), None
    return _put(rooms, _moved(*found, Place.AWAY, event.at), event.at, "left")


def _on_mute(rooms: Rooms, event: Event) -> Step:
    found = _in_conference(rooms, event)
    if found is None:
        return rooms, None
    room, person = found
    muted = event.name == "ConfbridgeMute"
    return _put(rooms, room.having(replace(person, muted=muted)), event.at, "muted" if muted else "unmuted")


def _on_music(rooms: Rooms, event: Event) -> Step:
    found = rooms.person(event["uniqueid"])
    if found is None or found[1].role is not Role.CLIENT:
        return rooms, None
    on = event.name == "MusicOnHoldStart"
    return _put(rooms, replace(found[0], music=on), event.at, "music" if on else "no music")


def _on_hangup(rooms: Rooms, event: Event) -> Step:
    found = rooms.person(event["uniqueid"])
    if found is None:
        rooms = rooms.later(event["uniqueid"])
        if event["uniqueid"] in rooms.promised:
            promised = {uid: room for uid, room in rooms.promised.items() if uid != event["uniqueid"]}
            return replace(rooms, promised=promised), None
        return rooms, None
    room, person = found
    if person.role is Role.CLIENT:
        room = replace(room, music=False)
    return _put(rooms, room.without(person.uniqueid), event.at, "gone")


HANDLERS: Mapping[str, Callable[[Rooms, Event], Step]] = {
    "UserEvent": _on_step,
    "VarSet": _on_variable,
    "DialBegin": _on_dial_begin,
    "DialEnd": _on_dial_end,
    "BridgeEnter": _on_bridge_enter,
    "BridgeLeave": _on_bridge_leave,
    "ConfbridgeJoin": _on_join,
    "ConfbridgeLeave": _on_leave,
    "ConfbridgeMute": _on_mute,
    "ConfbridgeUnmute": _on_mute,
    "MusicOnHoldStart": _on_music,
    "MusicOnHoldStop": _on_music,
    "Hangup": _on_hangup,
}


# ---- starting in the middle


def resync(rooms: Rooms, snapshot: Snapshot) -> tuple[Rooms, list[Delta]]:
    """The rooms of a dump in place of those that were known. Who is muted no dump says: whoever was, until `heed_muted`.
    Doing it twice tells nothing new."""
    muted = {person.channel for room in rooms for person in room.people if person.muted}
    rooms = replace(rooms, early={})
    found = _found(snapshot, muted)
    deltas: list[Delta] = []
    for room in list(rooms):
        if room.id not in found:
            rooms = rooms.putting(replace(room, people=()))
            deltas.append(Delta(room.id, snapshot.at, "over", None))
    for room in found.values():
        before = rooms.get(room.id)
        rooms, delta = _put(rooms, _resumed(room, before) if before is not None else room, snapshot.at, "found")
        deltas += [delta] if delta is not None else []
    return rooms, deltas


def heed_muted(rooms: Rooms, members: Iterable[Entry], at: float) -> tuple[Rooms, list[Delta]]:
    """`members`: the `ConfbridgeList` entries of all rooms, keyed by lower-cased header names. Who is not among them stays
    as he is known. Doing it twice tells nothing new."""
    muted = {entry.get("channel", ""): entry.get("muted") == "Yes" for entry in members}
    deltas: list[Delta] = []
    for before in list(rooms):
        room = before
        for person in before.people:
            now = muted.get(person.channel, person.muted)
            room = room.having(replace(person, muted=now))
            rooms, delta = _put(rooms, room, at, "muted" if now else "unmuted")
            deltas += [delta] if delta is not None else []
    return rooms, deltas


def _found(snapshot: Snapshot, muted: set[str]) -> dict[str, Room]:
    of_room: dict[str, list[Entry]] = {}
    for entry in snapshot.channels:
        if (room := entry.get(f"variable.{ROOM}", "")) and entry.get("uniqueid") and entry.get("channel"):
            of_room.setdefault(room, []).append(entry)
    found: dict[str, Room] = {}
    for room, entries in of_room.items():
        if any(entry.get("context", "") in ROLES for entry in entries):
            back = any(entry.get("context", "") == CALLBACK for entry in entries)
            rung = Role.MANAGER if back else Role.THIRD
            people = [person for entry in entries if (person := _entry(entry, rung, snapshot.at, muted)) is not None]
            client = next((one for one in people if one.role is Role.CLIENT), None)
            music = client is not None and not any(
                one.place is Place.ROOM and one.role is not Role.CLIENT for one in people
            )
            stage = Stage.CALLBACK if back else _stage_of(people, entries)
            found[room] = Room(room, stage, snapshot.at, tuple(people), music=music)
    return found


def _entry(entry: Entry, rung: Role, at: float, muted: set[str]) -> Person | None:
    """`rung`: whoever is being dialled."""
    app, context = entry.get("application", "").lower(), entry.get("context", "")
    if context in ROLES:
        role = _ROLES[ROLES[context]]
        place = Place.ROOM if app == "confbridge" else Place.PRIVATE if entry.get("bridgeid") else Place.AWAY
    elif app == "appdial" and not entry.get("bridgeid") and number_of(entry.get("channelstate", "")) <= RINGING:
        role, place = rung, Place.RINGING
    elif app == "appdial" and number_of(entry.get("channelstate", "")) == UP:
        role, place = rung, Place.PRIVATE
    else:
        return None
    return Person(
        uniqueid=entry["uniqueid"],
        channel=entry["channel"],
        role=role,
        place=place,
        since=at,
        number=known(entry.get("calleridnum", "")),
        name=known(entry.get("calleridname", "")),
        muted=entry["channel"] in muted,
    )


def _stage_of(people: Iterable[Person], entries: Iterable[Entry]) -> Stage:
    places = {(person.role, person.place) for person in people}
    if (Role.MANAGER, Place.PRIVATE) in places:
        return Stage.PRIVATE
    if (Role.THIRD, Place.RINGING) in places and (Role.MANAGER, Place.AWAY) in places:
        return Stage.RING
    if (Role.MANAGER, Place.AWAY) in places:
        apps = {entry.get("application", "").lower() for entry in entries}
        return Stage.LOOKUP if "agi" in apps else Stage.CODE
    return Stage.ROOM


def _resumed(room: Room, before: Room) -> Room:
    """What the dump does not say is as it was; so are the moments, where nothing has changed."""
    people: list[Person] = []
    for person in room.people:
        old = before.person(person.uniqueid)
        if old is not None:
            same = (old.place, old.role) == (person.place, person.role)
            since = old.since if same else person.since
            people.append(replace(person, since=since, number=old.number or person.number))
        else:
            people.append(person)
    order = {one.uniqueid: place for place, one in enumerate(before.people)}
    people.sort(key=lambda one: order.get(one.uniqueid, len(order)))
    since = before.since if before.stage is room.stage else room.since
    return replace(room, people=tuple(people), since=since, code=before.code, to=before.to, failure=before.failure)
