"""A database of each kind, the pretend portal without the wire, and senders that are always stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from direct_portal import KILL, DirectPortal
from recording_bench import Bench

from perezvon.delivery import RecordingWorker, Sender
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as opened:
        yield opened


@pytest.fixture
async def portal() -> DirectPortal:
    return DirectPortal()


@pytest.fixture
async def bench(database: Database, tmp_path: Path) -> Bench:
    return Bench(database, tmp_path / "records")


@pytest.fixture
async def run() -> AsyncIterator[Callable[[RecordingWorker], None]]:
    tasks: list[asyncio.Task[None]] = []
    yield lambda worker: tasks.append(asyncio.create_task(worker.run()))
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        assert task.cancelled() or task.result() is None, "it ended before it was told to"


Start = Callable[..., Sender]


@pytest.fixture
async def start(database: Database, portal: DirectPortal) -> AsyncIterator[Start]:
    """Starts a sender (of the database and the portal, unless told otherwise); no waiting times longer than needed."""
    running: list[tuple[Sender, asyncio.Task[None]]] = []

    def begin(**more: Any) -> Sender:
        sender = Sender("main", more.pop("port", portal), more.pop("database", database), jitter=lambda: 0.01, **more)
        running.append((sender, asyncio.create_task(sender.run(), name="sender under test")))
        return sender

    yield begin
    for sender, task in running:
        await sender.stop(0.0)
        await asyncio.wait([task])


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Waits until something is true of the database or the portal: nobody else tells when."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(60):
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def settled(database: Database, until: Any) -> Callable[..., Awaitable[None]]:
    """Waits until no step is pending or under way."""

    async def wait(within: float = 20.0) -> None:
        async def nothing_left() -> bool:
            async with database.read() as conn:
                counts, _ = await lanes.count_pending(conn, "main")
            return not counts

        async with asyncio.timeout(within):
            await until(nothing_left)

    return wait


@pytest.fixture
def survived(portal: DirectPortal, start: Start, settled: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Delivers, with a kill after `before` requests (if it takes more), without or with the work of the next one done."""

    async def deliver(before: int, *, work_done: bool) -> None:
        (portal.after if work_done else portal.before).extend([*[None] * before, KILL])
        sender = start()
        waits = [asyncio.ensure_future(one) for one in (portal.killed.wait(), settled())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        await sender.stop(0.0)
        portal.before.clear()
        portal.after.clear()
        start()
        await settled()

    return deliver


DONE, DEAD, SKIPPED = State.DONE, State.DEAD, State.SKIPPED
