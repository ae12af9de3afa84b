"""Clocks that differ, and a PBX's clock that was set back: cards are as late as they are, and nothing is waited for in vain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ami_script import Script
from lone_switchboard import lone_switchboard

from perezvon.calls import Event, Snapshot
from perezvon.rules import Kind
from perezvon.rules.policy import People, Policy
from perezvon.service.policies import PortalRules
from perezvon.service.switchboard import FUTURE, SET_BACK, Switchboard
from perezvon.storage import Database, lanes, progress

OURS = 1_800_000_000.0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as opened:
        yield opened


class Log:
    """A channel event log that notes what is read of it, and tells nothing."""

    def __init__(self) -> None:
        self.since: list[float] = []

    async def read(self, since: float, until: float) -> list[object]:
        self.since.append(since)
        return []


def switchboard(database: Database, folder: Path, log: Log | None = None) -> Switchboard:
    rules = PortalRules("main", Policy("i", "1", card_lifetime=30.0), People({"101": "11"}))
    return lone_switchboard(database, folder, rules, log, lambda: OURS)


def empty(at: float) -> Snapshot:
    return Snapshot(at=at, channels=(), bridges={}, waiting={}, restarted=False)


def ringing(at: float) -> list[Event]:
    script = Script(at=at)
    caller = script.incoming("PJSIP/trunk-1", "79161234567", "74951234567")
    script.ringing(script.dial(caller, "PJSIP/101-1", "101"))
    return script.events


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0, 0.25])
async def test_a_card_expires_by_our_clock(database: Database, tmp_path: Path, ahead: float) -> None:
    board = switchboard(database, tmp_path)
    await board.on_snapshot(empty(OURS + ahead), "then")
    await board.on_events(ringing(OURS + ahead))
    async with database.read() as conn:
        [call] = await lanes.ready(conn, "main", 9)
        steps = (await lanes.load(conn, [call]))[call]
    [show] = [step for step in steps if step.kind is Kind.SHOW]
    assert show.expires == pytest.approx(OURS + 30.0, abs=1.0)


async def test_a_clock_set_back_is_not_waited_for(database: Database, tmp_path: Path) -> None:
    await database.write(lambda conn: progress.save(conn, "main", progress.Progress(OURS, "then")))
    log = Log()
    board = switchboard(database, tmp_path, log)
    await board.restore()
    now = OURS - 7200.0
    await board.on_snapshot(empty(now), "then")
    assert len(log.since) >= 1
    assert now - SET_BACK - 600 < min(log.since) < now  # the last hour is read up
    async with database.read() as conn:
        known = await progress.load(conn, "main")
    assert known is not None
    assert known.until == now


async def test_a_clock_that_is_a_little_behind_was_not_set(database: Database, tmp_path: Path) -> None:
    await database.write(lambda conn: progress.save(conn, "main", progress.Progress(OURS, "then")))
    log = Log()
    board = switchboard(database, tmp_path, log)
    await board.restore()
    await board.on_snapshot(empty(OURS - FUTURE / 2), "then")
    assert min(log.since) > OURS - SET_BACK
