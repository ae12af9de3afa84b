"""The text in a call's activity: with the pretend portal, in any order, with an activity that is not there (any more), rights
that are missing, an employee's own words, and kills in between."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from call_steps import finish, put, record, register, states, steps_of, stored
from direct_portal import DirectPortal

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import Ambiguous, MissingScope, PortalError, RateLimited, Temporary, refusal
from perezvon.delivery import Sender
from perezvon.delivery.activity import (
    FRESH,
    GONE,
    MANY_TRIES,
    NO_ACTIVITY,
    NOT_FOUND,
    PATIENCE,
    THERE,
    ReadActivity,
    was_asked,
    was_written,
)
from perezvon.delivery.runs import plan_run
from perezvon.rules.account import describe, describe_own
from perezvon.rules.vocabulary import Kind, StepDraft
from perezvon.sandbox.portal.crm import Entity
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State, Step

DONE, DEAD, SKIPPED, NEW, UNSURE = State.DONE, State.DEAD, State.SKIPPED, State.NEW, State.UNSURE
MP3 = Path(__file__).parent / "beep.mp3"
TOLD = "Голосовое меню\n03:16:44 нажато 2"

Start = Callable[..., Sender]
Wait = Callable[..., Awaitable[None]]


def call(name: str = "c", **more: Any) -> list[StepDraft]:
    return [register(name, CRM_CREATE=1, **more), finish(name), describe(f"{name}:finish", TOLD)]


def activity(portal: DirectPortal) -> Entity:
    (found,) = portal.state.crm.of("ACTIVITY")
    return found


def writes(portal: DirectPortal) -> int:
    return portal.executed()["update"]


async def test_it_is_written_into_the_calls_activity(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", *call(), record("c", MP3))
    start()
    await settled()
    assert await states(database, "c") == [DONE] * 4
    assert activity(portal).fields["DESCRIPTION"] == TOLD
    assert activity(portal).fields["DESCRIPTION_TYPE"] == "1"
    assert activity(portal).text("PROVIDER_ID") == "VOXIMPLANT_CALL"
    assert portal.calls()[0].recording is not None
    assert writes(portal) == 1


async def test_an_employees_own_words_stay(database: Database, portal: DirectPortal, start: Start, settled: Wait) -> None:
    await put(database, "c", *call()[:2])
    sender = start()
    await settled()
    portal.state.crm.update(activity(portal), {"DESCRIPTION": "wants a [b]cake[/b]", "DESCRIPTION_TYPE": "2"})
    await put(database, "c", call()[2])
    sender.notify()
    await settled()
    assert activity(portal).fields["DESCRIPTION"] == f"wants a [b]cake[/b]\n\n{TOLD}"
    assert activity(portal).fields["DESCRIPTION_TYPE"] == "2"


async def test_an_answer_that_was_lost_writes_nothing_twice(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", *call())
    portal.after.extend([None, None, lambda: Ambiguous("no answer")])
    start()
    await settled()
    (*_, step) = await steps_of(database, "c")
    assert (step.state, step.note) == (DONE, THERE)
    assert activity(portal).fields["DESCRIPTION"] == TOLD
    assert writes(portal) == 1


@pytest.mark.parametrize("before", [0, 1, 2, 3])
@pytest.mark.parametrize("work_done", [True, False], ids=["done", "not done"])
async def test_a_kill_at_any_moment_leaves_it_there_once(
    database: Database, portal: DirectPortal, survived: Wait, before: int, *, work_done: bool
) -> None:
    """`before`: how many requests get through. (The fourth is never needed.)"""
    await put(database, "c", *call())
    await survived(before, work_done=work_done)
    assert await states(database, "c") == [DONE] * 3
    assert activity(portal).fields["DESCRIPTION"] == TOLD


async def test_without_an_activity_it_ends_quietly(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", *call(PHONE_NUMBER="101"), record("c", MP3))
    start()
    await settled()
    *_, described, recorded = await steps_of(database, "c")
    assert portal.state.crm.of("ACTIVITY") == []
    assert (described.state, described.note, described.attempts) == (SKIPPED, NO_ACTIVITY, 0)
    assert recorded.state is DONE


async def test_a_deleted_activity_is_said_and_not_tried_again(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", *call()[:2])
    sender = start()
    await settled()
    portal.state.crm.delete(activity(portal))
    await put(database, "c", call()[2], record("c", MP3))
    sender.notify()
    await settled()
    *_, described, recorded = await steps_of(database, "c")
    assert (described.state, described.note, described.attempts) == (SKIPPED, GONE, 1)
    assert described.error is not None
    assert "Activity is not found" in described.error
    assert recorded.state is DONE


async def test_without_the_right_it_is_said_once_and_a_human_can_have_it_sent(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    crm = portal.caller
    portal.caller = replace(crm, scopes=frozenset(crm.scopes - {"crm"}))
    await put(database, "c", *call(), record("c", MP3))
    sender = start()
    await settled()
    *_, described, recorded = await steps_of(database, "c")
    assert (described.state, described.attempts, recorded.state) == (DEAD, 1, DONE)
    assert described.error is not None
    assert "scope" in described.error
    status = await sender.status()
    assert status.dead == 1
    assert set(status.paused_methods) == {"crm.activity.get"}
    portal.caller = crm
    await database.write(lambda conn: lanes.requeue(conn, "c", 2000.0))
    sender.resume()
    await settled()
    assert activity(portal).fields["DESCRIPTION"] == TOLD


async def test_a_finish_that_failed_takes_it_along(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    """No such call, no such employee, and nobody to take his place."""
    await put(database, "c", register("c", user=999), finish("c", user=999), describe("c:finish", TOLD))
    start()
    await settled()
    assert await states(database, "c") == [DEAD, SKIPPED, SKIPPED]


async def test_it_waits_for_its_finish(database: Database, portal: DirectPortal, start: Start, settled: Wait) -> None:
    """The portal takes the finish only at the second try."""
    portal.inside.extend([None, lambda: Temporary("busy")])
    await put(database, "c", *call())
    start()
    await settled()
    assert await states(database, "c") == [DONE] * 3
    commands = [name for name in portal.commands() if name in ("finish", "get", "update")]
    assert commands == ["finish"] * 2 + ["get", "update"]


async def test_it_does_not_hold_up_a_recording(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", *call()[:2])
    sender = start()
    await settled()
    portal.inside.extend([lambda: Temporary("busy"), None])
    await put(database, "c", call()[2], record("c", MP3))
    sender.notify()
    await settled()
    assert [len(request) for request in portal.requests[-3:]] == [2, 1, 1]
    assert await states(database, "c") == [DONE] * 4
    assert portal.executed()["attachRecord"] == 1
    assert activity(portal).fields["DESCRIPTION"] == TOLD


async def test_many_calls_share_requests(database: Database, portal: DirectPortal, start: Start, settled: Wait) -> None:
    for number in range(12):
        await put(database, f"c{number}", *call(f"c{number}"))
    start()
    await settled()
    texts = [one.fields["DESCRIPTION"] for one in portal.state.crm.of("ACTIVITY")]
    assert texts == [TOLD] * 12
    assert len(portal.requests) < 24


async def test_two_portal_calls_of_one_call_have_each_its_own(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    second = [
        replace(draft, key=f"c:{draft.kind}-2")
        for draft in (register("c", CRM_CREATE=1, EXTERNAL_CALL_ID="2"), finish("c"))
    ]
    await put(database, "c", *call()[:2], *second, describe("c:finish", "the first"), describe("c:finish-2", "the second"))
    start()
    await settled()
    texts = {one.number("ID") or one.id: one.fields["DESCRIPTION"] for one in portal.state.crm.of("ACTIVITY")}
    assert [texts[key] for key in sorted(texts)] == ["the first", "the second"]


# ---- a call that the portal wrote down itself

BEGAN = 1_795_251_000.0
CLIENT = "+79161234567"


def own_call(portal: DirectPortal, began: float, phone: str = "79161234567", **more: Any) -> Entity:
    """A call through the portal's own SIP line, as its statistics and its CRM have it."""
    entity = portal.state.crm.add("ACTIVITY", {"TYPE_ID": "2", "PROVIDER_ID": "VOXIMPLANT_CALL", "DESCRIPTION": ""})
    row = {
        "ID": str(len(portal.statistics) + 1),
        "CALL_ID": f"sip.{entity.id}",
        "PHONE_NUMBER": phone,
        "CALL_START_DATE": portal.state.iso(began),
        "CRM_ACTIVITY_ID": str(entity.id),
        "EXTERNAL_CALL_ID": None,
        "REST_APP_ID": None,
    }
    portal.statistics.append(row | more)
    return entity


