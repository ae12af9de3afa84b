"""An outage of six hours, by a clock that is moved by hand: what happens to a day's calls, and what the portal gets to feel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from call_steps import finish, hide, put, record, register, show, states, steps_of
from direct_portal import DirectPortal
from test_five_minutes import Storm

from perezvon.bitrix24.errors import Ambiguous, AuthRefused, NotSent, PortalBlocked, PortalError
from perezvon.bitrix24.limits import Bucket
from perezvon.delivery import Sender
from perezvon.delivery.runs import EXPIRED, NOT_SHOWN, OVER
from perezvon.storage import Database
from perezvon.storage.steps import State

pytestmark = pytest.mark.slow

MP3 = Path(__file__).parent / "beep.mp3"
BEGINS, HOURS = 60.0, 6 * 3600.0
EVERY = 500.0
TALK = 100.0
STEP = 100.0
"""Seconds by which the clock moves during the outage."""

RATE, BURST = 2.0, 50.0


class Limit(DirectPortal):
    """Notes when requests come, by the clock of the test, and how full the portal's bucket gets."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self.now = now
        self.bucket = Bucket(RATE, BURST, clock=now)
        self.came: list[float] = []
        self.fullest = 0.0
        self._level = 0.0

    async def _ask(self, *request: object) -> bytes:  # type: ignore[override]
        now = self.now()
        if self.came:
            self._level = max(0.0, self._level - RATE * (now - self.came[-1]))
        self._level += 1
        self.fullest = max(self.fullest, self._level)
        self.came.append(now)
        return await super()._ask(*request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("when", "fault", "sky", "most_tries"),
    [
        pytest.param("before", lambda: NotSent("no connection: refused"), "trouble", 800, id="nobody listens"),
        pytest.param(
            "after", lambda: Ambiguous("no answer"), "trouble", 800, id="answers are lost", marks=pytest.mark.load
        ),
        pytest.param("before", lambda: PortalBlocked("deleted"), "blocked", 120, id="blocked", marks=pytest.mark.load),
        pytest.param("before", lambda: AuthRefused("revoked"), "refused", 120, id="revoked"),
    ],
)
async def test_six_hours(
    database: Database, when: str, fault: Callable[[], PortalError], sky: str, most_tries: int
) -> None:
    now = [0.0]
    portal = Limit(lambda: now[0])
    storm = Storm(lambda: now[0] - BEGINS + 10, fault, lasts=HOURS + STEP)  # still when it is looked at
    setattr(portal, when, storm)
    sender = Sender("main", portal, database, clock=lambda: now[0], jitter=lambda: 1.0)
    running = asyncio.create_task(sender.run(), name="sender under test")
    begun = ended = 0

    async def tick(step: float) -> None:
        sender.notify()
        await quiet(sender)
        now[0] += step

    async def life(until: float, step: float) -> None:
        """A call begins every few minutes, and is over and recorded soon."""
        nonlocal begun, ended
        while now[0] < until:
            if now[0] >= begun * EVERY:
                await begins(begun)
                begun += 1
            if ended < begun and now[0] >= ended * EVERY + TALK:
                await ends(ended)
                ended += 1
            await tick(step)

    async def begins(number: int) -> None:
        card = show(f"c{number}", 11, 12, expires=now[0] + 30)
        await put(database, f"c{number}", register(f"c{number}"), card, now=now[0])

    async def ends(number: int) -> None:
        call = f"c{number}"
        await put(database, call, hide(call, 12), finish(call, 11, duration=90), record(call, MP3), now=now[0])

    await life(BEGINS, 10.0)
    assert await states(database, "c0") == [State.DONE, State.DONE]
    await life(BEGINS + HOURS, STEP)
    at_the_end = await sender.status()
    assert (at_the_end.sky, at_the_end.since) == (sky, pytest.approx(BEGINS, abs=2 * STEP))
    assert at_the_end.error is not None
    assert sum(at_the_end.queued.values()) > 3 * (begun - 2), "all waits: register, finish and recording of each call"
    assert at_the_end.oldest_age == pytest.approx(HOURS, abs=3 * STEP)
    assert 10 <= storm.struck <= most_tries, "the portal is asked now and then, not hammered"

    for number in range(ended, begun):
        await ends(number)
    over, commands = now[0], len(portal.commands())
    while (await sender.status()).sky != "clear":
        await tick(5.0)
    assert now[0] - over <= 900, "it is noticed by itself"
    await begins(begun)
    cleared = now[0]
    while await states(database, f"c{begun}") != [State.DONE, State.DONE]:
        assert now[0] <= cleared + 30, "who rings after the outage has his card"
        await tick(0.1)
    await ends(begun)
    calls = begun + 1
    while (await sender.status()).queued:
        assert now[0] < cleared + 600
        await tick(1.0)
    await sender.stop(0.0)
    await running

    told = portal.calls()
    assert sorted(call.external_id for call in told) == sorted(f"test-c{n}" for n in range(calls))
    assert {(int(call.finish["user_id"]), int(call.finish["duration"])) for call in told} == {(11, 90)}
    assert len(portal.statistics) == calls
    assert all(call.recording is not None and call.recording.times == 1 for call in told if when == "before")
    assert portal.visible() == set()
    late = [[step.note for step in await steps_of(database, f"c{n}") if step.state is State.SKIPPED] for n in range(calls)]
    assert all(note in (EXPIRED, OVER, NOT_SHOWN) for notes in late for note in notes)
    assert len([notes for notes in late if notes]) >= calls - 4, "nobody is shown a card of hours ago"
    # It was told in order, in few full requests, within the portal's limit.
    order = [int(row["EXTERNAL_CALL_ID"].removeprefix("test-c")) for row in portal.statistics]
    assert sum(abs(place - number) for place, number in enumerate(order)) <= 4 * calls, order
    assert portal.fullest <= BURST
    after = [at for at in portal.came if at >= over]
    assert len(after) <= 0.25 * (len(portal.commands()) - commands)
    status = await sender.status()
    assert (status.sky, status.queued, status.dead) == ("clear", {}, 0)


