"""Calls that the PBX's log has and we have not: each is stored and queued once, whoever else is at it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from perezvon.asterisk.cel import Row, read_back
from perezvon.asterisk.cel_source import CelFile
from perezvon.bitrix24.directory import Directory
from perezvon.calls import Numbering
from perezvon.customisation import Customiser, Limits
from perezvon.recordings import Folder
from perezvon.rules import Kind, People, Policy, Triggers
from perezvon.service.backfill import QUEUED, Backfill, Fate, Late
from perezvon.service.hooks import CallHooks
from perezvon.service.policies import PortalRules
from perezvon.storage import Database, calls, clicks, counters, journal, lanes, recordings
from perezvon.storage.clicks import Click, ClickState
from perezvon.storage.schema import fact, step

KEPT = Path(__file__).parents[1] / "asterisk" / "cel"
STORIES = (
    "incoming_answered",
    "incoming_busy",
    "group_client_gives_up",
    "blind_by_code",
    "outgoing_answered",
    "click_to_call",
)
NUMBERING = Numbering(trunks=frozenset({"carrier", "bitrix24"}), lines=frozenset({"+74951234567"}))
USERS = {"101": "11", "102": "12", "103": "13"}
LATE = 1e10


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as database:
        yield database


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "Master.csv"
    file.write_bytes(b"".join(gzip.decompress((KEPT / f"{story}.csv.gz").read_bytes()) for story in STORIES))
    return file


def directory() -> Directory:
    return Directory.from_rows(
        {"user_id": user, "extension": extension, "name": "", "active": True, "phones": (), "refreshed": 1.0}
        for extension, user in USERS.items()
    )


def backfill(
    database: Database, log: Path, clock: Callable[[], float] = lambda: LATE, hooks: CallHooks | None = None
) -> Backfill:
    policy = Policy("house", "1", triggers=Triggers(missed=True))  # a funnel shall not react days later: nothing is pulled
    rules = PortalRules("main", policy, People(USERS))
    folder = Folder(log.parent)
    return Backfill("pbx", CelFile(log), folder, NUMBERING, rules, directory(), database, clock=clock, hooks=hooks)


def fates(found: list[Late]) -> list[Fate]:
    return [one.fate for one in found]


async def steps(database: Database) -> list[Any]:
    async with database.read() as conn:
        return list((await conn.execute(select(step).order_by(step.c.id))).all())


async def test_stored_and_queued_once(database: Database, log: Path) -> None:
    found = await backfill(database, log).find(0.0, LATE)
    assert fates(found) == [Fate.MISSING] * 6
    assert await steps(database) == [], "finding has written something"
    assert fates(await backfill(database, log).store(found)) == [Fate.QUEUED] * 6
    queued = await steps(database)
    assert Counter(one.kind for one in queued) == {"register": 6, "finish": 6}, "a card would be shown"
    for one in found:
        register, finish = [json.loads(row.params) for row in queued if row.lane == one.call.id]
        assert register["SHOW"] == 0
        assert register["CALL_START_DATE"] == one.call.as_json()["started"]
        assert register["EXTERNAL_CALL_ID"] == f"house-{one.call.id}"
        assert finish["DURATION"] == (max(1, round(one.call.duration)) if one.call.answered else 0)
        async with database.read() as conn:
            stored = await calls.find(conn, one.call.id)
            assert await journal.read(conn, one.call.id) == list(one.facts)
            assert [reason for _, reason, _ in await journal.decisions(conn, one.call.id)]
        assert stored is not None
        assert (stored.live, stored.portal, stored.state) == (False, "main", one.call.as_json())
        assert stored.plan["finished"]
    async with database.read() as conn:
        assert [one.value for one in await counters.read(conn, QUEUED)] == [1]
    again = await backfill(database, log).find(0.0, LATE)
    assert fates(again) == [Fate.THERE] * 6
    assert fates(await backfill(database, log).store(again)) == [Fate.THERE] * 6
    assert await steps(database) == queued


async def test_what_happens_now_goes_first(database: Database, log: Path) -> None:
    await backfill(database, log).store(await backfill(database, log).find(0.0, LATE))
    async with database.read() as conn:
        assert [demand.priority for demand in await lanes.demand(conn, "main")] == [20]


async def test_only_what_began_in_the_period(database: Database, log: Path) -> None:
    found = await backfill(database, log).find(0.0, LATE)
    starts = [one.call.started for one in found]
    some = await backfill(database, log).find(starts[1], starts[4])
    assert [one.call for one in some] == [one.call for one in found[1:4]]
    assert await backfill(database, log).find(starts[-1] + 1.0, LATE) == []


async def test_two_at_once(database: Database, log: Path) -> None:
    found = await backfill(database, log).find(0.0, LATE)
    one, other = await asyncio.gather(backfill(database, log).store(found), backfill(database, log).store(found))
    assert sorted([*fates(one), *fates(other)]) == [Fate.QUEUED] * 6 + [Fate.THERE] * 6
    assert len(await steps(database)) == 12
    async with database.read() as conn:
        told = (await conn.execute(select(fact.c.call).where(fact.c.kind == "CallEnded"))).scalars().all()
    assert len(told) == len(set(told)) == 6


async def test_what_the_service_has_is_its_own(database: Database, log: Path) -> None:
    """One that it follows, stored live; and one of which only the steps are left."""
    found = await backfill(database, log).find(0.0, LATE)
    live, left = backfill(database, log)._row(found[0]), found[1]  # pyright: ignore[reportPrivateUsage]
    await database.write(lambda conn: calls.add(conn, live))
    await database.write(lambda conn: lanes.append(conn, "main", left.call.id, left.steps[1:], 1.0))
    again = await backfill(database, log).find(0.0, LATE)
    assert fates(again) == [Fate.THERE, Fate.THERE] + [Fate.MISSING] * 4
    assert fates(await backfill(database, log).store(found)) == [Fate.THERE, Fate.THERE] + [Fate.QUEUED] * 4, (
        "found too early"
    )
    assert not [row for row in await steps(database) if row.lane == found[0].call.id]


def cut(log: Path, lines: int) -> None:
    """The last lines are not written yet."""
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-lines]))


async def test_what_runs_is_left_to_the_service(database: Database, log: Path) -> None:
    ended = read_back(log, 0.0)[-1].at
    just = await backfill(database, log, lambda: ended + 1.0).find(0.0, LATE)
    assert fates(just) == [Fate.MISSING] * 5 + [Fate.RUNNING]
    cut(log, 8)
    found = await backfill(database, log).find(0.0, LATE)
    assert fates(found) == [Fate.MISSING] * 5 + [Fate.RUNNING]
    assert found[-1].steps == ()
    stored = await backfill(database, log).store(found)
    assert fates(stored) == [Fate.QUEUED] * 5 + [Fate.RUNNING]


async def test_a_call_that_began_before_what_is_read(
    database: Database, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second half alone would be told as another call."""
    first = (await backfill(database, log).find(0.0, LATE))[0].call
    monkeypatch.setattr("perezvon.service.backfill.AROUND", 0.0)
    assert first.answered is not None
    found = await backfill(database, log).find(first.started + 0.05, LATE)
    assert first.id not in {one.call.id for one in found}
    assert len(found) == 5


