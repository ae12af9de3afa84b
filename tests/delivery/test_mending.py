"""A human sends again, leaves out, pauses: nothing is doubled, whatever the portal had done before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from call_steps import finish, put, register, show, states, steps_of
from direct_portal import DirectPortal

from perezvon.delivery import Sender
from perezvon.delivery.mending import Mended, leave_out, send_again
from perezvon.storage import Database, lanes
from perezvon.storage.pauses import Pause
from perezvon.storage.steps import Settled, State

NEW, DONE, DEAD, SKIPPED, UNSURE = State.NEW, State.DONE, State.DEAD, State.SKIPPED, State.UNSURE

Start = Callable[..., Sender]
Wait = Callable[..., Awaitable[None]]


async def test_what_was_left_out_because_of_it_goes_along_and_arrives_once(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", register("c", PHONE_NUMBER="not a number"), show("c", 1), finish("c"))
    sender = start()
    await settled()
    assert await states(database, "c") == [DEAD, SKIPPED, SKIPPED]
    broken, card, last = await steps_of(database, "c")
    assert (await database.write(lambda conn: send_again(conn, card.id, 5.0)))[0] is Mended.ALREADY, "a card is too late"
    mended = Settled(broken.id, DEAD, broken.result, broken.error)
    await database.write(lambda conn: lanes.release(conn, broken, mended, register("c").params, 5.0))
    assert (await database.write(lambda conn: send_again(conn, last.id, 5.0)))[0] is Mended.DONE
    assert (await database.write(lambda conn: send_again(conn, last.id, 5.0)))[0] is Mended.ALREADY
    assert await states(database, "c") == [NEW, SKIPPED, UNSURE], "the finish has been in a batch: it is looked up"
    sender.notify()
    await settled()
    assert await states(database, "c") == [DONE, SKIPPED, DONE]
    assert len(portal.statistics) == 1


async def test_what_may_have_been_done_is_looked_up_first(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", register("c"), finish("c"))
    sender = start()
    await settled()
    _, last = await steps_of(database, "c")
    lost = Settled(last.id, DEAD, {"error": "CallNotFound"}, "the portal does not know the call")
    await database.write(lambda conn: lanes.settle(conn, [lost], 5.0))
    await database.write(lambda conn: send_again(conn, last.id, 5.0))
    assert await states(database, "c") == [DONE, UNSURE]
    sender.notify()
    await settled()
    assert await states(database, "c") == [DONE, DONE]
    assert len(portal.statistics) == 1, "it was found, not finished twice"


async def test_a_step_that_is_left_out_takes_its_dependants_along(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    await put(database, "c", register("c"), finish("c"))
    first, _ = await steps_of(database, "c")
    assert (await database.write(lambda conn: leave_out(conn, first.id, "anna", 5.0)))[0] is Mended.DONE
    start()
    await settled()
    assert await states(database, "c") == [SKIPPED, SKIPPED]
    assert not portal.statistics
    assert (await database.write(lambda conn: leave_out(conn, 999_999, "anna", 5.0)))[0] is Mended.UNKNOWN


async def test_nothing_is_sent_while_it_is_paused(
    database: Database, portal: DirectPortal, start: Start, settled: Wait
) -> None:
    sender = start()
    sender.hold(Pause("anna", 5.0))
    await put(database, "c", register("c"), finish("c"))
    sender.notify()
    assert (await sender.status()).pause == Pause("anna", 5.0)
    assert await states(database, "c") == [NEW, NEW] and not portal.requests
    sender.hold(None)
    await settled()
    assert await states(database, "c") == [DONE, DONE]
