"""Five minutes in which the portal answers 503, is not there, or works and does not answer, by a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from call_steps import finish, hide, put, record, register, show, states
from direct_portal import DirectPortal

from perezvon.bitrix24.errors import Ambiguous, NotSent, PortalError, RateLimited
from perezvon.delivery import Sender
from perezvon.storage import Database
from perezvon.storage.steps import State

pytestmark = pytest.mark.load

MP3 = Path(__file__).parent / "beep.mp3"

STORM = 300
EVERY = 10
CALLS = 31
LONGEST = 90
"""Seconds after the storm in which everything is told."""


class Storm:
    """Stands in for the queue of faults of the pretend portal: one for every request while it lasts."""

    def __init__(self, now: Callable[[], float], fault: Callable[[], PortalError], lasts: float = STORM) -> None:
        self._now, self._fault, self._lasts = now, fault, lasts
        self.struck = 0

    def __bool__(self) -> bool:
        return 10 <= self._now() < 10 + self._lasts

    def popleft(self) -> Callable[[], PortalError]:
        self.struck += 1
        return self._fault


@pytest.mark.parametrize(
    ("when", "fault", "most_tries"),
    [
        ("before", lambda: RateLimited("503"), 40),
        ("before", lambda: NotSent("connection refused"), 40),
        ("before", lambda: Ambiguous("reset before the work"), 40),
        ("after", lambda: Ambiguous("no answer, the work is done"), 60),
    ],
    ids=["503", "refused", "reset", "lost answers"],
)
async def test_nothing_is_lost_and_nothing_told_twice(
    database: Database,
    portal: DirectPortal,
    when: str,
    fault: Callable[[], PortalError],
    most_tries: int,
) -> None:
    now = [0.0]
    storm = Storm(lambda: now[0], fault)
    setattr(portal, when, storm)
    sender = Sender("main", portal, database, clock=lambda: now[0], jitter=lambda: 1.0)
    running = asyncio.create_task(sender.run(), name="sender under test")
    begun = ended = 0
    done_at = 0.0
    while now[0] < 10 + STORM + LONGEST:
        if begun < CALLS and now[0] >= begun * EVERY:
            await put(
                database, f"c{begun}", register(f"c{begun}"), show(f"c{begun}", 11, 12, expires=now[0] + 30), now=now[0]
            )
            begun += 1
        if ended < begun and now[0] >= ended * EVERY + 15:
            call = f"c{ended}"
            await put(database, call, hide(call, 12), finish(call, 11, duration=7), record(call, MP3), now=now[0])
            ended += 1
        sender.notify()
        await _quiet(sender)
        now[0] += 1
        if ended == CALLS and await _all_settled(database):
            done_at = now[0]
            break
    await sender.stop(0.0)
    await running
    assert done_at, "not everything was told in time"
    assert 3 <= storm.struck <= most_tries, "the portal is asked now and then, not hammered"
    calls = portal.calls()
    assert sorted(call.external_id for call in calls) == sorted(f"test-c{n}" for n in range(CALLS))
    assert len(portal.statistics) == CALLS
    assert {(int(call.finish["user_id"]), int(call.finish["duration"])) for call in calls} == {(11, 7)}
    assert all(call.recording is not None and call.recording.decodes for call in calls)
    assert portal.visible() == set()
    for n in range(CALLS):
        assert set(await states(database, f"c{n}")) <= {State.DONE, State.SKIPPED}


async def _all_settled(database: Database) -> bool:
    found: list[State] = []
    for n in range(CALLS):
        found += await states(database, f"c{n}")
    return not set(found) & {State.NEW, State.SENDING, State.UNSURE}


async def _quiet(sender: Sender) -> None:
    """Until it has had its turn and nothing is under way: nobody tells when."""
    await asyncio.sleep(0.01)
    while (await sender.status()).under_way:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
