"""Calls that end, as the switchboard tells the rules for missed calls of them, and what the pretend portal has of it then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from plain_call import record

from perezvon.calls.call import Call, Direction, Outcome
from perezvon.rules import Line, MissedTasks, People, Policy, Telling
from perezvon.sandbox.portal.handlers.task_board import Task, TaskBoard
from perezvon.sandbox.portal.state import PortalState
from perezvon.service.missed import follow
from perezvon.service.policies import PortalRules
from perezvon.storage import Database, lanes, missed
from perezvon.storage.steps import Step

CLIENT = "+79161234567"
LINE = Line("+74951234567", name="Main line")
PEOPLE = People({"101": "11", "102": "12", "104": "14"}, {"101": "Ivanov", "102": "Petrova"})
POLICY = Policy("test", "1", lines={LINE.number: LINE}, missed=MissedTasks(Telling()))


def rules(**more: Any) -> PortalRules:
    """`more`: of MissedTasks, or of the policy."""
    of_policy = {name: more.pop(name) for name in tuple(more) if name in Policy.__slots__}
    assert POLICY.missed is not None
    return PortalRules("main", replace(POLICY, missed=replace(POLICY.missed, **more), **of_policy), PEOPLE)


def missed_call(number: int, at: float = 1000.0, *, client: str = CLIENT, **more: Any) -> Call:
    """Began ten seconds before `at`, when it ended."""
    call = record(id=f"c{number}", client=client, started=at - 10, ended=at, rung=("101",))
    return replace(call, **more)


def talk(number: int, at: float = 1100.0, *, by: str = "102", incoming: bool = False, **more: Any) -> Call:
    """Began to talk at `at`, for a minute."""
    return missed_call(
        number,
        at + 60,
        direction=Direction.INCOMING if incoming else Direction.OUTGOING,
        outcome=Outcome.ANSWERED,
        answered=at,
        duration=60.0,
        talkers=(by,),
        last_talker=by,
        rung=(),
        **more,
    )


async def end(database: Database, *calls: Call, by: PortalRules | None = None, now: float = 1000.0) -> list[str]:
    """The calls end together. Gives the reasons."""
    theirs = by if by is not None else rules()

    async def work(conn: Any) -> list[str]:
        done = await follow(conn, theirs, calls)
        for one in done:
            await lanes.append(conn, "main", one.lane, one.decision.steps, now)
        return [str(one.decision.reason) for one in done]

    return await database.write(work)


async def row_of(database: Database, client: str = CLIENT) -> missed.Missed:
    async with database.read() as conn:
        row = await missed.latest(conn, "main", client)
    assert row is not None
    return row


async def steps_of_client(database: Database, client: str = CLIENT) -> list[Step]:
    row = await row_of(database, client)
    async with database.read() as conn:
        return (await lanes.load(conn, [row.lane])).get(row.lane, [])


def tasks(state: PortalState) -> list[Task]:
    return list(state.part(TaskBoard).tasks.values())


def open_tasks(state: PortalState) -> list[Task]:
    return [task for task in tasks(state) if task.status in (2, 3, 6)]


def comments(task: Task) -> Sequence[str]:
    return [comment.text.partition("\n\nPerezvon ")[0] for comment in task.comments]
