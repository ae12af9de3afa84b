from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from scripted_ami import ScriptedPbx, event, listing
from structlog.testing import capture_logs

from perezvon.asterisk import BackOff, ConnectionLost, Limits, LoginRefused, NotConnected, Originate, State, Supervisor
from perezvon.asterisk.errors import CannotConnect
from perezvon.calls import Event, Snapshot

QUICK = BackOff(first=0.01, longest=0.02)


class Seen:
    """What the callbacks were given, in one order, to be waited for."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.snapshots: list[Snapshot] = []
        self._changed = asyncio.Condition()

    async def snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        await self._tell("snapshot")

    async def events(self, events: list[Event]) -> None:
        for told in events:
            if told.name != "FullyBooted":
                await self._tell(told["channel"] or told.name)

    async def _tell(self, what: str) -> None:
        async with self._changed:
            self.told.append(what)
            self._changed.notify_all()

    async def until(self, *told: str) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.told == list(told))


@asynccontextmanager
async def running(
    peer: ScriptedPbx,
    seen: Seen,
    *,
    on_events: Callable[[list[Event]], Awaitable[None]] | None = None,
    **options: Any,
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(peer.address(), seen.snapshot, on_events or seen.events, name="main", back_off=QUICK, **options)
    task = asyncio.create_task(supervisor.run(), name="AMI main")
    try:
        yield supervisor
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_state_comes_first_then_the_events_that_came_meanwhile(peer: ScriptedPbx) -> None:
    peer.replies["CoreShowChannels"] = lambda a: [
        event("Newchannel", ("Channel", "early")),
        *listing(a, "CoreShowChannelsComplete", []),
        event("Newchannel", ("Channel", "meanwhile")),
    ]
    seen = Seen()
    async with running(peer, seen) as supervisor:
        await seen.until("snapshot", "early", "meanwhile")
        await peer.send(event("Hangup", ("Channel", "live")))
        await seen.until("snapshot", "early", "meanwhile", "live")
        assert supervisor.status.state is State.LIVE
        assert supervisor.status.asterisk == "22.10.1"
        assert supervisor.status.events == 4
        assert supervisor.status.bytes > 500


async def test_after_a_loss_all_begins_anew_and_a_restart_is_noticed(peer: ScriptedPbx) -> None:
    seen = Seen()
    async with running(peer, seen) as supervisor:
        await supervisor.until_live()
        await peer.send(event("Newchannel", ("Channel", "one")))
        await seen.until("snapshot", "one")
        peer.startup = "09:00:00"
        await peer.drop()
        await seen.until("snapshot", "one", "snapshot")
        await supervisor.until_live()
        await peer.send(event("Newchannel", ("Channel", "two")))
        await seen.until("snapshot", "one", "snapshot", "two")
        assert [snapshot.restarted for snapshot in seen.snapshots] == [False, True]
        assert supervisor.startup == "2026-11-21 09:00:00"
        assert supervisor.status.connected == 2
        assert "closed the connection" in str(supervisor.status.error)
        assert supervisor.status.events == 4


async def test_a_restart_while_we_were_away_is_noticed(peer: ScriptedPbx) -> None:
    seen = Seen()
    async with running(peer, seen, startup="2026-11-20 00:00:00") as supervisor:
        await supervisor.until_live()
        assert seen.snapshots[0].restarted


async def test_events_that_are_not_taken_in_time_end_in_a_new_snapshot(peer: ScriptedPbx) -> None:
    seen = Seen()
    busy, go_on = asyncio.Event(), asyncio.Event()

    async def slow(events: list[Event]) -> None:
        if events[0].name == "Newchannel":
            busy.set()
            await go_on.wait()
        await seen.events(events)

    async with running(peer, seen, on_events=slow, limits=Limits(events=50)) as supervisor:
        await supervisor.until_live()
        await peer.send(event("Newchannel", ("Channel", "first")))
        await busy.wait()
        with suppress(ConnectionError):
            await peer.send(*[event("Hangup", ("Channel", "flood")) for _ in range(200)])
        go_on.set()
        await seen.until("snapshot", "first", "snapshot")
        assert supervisor.status.overflows == 1


async def test_actions_go_only_to_a_live_pbx_and_are_never_sent_again(peer: ScriptedPbx) -> None:
    peer.replies["Originate"] = None
    seen = Seen()
    async with running(peer, seen) as supervisor:
        with pytest.raises(NotConnected, match="main is not live but"):
            await supervisor.originate(Originate("PJSIP/101", "office", "102"))
        await supervisor.until_live()
        placing = asyncio.ensure_future(supervisor.originate(Originate("PJSIP/101", "office", "102")))
        await peer.received("Originate")
        await peer.drop()
        with pytest.raises(ConnectionLost, match="closed the connection"):
            await placing
        await seen.until("snapshot", "snapshot")
        await supervisor.until_live()
        assert (await supervisor.action("Ping"))["Ping"] == "Pong"
        assert len(peer.named("Originate")) == 1


async def test_a_refused_snapshot_is_told_and_tried_again(peer: ScriptedPbx) -> None:
    granted = peer.replies.pop("CoreStatus")
    seen = Seen()
    async with running(peer, seen) as supervisor:
        await peer.received("CoreStatus", 2)
        assert "manager.conf" in str(supervisor.status.error)
        peer.replies["CoreStatus"] = granted
        await supervisor.until_live()


async def test_each_transition_is_one_line_without_the_secret(peer: ScriptedPbx) -> None:
    with capture_logs() as lines:
        async with running(peer, Seen()) as supervisor:
            await supervisor.until_live()
    assert [line["event"] for line in lines] == [
        "AMI waiting -> time to connect -> connecting",
        "AMI connecting -> logged in -> booting",
        "AMI booting -> fully booted -> synchronising",
        "AMI synchronising -> snapshot applied -> live",
    ]
    assert all(line["pbx"] == "main" for line in lines)
    assert "s3:cret" not in repr(lines)


async def test_a_defect_in_a_callback_ends_it_loudly(peer: ScriptedPbx) -> None:
    async def defective(_events: list[Event]) -> None:
        raise ZeroDivisionError

    supervisor = Supervisor(peer.address(), Seen().snapshot, defective, back_off=QUICK)
    with pytest.raises(ZeroDivisionError):
        await supervisor.run()


def test_the_back_off_grows_has_jitter_and_spares_fail2ban() -> None:
    back_off = BackOff(first=1, longest=30)
    gone = CannotConnect("x")
    for failures, whole in [(0, 1), (1, 2), (4, 16), (5, 30), (5000, 30)]:
        delays = [back_off.delay(failures, gone) for _ in range(50)]
        assert all(whole / 2 <= delay <= whole for delay in delays)
        assert len(set(delays)) > 1
    assert back_off.delay(0, LoginRefused("x")) >= 15
