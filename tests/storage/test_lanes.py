"""Lanes: order, idempotency, and the states between which the sender moves them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perezvon.rules.vocabulary import Kind, Priority, Reason, Ref, StepDraft
from perezvon.storage import Database, lanes
from perezvon.storage.lanes import Demand, LaneState
from perezvon.storage.steps import Settled, State, Step


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as opened:
        yield opened


def draft(key: str, priority: Priority = Priority.CARD, kind: Kind = Kind.SHOW, **params: object) -> StepDraft:
    return StepDraft(key, kind, params, priority, Reason("for {who}", {"who": "Анна"}), expires=50.0)


async def append(database: Database, lane: str, *drafts: StepDraft, now: float = 10.0, portal: str = "main") -> None:
    await database.write(lambda conn: lanes.append(conn, portal, lane, drafts, now))


async def steps_of(database: Database, lane: str) -> list[Step]:
    async with database.read() as conn:
        return (await lanes.load(conn, [lane])).get(lane, [])


async def ready(database: Database, state: LaneState = LaneState.READY) -> list[str]:
    async with database.read() as conn:
        return await lanes.ready(conn, "main", 10, state)


async def claim(database: Database, lane: str, now: float = 20.0) -> list[Step]:
    steps = [step for step in await steps_of(database, lane) if step.pending]
    await database.write(lambda conn: lanes.mark_sending(conn, steps, [], now))
    return steps


async def test_a_step_comes_back_as_it_was_drafted(database: Database) -> None:
    params = {"CALL_ID": Ref(Kind.REGISTER, "CALL_ID"), "USER_ID": [1, 2], "deep": {"x": [None, 1.5, "«ё»"]}}
    await append(database, "c", draft("k", **params))
    (step,) = await steps_of(database, "c")
    assert (step.key, step.kind, step.params, step.priority) == ("k", Kind.SHOW, params, 0)
    assert (step.reason, str(step.reason)) == (Reason("for {who}", {"who": "Анна"}), "for Анна")
    assert (step.state, step.attempts, step.created, step.expires, step.portal) == (State.NEW, 0, 10.0, 50.0, "main")


async def test_order_is_the_order_of_appending(database: Database) -> None:
    await append(database, "c", draft("1"), draft("2"))
    await append(database, "d", draft("d1"))
    await append(database, "c", draft("3"))
    steps = await steps_of(database, "c")
    assert [step.key for step in steps] == ["1", "2", "3"]
    assert [step.sequence for step in steps] == sorted({step.sequence for step in steps})


async def test_a_key_is_taken_once_in_a_portal(database: Database) -> None:
    await append(database, "c", draft("1"), draft("2"))
    await append(database, "c", draft("2"), draft("3"))
    await append(database, "c", draft("1"))
    assert [step.key for step in await steps_of(database, "c")] == ["1", "2", "3"]
    await append(database, "other", draft("1"), portal="second")
    assert len(await steps_of(database, "other")) == 1


async def test_the_most_urgent_lane_goes_first_then_the_oldest(database: Database) -> None:
    await append(database, "record", draft("a", Priority.RECORD), now=1.0)
    await append(database, "late card", draft("b"), now=3.0)
    await append(database, "card", draft("c"), now=2.0)
    await append(database, "finish", draft("d", Priority.FINISH), now=4.0)
    assert await ready(database) == ["card", "late card", "finish", "record"]
    await append(database, "record", draft("e"), now=5.0)
    assert await ready(database) == ["record", "card", "late card", "finish"], "it hurries, and has waited longest"
    async with database.read() as conn:
        assert await lanes.demand(conn, "main") == [Demand(0, 3, 1.0), Demand(10, 1, 4.0)]
        assert await lanes.demand(conn, "nowhere") == []


async def test_a_lane_under_way_is_not_given_twice(database: Database) -> None:
    await append(database, "c", draft("1"))
    (step,) = await claim(database, "c")
    await append(database, "c", draft("2"))
    assert await ready(database) == []
    assert [(one.state, one.attempts, one.sent) for one in await steps_of(database, "c")] == [
        (State.SENDING, 1, 20.0),
        (State.NEW, 0, None),
    ]

    async def done(conn: object) -> None:
        await lanes.settle(conn, [Settled(step.id, State.DONE, {"CALL_ID": "x"})], 21.0)  # type: ignore[arg-type]
        await lanes.arrange(conn, ["c"], 21.0, {})  # type: ignore[arg-type]

    await database.write(done)
    assert await ready(database) == ["c"]
    first, second = await steps_of(database, "c")
    assert (first.state, first.finished, first.result) == (State.DONE, 21.0, {"CALL_ID": "x"})
    assert second.state is State.NEW


@pytest.mark.parametrize(
    ("state", "waits", "uploads", "where"),
    [
        (State.DONE, {}, (), None),
        (State.DEAD, {"c": 99.0}, (), None),
        (State.NEW, {}, (), LaneState.READY),
        (State.UNSURE, {}, (), LaneState.READY),
        (State.NEW, {"c": 30.0}, (), LaneState.WAITING),
        (State.NEW, {"c": 20.0}, (), LaneState.READY),
        (State.NEW, {}, ("c",), LaneState.UPLOAD),
    ],
)
async def test_where_a_lane_goes(
    database: Database, state: State, waits: dict[str, float], uploads: tuple[str, ...], where: LaneState | None
) -> None:
    await append(database, "c", draft("1"))
    (step,) = await claim(database, "c")
    await database.write(lambda conn: lanes.settle(conn, [Settled(step.id, state)], 20.0))
    await database.write(lambda conn: lanes.arrange(conn, ["c"], 20.0, waits, uploads))
    for one in (LaneState.READY, LaneState.UPLOAD, LaneState.WAITING, LaneState.BUSY):
        assert await ready(database, one) == (["c"] if one is where else [])
    if where is LaneState.WAITING:
        await append(database, "c", draft("2"))
        assert await ready(database) == [], "what comes later does not overtake"
        async with database.read() as conn:
            assert await lanes.next_due(conn, "main") == 30.0
        await database.write(lambda conn: lanes.wake_due(conn, "main", 29.0))
        assert await ready(database) == []
        await database.write(lambda conn: lanes.wake_due(conn, "main", 30.0))
        assert await ready(database) == ["c"]


async def test_what_a_dead_sender_left_is_unsure(database: Database) -> None:
    await append(database, "c", draft("1"), draft("2"))
    (first, _) = await claim(database, "c")
    await database.write(lambda conn: lanes.settle(conn, [Settled(first.id, State.DONE)], 20.0))
    await append(database, "elsewhere", draft("1"), portal="second")
    await claim(database, "elsewhere")
    assert await database.write(lambda conn: lanes.recover(conn, "main", 30.0)) == 1
    assert [step.state for step in await steps_of(database, "c")] == [State.DONE, State.UNSURE]
    assert [step.state for step in await steps_of(database, "elsewhere")] == [State.SENDING]
    assert await ready(database) == ["c"]


async def test_a_look_up_is_no_attempt(database: Database) -> None:
    await append(database, "c", draft("1"))
    steps = await claim(database, "c")
    await database.write(lambda conn: lanes.mark_sending(conn, [], steps, 25.0))
    assert [(step.attempts, step.state) for step in await steps_of(database, "c")] == [(1, State.SENDING)]


async def test_requeue_brings_back_the_dead_and_what_needed_them(database: Database) -> None:
    await append(database, "c", draft("1"), draft("2"), draft("3"), draft("4", Priority.FINISH))
    one, two, three, four = await claim(database, "c")
    because = Reason(lanes.NEEDS_FAILED.text, {"kind": "register"})
    settled = [
        Settled(one.id, State.DONE, {"kept": 1}),
        Settled(two.id, State.DEAD, error="refused"),
        Settled(three.id, State.SKIPPED, note=Reason("expired")),
        Settled(four.id, State.SKIPPED, note=because),
    ]
    await database.write(lambda conn: lanes.settle(conn, settled, 20.0))
    await database.write(lambda conn: lanes.arrange(conn, ["c"], 20.0, {}))
    async with database.read() as conn:
        assert [step.error for step in await lanes.dead(conn, "main")] == ["refused"]
        assert await lanes.count_dead(conn, "main") == 1
        assert await lanes.count_pending(conn, "main") == ({}, None)
    assert await database.write(lambda conn: lanes.requeue(conn, "c", 30.0)) == 2
    assert [step.state for step in await steps_of(database, "c")] == [State.DONE, State.NEW, State.SKIPPED, State.NEW]
    assert await ready(database) == ["c"]
    async with database.read() as conn:
        assert await lanes.count_pending(conn, "main") == ({0: 1, 10: 1}, 10.0)


async def test_another_user_takes_the_place(database: Database) -> None:
    await append(database, "c", draft("1", USER_ID=9, CALL_ID=Ref(Kind.REGISTER, "CALL_ID")))
    (step,) = await steps_of(database, "c")
    await database.write(lambda conn: lanes.change_user(conn, step.id, "7"))
    (step,) = await steps_of(database, "c")
    assert step.params == {"USER_ID": 7, "CALL_ID": Ref(Kind.REGISTER, "CALL_ID")}