async def test_the_portals_own_activity_is_found_by_number_and_time(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    others = [
        own_call(portal, BEGAN - 3600),
        own_call(portal, BEGAN + 100),
        own_call(portal, BEGAN + 1, "79160000000"),
        own_call(portal, BEGAN + 1, EXTERNAL_CALL_ID="another"),
        own_call(portal, BEGAN + 1, REST_APP_ID="7"),
    ]
    mine = own_call(portal, BEGAN + 12)
    await put(database, "c", describe_own("c", CLIENT, BEGAN, BEGAN + 60, TOLD))
    start()
    await settled()
    assert await states(database, "c") == [DONE]
    assert mine.fields["DESCRIPTION"] == TOLD
    assert [other.fields["DESCRIPTION"] for other in others] == [""] * 5
    assert portal.commands() == ["get", "get", "update"]


async def test_the_portals_own_record_may_come_late(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, until: Any
) -> None:
    await put(database, "c", describe_own("c", CLIENT, time.time() - 60, time.time(), TOLD))
    start()

    async def asked_twice() -> bool:
        return len(portal.requests) >= 2

    await until(asked_twice)
    mine = own_call(portal, time.time() - 50)
    await settled()
    assert mine.fields["DESCRIPTION"] == TOLD


async def test_where_the_portal_has_no_record_it_is_said(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    own_call(portal, BEGAN, CRM_ACTIVITY_ID="0")
    await put(database, "c", describe_own("c", CLIENT, BEGAN, BEGAN + 60, TOLD))
    start()
    await settled()
    (step,) = await steps_of(database, "c")
    assert (step.state, step.note) == (SKIPPED, NOT_FOUND)


# ---- pure


READ = ReadActivity("7")


def described(state: State, result: Any = None, *, sent: float | None = 1010.0, attempts: int = 1) -> list[Step]:
    """A finished call with its step of this kind, made at 1000."""
    lane = stored(call(), (DONE, {"CALL_ID": "x"}), (DONE, {"CRM_ACTIVITY_ID": "7"}), (state, result))
    return [*lane[:2], replace(lane[2], sent=sent, attempts=attempts)]


@pytest.mark.parametrize(
    ("lane", "asks"),
    [
        (described(NEW), True),
        (described(NEW, {"DESCRIPTION": ""}), False),
        (described(NEW, {"DESCRIPTION": ""}, sent=1020.0 - FRESH - 1), True),
        (described(UNSURE, {"DESCRIPTION": ""}), True),
        (described(NEW, {"error": "Temporary"}), True),
    ],
)
def test_what_was_read_counts_for_a_moment(lane: list[Step], asks: bool) -> None:
    (move,) = plan_run("c", lane, 1020.0, paused={}, large=lambda _: False).moves
    assert move.method == ("crm.activity.get" if asks else "crm.activity.update")


def test_while_its_method_pauses_the_rest_goes_on() -> None:
    lane = [*described(NEW), replace(stored([record("c", MP3)], NEW)[0], id=9, sequence=9)]
    paused = {"crm.activity.get": 1100.0}
    run = plan_run("c", lane, 1020.0, paused=paused, large=lambda _: False)
    assert [move.step.kind for move in run.moves] == [Kind.ATTACH_RECORD]
    run = plan_run("c", lane[:3], 1020.0, paused=paused, large=lambda _: False)
    assert (run.moves, run.wait) == ((), 1100.0)


@pytest.mark.parametrize(("attempts", "upload"), [(1, False), (2, True)])
def test_a_large_recording_gets_its_turn_however_often_it_is_refused(attempts: int, upload: bool) -> None:
    lane = [*described(UNSURE, attempts=attempts), replace(stored([record("c", MP3)], NEW)[0], id=9, sequence=9)]
    run = plan_run("c", lane, 1020.0, paused={}, large=lambda step: step.kind is Kind.ATTACH_RECORD)
    assert run.upload is upload


DENIED = refusal(code="", description="Access denied", status=400, method="crm.activity.update")
NO_SUCH = refusal(code="ERROR_METHOD_NOT_FOUND", description="Method not found!", status=404, method="crm.activity.get")


@pytest.mark.parametrize(
    ("outcome", "sent", "expected"),
    [
        (Answer(True), 1010.0, DONE),
        (Answer(False), 1010.0, UNSURE),
        (DENIED, 1010.0, DEAD),
        (NO_SUCH, 1010.0, DEAD),
        (MissingScope("no"), 1010.0, DEAD),
        (RateLimited("slow"), 1010.0 + PATIENCE, UNSURE),
        (Temporary("busy"), 1010.0, UNSURE),
        (Temporary("busy"), 1010.0 + PATIENCE, DEAD),
        (Ambiguous("no answer"), 1010.0 + PATIENCE, DEAD),
    ],
)
def test_nothing_is_tried_for_ever(outcome: Answer | PortalError, sent: float, expected: State) -> None:
    step = described(State.SENDING, sent=sent, attempts=MANY_TRIES + 1)[2]
    assert was_written(step, outcome).state is expected
    if isinstance(outcome, PortalError):
        assert was_asked(step, READ, outcome).state is expected


def test_other_ends_of_lines_are_the_same_text() -> None:
    step = described(State.SENDING)[2]
    there = was_asked(step, READ, Answer({"DESCRIPTION": "before\r\n" + TOLD.replace("\n", "\r\n") + "\r\nafter"}))
    assert (there.state, there.note) == (DONE, THERE)
