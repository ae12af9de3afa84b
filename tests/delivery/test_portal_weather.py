"""What portals do besides being away: refuse us until a human acts, fail in parts of a batch, forget what they knew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from call_steps import finish, hide, put, record, register, show, states, steps_of
from direct_portal import DirectPortal
from test_hours import quiet
from test_over_the_wire import client_of, sending

from perezvon.bitrix24.errors import Ambiguous, PortalError, refusal
from perezvon.delivery import Sender, pacing
from perezvon.delivery.kinds import KINDS, OVER_ALREADY
from perezvon.delivery.verdicts import FORGOTTEN
from perezvon.rules.account import describe
from perezvon.rules.vocabulary import Kind, StepDraft
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.faults import Fault
from perezvon.storage import Database
from perezvon.storage.steps import State

pytestmark = pytest.mark.slow

NEW, DONE, DEAD, SKIPPED = State.NEW, State.DONE, State.DEAD, State.SKIPPED
Start = Callable[..., Sender]
Wait = Callable[..., Awaitable[None]]
MP3 = Path(__file__).parent / "beep.mp3"


@pytest.fixture(autouse=True)
def no_waiting_for_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "COLLECTING", {})


def refused(code: str, text: str, status: int) -> Callable[[], PortalError]:
    return lambda: refusal(code=code, description=text, status=status, method="batch")


# ---- until a human acts


@pytest.mark.parametrize(
    ("code", "text", "status", "sky"),
    [
        ("NO_AUTH_FOUND", "Wrong authorization data", 401, "refused"),
        ("INVALID_CREDENTIALS", "Invalid request credentials", 403, "refused"),
        ("invalid_token", "Unable to get application by token", 401, "refused"),
        ("expired_token", "The access token provided has expired", 401, "refused"),
        ("user_access_error", "The user does not have access to the application", 403, "refused"),
        ("insufficient_scope", "The request requires higher privileges", 403, "refused"),
        ("ACCESS_DENIED", "Access denied!", 403, "refused"),
        ("ACCESS_DENIED", "REST API is available only on commercial plans", 403, "blocked"),
        ("PAYMENT_REQUIRED", "Payment required", 402, "blocked"),
        ("OVERLOAD_LIMIT", "REST API is blocked due to overload", 503, "blocked"),
        ("PORTAL_DELETED", "Portal was deleted", 500, "blocked"),
        ("INVALID_REQUEST", "Https required", 400, "blocked"),
        ("", "", 401, "refused"),
    ],
)
async def test_nothing_is_lost_while_we_are_not_let_in(
    database: Database, portal: DirectPortal, code: str, text: str, status: int, sky: str
) -> None:
    """By a clock moved by hand: half an hour of refusals, seldom tried; it goes on by itself when somebody has seen to it."""
    now = [1000.0]
    mended = 1000.0 + 1800

    class Refusing:
        struck = 0

        def __bool__(self) -> bool:
            return now[0] < mended

        def popleft(self) -> Callable[[], PortalError]:
            self.struck += 1
            return refused(code, text, status)

    gate = Refusing()
    portal.before = gate  # type: ignore[assignment]
    sender = Sender("main", portal, database, clock=lambda: now[0], jitter=lambda: 1.0)
    running = asyncio.create_task(sender.run(), name="sender under test")
    for call in ("c", "d"):
        await put(database, call, register(call), show(call, 1, expires=now[0] + 30), finish(call), record(call, MP3))
    seen: set[str] = set()
    while (told := await sender.status()).queued:
        assert now[0] < mended + 5000
        if now[0] >= 1200 and now[0] < mended:
            seen.add(told.sky)
            assert told.error is not None
            assert (code or "HTTP 401") in str(told.error)
        sender.notify()
        await quiet(sender)
        now[0] += 100.0 if gate.struck else 0.0  # a busy machine may not have begun yet
    await sender.stop(0.0)
    await running
    assert seen == {sky}
    assert 5 <= gate.struck <= 20, "asked now and then"
    assert [await states(database, call) for call in ("c", "d")] == [[DONE, SKIPPED, DONE, DONE]] * 2
    assert len(portal.statistics) == len(portal.calls()) == 2


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("insufficient_scope", "The request requires higher privileges"),
        ("WRONG_AUTH_TYPE", "Current authorization type is denied for this method"),
        ("ACCESS_DENIED", "Access denied!"),
        ("METHOD_CONFIRM_DENIED", "Method call denied"),
        ("ERROR_METHOD_NOT_FOUND", "Method not found!"),
    ],
)
async def test_one_method_is_refused_and_the_others_go_on(
    database: Database, portal: DirectPortal, code: str, text: str
) -> None:
    now = [1000.0]
    fault = portal.state.faults.plan(
        Fault.ERROR, method="*.attachRecord", inside=True, times=2, code=code, description=text, http=403
    )
    sender = Sender("main", portal, database, clock=lambda: now[0], jitter=lambda: 1.0)
    running = asyncio.create_task(sender.run(), name="sender under test")
    await put(database, "c", register("c"), finish("c"), record("c", MP3))
    paused: set[str] = set()
    while (told := await sender.status()).queued:
        assert now[0] < 1400
        assert told.sky == "clear"
        if told.paused_methods and not paused:
            paused |= {str(why) for _, why in told.paused_methods.values()}
            assert len(portal.statistics) == 1, "the call itself is told"
            await put(database, "d", register("d"), now=now[0])
        sender.notify()
        await asyncio.sleep(0.005)
        if paused and await states(database, "d") == [DONE] and now[0] < 1055:
            assert await states(database, "c") == [DONE, DONE, NEW]
        now[0] += 5.0
    await sender.stop(0.0)
    await running
    assert fault.struck == 1
    assert code in paused.pop()
    assert await states(database, "c") == [DONE, DONE, DONE]
    assert await states(database, "d") == [DONE]


# ---- parts of a batch


async def test_one_command_fails_and_the_others_are_done(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    fault = portal.state.faults.plan(
        Fault.ERROR, method="*.finish", inside=True, skip=1, code="ERROR_CORE", description="The portal had a bad day"
    )
    for call in "abc":
        await put(database, call, register(call), finish(call))
    start()
    await settled()
    assert fault.struck == 1
    marks = {call: await states(database, call) for call in "abc"}
    assert sorted(marks.values()) == [[DONE, DEAD], [DONE, DONE], [DONE, DONE]]
    (dead,) = [call for call, mark in marks.items() if DEAD in mark]
    assert "The portal had a bad day" in ((await steps_of(database, dead))[1].error or "")
    assert len(portal.statistics) == 2


async def test_working_time_runs_out_in_the_middle_of_a_batch(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    """What referred to the answer of the refused command fails as its consequence, and means nothing."""
    portal.state.faults.plan(Fault.OPERATING, method="*.register", inside=True, times=1)
    for call in "abc":
        await put(database, call, register(call), finish(call), record(call, MP3))
    now = [1000.0]
    sender = start(clock=lambda: now[0])
    while (await sender.status()).queued:
        assert now[0] < 1200
        await asyncio.sleep(0.01)
        now[0] += 5
        sender.notify()
    assert [await states(database, call) for call in "abc"] == [[DONE] * 3] * 3
    assert len(portal.statistics) == len(portal.calls()) == 3


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None, operating=None)) as running:
        yield running


async def test_an_answer_that_says_nothing_about_some_commands(
    database: Database, server: PortalServer, settled: Wait
) -> None:
    """Their work is done all the same: looked up, and nothing is told twice."""
    fault = server.state.faults.plan(Fault.HOLES, method="batch", times=2)
    for call in "abcd":
        await put(database, call, register(call), finish(call), record(call, MP3))
    async with client_of(server) as portal, sending(database, portal, jitter=lambda: 0.01) as sender:
        await settled()
        assert (await sender.status()).dead == 0
    assert fault.struck == 2
    assert sorted(row["EXTERNAL_CALL_ID"] for row in server.state.book.statistics) == [f"test-{call}" for call in "abcd"]
    assert len(server.calls()) == 4
    assert all(call.recording is not None for call in server.calls())


@pytest.mark.parametrize("status", [413, 414, 431])
async def test_a_request_that_is_too_large_for_a_web_server_goes_in_pieces(
    database: Database, server: PortalServer, settled: Wait, status: int
) -> None:
    server.state.faults.plan(Fault.HTML, method="batch", http=status, times=1)
    for call in "abcd":
        await put(database, call, register(call), finish(call), record(call, MP3))
    async with client_of(server) as portal, sending(database, portal, jitter=lambda: 0.01) as sender:
        await settled()
        assert (await sender.status()).dead == 0
    assert len(server.state.book.statistics) == len(server.calls()) == 4
    assert all(call.recording is not None and call.recording.decodes for call in server.calls())


# ---- nobody knows whether it was done

CARD_AND_END: dict[Kind, list[StepDraft]] = {
    Kind.REGISTER: [register("c", CRM_CREATE=1)],
    Kind.SHOW: [show("c", 1, 2)],
    Kind.HIDE: [hide("c", 2)],
    Kind.FINISH: [finish("c", 1)],
    Kind.DESCRIBE: [describe("c:finish", "pressed 2")],
    Kind.ATTACH_RECORD: [record("c", MP3)],
}


@pytest.mark.parametrize("kind", CARD_AND_END)
@pytest.mark.parametrize("work_done", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("times", [1, 3])
async def test_every_verb_has_its_way_to_find_out(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, kind: Kind, work_done: bool, times: int
) -> None:
    """Each step of a call alone, its answer lost: in the end all of it is told, once."""
    sender = start()
    for one, drafts in CARD_AND_END.items():
        if one is kind:
            (portal.after if work_done else portal.before).extend([lambda: Ambiguous("no answer")] * times)
        await put(database, "c", *drafts)
        sender.notify()
        await settled()
    assert await states(database, "c") == [DONE] * 6
    assert portal.executed()["finish"] == len(portal.statistics) == len(portal.calls()) == 1
    assert [one.fields["DESCRIPTION"] for one in portal.state.crm.of("ACTIVITY")] == ["pressed 2"]
    (call,) = portal.calls()
    assert call.external_id == "test-c"
    assert call.recording is not None
    assert portal.visible() == set()
    assert {card.user_id for card in call.cards} == {1, 2}
    assert all(card.pushes <= times + 1 for card in call.cards)


# ---- restored from a backup


async def send(sender: Sender, settled: Wait, database: Database, *drafts: StepDraft) -> None:
    await put(database, "c", *drafts)
    sender.notify()
    await settled()


async def test_the_portal_is_restored_to_before_a_running_call(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    """The next card is shown all the same: the call is registered anew for it; and it is finished and recorded once."""
    backup = portal.server.backup()
    sender = start()
    await send(sender, settled, database, register("c"), show("c", 1))
    (first,) = portal.calls()
    portal.server.restore(backup)
    await send(sender, settled, database, show("c", 2, number=1))
    (second,) = portal.calls()
    assert second.id != first.id
    assert second.external_id == first.external_id
    assert portal.visible() == {(second.id, 2)}
    await send(sender, settled, database, hide("c", 2), finish("c", 1), record("c", MP3))
    assert await states(database, "c") == [DONE] * 6
    assert [row["CALL_ID"] for row in portal.statistics] == [second.id]
    assert second.recording is not None
    assert portal.visible() == set()
    assert (await steps_of(database, "c"))[0].note == FORGOTTEN
    status = await sender.status()
    assert (status.forgotten, status.dead) == (1, 0)


@pytest.mark.parametrize("ended_before", [True, False], ids=["finished, not recorded", "running"])
async def test_the_portal_is_restored_to_before_the_end(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, ended_before: bool
) -> None:
    backup = portal.server.backup()
    sender = start()
    await send(sender, settled, database, register("c"))
    if ended_before:
        await send(sender, settled, database, finish("c", duration=42))
    portal.server.restore(backup)
    rest = [record("c", MP3)] if ended_before else [finish("c", duration=42), record("c", MP3)]
    await send(sender, settled, database, *rest)
    (call,) = portal.calls()
    assert await states(database, "c") == [DONE] * 3
    assert [int(row["CALL_DURATION"]) for row in portal.statistics] == [42]
    assert call.recording is not None
    assert (await sender.status()).forgotten == 1


async def test_the_backup_has_the_call_but_not_its_end(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    """The portal knows the call as live again; nobody asks, and its recording finds no statistics: registering anew gives
    the same call, which is finished."""
    sender = start()
    await send(sender, settled, database, register("c"))
    backup = portal.server.backup()
    await send(sender, settled, database, finish("c", duration=42))
    portal.server.restore(backup)
    await send(sender, settled, database, record("c", MP3))
    (call,) = portal.calls()
    assert call.recording is not None
    assert len(portal.statistics) == 1


async def test_a_call_that_somebody_else_has_finished_is_not_told_anew(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    sender = start()
    await send(sender, settled, database, register("c"))
    (call,) = portal.calls()
    params = {"CALL_ID": call.id, "USER_ID": 1, "DURATION": 3}
    await portal.call("telephony.externalCall.finish", params)
    await send(sender, settled, database, show("c", 2))
    assert [step.note for step in await steps_of(database, "c")] == [None, OVER_ALREADY]
    await send(sender, settled, database, finish("c"), record("c", MP3))
    assert await states(database, "c") == [DONE] * 4
    assert len(portal.statistics) == len(portal.calls()) == 1
    assert (await sender.status()).forgotten == 0


async def test_what_the_portal_keeps_forgetting_is_given_up_loudly(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    backup = portal.server.backup()
    sender = start()
    await send(sender, settled, database, register("c"))
    portal.server.restore(backup)
    await send(sender, settled, database, show("c", 1))
    portal.server.restore(backup)
    await send(sender, settled, database, finish("c"), record("c", MP3))
    assert await states(database, "c") == [DONE, DONE, DEAD, SKIPPED]
    assert (await sender.status()).dead == 1


async def test_a_clicked_call_that_is_gone_cannot_be_made_again(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    """The portal itself had registered it: what is left of it is told on the call's page."""
    sender = start()
    await send(
        sender, settled, database, finish("c", call_id="externalCall.gone"), record("c", MP3, call_id="externalCall.gone")
    )
    assert await states(database, "c") == [DEAD, SKIPPED]
    assert "no such call" in ((await steps_of(database, "c"))[0].error or "")


def test_no_verb_was_forgotten() -> None:
    """Those for tasks are tried in test_missed_tasks.py, those for the portal's automation in test_automation_steps.py, those
    for the CRM and the chat in test_after_call.py, what a hook writes into an object in test_customising.py."""
    elsewhere = {Kind.TRIGGER, Kind.ROBOT_ANSWER, Kind.FILL, Kind.BIND, Kind.ANNOUNCE, Kind.ENTITY}
    assert set(CARD_AND_END) == {kind for kind, what in KINDS.items() if not what.task} - elsewhere
