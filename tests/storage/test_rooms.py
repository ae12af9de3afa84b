"""Each table's room on both databases: what goes in comes out, what must happen once happens once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Call, Direction, Leg, LegOutcome, Outcome, Party, Transfer, TransferKind
from perezvon.calls.facts import (
    Answered,
    CallEnded,
    CallStarted,
    Fact,
    Held,
    InMenu,
    LeftTalk,
    MenuChosen,
    MenuStep,
    Recorded,
    Ringing,
    StoppedRinging,
    Transferred,
)
from perezvon.storage import (
    Database,
    calls,
    clicks,
    counters,
    employees,
    installation,
    journal,
    recordings,
    settings,
    tokens,
)
from perezvon.storage.calls import Search, StoredCall
from perezvon.storage.clicks import Click, ClickState
from perezvon.storage.employees import Employee
from perezvon.storage.recordings import RecordingState
from perezvon.storage.tokens import SealedToken

NASTY = 'Клиент "О\'Нил"; DROP TABLE call; -- <b>🙂</b>\r\n\0\ud800%_\\'
CLEAN = NASTY.replace("\0", "").replace("\ud800", "?")

RECORD = Call(
    id="c1",
    direction=Direction.INCOMING,
    client="+79160000001",
    client_raw="89160000001",
    client_name="Клиент",
    line="+74951234567",
    line_raw="1234567",
    trunk="multifon",
    started=100.0,
    answered=105.25,
    ended=120.5,
    outcome=Outcome.ANSWERED,
    duration=15.25,
    rung=("101", "102"),
    talkers=("102",),
    last_talker="102",
    transfers=(Transfer(TransferKind.BLIND, "101", "102", 110.0),),
    queue="sales",
    menu=("2",),
    recordings=("/a.wav",),
    legs=(Leg("PJSIP/102-1", Party.EMPLOYEE, "102", 101.0, 105.25, 120.5, LegOutcome.ANSWERED),),
)

FACTS: list[Fact] = [
    CallStarted("c1", 100.0, Direction.INCOMING, "+7916", "8916", "Клиент", "+7495", "495", "multifon", "", ""),
    Ringing("c1", 101.0, "101", "PJSIP/101-1"),
    StoppedRinging("c1", 104.0, "101", "PJSIP/101-1", LegOutcome.NO_ANSWER),
    Answered("c1", 105.25, "102", "PJSIP/102-1"),
    Held("c1", 106.0, "102", on=True),
    Transferred("c1", 110.0, TransferKind.ATTENDED, "102", "103"),
    LeftTalk("c1", 110.0, "102"),
    Recorded("c1", 105.3, "/a.wav"),
    MenuChosen("c1", 100.5, "2"),
    InMenu("c1", 100.6, MenuStep.KEY, "2", "+79160000011", ("intro", "1", "2")),
    CallEnded("c1", 120.5, RECORD),
]


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as opened:
        yield opened


def doing(room: Callable[..., Awaitable[Any]], *args: Any, **rest: Any) -> Callable[[AsyncConnection], Awaitable[Any]]:
    return lambda conn: room(conn, *args, **rest)


def a_call(call_id: str = "c1", started: float = 100.0, **rest: Any) -> StoredCall:
    return StoredCall(id=call_id, pbx="main", direction=Direction.INCOMING, started=started, live=True, **rest)


async def test_installation_is_made_once(database: Database) -> None:
    first = await database.write(doing(installation.identity, 5.0))
    again = await database.write(doing(installation.identity, 9.0))
    assert first == again
    assert len(first.id) == 12
    assert first.created == 5.0


async def test_a_call_is_saved_whole_and_found(database: Database) -> None:
    row = a_call(client="+7916", state={"legs": [1, None, NASTY]}, plan={"x": 1.5})
    await database.write(doing(calls.save, [row]))
    await database.write(doing(calls.save, [a_call(client=NASTY, outcome=Outcome.MISSED, state={"n": 2})]))
    async with database.read() as conn:
        assert await calls.find(conn, "c1") == a_call(client=CLEAN, outcome=Outcome.MISSED, state={"n": 2})
        assert await calls.find(conn, "other") is None


async def test_live_calls_of_one_pbx(database: Database) -> None:
    rows = [
        a_call("b", 2.0),
        a_call("a", 1.0),
        StoredCall("ended", "main", Direction.INCOMING, 0.5, live=False),
        StoredCall("elsewhere", "branch", Direction.INCOMING, 0.5, live=True),
    ]
    for row in rows:
        await database.write(doing(calls.save, [row]))
    async with database.read() as conn:
        assert [found.id for found in await calls.load_live(conn, "main")] == ["a", "b"]


async def test_search_narrows_and_pages(database: Database) -> None:
    for number in range(7):
        direction = Direction.OUTGOING if number % 2 else Direction.INCOMING
        await database.write(
            doing(
                calls.save,
                [StoredCall(f"c{number}", "main", direction, 10.0 + number // 2, live=number > 4, client=f"+{number}")],
            )
        )
    async with database.read() as conn:
        seen: list[str] = []
        after = None
        while page := await calls.search(conn, Search(after=after), limit=3):
            seen += [row.id for row in page]
            after = (page[-1].started, page[-1].id)
        assert seen == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]
        assert [row.id for row in await calls.search(conn, Search(client="+3"))] == ["c3"]
        assert [row.id for row in await calls.search(conn, Search(direction=Direction.OUTGOING, live=False))] == [
            "c3",
            "c1",
        ]
        assert [row.id for row in await calls.search(conn, Search(since=11.0, until=12.0))] == ["c3", "c2"]


async def test_the_journal_gives_back_the_facts(database: Database) -> None:
    async def work(conn: AsyncConnection) -> None:
        await calls.save(conn, [a_call()])
        await journal.append(conn, FACTS[:4])
        await journal.append(conn, FACTS[4:])

    await database.write(work)
    async with database.read() as conn:
        assert await journal.read(conn, "c1") == FACTS
        assert await journal.read(conn, "c2") == []


async def test_a_fact_of_an_unknown_call_is_refused(database: Database) -> None:
    with pytest.raises(DBAPIError):
        await database.write(doing(journal.append, FACTS[:1]))


async def test_settings_keep_every_version(database: Database) -> None:
    async with database.read() as conn:
        assert await settings.latest(conn) is None
    one = await database.write(doing(settings.save, at=1.0, who="root", note="first", body="{}"))
    two = await database.write(doing(settings.save, at=2.0, who="root", note=NASTY, body='{"a": 1}'))
    async with database.read() as conn:
        newest = await settings.latest(conn)
        assert newest is not None
        assert (newest.id, newest.body, newest.note) == (two, '{"a": 1}', CLEAN)
        older = await settings.get(conn, one)
        assert older is not None
        assert older.body == "{}"
        assert [version.id for version in await settings.history(conn)] == [two, one]
        assert [version.id for version in await settings.history(conn, before=two)] == [one]


async def test_a_token_takes_the_place_of_the_earlier_one(database: Database) -> None:
    await database.write(doing(tokens.save, SealedToken("main", b"\x00one", "m", 1.0)))
    await database.write(doing(tokens.save, SealedToken("main", b"\xfftwo", "m", 2.0)))
    async with database.read() as conn:
        assert await tokens.load(conn, "main") == SealedToken("main", b"\xfftwo", "m", 2.0)
    await database.write(doing(tokens.forget, "main"))
    async with database.read() as conn:
        assert await tokens.load(conn, "main") is None


async def test_employees_are_a_snapshot(database: Database) -> None:
    one = Employee("1", "101", NASTY, phones=("+7916",))
    two = Employee("2", "", "Пётр", active=False)
    await database.write(doing(employees.replace, "main", [one, two], 5.0))
    await database.write(doing(employees.replace, "other", [one], 6.0))
    async with database.read() as conn:
        assert await employees.load(conn, "main") == ([Employee("1", "101", CLEAN, phones=("+7916",)), two], 5.0)
    await database.write(doing(employees.replace, "main", [two], 7.0))
    async with database.read() as conn:
        assert await employees.load(conn, "main") == ([two], 7.0)
        assert await employees.load(conn, "nowhere") == ([], None)


async def test_a_click_is_taken_once_and_moves_once(database: Database) -> None:
    click = Click("main", "externalCall.1", "7", "+7916", 10.0)
    assert await database.write(doing(clicks.take, click)) is True
    assert await database.write(doing(clicks.take, click)) is False
    assert await database.write(doing(clicks.take, Click("other", "externalCall.1", "7", "+7916", 10.0))) is True

    move = doing(clicks.move, "main", "externalCall.1", ClickState.DIALLING, only_from=[ClickState.NEW], uniqueid="pz-1")
    assert [await database.write(move), await database.write(move)] == [True, False]
    async with database.read() as conn:
        found = await clicks.by_uniqueid(conn, "pz-1")
        assert found is not None
        assert (found.state, found.portal_call) == (ClickState.DIALLING, "externalCall.1")
        assert await clicks.by_uniqueid(conn, "") is None
        assert [row.portal for row in await clicks.unfinished(conn, "main")] == ["main"]
        assert len(await clicks.recent(conn, "main", "7", "+7916", since=5.0)) == 1
        assert await clicks.recent(conn, "main", "7", "+7916", since=11.0) == []
    await database.write(doing(clicks.move, "main", "externalCall.1", ClickState.FINISHED, error=NASTY))
    async with database.read() as conn:
        assert await clicks.unfinished(conn, "main") == []
        found = await clicks.find(conn, "main", "externalCall.1")
        assert found is not None
        assert found.error == CLEAN


async def test_recordings_come_due_and_are_settled(database: Database) -> None:
    async def with_call(conn: AsyncConnection) -> None:
        await calls.save(conn, [a_call()])
        for _ in range(2):
            await recordings.add(conn, pbx="main", portal="p", paths=[("c1", "/a.wav")], now=10.0)
        await recordings.add(conn, pbx="main", portal="p", paths=[("c1", "/b.wav")], now=11.0)

    await database.write(with_call)
    async with database.read() as conn:
        one, two = await recordings.of_call(conn, "c1")
        assert await recordings.due(conn, 10.5, 10) == [one]
        assert await recordings.next_due(conn, after=10.5) == 11.0
    await database.write(doing(recordings.postpone, one.id, not_before=40.0, error="not there yet"))
    await database.write(doing(recordings.settle, two.id, RecordingState.READY, file="/x.mp3", seconds=2.5))
    async with database.read() as conn:
        assert await recordings.due(conn, 39.0, 10) == []
        assert [row.attempts for row in await recordings.due(conn, 40.0, 10)] == [1]
        assert await recordings.count(conn) == {RecordingState.NEW: 1, RecordingState.READY: 1}
        assert [row.error for row in await recordings.troubled(conn)] == ["not there yet"]
    await database.write(doing(recordings.settle, one.id, RecordingState.MISSING, error="gone"))
    await database.write(doing(recordings.retry, one.id, 100.0))
    async with database.read() as conn:
        assert [(row.attempts, row.state) for row in await recordings.due(conn, 100.0, 10)] == [(0, RecordingState.NEW)]


async def test_counters_add_up(database: Database) -> None:
    for name, now, by in (("unmapped:main:105", 1.0, 1), ("unmapped:main:105", 3.0, 2), ("unmappedXmain", 1.0, 1)):
        await database.write(doing(counters.bump, name, now, by))
    async with database.read() as conn:
        found = await counters.read(conn, "unmapped:")
        assert [(counter.name, counter.value, counter.last) for counter in found] == [("unmapped:main:105", 3, 3.0)]
    await database.write(doing(counters.clear, "unmapped:main:105"))
    async with database.read() as conn:
        assert await counters.read(conn, "unmapped:") == []


async def test_a_reader_cannot_write(database: Database) -> None:
    async with database.read() as conn:
        with pytest.raises(Exception, match=r"read-?only"):
            await counters.bump(conn, "x", 1.0)
