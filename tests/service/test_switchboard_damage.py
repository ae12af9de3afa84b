"""Events that make no sense hurt the call they are of, and nothing else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from ami_script import Script
from lone_switchboard import lone_switchboard

from perezvon.calls import Event, Snapshot
from perezvon.service.switchboard import Switchboard
from perezvon.storage import Database, calls, progress

pytestmark = pytest.mark.slow


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def switchboard(database: Database, tmp_path: Path) -> Switchboard:
    return lone_switchboard(database, tmp_path)


def incoming(uid: str, client: str) -> list[Event]:
    script = Script(at=time.time(), number=int(client[-2:]) * 10)
    caller = script.new(f"PJSIP/trunk-{client}", uid=uid, number=client, exten="74951234567", context="from-pstn", state=4)
    phone = script.dial(caller, f"PJSIP/101-{uid}", "101")
    script.ringing(phone)
    return script.events


async def test_a_call_that_cannot_be_stored_hurts_no_other(database: Database, switchboard: Switchboard) -> None:
    damaged = incoming("1.\udcff", "79160000001")  # half a character has no place in a database
    good = [replace(event, headers={**event.headers}) for event in incoming("2.2", "79160000002")]
    await switchboard.on_events([*damaged, *good])
    async with database.read() as conn:
        assert [row.client for row in await calls.load_live(conn, "main")] == ["+79160000002"]


async def test_a_moment_in_the_far_future_is_not_how_far_we_are(database: Database, switchboard: Switchboard) -> None:
    now = time.time()
    await switchboard.on_snapshot(Snapshot(at=now, channels=(), bridges={}, waiting={}, restarted=False), "then")
    await switchboard.on_events([Event("Hangup", 9e10, {"uniqueid": "1"}), *incoming("3.3", "79160000003")])
    async with database.read() as conn:
        known = await progress.load(conn, "main")
    assert known is not None
    assert now <= known.until < now + 60
