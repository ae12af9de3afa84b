"""The sender over the real database and the pretend portal's own rules: order, faults, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from call_steps import finish, hide, put, record, register, show, states, steps_of
from direct_portal import DirectPortal

from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import (
    Ambiguous,
    AuthRefused,
    BadParameters,
    NotSent,
    OperationLimited,
    Permanent,
    PortalError,
    RateLimited,
    Temporary,
)
from perezvon.delivery import Sender
from perezvon.delivery.verdicts import FOUND
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State

NEW, UNSURE, DONE, DEAD, SKIPPED = State.NEW, State.UNSURE, State.DONE, State.DEAD, State.SKIPPED

Start = Callable[..., Sender]
Wait = Callable[..., Awaitable[None]]
MP3 = Path(__file__).parent / "beep.mp3"


def raising(kind: type[PortalError], **rest: Any) -> Callable[[], PortalError]:
    return lambda: kind("a fault of the test", **rest)


async def test_a_call_from_its_card_to_its_recording(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    sender = start()
    await put(database, "c", register("c"), show("c", 1, 2))
    sender.notify()
    await settled()
    assert [[name.rpartition(".")[2] for name, _ in request] for request in portal.requests] == [["register", "show"]]
    (call,) = portal.calls()
    assert portal.visible() == {(call.id, 1), (call.id, 2)}
    await put(database, "c", hide("c", 2))
    sender.notify()
    await settled()
    await put(database, "c", finish("c"), record("c", MP3))
    sender.notify()
    await settled()
    assert await states(database, "c") == [DONE] * 5
    assert portal.visible() == set()
    assert [row["CALL_ID"] for row in portal.statistics] == [call.id]
    assert call.recording is not None
    assert call.recording.decodes
    status = await sender.status()
    assert (status.commands, status.dead, status.queued, status.sky) == (5, 0, {}, "clear")
    assert status.settled == {"done": 5}


async def test_a_whole_call_that_is_late_rides_in_one_batch(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", register("c"), show("c", 1), hide("c", 1), finish("c"), record("c", MP3))
    start()
    await settled()
    assert await states(database, "c") == [DONE, SKIPPED, SKIPPED, DONE, DONE]
    assert len(portal.requests) == 1
    assert portal.commands() == ["register", "finish", "attachRecord"]
    assert portal.calls()[0].recording is not None


async def test_no_finish_overtakes_a_hide_that_failed(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    sender = start()
    await put(database, "c", register("c"), show("c", 1, 2))
    sender.notify()
    await settled()
    portal.inside.append(lambda: Temporary("busy", retry_after=0.001))
    await put(database, "c", hide("c", 1, 2), finish("c"), record("c", MP3))
    sender.notify()
    await settled()
    assert portal.visible() == set()
    assert await states(database, "c") == [DONE] * 5


async def test_a_key_is_sent_once_however_often_it_is_appended(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    sender = start()
    for _ in range(3):
        await put(database, "c", register("c"), show("c", 1))
        sender.notify()
        await settled()
    assert await states(database, "c") == [DONE, DONE]
    assert portal.executed()["register"] == 1


async def test_lanes_do_not_wait_for_each_other(
    database: Database, portal: DirectPortal, start: Start, until: Wait, settled: Wait
) -> None:
    portal.hold = asyncio.Event()
    sender = start()
    await put(database, "slow", register("slow"))
    sender.notify()
    await portal.arrived.wait()
    portal.arrived.clear()
    await put(database, "slow", finish("slow"))
    await put(database, "other", register("other"))
    sender.notify()
    await portal.arrived.wait()
    assert portal.commands() == ["register", "register"], "the lane under way sends nothing else"
    portal.hold.set()
    await settled()
    assert await states(database, "slow") == [DONE, DONE]


async def test_cards_come_before_what_is_older_and_less_urgent(
    database: Database, portal: DirectPortal, settled: Wait
) -> None:
    async def send_all() -> None:
        sender = Sender("main", portal, database)
        running = asyncio.create_task(sender.run())
        await settled()
        await sender.stop()
        await running

    for number in range(60):
        await put(database, f"old{number}", register(f"old{number}"))
    await send_all()
    portal.requests.clear()
    for number in range(60):
        await put(database, f"old{number}", finish(f"old{number}"), now=1.0)
    await put(database, "fresh", register("fresh"), show("fresh", 1), finish("fresh"), now=2.0)
    await send_all()
    assert portal.commands()[:2] == ["register", "finish"], "first in the first batch; the card is not needed any more"
    assert portal.executed()["finish"] == 61


@pytest.mark.parametrize("fault", [NotSent, Temporary, RateLimited, AuthRefused])
async def test_what_was_surely_not_done_is_sent_again(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, fault: type[PortalError]
) -> None:
    portal.before.extend([raising(fault, retry_after=0.01)] * 3)
    sender = start()
    await put(database, "c", register("c"), finish("c"))
    sender.notify()
    await settled()
    assert len(portal.statistics) == 1
    assert portal.executed()["register"] == portal.executed()["finish"] == 1
    assert (await sender.status()).failed == {fault.__name__: 3}


@pytest.mark.parametrize("work_done", [True, False])
async def test_an_answer_that_never_came(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, work_done: bool
) -> None:
    """Register and finish in one batch, done or not: looked up, and there is one call in the end."""
    (portal.after if work_done else portal.before).append(raising(Ambiguous))
    await put(database, "c", register("c"), finish("c"), record("c", MP3))
    start()
    await settled()
    assert await states(database, "c") == [DONE] * 3
    assert portal.executed()["register"] == portal.executed()["finish"] == len(portal.statistics) == 1
    notes = [step.note if step.note == FOUND else None for step in await steps_of(database, "c")]
    assert notes == [FOUND if work_done else None] * 2 + [None]


async def test_a_lone_finish_whose_answer_never_came(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    sender = start()
    await put(database, "c", register("c"))
    sender.notify()
    await settled()
    portal.after.append(raising(Ambiguous))
    await put(database, "c", finish("c"))
    sender.notify()
    await settled()
    assert portal.commands() == ["register", "finish", "get"]
    assert [step.note for step in await steps_of(database, "c")] == [None, FOUND]


async def test_a_register_whose_answer_never_came_is_repeated(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    portal.after.append(raising(Ambiguous))
    await put(database, "c", register("c"), show("c", 1))
    start()
    await settled()
    (call,) = portal.calls()
    assert call.registrations == 2, "the portal gives the same call to the same EXTERNAL_CALL_ID"
    assert call.visible_to() == [1]


async def test_a_call_that_the_portal_forgot_is_told_anew(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    sender = start()
    await put(database, "c", register("c"))
    sender.notify()
    await settled()
    portal.calls()[0].finished_at = 1.0  # not live any more, and no row in the statistics
    await put(database, "c", finish("c"))
    sender.notify()
    await settled()
    assert await states(database, "c") == [DONE, DONE]
    assert len(portal.statistics) == 1


async def test_a_refused_step_is_dead_and_takes_its_dependants_along(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(
        database, "bad", register("bad", PHONE_NUMBER="not a number"), show("bad", 1), finish("bad"), record("bad", MP3)
    )
    await put(database, "good", register("good"), finish("good"))
    sender = start()
    await settled()
    assert await states(database, "bad") == [DEAD, SKIPPED, SKIPPED, SKIPPED]
    assert await states(database, "good") == [DONE, DONE]
    async with database.read() as conn:
        (dead,) = await lanes.dead(conn, "main")
    assert "Unsupported phone number" in (dead.error or "")
    assert (await sender.status()).dead == 1
    # a human has it tried again
    assert await database.write(lambda conn: lanes.requeue(conn, "bad", 2000.0)) == 3


async def test_an_employee_whom_the_portal_refuses_is_replaced(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", register("c", 9999), finish("c", 9999))
    start(fallback_user=lambda: "1")
    await settled()
    assert await states(database, "c") == [DONE, DONE]
    assert [row["PORTAL_USER_ID"] for row in portal.statistics] == ["1"]
    assert "user 9999" in str((await steps_of(database, "c"))[1].note)


async def test_a_batch_that_is_refused_as_a_whole_is_sent_piece_by_piece(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    """E.g. a proxy finds it too large: one step at a time, and only the one at fault is dead."""
    sender = start()
    for name in "abc":
        await put(database, name, register(name))
    sender.notify()
    await settled()
    portal.requests.clear()
    portal.before.extend([raising(Permanent), None, raising(BadParameters)])
    for name in "abc":
        await put(database, name, finish(name))
    sender.notify()
    await settled()
    assert [len(request) for request in portal.requests] == [3, 1, 1, 1]
    assert sorted([(await states(database, name))[1] for name in "abc"]) == [DEAD, DONE, DONE]


async def test_a_method_that_is_paused_holds_up_only_itself(
    database: Database, portal: DirectPortal, start: Start, until: Wait, settled: Wait
) -> None:
    from time import time

    sender = start()
    await put(database, "c", register("c"))
    sender.notify()
    await settled()
    portal.before.append(raising(OperationLimited, reset_at=time() + 1.0))
    await put(database, "c", finish("c"))
    await asyncio.sleep(0)
    sender.notify()

    async def paused() -> bool:
        return bool((await sender.status()).paused_methods)

    await until(paused)
    await put(database, "d", register("d"))
    sender.notify()

    async def registered() -> bool:
        return await states(database, "d") == [DONE]

    await until(registered)
    assert await states(database, "c") == [DONE, NEW]
    await settled()
    assert await states(database, "c") == [DONE, DONE]


async def test_a_recording_that_is_gone_is_dead_and_hurts_nobody(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, tmp_path: Path
) -> None:
    await put(database, "c", register("c"), finish("c"), record("c", tmp_path / "gone.mp3"))
    await put(database, "d", register("d"), finish("d"), record("d", MP3))
    start()
    await settled()
    assert await states(database, "c") == [DONE, DONE, DEAD]
    assert await states(database, "d") == [DONE, DONE, DONE]
    assert "cannot be read any more" in ((await steps_of(database, "c"))[2].error or "")


async def test_a_recording_that_cannot_be_read_now_is_sent_later(
    database: Database, portal: DirectPortal, start: Start, settled: Wait, until: Wait, tmp_path: Path
) -> None:
    """Without a free file handle, say; here its name leads in a circle."""
    file = tmp_path / "a.mp3"
    file.symlink_to(file)
    await put(database, "c", register("c"), finish("c"), record("c", file))
    await put(database, "d", register("d"), finish("d"), record("d", MP3))
    start()

    async def told() -> bool:
        return "cannot be read now" in ((await steps_of(database, "c"))[2].error or "")

    await until(told)
    assert await states(database, "c") == [DONE, DONE, NEW]
    file.unlink()
    file.write_bytes(MP3.read_bytes())
    await settled()
    assert await states(database, "c") == await states(database, "d") == [DONE, DONE, DONE]


async def test_a_card_that_comes_too_late_is_not_shown(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", register("c"), show("c", 1, expires=2000.0))
    start(clock=lambda: 2000.5)
    await settled()
    assert await states(database, "c") == [DONE, SKIPPED]
    assert portal.visible() == set()


@pytest.mark.parametrize("work_done", [True, False])
async def test_killed_between_sending_and_storing(place: str, portal: DirectPortal, until: Wait, work_done: bool) -> None:
    """The process dies with a request under way; the next one goes on with the same database."""
    database = await Database.open(place)
    await put(database, "c", register("c"), show("c", 1))
    await put(database, "d", register("d"), finish("d"))
    portal.hold = asyncio.Event()
    if not work_done:
        portal.before.append(raising(NotSent))
        portal.arrived = asyncio.Event()
    sender = Sender("main", portal, database, jitter=lambda: 0.01)
    first = asyncio.create_task(sender.run())
    await portal.arrived.wait()
    while work_done and len(portal.statistics) < 1:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    await database.close()

    portal.hold = None
    async with await Database.open(place) as database:
        async with database.read() as conn:
            left, _ = await lanes.count_pending(conn, "main")
        assert left
        again = Sender("main", portal, database, jitter=lambda: 0.01)
        second = asyncio.create_task(again.run())

        async def done() -> bool:
            return await states(database, "c") == [DONE, DONE] and await states(database, "d") == [DONE, DONE]

        await until(done)
        await again.stop()
        await second
    assert portal.executed()["finish"] == len(portal.statistics) == 1
    assert len(portal.calls()) == 2


async def test_stop_lets_requests_finish(database: Database, portal: DirectPortal) -> None:
    portal.hold = asyncio.Event()
    sender = Sender("main", portal, database)
    running = asyncio.create_task(sender.run())
    await put(database, "c", register("c"))
    sender.notify()
    await portal.arrived.wait()
    stopping = asyncio.create_task(sender.stop(10.0))
    await asyncio.sleep(0)
    portal.hold.set()
    await stopping
    await running
    assert await states(database, "c") == [DONE]


async def test_resume_after_a_repair(
    database: Database, portal: DirectPortal, start: Start, until: Wait, settled: Wait
) -> None:
    portal.before.extend([raising(AuthRefused)] * 3)
    sender = Sender("main", portal, database, jitter=lambda: 1.0)
    running = asyncio.create_task(sender.run())
    await put(database, "c", register("c"))
    sender.notify()

    async def refused() -> bool:
        return (await sender.status()).sky == "refused" and await states(database, "c") == [NEW]

    await until(refused)
    status = await sender.status()
    assert status.paused_until is not None
    assert str(status.error) == "a fault of the test"
    portal.before.clear()
    sender.resume()
    await settled()
    assert await states(database, "c") == [DONE]
    await sender.stop()
    await running


async def test_a_database_that_goes_away_delays_and_loses_nothing(
    tmp_path: Path, portal: DirectPortal, until: Wait
) -> None:
    import sqlite3

    from perezvon.storage.database import SQLITE_FILE

    async with await Database.open(tmp_path, patience=0.05) as database:
        portal.hold = asyncio.Event()
        sender = Sender("main", portal, database, jitter=lambda: 0.01)
        running = asyncio.create_task(sender.run())
        await put(database, "c", register("c"), finish("c"))
        sender.notify()
        await portal.arrived.wait()
        other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        portal.hold.set()
        while database.writer.trouble is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert await states(database, "c") == [State.SENDING] * 2
        other.execute("ROLLBACK")
        other.close()

        async def done() -> bool:
            return await states(database, "c") == [DONE, DONE]

        await until(done)
        assert len(portal.statistics) == 1
        await sender.stop()
        await running


class Rider:
    """Asks something with each request, as the poll for clicks does."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.failures: list[PortalError] = []

    def due(self) -> bool:
        return True

    def commands(self) -> list[Command]:
        return [Command("ride", "server.time", {})]

    async def absorb(self, answers: Any) -> None:
        self.answers += answers
        raise ValueError("a defect of the passenger is not the lanes' business")

    def failed(self, error: PortalError) -> None:
        self.failures.append(error)


async def test_a_passenger_rides_along_and_hurts_nobody(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    rider = Rider()
    sender = start(passenger=lambda: rider)
    await put(database, "c", register("c"))
    sender.notify()
    await settled()
    assert portal.commands() == ["register", "time"]
    assert len(rider.answers) == 1
    # A batch that is refused as a whole: whoever is at fault, the step goes again without company before it is believed.
    portal.before.append(raising(Permanent))
    await put(database, "c", finish("c"))
    sender.notify()
    await settled()
    assert [len(request) for request in portal.requests] == [2, 2, 1]
    assert await states(database, "c") == [DONE, DONE]
    assert len(rider.failures) == 1