def crash(log: Path) -> float:
    """The first call never hangs up; an hour later another one begins, in an Asterisk that counts from the beginning."""
    first = gzip.decompress((KEPT / "incoming_answered.csv.gz").read_bytes()).decode()
    second = gzip.decompress((KEPT / "outgoing_answered.csv.gz").read_bytes()).decode()
    log.write_text(first + second)
    rows = read_back(log, 0.0)
    uids = sorted({row.uniqueid for row in rows if row.uniqueid in second})
    shift = rows[0].at + 3600 - min(row.at for row in rows if row.uniqueid in uids)
    lines = [line for line in first.splitlines(keepends=True) if '"HANGUP"' not in line and '"BRIDGE_EXIT"' not in line]
    lines = [line for line in lines if '"CHAN_END"' not in line and '"LINKEDID_END"' not in line]
    for line in second.splitlines(keepends=True):
        for number, uid in enumerate(uids):
            line = line.replace(f'"{uid}"', f'"{float(uid.partition(".")[0]) + shift:.0f}.{number}"')  # noqa: PLW2901
        values = line.split(",", 2)
        lines.append(f'{values[0]},"{float(values[1].strip(chr(34))) + shift:.6f}",{values[2]}')
    log.write_text("".join(lines))
    return rows[0].at + 3600


