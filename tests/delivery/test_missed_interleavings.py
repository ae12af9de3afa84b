"""Any mixture of missed calls, talks, employees' hands, faults and kills: never two open tasks, none left after a talk."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from direct_portal import KILL, DirectPortal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from missed_calls import end, missed_call, open_tasks, row_of, rules, steps_of_client, talk, tasks

from perezvon.bitrix24.errors import Ambiguous, NotSent, Temporary
from perezvon.delivery import Sender, pacing
from perezvon.delivery import tasks as errands
from perezvon.sandbox.portal.handlers.task_board import COMPLETED, TaskBoard
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State

pytestmark = pytest.mark.slow

FAULTS: list[Callable[[], Any] | None] = [
    None,
    None,
    lambda: NotSent("refused"),
    lambda: Temporary("busy", retry_after=0.001),
    lambda: Ambiguous("no answer"),
    KILL,
]
actions = st.lists(st.tuples(st.sampled_from("MMTCD"), st.booleans()), min_size=1, max_size=7)
"""Missed, talk, closed or deleted by hand; and whether the portal has been told of it before the next."""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "COLLECTING", {})
    monkeypatch.setattr(errands, "_LATE", 0.0)
    monkeypatch.setattr(errands, "_FIRST_WAIT", 0.01)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    story=actions,
    again=st.sampled_from(["new", "reopen"]),
    before=st.lists(st.sampled_from(FAULTS), max_size=10),
    after=st.lists(st.sampled_from([None, None, lambda: Ambiguous("no answer"), KILL]), max_size=10),
)
def test_one_open_task_at_most(story: list[tuple[str, bool]], again: Any, before: list, after: list) -> None:
    asyncio.run(play(story, again, before, after))


async def play(story: list[tuple[str, bool]], again: Any, before: list[Any], after: list[Any]) -> None:
    portal = DirectPortal()
    portal.before.extend(before)
    portal.after.extend(after)
    with tempfile.TemporaryDirectory() as folder:
        async with await Database.open(Path(folder)) as database:
            running: list[tuple[Sender, asyncio.Task[None]]] = []
            at = portal.state.now()
            last = ""
            for number, (what, waits) in enumerate(story):
                at += 100
                if what == "M":
                    await end(database, missed_call(number, at), by=rules(again=again))
                elif what == "T":
                    await end(database, talk(number, at), by=rules(again=again))
                else:
                    by_hand(portal, delete=what == "D")
                last = what if what in "MT" else last
                if waits:
                    await delivered(database, portal, running)
                    assert len(open_tasks(portal.state)) <= 1
                    if what in "MT":
                        assert len(open_tasks(portal.state)) == (what == "M")
            await delivered(database, portal, running)
            assert len(open_tasks(portal.state)) <= 1
            if last == "T":
                assert open_tasks(portal.state) == []
            if last:
                await marks_are_single(database, portal, missed=any(what == "M" for what, _ in story))
            for sender, task in running:
                await sender.stop(0.0)
                await asyncio.wait([task])


def by_hand(portal: DirectPortal, *, delete: bool) -> None:
    for task in open_tasks(portal.state):
        if delete:
            del portal.state.part(TaskBoard).tasks[task.id]
        else:
            task.status, task.closed = COMPLETED, portal.state.now()


async def marks_are_single(database: Database, portal: DirectPortal, *, missed: bool) -> None:
    texts = [text for task in tasks(portal.state) for text in (task.description, *(one.text for one in task.comments))]
    marks = [text.rpartition("Perezvon ")[2] for text in texts]
    assert len(marks) == len(set(marks)), "something was said twice"
    if missed:
        assert (await row_of(database)).misses >= 1
        assert not {step.state for step in await steps_of_client(database)} & {State.DEAD, State.NEW, State.UNSURE}


async def delivered(database: Database, portal: DirectPortal, running: list[tuple[Sender, asyncio.Task[None]]]) -> None:
    async with asyncio.timeout(30):
        while True:
            async with database.read() as conn:
                if not (await lanes.count_pending(conn, "main"))[0]:
                    return
            if portal.killed.is_set() or not running:
                portal.killed.clear()
                for sender, task in running:
                    await sender.stop(0.0)
                    await asyncio.wait([task])
                sender = Sender("main", portal, database, jitter=lambda: 0.01)
                running[:] = [(sender, asyncio.create_task(sender.run(), name="sender under test"))]
            running[0][0].notify()
            await asyncio.sleep(0.01)  # nobody else tells when
