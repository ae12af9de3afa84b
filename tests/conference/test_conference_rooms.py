"""The rooms as a reducer: each step of the dialplan, lost steps, a dump of the PBX, nonsense."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable

import pytest
from ami_script import Script, told
from conference_script import CLIENT, FOURTH, THIRD, Conference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pbx_model import snapshot_after

from perezvon.calls import Event, Snapshot
from perezvon.calls.wanted import WANTED
from perezvon.conference import Place, Role, RoomBook, Rooms, Stage
from perezvon.conference.reducing import HANDLERS, heed_muted, reduce, resync
from perezvon.conference.rooms import Delta, Room

WAYS: dict[str, Callable[[], Conference]] = {
    "incoming": lambda: Conference().incoming_talk(),
    "outgoing": lambda: Conference().outgoing_talk(),
}
both_ways = pytest.mark.parametrize("way", WAYS)
C, M, T = Role.CLIENT, Role.MANAGER, Role.THIRD
IN, AWAY, RINGS, ALONE = Place.ROOM, Place.AWAY, Place.RINGING, Place.PRIVATE


def run(events: Iterable[Event], rooms: Rooms | None = None) -> tuple[Rooms, list[Delta]]:
    rooms, deltas = rooms or Rooms(), []
    for event in events:
        rooms, delta = reduce(rooms, event)
        deltas += [delta] if delta is not None else []
    return rooms, deltas


def the_room(pbx: Script) -> Room:
    [room] = run(pbx.events)[0]
    return room


def places(room: Room) -> list[tuple[Role, Place]]:
    return [(person.role, person.place) for person in room.people]


def begun(way: str) -> Conference:
    pbx = WAYS[way]()
    pbx.consult()
    return pbx


@both_ways
def test_a_talk_is_no_room(way: str) -> None:
    assert len(run(WAYS[way]().events)[0]) == 0


@both_ways
def test_every_stage(way: str) -> None:
    pbx = begun(way)
    room = the_room(pbx)
    assert (room.id, room.stage, room.music) == (pbx.room, Stage.CODE, True)
    assert places(room) == [(C, IN), (M, AWAY)]
    assert room.people[0].number == CLIENT
    pbx.code("12")
    room = the_room(pbx)
    assert (room.stage, room.code) == (Stage.LOOKUP, "12")
    pbx.rings()
    room = the_room(pbx)
    assert (room.stage, room.to) == (Stage.RING, THIRD)
    assert places(room) == [(C, IN), (M, AWAY), (T, RINGS)]
    assert room.people[2].number == THIRD
    pbx.private()
    room = the_room(pbx)
    assert room.stage is Stage.PRIVATE
    assert places(room) == [(C, IN), (M, ALONE), (T, ALONE)]
    assert room.music
    pbx.merge()
    room = the_room(pbx)
    assert (room.stage, room.music) == (Stage.ROOM, False)
    assert places(room) == [(C, IN), (M, IN), (T, IN)]
    pbx.consult()
    room = the_room(pbx)
    assert (room.stage, room.music) == (Stage.CODE, False)
    assert places(room) == [(C, IN), (M, AWAY), (T, IN)]
    pbx.rings(FOURTH)
    pbx.private()
    pbx.merge()
    room = the_room(pbx)
    assert [person.number for person in room.people if person.role is T] == [THIRD, FOURTH]
    assert room.since > room.people[0].since
    pbx.end_by_client()
    rooms, deltas = run(pbx.events)
    assert len(rooms) == 0
    assert (deltas[-1].what, deltas[-1].now) == ("over", None)


@both_ways
@pytest.mark.parametrize(
    ("act", "failure"),
    [
        (lambda pbx: pbx.fails("BUSY", "busy", 17), "busy"),
        (lambda pbx: pbx.fails("NOANSWER", "noanswer", 19), "noanswer"),
    ],
    ids=["busy", "no answer"],
)
def test_a_try_that_leads_nowhere(way: str, act: Callable[[Conference], None], failure: str) -> None:
    pbx = begun(way)
    pbx.rings()
    act(pbx)
    room = the_room(pbx)
    assert (room.stage, room.failure) == (Stage.CODE, failure)
    assert places(room) == [(C, IN), (M, AWAY)]
    pbx.code("2")
    assert the_room(pbx).failure == ""


@both_ways
def test_a_wrong_code(way: str) -> None:
    pbx = begun(way)
    pbx.code("999")
    pbx.step(pbx.manager, "badcode", "manager", code="999")
    room = the_room(pbx)
    assert (room.stage, room.failure, room.code) == (Stage.CODE, "badcode", "999")
    pbx.back()
    assert (the_room(pbx).stage, the_room(pbx).failure) == (Stage.ROOM, "")


@both_ways
@pytest.mark.parametrize("how", ["drops_talking", "third_hangs_up"])
def test_the_third_person_goes_in_private(way: str, how: str) -> None:
    pbx = begun(way)
    pbx.rings()
    pbx.private()
    getattr(pbx, how)()
    assert places(the_room(pbx)) == [(C, IN), (M, IN)]
    assert the_room(pbx).stage is Stage.ROOM


@both_ways
def test_rung_back_after_a_transfer(way: str) -> None:
    pbx = WAYS[way]()
    pbx.refer_to_900()
    room = the_room(pbx)
    assert room.stage is Stage.CALLBACK
    assert places(room) == [(C, AWAY), (M, RINGS)]
    pbx.comes_back()
    room = the_room(pbx)
    assert room.stage is Stage.CODE
    assert places(room) == [(C, IN), (M, AWAY)]


@both_ways
def test_a_second_call_takes_the_managers_place(way: str) -> None:
    pbx = WAYS[way]()
    pbx.second_call_to_900()
    room = the_room(pbx)
    assert room.stage is Stage.CODE
    assert [(person.role, person.uniqueid) for person in room.people] == [(C, pbx.client.uid), (M, pbx.manager.uid)]


def hasty(events: Iterable[Event]) -> list[Event]:
    """As a busy Asterisk may tell it: that somebody is in the ConfBridge comes before the step with which he goes there."""
    told: list[Event] = []
    for event in events:
        place = len(told)
        for before in range(len(told) - 1, -1, -1):
            step = told[before]
            if event.name == "ConfbridgeJoin" and step.name == "UserEvent" and step["uniqueid"] == event["uniqueid"]:
                place = before if event.at - step.at < 0.1 else place
                break
        told.insert(place, event)
    return told


def tardy(events: Iterable[Event]) -> list[Event]:
    """The other way round: it comes after all that happens within the next tenth of a second."""
    late = {id(event): event.at + 0.1 for event in events if event.name == "ConfbridgeJoin"}
    return sorted(events, key=lambda event: late.get(id(event), event.at))


@both_ways
@pytest.mark.parametrize("told", [hasty, tardy])
def test_the_conference_bridge_tells_earlier_or_later_than_the_rest(
    way: str, told: Callable[[Iterable[Event]], list[Event]]
) -> None:
    pbx = begun(way)
    seen: list[Stage] = []

    def now() -> list[tuple[Role, Place]]:
        assert told(pbx.events) != pbx.events
        rooms, deltas = run(told(pbx.events))
        seen[:] = [delta.now.stage for delta in deltas if delta.now is not None]
        [room] = rooms
        return places(room)

    assert now() == [(C, IN), (M, AWAY)]
    pbx.rings()
    pbx.private()
    pbx.merge()
    assert now() == [(C, IN), (M, IN), (T, IN)]
    assert [stage for place, stage in enumerate(seen) if not place or seen[place - 1] is not stage] == [
        Stage.CODE, Stage.RING, Stage.PRIVATE, Stage.ROOM,
    ]  # fmt: skip
    pbx.end_by_client()
    rooms, _ = run(told(pbx.events))
    assert (len(rooms), rooms.early) == (0, {})


def test_conferences_of_others_are_forgotten() -> None:
    pbx = begun("incoming")
    other = [
        Event(name, 1.0, {"conference": "100", "uniqueid": "9.9", "channel": "PJSIP/105-1"})
        for name in ("ConfbridgeJoin", "ConfbridgeLeave")
    ]
    rooms, deltas = run(other[:1])
    assert (rooms.early, len(rooms), deltas) == ({"9.9": "100"}, 0, [])
    assert run(other[1:], rooms)[0].early == {}
    assert run([Event("Hangup", 2.0, {"uniqueid": "9.9", "channel": "PJSIP/105-1"})], rooms)[0].early == {}
    assert resync(rooms, snapshot_after(pbx.events))[0].early == {}


@both_ways
def test_somebody_rung_by_a_button(way: str) -> None:
    pbx = begun(way)
    pbx.back()
    third = pbx.new("PJSIP/carrier-0000000f", uid="button-1", number=THIRD)
    pbx.variable(third, "__PEREZVON_ROOM", pbx.room)
    pbx.begin(None, third, f"{THIRD}@carrier")
    room = the_room(pbx)
    assert places(room) == [(C, IN), (M, IN), (T, RINGS)]
    assert room.stage is Stage.ROOM
    pbx.end(third, "BUSY")
    pbx.hangup(third)
    assert places(the_room(pbx)) == [(C, IN), (M, IN)]


@both_ways
def test_muted(way: str) -> None:
    pbx = begun(way)
    pbx.back()
    conference = {"conference": pbx.room}
    pbx.send("ConfbridgeMute", **told(pbx.client), **conference)
    assert [person.muted for person in the_room(pbx).people] == [True, False]
    pbx.send("ConfbridgeUnmute", **told(pbx.client), **conference)
    assert [person.muted for person in the_room(pbx).people] == [False, False]


@both_ways
@pytest.mark.parametrize("gone", ["client", "manager"])
def test_the_others_stay(way: str, gone: str) -> None:
    pbx = begun(way)
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.goes(getattr(pbx, gone), gone)
    assert places(the_room(pbx)) == [(role, IN) for role in (C, M, T) if role.value != gone]
    pbx.everybody_else_goes()
    assert len(run(pbx.events)[0]) == 0


@both_ways
def test_the_announcer_is_nobody(way: str) -> None:
    pbx = begun(way)
    assert not any("CBAnn" in person.channel for person in the_room(pbx).people)
    rooms, _ = run(pbx.events)
    announcer = Event("ConfbridgeJoin", pbx.at, {**told(pbx.announcer), "conference": pbx.room, "admin": "No"})
    assert reduce(rooms, announcer) == (rooms, None)


@both_ways
def test_steps_that_are_lost(way: str) -> None:
    """From the first event of a room on, dials, bridges and ConfBridge events are enough."""
    pbx = begun(way)
    pbx.rings()
    pbx.private()
    pbx.merge()
    first = next(n for n, event in enumerate(pbx.events) if event["step"] == "code")
    events = [event for n, event in enumerate(pbx.events) if event.name != "UserEvent" or n <= first]
    [room] = run(events)[0]
    assert (room.stage, places(room)) == (Stage.ROOM, [(C, IN), (M, IN), (T, IN)])


def test_what_is_told() -> None:
    pbx = begun("incoming")
    pbx.code("1")
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.end_by_client()
    _, deltas = run(pbx.events)
    stages = [delta.now.stage if delta.now else None for delta in deltas]
    turns = [stage for stage, before in zip(stages, [None, *stages], strict=False) if stage is not before]
    assert turns == [Stage.CODE, Stage.LOOKUP, Stage.RING, Stage.PRIVATE, Stage.ROOM, None]
    assert json.loads(json.dumps(deltas[0].as_json()))["now"]["people"][0]["role"] == "client"
    assert all(later.at >= earlier.at for earlier, later in itertools.pairwise(deltas))


# ---- from a dump


def in_state(way: str, state: str) -> Conference:
    pbx = begun(way)
    if state != "code":
        pbx.rings()
    if state in {"private", "room"}:
        pbx.private()
    if state == "room":
        pbx.merge()
    return pbx


@both_ways
@pytest.mark.parametrize("state", ["code", "ring", "private", "room"])
def test_resync(way: str, state: str) -> None:
    pbx = in_state(way, state)
    live, _ = run(pbx.events)
    snapshot = snapshot_after(pbx.events)
    fresh, deltas = resync(Rooms(), snapshot)
    [room], [known] = list(fresh), list(live)
    assert (room.id, room.stage.value, room.music) == (known.id, known.stage.value, known.music)
    assert sorted(places(room)) == sorted(places(known))
    assert [delta.what for delta in deltas] == ["found"]
    assert resync(fresh, snapshot) == (fresh, [])
    assert resync(live, snapshot) == (live, [])
    pbx.end_by_client()
    over, _ = run(pbx.events[len(pbx.events) - 30 :], fresh)
    assert len(over) == 0


@both_ways
def test_resync_while_the_manager_is_rung_back(way: str) -> None:
    pbx = WAYS[way]()
    pbx.refer_to_900()
    pbx.exten(pbx.client, "Dial", context="perezvon-callback")
    fresh, _ = resync(Rooms(), snapshot_after(pbx.events))
    [room] = fresh
    assert (room.stage, places(room)) == (Stage.CALLBACK, [(C, AWAY), (M, RINGS)])


def test_resync_finds_what_is_over_and_who_is_muted() -> None:
    pbx = in_state("incoming", "room")
    rooms, _ = run(pbx.events)
    muted = [{"conference": pbx.room, "channel": pbx.client.name, "muted": "Yes"}]
    rooms, _ = resync(rooms, snapshot_after(pbx.events))
    rooms, deltas = heed_muted(rooms, muted, pbx.at)
    assert [person.muted for room in rooms for person in room.people] == [True, False, False]
    assert [delta.what for delta in deltas] == ["muted"]
    assert heed_muted(rooms, muted, pbx.at) == (rooms, []), "it tells nothing new twice"
    rooms, _ = resync(rooms, snapshot_after(pbx.events))
    assert [person.muted for room in rooms for person in room.people] == [True, False, False], "no dump says who is muted"
    rooms, deltas = heed_muted(rooms, [{**muted[0], "muted": "No"}], pbx.at)
    assert [delta.what for delta in deltas] == ["unmuted"]
    rooms, deltas = resync(rooms, Snapshot(pbx.at, (), {}, {}))
    assert (len(rooms), [delta.what for delta in deltas]) == (0, ["over"])


# ---- whatever comes

VALUES = st.sampled_from(
    ["", "1.1", "1.2", "PJSIP/x-1", "CBAnn/1.1-2;1", "manager", "client", "third", "PerezvonRoom", "Yes"]
)
STEPS = st.sampled_from(["code", "joined", "rings", "over", "left", "ANSWER", "BUSY", "PEREZVON_ROOM"])
KEYS = [
    *("uniqueid", "channel", "destuniqueid", "destchannel", "room", "conference", "userevent", "role", "step", "admin"),
    *("dialstatus", "variable", "value", "result", "muted", "to", "code", "calleridnum"),
]


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            Event,
            st.sampled_from([*HANDLERS, "Newchannel"]),
            st.floats(0, 9e9),
            st.dictionaries(st.sampled_from(KEYS), st.one_of(VALUES, STEPS), max_size=12),
        ),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_nonsense_between_the_events_of_a_conference(nonsense: list[Event], chance: object) -> None:
    pbx = in_state("incoming", "room")
    pbx.end_by_client()
    events = [*pbx.events]
    for n, event in enumerate(nonsense):
        events.insert((n * 7919) % len(events), event)
    rooms, deltas = run(events)
    uids = {person.uniqueid for room in rooms for person in room.people}
    rooms, _ = run([Event("Hangup", 9e9, {"uniqueid": uid}) for uid in sorted(uids)], rooms)
    assert len(rooms) == 0
    for delta in deltas:
        json.dumps(delta.as_json())


def test_what_is_handled_is_wanted() -> None:
    assert set(HANDLERS) <= WANTED


# ---- who watches


async def test_a_watcher_sees_the_rooms_and_every_change() -> None:
    pbx = in_state("incoming", "ring")
    book = RoomBook("main")
    for event in pbx.events:
        book.feed(event)
    seen = len(pbx.events)
    with book.watch() as watch:
        pbx.private()
        for event in pbx.events[seen:]:
            book.feed(event)
        told_of: list[Delta] = []
        async for delta in watch:
            told_of.append(delta)
            if delta.now is not None and delta.now.stage is Stage.PRIVATE and len(told_of) > 1:
                break
    assert (told_of[0].what, told_of[0].now and told_of[0].now.stage) == ("now", Stage.RING)


async def test_a_watcher_who_is_too_slow_is_sent_away() -> None:
    book = RoomBook("main")
    with book.watch() as watch:
        for n in range(600):
            pbx = Conference(at=1_700_000_000.0 + n * 100, number=n * 100).incoming_talk()
            pbx.consult()
            pbx.end_by_client()
            for event in pbx.events:
                book.feed(event)
        assert len([delta async for delta in watch]) == 1000


async def test_waiting_for_a_stage() -> None:
    book = RoomBook("main")
    assert not await book.until(lambda rooms: len(rooms) > 0, 0.01)
    pbx = begun("incoming")
    for event in pbx.events:
        book.feed(event)
    assert await book.until(lambda rooms: len(rooms) > 0, 0.01)
