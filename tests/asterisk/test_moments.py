"""Clocks that are set during a connection: the PBX's or ours. Durations stay right; a PBX that is merely odd is believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from scripted_ami import ScriptedPbx, answer, event

from perezvon.asterisk import Session
from perezvon.asterisk.moments import LEAP, Moments
from perezvon.calls import Event


class Clocks:
    """`pbx` and `ours` are wall clocks; `pass_` lets time pass for both."""

    def __init__(self) -> None:
        self.ticks = 50.0
        self.ours = 1_800_000_000.0
        self.pbx = 1_800_000_007.0
        self.moments = Moments("pbx", lambda: self.ours + self.ticks, lambda: self.ticks)
        self.moments.asked(self.told)

    @property
    def told(self) -> float:
        return self.pbx + self.ticks

    def event(self) -> float:
        """The moment of an event that happens now."""
        happened = Event("X", self.told, {})
        self.moments.look(happened, self.moments.now())
        if self.moments.doubtful:
            self.moments.asked(self.told)
        return self.moments.placed(happened).at


@pytest.mark.parametrize("step", [3600.0, -3600.0, LEAP * 2, -86400.0 * 365])
def test_the_pbx_s_clock_is_set_in_a_call(step: float) -> None:
    clocks = Clocks()
    began = clocks.event()
    clocks.ticks += 20
    clocks.pbx += step
    assert clocks.event() == pytest.approx(began + 20)
    clocks.ticks += 20
    assert clocks.event() == pytest.approx(began + 40)
    clocks.pbx -= step
    clocks.ticks += 20
    assert clocks.event() == pytest.approx(began + 60)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_our_clock_is_set_in_a_call(step: float) -> None:
    clocks = Clocks()
    began, arrived = clocks.event(), clocks.moments.now()
    clocks.ours += step
    clocks.ticks += 20
    assert clocks.event() == pytest.approx(began + 20)
    assert clocks.moments.now() == pytest.approx(arrived + 20)  # and so are events without Timestamp


def test_an_event_that_leaps_alone_is_believed() -> None:
    """A recording that is played faster than it was made; a stamp that somebody forged."""
    clocks = Clocks()
    clocks.event()
    odd = Event("X", clocks.told + 600, {})
    clocks.moments.look(odd, clocks.moments.now())
    assert clocks.moments.doubtful
    clocks.moments.asked(clocks.told)
    assert not clocks.moments.doubtful
    assert clocks.moments.placed(odd) is odd


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedPbx]:
    async with ScriptedPbx() as scripted:
        yield scripted


def hangup(at: float) -> bytes:
    return event("Hangup", ("Timestamp", f"{at:.6f}"), ("Uniqueid", "1"))


@pytest.mark.parametrize(
    ("told", "moments"), [(5600.0, [2000.0, 2001.0, 2002.0]), (2000.0, [2000.0, 5601.0, 5602.0])], ids=["set", "not set"]
)
async def test_events_wait_for_the_answer(pbx: ScriptedPbx, told: float, moments: list[float]) -> None:
    """`told`: what the PBX says of its time when it is asked at the leap."""
    pbx.replies["Ping"] = lambda action: [answer(action, ("Ping", "Pong"), ("Timestamp", "2000.0"))]
    async with await Session.open(pbx.address()) as session:
        await session.action("Ping")
        pbx.replies["Ping"] = None
        events = session.events()
        await anext(events)  # that it is booted
        await pbx.send(hangup(2000.0))
        [first] = await anext(events)
        await pbx.send(hangup(5601.0), hangup(5602.0))
        [_, asked] = await pbx.received("Ping", 2)
        await pbx.send(answer(asked, ("Ping", "Pong"), ("Timestamp", str(told))))
        batch = await anext(events)
        assert [one.at for one in (first, *batch)] == pytest.approx(moments, abs=2.0)
        assert batch[1].at - batch[0].at == pytest.approx(1.0)


async def test_a_pbx_that_does_not_say_is_believed(pbx: ScriptedPbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perezvon.asterisk.connection.DOUBT", 0.05)
    pbx.replies["Ping"] = None
    async with await Session.open(pbx.address()) as session:
        events = session.events()
        await anext(events)
        await pbx.send(hangup(2000.0), hangup(5601.0))
        async with asyncio.timeout(5):
            assert [one.at for one in await anext(events)] == [2000.0, 5601.0]
