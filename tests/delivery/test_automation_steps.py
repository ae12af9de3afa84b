"""Triggers and the robot's answer: with the pretend portal, for every kind of object, over lost answers and kills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from call_steps import finish, put, register, states, steps_of
from direct_portal import DirectPortal

from perezvon.bitrix24.errors import Ambiguous
from perezvon.delivery import Sender
from perezvon.delivery.triggers import GONE, NO_OBJECT
from perezvon.delivery.verdicts import ANSWERED, GONE_ON
from perezvon.rules.notes import Notes
from perezvon.rules.orders import Order, Ordered, answer
from perezvon.rules.triggers import LATE, MISSED, Triggers, late_by_number, pulled
from perezvon.rules.vocabulary import Reason, StepDraft
from perezvon.sandbox.portal.handlers.bizproc import Bizproc
from perezvon.sandbox.portal.handlers.crm_automation import Automation
from perezvon.storage import Database
from perezvon.storage.steps import State

DONE, SKIPPED = State.DONE, State.SKIPPED
LEAD, CONTACT, CONTACT_WITH_DEAL = "+79035550033", "+79265550022", "+79165550011"

Start = Callable[..., Sender]
Wait = Callable[..., Awaitable[None]]


def trigger(name: str = "c") -> StepDraft:
    (step,) = pulled(Triggers(missed=True), Notes(), "", f"{name}:finish")
    return step


def call(phone: str = LEAD, **more: Any) -> list[StepDraft]:
    return [register("c", PHONE_NUMBER=phone, **more), finish("c", duration=0), trigger()]


@pytest.fixture
def automation(portal: DirectPortal) -> Automation:
    """With the trigger registered, and the lead (an hour old) moved on by it."""
    found = portal.state.part(Automation)
    app = portal.server.app.client_id
    found.triggers |= {(app, MISSED): "missed", (app, LATE): "late"}
    found.stages[app, MISSED, "LEAD"] = "IN_PROCESS"
    lead = portal.state.crm.get("LEAD", 1)
    assert lead is not None
    lead.fields["DATE_CREATE"] = portal.state.iso(portal.state.now() - 3600)
    return found


def executed(automation: Automation) -> list[tuple[str, str, int]]:
    return [(one.code, one.entity_type, one.entity_id) for one in automation.executions]


async def test_a_lead_is_known_from_the_call_and_nothing_is_asked(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, automation: Automation
) -> None:
    await put(database, "c", *call())
    start()
    await settled()
    assert await states(database, "c") == [DONE] * 3
    assert executed(automation) == [(MISSED, "LEAD", 1)]
    methods = [method for request in portal.requests for method, _ in request]
    assert "crm.activity.binding.list" not in methods


async def test_the_deal_that_the_portal_made_for_the_call_in_simple_mode(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, automation: Automation
) -> None:
    portal.state.crm.mode = 2
    await put(database, "c", *call("+79160001122", CRM_CREATE=1))
    start()
    await settled()
    assert executed(automation) == [(MISSED, "DEAL", 2)]


@pytest.mark.parametrize(
    ("phone", "expected"), [(CONTACT_WITH_DEAL, [(MISSED, "DEAL", 1)]), (CONTACT, []), ("+79160001133", [])]
)
async def test_contacts_have_none_their_newest_deal_has(
    database: Database,
    start: Start,
    settled: Wait,
    automation: Automation,
    phone: str,
    expected: list[tuple[str, str, int]],
) -> None:
    await put(database, "c", *call(phone))
    start()
    await settled()
    (*_, step) = await steps_of(database, "c")
    assert executed(automation) == expected
    assert (step.state, step.note == NO_OBJECT) == ((DONE, False) if expected else (SKIPPED, True))


@pytest.mark.parametrize("before", [0, 1, 2, 3])
@pytest.mark.parametrize("work_done", [True, False], ids=["done", "not done"])
async def test_a_kill_at_any_moment_pulls_it_once(
    database: Database,
    survived: Wait,
    automation: Automation,
    before: int,
    *,
    work_done: bool,
) -> None:
    await put(database, "c", *call())
    await survived(before, work_done=work_done)
    assert await states(database, "c") == [DONE] * 3
    assert executed(automation) == [(MISSED, "LEAD", 1)]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("work_done", [True, False], ids=["done", "not done"])
async def test_lost_answers_pull_it_once(
    database: Database,
    portal: DirectPortal,
    start: Start,
    settled: Wait,
    automation: Automation,
    times: int,
    *,
    work_done: bool,
) -> None:
    await put(database, "c", *call()[:2])
    sender = start()
    await settled()
    (portal.after if work_done else portal.before).extend([lambda: Ambiguous("no answer")] * times)
    await put(database, "c", trigger())
    sender.notify()
    await settled()
    assert (await states(database, "c"))[-1] is DONE
    assert executed(automation) == [(MISSED, "LEAD", 1)]


async def test_a_trigger_that_is_not_registered_yet_waits_for_that(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, until: Any, automation: Automation
) -> None:
    name = automation.triggers.pop((portal.server.app.client_id, MISSED))
    await put(database, "c", *call())
    start()

    async def refused() -> bool:
        return bool((await steps_of(database, "c"))[-1].error)

    await until(refused)
    automation.triggers[portal.server.app.client_id, MISSED] = name
    await settled()
    assert executed(automation) == [(MISSED, "LEAD", 1)]


async def test_a_deleted_lead_is_not_asked_for_for_ever(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, automation: Automation
) -> None:
    sender = start()
    await put(database, "c", *call()[:2])
    await settled()
    lead = portal.state.crm.get("LEAD", 1)
    assert lead is not None
    portal.state.crm.delete(lead)
    await put(database, "c", trigger())
    sender.notify()
    await settled()
    (*_, step) = await steps_of(database, "c")
    assert (step.state, step.note, executed(automation)) == (SKIPPED, GONE, [])


@pytest.mark.parametrize(
    ("phone", "expected"),
    [(LEAD, [(LATE, "LEAD", 1)]), (CONTACT_WITH_DEAL, [(LATE, "DEAL", 1)]), (CONTACT, []), ("+79160001144", [])],
)
async def test_a_client_who_waits_is_found_by_his_number(
    database: Database,
    start: Start,
    settled: Wait,
    automation: Automation,
    phone: str,
    expected: list[tuple[str, str, int]],
) -> None:
    await put(database, "missed:late", late_by_number("missed:1:remind", phone))
    start()
    await settled()
    assert executed(automation) == expected
    assert await states(database, "missed:late") == [DONE if expected else SKIPPED]


# ---- the robot

ORDER = Order("robot:1", Ordered.ROBOT, "+79160000001", token="t1")


def told(name: str) -> StepDraft:
    return answer(ORDER, "answered", 5, "talked", Reason(f"because of {name}"))


async def test_the_robot_is_answered_once_though_the_answer_was_lost(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    board = portal.state.part(Bizproc)
    board.tokens["t1"] = "perezvon.call"
    portal.after.append(lambda: Ambiguous("no answer"))
    await put(database, "r", told("r"))
    start()
    await settled()
    (step,) = await steps_of(database, "r")
    assert (step.state, step.note) == (DONE, ANSWERED)
    assert [one["values"] for one in board.answers] == [{"result": "answered", "duration": 5}]


async def test_a_robot_that_does_not_wait_any_more_holds_up_no_other(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "r", told("r"))
    sender = start()
    await settled()
    (step,) = await steps_of(database, "r")
    assert (step.state, step.note) == (SKIPPED, GONE_ON)
    assert (await sender.status()).paused_methods == {}