async def test_who_rings_now_goes_before_what_is_late(database: Database, portal: DirectPortal) -> None:
    """A backlog of 300 calls, and one that rings as the portal comes back."""
    for number in range(300):
        call = f"c{number}"
        await put(
            database, call, register(call), show(call, 11, expires=100.0 + number), finish(call, 11), now=50.0 + number
        )
    now = [5000.0]
    portal.before = Storm(lambda: now[0] - 4990, lambda: NotSent("refused"), lasts=1.0)  # type: ignore[assignment]
    sender = Sender("main", portal, database, clock=lambda: now[0], jitter=lambda: 1.0)
    running = asyncio.create_task(sender.run(), name="sender under test")
    while (await sender.status()).sky != "trouble":  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    await quiet(sender)
    portal.arrived.clear()
    await put(database, "fresh", register("fresh"), show("fresh", 12, expires=now[0] + 70), now=now[0])
    portal.hold = asyncio.Event()  # the requests of the backlog that leave are under way for long
    now[0] += 40.0
    sender.notify()
    await portal.arrived.wait()  # one lane, to see whether it is over
    portal.hold.set()
    while (await sender.status()).queued:
        sender.notify()
        await quiet(sender)
        now[0] += 0.1
    await sender.stop(0.0)
    await running
    registered = [call.external_id for call in portal.calls()]
    assert registered.index("test-fresh") <= 1 + 25, "at most the first batch went before"
    assert len(registered) == 301
    assert portal.visible() == {(call.id, 12) for call in portal.calls() if call.external_id == "test-fresh"}


async def quiet(sender: Sender) -> None:
    """Until it has had its turn and nothing is under way: nobody tells when."""
    await asyncio.sleep(0.004)
    while (await sender.status()).under_way:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
