"""2e, 2g, 2h, 3d of document 000 on the real PBX: missed calls, whose they are, their task, and how it ends."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.handlers.task_board import COMPLETED, Task, TaskBoard
from perezvon.sandbox.portal.seed import HEAD, KUZNETSOVA, SMIRNOV
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

CLIENT = "+79165550001"
MISSED = f"""
[missed]
task = true
responsible = ["line", "last_rung"]
title = "Call back {{client}}{{again}}"
description = "{{line}}, {{rung}}"
deadline = 30
tags = ["missed"]
observers = [{HEAD}]
raise_after = 2
"""


@pytest.fixture
async def whole(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("missed"), more=MISSED) as whole,
    ):
        yield whole
        await pbx_session.world.reset()


async def in_vain(whole: Stand, to: str = "74950000700") -> None:
    """The phone 104 is rung, and not answered."""
    world = whole.pbx.world
    await world.reset()
    await world.phone("104").rings()
    caller = await world.call(frm=CLIENT.removeprefix("+"), to=to)
    await world.phone("104").ringing()
    await caller.hangup()


async def called_back(whole: Stand) -> None:
    """By another employee."""
    await whole.pbx.world.reset()
    desk = await whole.pbx.world.phone("101").dial(CLIENT.removeprefix("+"))
    await desk.talking()
    await desk.hangup()


def tasks(whole: Stand) -> list[Task]:
    return list(whole.portal.state.part(TaskBoard).tasks.values())


async def one_task(whole: Stand, comments: int = 0, *, closed: bool = False) -> Task:
    def look() -> Task | None:
        fit = [task for task in tasks(whole) if len(task.comments) == comments and (task.status == COMPLETED) is closed]
        return fit[0] if fit else None

    found = await whole.until(look, f"there is a task with {comments} comments, closed: {closed}; {tasks(whole)}")
    assert len(tasks(whole)) == 1
    return found


async def test_2g_2h_missed_twice_and_called_back(whole: Stand) -> None:
    await in_vain(whole)
    task = await one_task(whole)
    assert task.title == f"Call back {CLIENT}"
    assert task.description.startswith("+74950000700, Кузнецова Ольга (104)")
    assert (task.responsible, task.tags, task.auditors, task.priority) == (KUZNETSOVA, ["missed"], [HEAD], 1)
    assert task.deadline is not None
    assert 1700 < task.deadline - task.created <= 1801
    await in_vain(whole)
    await one_task(whole, 1)
    assert (task.title, task.priority) == (f"Call back {CLIENT} ×2", 2)
    await called_back(whole)
    await one_task(whole, 2, closed=True)
    assert "Иванов Иван (101)" in task.comments[1].text


async def test_2e_3d_by_line(whole: Stand) -> None:
    line = f'[[line]]\nnumber = "+74950000700"\nname = "Support"\nmissed_user = {SMIRNOV}\n'
    before = (await whole.service.status())["settings"]
    await whole.service.configure(whole.settings(more=MISSED + line))
    await whole.service.until(lambda status: status["settings"] > before, "has noticed the new settings")
    await whole.ready()
    await in_vain(whole)
    task = await one_task(whole)
    assert task.responsible == SMIRNOV
    assert task.description.startswith("Support, ")
    call = await whole.call_of(CLIENT)
    assert int(call.finish["user_id"]) == SMIRNOV


async def test_2g_a_reminder_when_nobody_calls_back(whole: Stand) -> None:
    before = (await whole.service.status())["settings"]
    more = MISSED + f"remind_after = 0.02\nremind_user = {SMIRNOV}\n"
    await whole.service.configure(whole.settings(more=more))
    await whole.service.until(lambda status: status["settings"] > before, "has noticed the new settings")
    await in_vain(whole)
    task = await one_task(whole, 1)
    assert (task.priority, task.auditors) == (2, [HEAD, SMIRNOV])
    assert "Никто не перезвонил за 1 с" in task.comments[0].text


@pytest.mark.load
async def test_2g_2h_killed_at_any_moment(whole: Stand) -> None:
    chance = random.Random(5)
    for round_ in range(5):
        await in_vain(whole)
        await whole.pbx.world.reset()
        await _kill_after(whole, chance.uniform(0.0, 2.0))
        await called_back(whole)
        await _kill_after(whole, chance.uniform(0.0, 2.0))

        def over(most: int = round_ + 1) -> bool | None:
            known = tasks(whole)
            return (len(known) <= most and all(task.status == COMPLETED for task in known)) or None

        await whole.until(over, f"no task is open after round {round_}: {tasks(whole)}")
    with closing(sqlite3.connect(whole.service.data_dir / "perezvon.sqlite3")) as database:
        rows = database.execute("SELECT episode, misses, called_back > first FROM missed ORDER BY episode").fetchall()
    assert rows == [(number, 1, 1) for number in range(1, 6)], "each missed call, and each talk after it, counts once"


async def _kill_after(whole: Stand, seconds: float) -> None:
    await asyncio.sleep(seconds)  # a random moment is the point
    await whole.service.kill()
    await whole.service.start()
    await whole.ready()
