"""Calls that a filter leaves out: kept here with the reason and counted, and told by backfill when the filter is gone."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from perezvon.asterisk.cel import read_back
from perezvon.asterisk.cel_events import events_of
from perezvon.asterisk.cel_source import CelFile
from perezvon.bitrix24.directory import Directory
from perezvon.calls import Numbering, Tracker
from perezvon.recordings import Folder
from perezvon.rules import Filter, Filters, NumberList, People, Policy
from perezvon.rules.number_lists import client_pattern, extension_pattern
from perezvon.service.absence import Absence
from perezvon.service.backfill import Backfill, Fate, Late
from perezvon.service.clickbook import ClickBook
from perezvon.service.policies import PortalRules
from perezvon.service.status import Reporter
from perezvon.service.switchboard import Switchboard
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import Database, calls, journal, recordings
from perezvon.storage.schema import step

KEPT = Path(__file__).parents[1] / "asterisk" / "cel"
STORIES = ("incoming_answered", "incoming_busy", "outgoing_answered")
NUMBERING = Numbering(trunks=frozenset({"carrier", "bitrix24"}), lines=frozenset({"+74951234567"}))
USERS = {"101": "11", "102": "12", "103": "13"}
LATE = 1e10
OPEN = Policy(installation="house", fallback_user="1")


def without(*, clients: str = "", extensions: str = "") -> Policy:
    never = NumberList.of(map(client_pattern, clients.split()), NUMBERING)
    silent = NumberList.of(map(extension_pattern, extensions.split()))
    return replace(
        OPEN, filters=Filters(extensions=Filter("extensions", never=silent), clients=Filter("clients", never=never))
    )


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as database:
        yield database


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "Master.csv"
    file.write_bytes(b"".join(gzip.decompress((KEPT / f"{story}.csv.gz").read_bytes()) for story in STORIES))
    return file


async def watched(database: Database, log: Path, policy: Policy) -> None:
    """The service has seen the calls, as they went on."""
    rules = PortalRules("main", policy, People(USERS))
    board = Switchboard(
        "pbx",
        Tracker("pbx", NUMBERING),
        database,
        lambda: rules,
        ClickBook(),
        lambda _: None,
        lambda: None,
        Absence("pbx", None, Folder(log.parent), database),
        clock=lambda: LATE,
    )
    for event in events_of(read_back(log, 0.0)):
        await board.on_events([event])


def backfill(database: Database, log: Path, policy: Policy) -> Backfill:
    directory = Directory.from_rows(
        {"user_id": user, "extension": extension, "name": "", "active": True, "phones": (), "refreshed": 1.0}
        for extension, user in USERS.items()
    )
    return Backfill(
        "pbx",
        CelFile(log),
        Folder(log.parent),
        NUMBERING,
        PortalRules("main", policy, People(USERS)),
        directory,
        database,
        clock=lambda: LATE,
    )


async def kinds(database: Database) -> list[str]:
    async with database.read() as conn:
        return sorted((await conn.execute(select(step.c.kind))).scalars())


def fates(found: list[Late]) -> list[Fate]:
    return [one.fate for one in found]


async def test_kept_with_the_reason_counted_and_told_when_the_filter_is_gone(
    database: Database, log: Path, tmp_path: Path
) -> None:
    await watched(database, log, without(clients="+7*", extensions="101"))
    assert await kinds(database) == []
    async with database.read() as conn:
        rows = await calls.search(conn, calls.Search())
        whole = {row.id: await calls.find(conn, row.id) for row in rows}
        reasons = {row.id: [reason for _, reason, _ in await journal.decisions(conn, row.id)] for row in rows}
        facts = {row.id: await journal.read(conn, row.id) for row in rows}
        assert [await recordings.of_call(conn, row.id) for row in rows] == [[], [], []]
    assert len(rows) == 3
    for row in rows:
        kept = whole[row.id]
        assert kept is not None
        assert (kept.portal, kept.live, kept.plan["left_out"]) == ("", False, "filters.clients.never")
        assert reasons[row.id] == [f"the portal is not told: filters.clients.never has +7*, and here is {row.client}"], (
            "told once"
        )
    store = SettingsStore(database, SecretBox.open(tmp_path / "keys"))
    reporter = Reporter(database, store, clock=lambda: LATE)
    status = await reporter.status()
    await reporter.close()
    assert [(case.portal, case.setting, case.count) for case in status.left_out] == [("main", "filters.clients.never", 3)]
    assert [call.left_out for call in status.calls] == ["filters.clients.never"] * 3
    assert status.unmapped == ()

    still = without(clients="+7*")
    assert await backfill(database, log, still).find(0.0, LATE) == [], "the filter is still there"
    found = await backfill(database, log, OPEN).find(0.0, LATE)
    assert fates(found) == [Fate.MISSING] * 3
    assert fates(await backfill(database, log, OPEN).store(found)) == [Fate.QUEUED] * 3
    assert await kinds(database) == ["finish"] * 3 + ["register"] * 3
    async with database.read() as conn:
        for one in found:
            told, before = await calls.find(conn, one.call.id), whole[one.call.id]
            assert told is not None
            assert before is not None
            assert (told.portal, told.state, told.plan["left_out"]) == ("main", before.state, "")
            assert await journal.read(conn, one.call.id) == facts[one.call.id], "nothing is told of it twice"
    again = await backfill(database, log, OPEN).find(0.0, LATE)
    assert fates(again) == [Fate.THERE] * 3
    assert fates(await backfill(database, log, OPEN).store(found)) == [Fate.THERE] * 3
    assert len(await kinds(database)) == 6


async def test_two_at_once_tell_a_call_once(database: Database, log: Path) -> None:
    await watched(database, log, without(clients="+7*"))
    found = await backfill(database, log, OPEN).find(0.0, LATE)
    one, other = await asyncio.gather(
        backfill(database, log, OPEN).store(found), backfill(database, log, OPEN).store(found)
    )
    assert sorted([*fates(one), *fates(other)]) == [Fate.QUEUED] * 3 + [Fate.THERE] * 3
    assert len(await kinds(database)) == 6


async def test_what_was_told_is_not_told_again(database: Database, log: Path) -> None:
    """Of three calls one is left out; the others are the service's own."""
    await watched(database, log, without(extensions="101-102"))
    left = [one.fate for one in await backfill(database, log, OPEN).find(0.0, LATE)]
    async with database.read() as conn:
        told = [row.portal for row in await calls.search(conn, calls.Search())]
    assert sorted(left) == sorted(Fate.THERE if portal else Fate.MISSING for portal in told)
    assert Fate.MISSING in left


async def test_without_lists_nothing_is_left_out(database: Database, log: Path) -> None:
    await watched(database, log, OPEN)
    assert [kind for kind in await kinds(database) if kind in ("register", "finish")] == ["finish"] * 3 + ["register"] * 3
