"""Events that nobody takes for a while: kept in order, in little memory, within bounds."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from scripted_ami import ScriptedPbx, answer, event

from perezvon.asterisk import Limits, Overflow, Session
from perezvon.asterisk.connection import AT_ONCE

COUNT = 3 * AT_ONCE + 7


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedPbx]:
    async with ScriptedPbx() as scripted:
        yield scripted


def bridge(number: int, at: float) -> bytes:
    """Of about the size of a real one, with as many headers of its own."""
    own = [(f"BridgeHeader{place}", f"value-{number}-{place}") for place in range(20)]
    return event("BridgeEnter", ("Timestamp", f"{at:.6f}"), ("Uniqueid", str(number)), *own)


async def fed(pbx: ScriptedPbx, session: Session, *blocks: bytes) -> None:
    """Returns when it has all been read."""
    await pbx.send(*blocks)
    await session.action("Ping")


async def test_all_of_it_in_order(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address()) as session:
        events = session.events()
        await anext(events)
        await fed(pbx, session, *(bridge(number, 1000.0 + number / 1000) for number in range(COUNT)))
        seen: list[str] = []
        while len(seen) <= COUNT:
            batch = await anext(events)
            assert 1 <= len(batch) <= AT_ONCE
            seen += [one["uniqueid"] for one in batch]
            if len(seen) == AT_ONCE:  # what comes now comes last
                await fed(pbx, session, bridge(-1, 1010.0))
        assert seen == [*map(str, range(COUNT)), "-1"]


async def test_a_clock_set_in_the_middle_of_it(pbx: ScriptedPbx) -> None:
    told = [1000.0]
    pbx.replies["Ping"] = lambda action: [answer(action, ("Ping", "Pong"), ("Timestamp", str(told[0])))]
    async with await Session.open(pbx.address()) as session:
        events = session.events()
        await anext(events)
        await fed(pbx, session)
        half = COUNT - AT_ONCE
        blocks = [bridge(number, 1000.0 + (3600.0 if number >= half else 0.0) + number / 1000) for number in range(COUNT)]
        await fed(pbx, session, *blocks)
        told[0] = 4600.0
        seen: list[float] = []
        while len(seen) < COUNT:
            seen += [one.at for one in await anext(events)]
        assert max(after - before for before, after in pairwise(seen)) < 3.0
        assert seen[-1] < 1020.0


async def test_what_waits_takes_little_memory(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address()) as session:
        await fed(pbx, session, *(bridge(number, 1000.0) for number in range(AT_ONCE)))
        wire = [bridge(number, 1000.0) for number in range(AT_ONCE * 2)]
        tracemalloc.start()
        try:
            await fed(pbx, session, *wire)
            used, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert used < 2 * sum(map(len, wire))


async def test_the_bound_holds_for_all_of_it(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address(), limits=Limits(events=AT_ONCE * 2)) as session:
        await pbx.send(*(bridge(number, 1000.0) for number in range(COUNT)))
        events = session.events()
        with pytest.raises(Overflow, match=f"{AT_ONCE * 2 + 1} events"):
            while True:
                await anext(events)
                await session.action("Ping")
