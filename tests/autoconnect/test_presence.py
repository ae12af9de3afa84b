"""Who is at work by the pretend portal: asked when it is needed first, then now and then, and forgotten when it is old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from perezvon.asking import OwnTables
from perezvon.autoconnect import presence as room
from perezvon.autoconnect.presence import Presence, Wanted
from perezvon.bitrix24 import Portal, Webhook
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.handlers.calendars import Calendars, Event
from perezvon.storage import Database

MOSCOW = ZoneInfo("Europe/Moscow")
BOTH = Wanted(workday=True, absences=True, zone=MOSCOW)


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None)) as running:
        yield running


class Desk:
    def __init__(self, portal: Portal, storage: Database) -> None:
        self.now = float(int(time.time()))  # the portal tells whole seconds
        self.wanted = BOTH
        self.third_round = asyncio.Event()
        self._rounds = 0
        self.named: list[str] = []
        self.own = OwnTables(storage, "autoconnect")
        self.presence = Presence("main", lambda: portal, self._want, lambda: self.named, self.own, clock=lambda: self.now)

    def _want(self) -> Wanted:
        self._rounds += 1
        if self._rounds == 3:
            self.third_round.set()
        return self.wanted

    async def ask(self, *users: str, patience: float = 30.0) -> None:
        await self.presence.ask(users, asyncio.get_running_loop().time() + patience)


@pytest.fixture
async def desk(server: PortalServer, tmp_path: Path) -> AsyncIterator[Desk]:
    async with (
        await Database.open(tmp_path / "data") as storage,
        Portal("main", Webhook.parse(server.webhook_url)) as portal,
    ):
        made = Desk(portal, storage)
        yield made
        await made.own.close()


def absent(server: PortalServer, user: int, begin: float, end: float, **more: str) -> None:
    events = server.state.part(Calendars).events
    events[len(events) + 1] = Event(len(events) + 1, "user", user, "x", begin, end, 1, begin, "absent", given=dict(more))


def asked(server: PortalServer) -> int:
    return server.state.journal.http_requests


async def test_workdays_and_absences_in_one_request(desk: Desk, server: PortalServer) -> None:
    server.state.people.users[12].timeman_status = "PAUSED"
    absent(server, 13, desk.now - 60, desk.now + 60)
    await desk.ask("11", "12", "13")
    assert desk.presence.workday() == {"11": "OPENED", "12": "PAUSED", "13": "OPENED"}
    assert desk.presence.absent(desk.now) == {"13": desk.now + 60}
    assert desk.presence.absent(desk.now + 61) == {}
    assert asked(server) == 1
    await desk.ask("11", "12", "13")
    assert asked(server) == 1, "known"


async def test_whose_working_days_are_not_kept_is_not_away(desk: Desk, server: PortalServer) -> None:
    """The portal says of them that their day is closed."""
    server.state.people.users[12].timeman_status = "NOT_INSTALLED"
    server.state.people.users[13].timeman_status = "CLOSED"
    await desk.ask("12", "13")
    assert desk.presence.workday() == {"13": "CLOSED"}


async def test_a_whole_day_lasts_until_midnight(desk: Desk, server: PortalServer) -> None:
    midnight = datetime.fromtimestamp(desk.now, MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    absent(server, 11, midnight, midnight, skip_time="Y")
    await desk.ask("11")
    assert desk.presence.absent(midnight + 86399) == {"11": midnight + 86400}


@pytest.mark.parametrize("skip_time", ["Y", "N"])
async def test_an_absence_for_ever_leaves_what_is_told_of_others(desk: Desk, server: PortalServer, skip_time: str) -> None:
    """Its last day has no next one."""
    end = datetime(9999, 12, 31, 12, tzinfo=MOSCOW).timestamp()
    absent(server, 11, desk.now - 60, end, skip_time=skip_time)
    absent(server, 12, desk.now - 60, desk.now + 60)
    await desk.ask("11", "12")
    told = desk.presence.absent(desk.now)
    assert told["12"] == desk.now + 60
    assert datetime.fromtimestamp(told["11"], UTC).astimezone(MOSCOW).year == 9999
    assert desk.presence.workday() == {"11": "OPENED", "12": "OPENED"}


async def test_what_is_old_counts_no_more(desk: Desk, server: PortalServer) -> None:
    await desk.ask("11")
    desk.now += room.STALE + 1
    assert desk.presence.workday() == {}
    await desk.ask("11")
    assert desk.presence.workday() == {"11": "OPENED"}


@pytest.mark.slow
async def test_a_slow_portal_is_not_waited_for_and_its_answer_counts_later(desk: Desk, server: PortalServer) -> None:
    server.state.faults.plan("slow", wait=2.0)
    await desk.ask("11", patience=0.1)
    assert desk.presence.workday() == {}, "the portal's answer was waited for"
    await desk.own.close()
    assert desk.presence.workday() == {"11": "OPENED"}


async def test_only_what_is_wanted_is_asked_for(desk: Desk, server: PortalServer) -> None:
    desk.wanted = Wanted()
    await desk.ask("11")
    desk.wanted = Wanted(absences=True)
    await desk.ask("11")
    methods = {entry.method for entry in server.state.journal}
    assert methods == {"batch", "calendar.accessibility.get"}


async def test_what_the_portal_refuses_is_left_alone_for_a_while(desk: Desk, server: PortalServer) -> None:
    server.state.authority.webhooks[0].scopes = frozenset({"telephony", "calendar", "user"})
    await desk.ask("11")
    assert (desk.presence.workday(), bool(desk.presence.trouble)) == ({}, True)
    before = len(server.state.journal.of("timeman.status"))
    await desk.ask("12")
    assert len(server.state.journal.of("timeman.status")) == before
    desk.now += room.SHORT_OF + 1
    await desk.ask("13")
    assert len(server.state.journal.of("timeman.status")) > before


async def test_now_and_then_of_those_whom_a_rule_has_looked_at(
    desk: Desk, server: PortalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "EVERY", 0.0)
    desk.named = ["14"]
    await desk.ask("11", "not a user", "12; x")
    running = asyncio.create_task(desk.presence.run())
    try:
        server.state.people.users[11].timeman_status = "CLOSED"
        async with asyncio.timeout(5):
            await desk.third_round.wait()
        assert desk.presence.workday() == {"11": "CLOSED", "14": "OPENED"}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