async def test_a_crash_of_asterisk_ends_its_calls(database: Database, log: Path) -> None:
    restarted = crash(log)
    cut_off, after = await backfill(database, log).find(0.0, LATE)
    assert (cut_off.fate, after.fate) == (Fate.MISSING, Fate.MISSING)
    assert cut_off.call.ended is not None
    assert cut_off.call.ended < restarted - 3000, "the crash was an hour before the next call"
    assert not cut_off.call.end_seen
    assert after.call.started == pytest.approx(restarted, abs=1.0)
    assert after.call.end_seen


async def test_a_click_of_ours_is_finished_not_registered(database: Database, log: Path) -> None:
    uid = next(row.uniqueid for row in read_back(log, 0.0) if row.uniqueid.startswith("click-"))
    click = Click("main", "portal.call.1", "11", "79160000009", 1.0, uniqueid=uid, state=ClickState.DIALLING)
    await database.write(lambda conn: clicks.take(conn, click))
    await backfill(database, log).store(await backfill(database, log).find(0.0, LATE))
    (finish,) = [row for row in await steps(database) if row.key == "click:portal.call.1:finish"]
    assert json.loads(finish.params)["CALL_ID"] == "portal.call.1"
    assert [row.kind for row in await steps(database) if row.lane == finish.lane if row.kind == Kind.REGISTER] == []
    async with database.read() as conn:
        known = await clicks.find(conn, "main", "portal.call.1")
    assert known is not None
    assert (known.state, known.call) == (ClickState.FINISHED, finish.lane)


async def test_recordings_are_found_by_name(database: Database, log: Path) -> None:
    first = (await backfill(database, log).find(0.0, LATE))[0].call
    name = f"external-101-+79160000001-20261121-085052-{first.id.removeprefix('pbx-')}.wav"
    (log.parent / name).touch()
    found = await backfill(database, log).store(await backfill(database, log).find(0.0, LATE))
    assert found[0].call.recordings == (name,)
    async with database.read() as conn:
        assert [one.path for one in await recordings.of_call(conn, first.id)] == [name]


async def test_more_calls_than_fit_in_a_transaction(database: Database, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perezvon.service.backfill.AT_ONCE", 2)
    found = await backfill(database, log).find(0.0, LATE)
    assert fates(await backfill(database, log).store(found)) == [Fate.QUEUED] * 6
    async with database.read() as conn:
        assert [one.value for one in await counters.read(conn, QUEUED)] == [3]


@pytest.mark.slow
async def test_a_defect_in_one_call_does_not_stop_the_others(
    database: Database, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await backfill(database, log).find(0.0, LATE)
    read = CelFile.read

    async def damaged(self: CelFile, *args: float) -> list[Row]:
        return await read(self, *args)

    from perezvon.service import backfill as room

    real = room.plan

    def plan(state: Any, facts: Any, policy: Any, people: Any) -> Any:
        if facts[0].call == found[2].call.id:
            raise RuntimeError("a defect")
        return real(state, facts, policy, people)

    monkeypatch.setattr(room, "plan", plan)
    monkeypatch.setattr(CelFile, "read", damaged)
    assert len(await backfill(database, log).find(0.0, LATE)) == 5


async def test_hooks_are_asked_about_late_calls_too(database: Database, log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hooks"
    folder.mkdir()
    (folder / "hooks.py").write_text(
        "def need_registration(data): return data['call']['outcome'] == 'answered'\n"
        "def process_final_params(data): return data['params'] | {'USER_ID': 7}\n"
    )
    customiser = Customiser(folder, Limits(ordinary=5.0, urgent=5.0))
    await customiser.open()
    try:
        part = backfill(database, log, hooks=CallHooks("pbx", customiser))
        plain = await backfill(database, log).find(0.0, LATE)
        found = await part.find(0.0, LATE)
        left_out = {one.call.id for one in plain} - {one.call.id for one in found}
        assert left_out == {one.call.id for one in plain if one.call.outcome != "answered" and not one.plan.portal_call}
        assert left_out
        await part.store(found)
    finally:
        await customiser.close()
    finishes = [json.loads(row.params) for row in await steps(database) if row.kind == Kind.FINISH]
    assert [params["USER_ID"] for params in finishes] == [7] * len(found)
