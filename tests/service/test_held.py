"""Calls whose hooks are being asked: each in its order, all others meanwhile, nothing forgotten at the end."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from perezvon.calls.facts import LeftTalk
from perezvon.service.held import Held
from perezvon.service.rounds import Taken


def taken(call: str, at: float) -> Taken:
    return Taken((LeftTalk(call, at, "101"),), {})


class Work:
    def __init__(self) -> None:
        self.done: list[tuple[str, float]] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def __call__(self, call: str, told: Taken) -> None:
        if call in self.gates:
            await self.gates[call].wait()
        self.done.append((call, told.facts[0].at))


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_one_call_waits_others_go_on_and_the_order_is_kept() -> None:
    work = Work()
    work.gates["slow"] = asyncio.Event()
    held = Held(work)
    running = asyncio.create_task(held.run())
    await asyncio.sleep(0)
    for call, at in (("slow", 1.0), ("quick", 2.0), ("slow", 3.0), ("quick", 4.0)):
        await held.put(call, taken(call, at))
    await until(lambda: len(work.done) == 2)
    assert work.done == [("quick", 2.0), ("quick", 4.0)]
    assert (held.oldest, held.has("slow"), held.has("quick")) == (1.0, True, False)
    work.gates["slow"].set()
    await until(lambda: not held.has("slow"))
    assert work.done[2:] == [("slow", 1.0), ("slow", 3.0)]
    assert held.oldest == inf
    running.cancel()
    await asyncio.wait([running])


async def test_what_is_held_is_done_with_when_it_stops() -> None:
    work = Work()
    work.gates["c"] = asyncio.Event()
    held = Held(work)
    running = asyncio.create_task(held.run())
    await asyncio.sleep(0)
    await held.put("c", taken("c", 1.0))
    running.cancel()
    await asyncio.sleep(0.01)
    assert not running.done()
    work.gates["c"].set()
    await asyncio.wait([running], timeout=5)
    assert work.done == [("c", 1.0)]


async def test_before_it_runs_it_waits_itself() -> None:
    work = Work()
    held = Held(work)
    await held.put("c", taken("c", 1.0))
    assert work.done == [("c", 1.0)]


async def test_a_defect_ends_whoever_runs_it() -> None:
    async def fails(call: str, told: Taken) -> None:
        raise RuntimeError(call)

    held = Held(fails)
    running = asyncio.create_task(held.run())
    await asyncio.sleep(0)
    await held.put("c", taken("c", 1.0))
    with pytest.raises(ExceptionGroup):
        await running
    assert not held.has("c")
