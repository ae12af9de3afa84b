"""Any mixture of late calls, faults and kills: each call is finished once, in order, and no card is left up."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from call_steps import finish, hide, record, register, show
from direct_portal import KILL, DirectPortal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perezvon.bitrix24.errors import Ambiguous, AuthRefused, NotSent, OperationLimited, RateLimited, Temporary
from perezvon.delivery import Sender, pacing, weather
from perezvon.rules.vocabulary import StepDraft
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State

pytestmark = pytest.mark.slow

MP3 = Path(__file__).parent / "beep.mp3"
USERS = (1, 2, 3)
Scripts = list[tuple[list[tuple[str, list[int]]], bool]]

NOT_DONE: list[Callable[[], Any]] = [
    lambda: NotSent("refused"),
    lambda: Temporary("busy", retry_after=0.001),
    lambda: RateLimited("503", retry_after=0.001),
    lambda: OperationLimited("429", reset_at=time.time() + 0.005),
    lambda: AuthRefused("revoked"),
]
LOST = lambda: Ambiguous("no answer")  # noqa: E731

before = st.lists(st.sampled_from([None, None, *NOT_DONE, LOST, KILL]), max_size=8)
after = st.lists(st.sampled_from([None, None, LOST, KILL]), max_size=8)
holes = st.lists(st.sampled_from([False, False, False, True]), max_size=30)
inside = st.lists(st.sampled_from([None, None, None, *NOT_DONE[1:4]]), max_size=30)

card = st.tuples(st.sampled_from(["show", "hide"]), st.lists(st.sampled_from(USERS), min_size=1, max_size=3, unique=True))
script = st.tuples(st.lists(card, max_size=5), st.booleans())


def drafts_of(call: str, cards: list[tuple[str, list[int]]], ended: bool) -> list[StepDraft]:
    """As the rules make them: what is up when the call ends is hidden before the finish."""
    up: set[int] = set()
    made = [register(call)]
    for number, (what, users) in enumerate(cards):
        made.append((show if what == "show" else hide)(call, *users, number=number))
        up = up | set(users) if what == "show" else up - set(users)
    if ended:
        if up:
            made.append(hide(call, *sorted(up), number=99))
        made += [finish(call), record(call, MP3)]
    return made


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "COLLECTING", {})
    monkeypatch.setattr(weather, "_METHOD_REPAIR", 0.01)


story = {
    "scripts": st.lists(script, min_size=1, max_size=4),
    "before": before,
    "after": after,
    "inside": inside,
    "holes": holes,
    "cuts": st.lists(st.integers(1, 5), max_size=8),
}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**story)
def test_each_call_once_in_order(
    scripts: Scripts, before: list, after: list, inside: list, holes: list[bool], cuts: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(folder, scripts, before, after, inside, holes, cuts))


@pytest.mark.load
@pytest.mark.timeout(600)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**story)
def test_each_call_once_in_order_at_length(
    scripts: Scripts, before: list, after: list, inside: list, holes: list[bool], cuts: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(folder, scripts, before, after, inside, holes, cuts))


async def play(
    folder: str,
    scripts: Scripts,
    before: list,
    after: list,
    inside: list,
    holes: list[bool],
    cuts: list,
) -> None:
    portal = DirectPortal()
    portal.before.extend(before)
    portal.after.extend(after)
    portal.inside.extend(inside)
    portal.holes.extend(holes)
    todo = {f"c{number}": drafts_of(f"c{number}", *one) for number, one in enumerate(scripts)}
    database = await Database.open(folder)
    sender, running = begin(portal, database)
    sizes = iter(cuts)
    async with asyncio.timeout(30):
        while any(todo.values()) or not await all_settled(database):
            for call, drafts in todo.items():
                size = next(sizes, 3)
                some = drafts[:size]
                del drafts[:size]
                await database.write(lambda conn, call=call, some=some: lanes.append(conn, "main", call, some, time.time()))
                sender.notify()
            await asyncio.sleep(0.005)
            if portal.killed.is_set():
                portal.killed.clear()
                running.cancel()
                await asyncio.wait([running])
                await database.close()
                database = await Database.open(folder)
                sender, running = begin(portal, database)
    await sender.stop()
    await running
    try:
        async with database.read() as conn:
            stored = await lanes.load(conn, [f"c{number}" for number in range(len(scripts))])
    finally:
        await database.close()
    check(portal, scripts, stored)


def begin(portal: DirectPortal, database: Database) -> tuple[Sender, asyncio.Task[None]]:
    sender = Sender("main", portal, database, jitter=lambda: 0.001)
    return sender, asyncio.create_task(sender.run())


async def all_settled(database: Database) -> bool:
    async with database.read() as conn:
        return not (await lanes.count_pending(conn, "main"))[0]


def check(portal: DirectPortal, scripts: Scripts, stored: dict[str, list[Any]]) -> None:
    rows = [row["EXTERNAL_CALL_ID"] for row in portal.statistics]
    assert sorted(rows) == sorted(f"test-c{number}" for number, (_, ended) in enumerate(scripts) if ended)
    assert len(portal.calls()) == len(scripts), "registered once each"
    for call in portal.calls():
        name = call.external_id.removeprefix("test-")
        cards, ended = scripts[int(name[1:])]
        assert all(step.state in (State.DONE, State.SKIPPED) for step in stored[name]), stored[name]
        assert not any(
            step.state is State.SKIPPED for step in stored[name] if step.kind in ("register", "finish", "attach_record")
        )
        up: set[int] = set()
        for what, users in cards:
            up = up | set(users) if what == "show" else up - set(users)
        assert set(call.visible_to()) == (set() if ended else up)
        if ended:
            assert call.recording is not None
        else:
            assert call.live
