"""2e, 2g, 2h: one open task a client, made, counted, closed and never doubled, on the pretend portal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from direct_portal import KILL, DirectPortal
from missed_calls import (
    CLIENT,
    comments,
    end,
    missed_call,
    open_tasks,
    row_of,
    rules,
    steps_of_client,
    talk,
    tasks,
)

from perezvon.bitrix24.errors import Ambiguous, NotSent
from perezvon.delivery import Sender, pacing
from perezvon.delivery import weather as weathers
from perezvon.rules import Line
from perezvon.sandbox.portal.handlers.task_board import COMPLETED, TaskBoard
from perezvon.service.missed import Reminder
from perezvon.storage import Database
from perezvon.storage.missed import Tally
from perezvon.storage.steps import State

Start = Callable[..., Sender]
Settled = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "COLLECTING", {})
    monkeypatch.setattr(weathers, "_METHOD_REPAIR", 0.05)


async def test_2g_a_missed_call_makes_a_task(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    wanted = rules(deadline=1800.0, tags=("missed",), observers=("14",), important=True)
    reasons = await end(database, missed_call(1), by=wanted)
    assert reasons == [f"missed call: a task for whoever shall call {CLIENT} back"]
    start()
    await settled()
    (task,) = tasks(portal.state)
    assert task.title == f"Missed call: {CLIENT}"
    assert "called Main line on" in task.description
    assert "Rung: Ivanov (101)" in task.description
    assert (task.responsible, task.priority, task.tags, task.auditors) == (11, 2, ["missed"], [14])
    assert task.deadline == 1000.0 + 1800.0
    row = await row_of(database)
    assert (row.task, row.responsible, row.misses, row.first) == (str(task.id), "11", 1, 1000.0)


async def test_2g_two_missed_calls_at_the_same_moment_make_one_task(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    sender = start()
    await asyncio.gather(end(database, missed_call(1)), end(database, missed_call(2)))
    sender.notify()
    await settled()
    (task,) = tasks(portal.state)
    assert task.title == f"Missed call: {CLIENT} ×2"
    assert len(task.comments) == 1
    assert "Missed calls: 2." in comments(task)[0]
    assert (await row_of(database)).misses == 2


async def test_2g_further_misses_count_and_make_it_important(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    sender = start()
    for number in (1, 2, 3):
        await end(database, missed_call(number, 1000.0 + number), by=rules(raise_after=3))
        sender.notify()
        await settled()
        assert open_tasks(portal.state)[0].priority == (2 if number == 3 else 1)
    (task,) = tasks(portal.state)
    assert task.title.endswith("×3")
    assert len(task.comments) == 2


async def test_2g_a_title_that_an_employee_wrote_stays(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    sender = start()
    await end(database, missed_call(1))
    sender.notify()
    await settled()
    (task,) = tasks(portal.state)
    task.title = "Ring the aunt"
    await end(database, missed_call(2))
    sender.notify()
    await settled()
    assert task.title == "Ring the aunt"
    assert len(task.comments) == 1


@pytest.mark.parametrize("by_hand", ["closed", "deleted"])
@pytest.mark.parametrize("again", ["new", "reopen"])
async def test_2g_what_an_employee_did_to_the_task_is_noticed(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, by_hand: str, again: Any
) -> None:
    sender = start()
    now = portal.state.now()
    await end(database, missed_call(1, now))
    sender.notify()
    await settled()
    (task,) = tasks(portal.state)
    if by_hand == "deleted":
        del portal.state.part(TaskBoard).tasks[task.id]
    else:
        task.status, task.closed = COMPLETED, now
    await end(database, missed_call(2, now + 5), by=rules(again=again))
    sender.notify()
    await settled()
    (one,) = open_tasks(portal.state)
    if again == "reopen" and by_hand == "closed":
        assert one is task
        assert len(one.comments) == 1
    else:
        assert one.id != task.id
        row = await row_of(database)
        assert (row.task, row.misses, row.first) == (str(one.id), 1, now + 5)


@pytest.mark.parametrize("incoming", [True, False])
async def test_2h_a_talk_with_anybody_closes_it(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, incoming: bool
) -> None:
    sender = start()
    await end(database, missed_call(1))
    sender.notify()
    await settled()
    (task,) = tasks(portal.state)
    task.title = "renamed: it is not found by its title"
    await end(database, talk(2, 1100.0, by="102", incoming=incoming))
    sender.notify()
    await settled()
    assert task.status == COMPLETED
    assert "Petrova (102)" in comments(task)[0]
    assert "1 min 40 s after the missed call" in comments(task)[0]
    row = await row_of(database)
    assert (row.called_back, row.closed) == (1100.0, 1160.0)
    await end(database, talk(3, 1200.0))
    assert len(await steps_of_client(database)) == 2, "a second talk closes nothing"


async def test_the_task_that_follows_a_closed_one_is_brought_to_mind_too(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    wanted = rules(remind_after=60.0, remind_user="14")
    now = portal.state.now()
    sender = start()
    await end(database, missed_call(1, now - 200), by=wanted)
    sender.notify()
    await settled()
    (task,) = tasks(portal.state)
    task.status, task.closed = COMPLETED, now
    await end(database, missed_call(2, now - 100), by=wanted)
    sender.notify()
    await settled()
    reminder = Reminder("main", database, lambda: wanted, lambda _: sender.notify(), clock=lambda: now)
    running = asyncio.create_task(reminder.run())
    async with asyncio.timeout(10):
        while not open_tasks(portal.state)[0].comments:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    await settled()
    (second,) = open_tasks(portal.state)
    assert (second.priority, second.auditors) == (2, [14])
    assert comments(second) == ["Nobody has called back for 1 min 0 s. Missed calls: 1."]


async def test_call_back_time_is_measured(database: Database, portal: DirectPortal, start: Start, settled: Settled) -> None:
    now = portal.state.now()
    sender = start(clock=lambda: now)
    await end(database, missed_call(1, now - 200))
    waits = missed_call(2, now - 50, client="+79160000002")
    await end(database, waits)
    assert (await sender.status()).missed == Tally(2, now - 200, 0, None)
    await end(database, talk(3, now - 100))
    assert (await sender.status()).missed == Tally(1, now - 50, 1, 100.0)


async def test_2h_only_the_responsible_closes_it(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    wanted = rules(close="responsible")
    sender = start()
    await end(database, missed_call(1), by=wanted)
    await end(database, talk(2, by="102"), by=wanted)
    sender.notify()
    await settled()
    (task,) = tasks(portal.state)
    assert task.status != COMPLETED
    assert (await row_of(database)).closed is None
    task.responsible = 12  # passed on to 102 in the portal
    await end(database, talk(3, 1300.0, by="102"), by=wanted)
    sender.notify()
    await settled()
    assert task.status == COMPLETED
    assert ((await row_of(database)).closed, (await row_of(database)).called_back) == (1300.0, 1300.0)


async def test_2h_closing_may_be_left_to_employees(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    wanted = rules(close="off")
    sender = start()
    await end(database, missed_call(1), by=wanted)
    await end(database, talk(2), by=wanted)
    await end(database, missed_call(3, 2000.0), by=wanted)
    sender.notify()
    await settled()
    (task,) = open_tasks(portal.state)
    assert len(task.comments) == 2
    row = await row_of(database)
    assert (row.misses, row.first, row.called_back) == (2, 2000.0, None)


@pytest.mark.parametrize("apart", [False, True], ids=["together", "one after the other"])
async def test_2h_missed_and_called_back_within_a_second(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, apart: bool
) -> None:
    sender = start()
    await end(database, missed_call(1, 1000.0))
    if apart:
        sender.notify()
        await portal.arrived.wait()
    await end(database, talk(2, 1000.5))
    sender.notify()
    await settled()
    assert open_tasks(portal.state) == []
    assert len(tasks(portal.state)) <= 1
    states = [step.state for step in await steps_of_client(database)]
    assert State.DEAD not in states
    if not apart:
        assert tasks(portal.state) == [], "nobody is bothered with a task that nobody needs"


async def test_2h_the_next_missed_call_opens_it_again_or_makes_a_new_one(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    sender = start()
    now = portal.state.now()

    async def ends(*calls: Any) -> None:
        await end(database, *calls, by=rules(again="reopen", reopen_within=3600.0))
        sender.notify()
        await settled()

    await ends(missed_call(1, now))
    await ends(talk(2, now + 1))
    (task,) = tasks(portal.state)
    assert task.status == COMPLETED
    await ends(missed_call(3, now + 70))
    assert (len(tasks(portal.state)), open_tasks(portal.state)) == (1, [task])
    await ends(talk(4, now + 80))
    await ends(missed_call(5, now + 4000))
    (second,) = open_tasks(portal.state)
    assert second is not task
    assert second.title == f"Missed call: {CLIENT}", "counted from the beginning"


@pytest.mark.parametrize("refused", [False, True])
async def test_2e_3d_the_responsible_by_the_chain(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, refused: bool
) -> None:
    line = Line("+74951234567", name="Main line", missed_user="999" if refused else "12")
    by_line = rules(missed_chain=("line", "last_rung"), lines={line.number: line})
    await end(database, missed_call(1), by=by_line)
    start()
    await settled()
    (task,) = tasks(portal.state)
    assert task.responsible == (11 if refused else 12), "whom the portal does not know is passed over"


async def test_2e_the_owner_in_the_crm(database: Database, portal: DirectPortal, start: Start, settled: Settled) -> None:
    lead = portal.state.crm.add(
        "LEAD", {"TITLE": "Client", "ASSIGNED_BY_ID": "14", "PHONE": [{"VALUE": CLIENT, "VALUE_TYPE": "WORK"}]}
    )
    await end(database, missed_call(1))
    start()
    await settled()
    (task,) = tasks(portal.state)
    assert (task.responsible, task.links) == (14, [f"L_{lead.id}"])


async def test_2g_what_the_portal_refuses_of_it_is_left_out(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    await end(database, missed_call(1), by=rules(observers=("999",), tags=("missed",)))
    start()
    await settled()
    (task,) = tasks(portal.state)
    assert (task.responsible, task.tags) == (11, [])
    (step,) = await steps_of_client(database)
    assert "without group, observers and tags" in str(step.note)


async def test_who_makes_no_task(database: Database) -> None:
    for number, call in enumerate(
        (
            missed_call(1, client=""),
            missed_call(2, client="anonymous"),
            missed_call(3, client="101"),
            replace(missed_call(4), absorbed_into="c9"),
            talk(5),
        )
    ):
        for reason in await end(database, call):
            assert "no task" in reason, number


async def test_hostile_names_are_harmless(database: Database, portal: DirectPortal, start: Start, settled: Settled) -> None:
    name = "[URL=javascript:alert(1)]x[/URL] <b>{rung} {client.__class__}\nsecond" + "y" * 5000
    wanted = rules(title="{name}: {client}", description="{name} {client}\n{name}")
    await end(database, missed_call(1, client_name=name), by=wanted)
    start()
    await settled()
    (task,) = tasks(portal.state)
    for text in (task.title, task.description):
        assert not set("[]<>") & set(text)
        assert len(text) < 400
    assert "{rung}" in task.title, "what comes from outside is no template"


async def test_missing_permission_holds_up_nothing_and_loses_nothing(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, until: Any
) -> None:
    granted = portal.caller
    portal.caller = replace(granted, scopes=granted.scopes - {"task"})
    sender = start()
    await end(database, missed_call(1))
    await end(database, missed_call(2))
    sender.notify()

    async def paused() -> bool:
        return "tasks.task.add" in (await sender.status()).paused_methods

    async with asyncio.timeout(10):
        await until(paused)
    assert tasks(portal.state) == []
    portal.caller = granted
    sender.resume()
    await settled()
    (task,) = tasks(portal.state)
    assert len(task.comments) == 1


FAULTS: dict[str, Callable[[], Any]] = {
    "no answer": lambda: Ambiguous("no answer"),
    "refused": lambda: NotSent("refused"),
}


async def delivered(portal: DirectPortal, sender: Sender, start: Start, settled: Settled) -> Sender:
    """Waits until nothing is left to be sent; a sender that is killed has a successor."""
    sender.notify()
    waiting = asyncio.create_task(settled())
    killed = asyncio.create_task(portal.killed.wait())
    await asyncio.wait([waiting, killed], return_when=asyncio.FIRST_COMPLETED)
    if killed.done() and not waiting.done():
        portal.killed.clear()
        await sender.stop(0.0)
        sender = start()
    killed.cancel()
    await waiting
    return sender


@pytest.mark.slow
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("fault", ["no answer", "refused", "kill"])
@pytest.mark.parametrize("request_number", range(10))
async def test_nothing_twice_and_nothing_lost_whatever_request_fails(
    database: Database,
    portal: DirectPortal,
    start: Start,
    settled: Settled,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    fault: str,
    request_number: int,
) -> None:
    """Missed, missed again, called back, missed anew: with one of the requests cut off, without and with its work done."""
    if fault == "refused" and where == "after":
        return
    monkeypatch.setattr("perezvon.delivery.tasks._LATE", 0.0)
    monkeypatch.setattr("perezvon.delivery.tasks._FIRST_WAIT", 0.01)
    getattr(portal, where).extend([None] * request_number + [KILL if fault == "kill" else FAULTS[fault]])
    sender = start()
    now = portal.state.now()
    for call in (missed_call(1, now), missed_call(2, now + 1), talk(3, now + 2), missed_call(4, now + 100)):
        await end(database, call)
        sender = await delivered(portal, sender, start, settled)
    assert not portal.before
    assert not portal.after, "every request was reached"
    first, second = tasks(portal.state)
    assert (first.status, second.status) == (COMPLETED, 2)
    assert first.title == f"Missed call: {CLIENT} ×2"
    assert len(first.comments) == 2
    assert "Missed calls: 2." in comments(first)[0]
    assert "called the client back" in comments(first)[1]
    assert second.comments == []
    assert {step.state for step in await steps_of_client(database)} == {State.DONE}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("fault", ["no answer", "kill"])
@pytest.mark.parametrize("request_number", range(9))
async def test_a_task_is_opened_again_once_whatever_request_fails(
    database: Database,
    portal: DirectPortal,
    start: Start,
    settled: Settled,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    fault: str,
    request_number: int,
) -> None:
    monkeypatch.setattr("perezvon.delivery.tasks._LATE", 0.0)
    monkeypatch.setattr("perezvon.delivery.tasks._FIRST_WAIT", 0.01)
    getattr(portal, where).extend([None] * request_number + [KILL if fault == "kill" else FAULTS[fault]])
    now = portal.state.now()
    sender = start()
    for call in (missed_call(1, now), talk(2, now + 1), missed_call(3, now + 70)):
        await end(database, call, by=rules(again="reopen"))
        sender = await delivered(portal, sender, start, settled)
    assert not portal.before
    assert not portal.after, "every request was reached"
    (task,) = tasks(portal.state)
    assert (task.status, len(task.comments)) == (2, 2)
    assert task.title.endswith("×2")


async def test_a_task_is_found_behind_many_others(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perezvon.delivery.tasks._LATE", 0.0)
    board = portal.state.part(TaskBoard)
    for number in range(120):
        fields = {"TITLE": f"another {number}", "RESPONSIBLE_ID": 1}
        await portal.call("tasks.task.add", {"fields": fields})
    portal.after.extend([None, lambda: Ambiguous("no answer")])
    await end(database, missed_call(1), now=portal.state.now())
    start()
    await settled()
    assert len(board.tasks) == 121
    (step,) = await steps_of_client(database)
    assert step.state is State.DONE
    assert "answer was lost" in str(step.note)
