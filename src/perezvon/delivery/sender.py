"""The one sender of a portal: takes steps from the database, has them carried, stores what became of them.

It remembers nothing that a restart would miss: steps are marked as being sent before they are, results are stored with
them, and what was under way when it died is unsure at the next start. Several requests may be under way at once, never two
for one lane. How fast: pacing.py; which steps: runs.py; what an answer means: verdicts.py; when at all: weather.py.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from perezvon.delivery import prepare
from perezvon.delivery.claims import Claimed, Order, claim, forgotten_by, store
from perezvon.delivery.courier import Courier
from perezvon.delivery.pacing import Pacer
from perezvon.delivery.portal import Passenger, PortalPort
from perezvon.delivery.runs import Run
from perezvon.delivery.status import SenderStatus, Tally
from perezvon.delivery.weather import Weather
from perezvon.storage import counters, lanes, missed
from perezvon.storage.database import Database
from perezvon.storage.insist import insist
from perezvon.storage.pauses import Pause
from perezvon.storage.steps import PENDING, Settled, State, Step

T = TypeVar("T")

log = structlog.get_logger(__name__)

PARALLEL = 8
PARALLEL_CALM = 5
"""Requests under way at once: in all, and without a card in them."""

UPLOADS = 2

INLINE_LIMIT = 256 * 1024
"""Bytes of a recording above which it is uploaded by itself instead of riding in a batch."""

URGENT_BYTES = 1024 * 1024
"""Size of a batch with a card in it."""

_INSTANT = 0.001


class Sender:
    """`fallback_user()`: the portal user who takes the place of one whom the portal refuses ("" for none). `told(step,
    settled)`: called when it is stored what became of a step. `link(subject)`: the address of a recording."""

    def __init__(
        self,
        portal: str,
        port: PortalPort,
        database: Database,
        *,
        fallback_user: Callable[[], str] = str,
        inline_limit: int = INLINE_LIMIT,
        passenger: Callable[[], Passenger | None] = lambda: None,
        told: Callable[[Step, Settled], None] = lambda step, settled: None,
        link: Callable[[str], str] = prepare.no_links,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),  # noqa: S311
    ) -> None:
        self.portal = portal
        self._bucket = port.bucket
        self._database = database
        self._inline_limit = inline_limit
        self._clock = clock
        self._jitter = jitter
        self._told = told
        self._tally = Tally()
        self._weather = Weather(portal, clock, jitter)
        self._pacer = Pacer(port.bucket.leak_per_second, port.bucket.burst)
        self._courier = Courier(
            portal,
            port,
            self._weather,
            self._tally,
            fallback_user=fallback_user,
            passenger=passenger,
            link=link,
            clock=clock,
        )
        self._requests: set[asyncio.Task[None]] = set()
        self._calm = 0  # requests without a card under way
        self._uploads = 0
        self._may_upload = True
        self._starved = False  # something is ready and waits for a request to end
        self._due = math.inf  # when the first waiting lane may go on; nobody else makes lanes wait
        self._wake = asyncio.Event()
        self._stopping = False
        self._pause: Pause | None = None
        self._ended = asyncio.Event()
        self._ended.set()

    def notify(self) -> None:
        """Steps have been appended, and committed."""
        self._wake.set()

    def resume(self) -> None:
        """The portal has been repaired (new credentials, a right granted): try at once."""
        self._weather.resume()
        self._wake.set()

    def hold(self, pause: Pause | None) -> None:
        """A human wants nothing to be sent until he says so; what is under way ends. None: it goes on, in the order in
        which things happened."""
        if pause is None and self._pause is not None:
            self._weather.cleared = True
        self._pause = pause
        self._wake.set()

    def portal_answers(self) -> None:
        """Somebody else has got an answer from the portal: it is worth trying soon."""
        if self._weather.answers_others():
            self._wake.set()

    async def run(self) -> None:
        """Until `stop`. Raises (in a group) OwnershipLost or Closed when nothing may be written any more."""
        self._ended.clear()
        try:
            unsure = await self._insist(
                lambda: self._database.write(lambda conn: lanes.recover(conn, self.portal, self._clock()))
            )
            log.info("sender stopped -> running", portal=self.portal, unsure=unsure)
            async with asyncio.TaskGroup() as tasks:
                while not self._stopping:
                    pause = await self._insist(lambda: self._dispatch(tasks))
                    await self._rest(pause)
            log.info("sender running -> stopped", portal=self.portal)
        finally:
            self._ended.set()

    async def stop(self, grace: float = 5.0) -> None:
        """Sends nothing more; requests under way get `grace` seconds. What is cut off is looked up at the next start."""
        self._stopping = True
        self._wake.set()
        try:
            async with asyncio.timeout(grace):
                await self._ended.wait()
        except TimeoutError:
            log.warning("requests cut off", portal=self.portal, requests=len(self._requests))
            for request in self._requests:
                request.cancel()
            await self._ended.wait()

    async def status(self) -> SenderStatus:
        """Raises Unavailable."""
        async with self._database.read() as conn:
            queued, oldest = await lanes.count_pending(conn, self.portal)
            dead = await lanes.count_dead(conn, self.portal)
            counter = forgotten_by(self.portal)
            waiting = await missed.tally(conn, self.portal, self._clock())
            forgotten = next((one for one in await counters.read(conn, counter) if one.name == counter), None)
        now = self._clock()
        return SenderStatus(
            portal=self.portal,
            sky=self._weather.sky.value,
            error=self._weather.error,
            since=self._weather.since,
            paused_until=self._weather.until if self._weather.until > now else None,
            paused_methods=self._weather.paused_methods(),
            queued=queued,
            oldest_age=None if oldest is None else max(0.0, now - oldest),
            dead=dead,
            under_way=len(self._requests),
            tokens=self._bucket.tokens(),
            requests=self._tally.requests,
            commands=self._tally.commands,
            settled=dict(self._tally.settled),
            failed=dict(self._tally.failed),
            last_error=self._tally.last_error,
            last_error_at=self._tally.last_error_at,
            forgotten=0 if forgotten is None else forgotten.value,
            forgotten_last=None if forgotten is None else forgotten.last,
            missed=waiting,
            pause=self._pause,
        )

    async def _dispatch(self, tasks: asyncio.TaskGroup) -> float | None:
        """Starts the requests that may leave now. Gives the seconds until another may; None: not before it is woken."""
        while not self._stopping:
            now = self._clock()
            self._starved = True  # unless it is time that is waited for
            if self._pause is not None:
                return None
            if now < self._weather.until:
                return self._weather.until - now
            if self._weather.testing and self._requests:
                return None
            if self._weather.cleared:
                await self._put_in_order(now)
            pauses: list[float] = []
            if self._may_upload and self._uploads < UPLOADS and not self._weather.testing:
                pauses += await self._dispatch_upload(tasks)
            if self._due <= now:
                await self._wake_due(now)
            if self._due < math.inf:
                pauses.append(self._due - now)
            async with self._database.glance() as conn:
                demand = await lanes.demand(conn, self.portal)
            departure = self._pacer.next(now, demand, PARALLEL - len(self._requests), self._allowed)
            if departure is None or (not departure.urgent and self._calm >= PARALLEL_CALM):
                self._starved = bool(demand)
            elif departure.delay > _INSTANT:
                self._starved = False
                pauses.append(departure.delay)
            else:
                most = 1 if self._weather.testing else departure.lanes
                claimed = await self._claim(most, urgent=departure.urgent)
                self._start(tasks, claimed.runs, calm=not departure.urgent)
                if claimed.left or claimed.uploads or claimed.due < math.inf:
                    continue
                self._starved = False
            return min(pauses, default=None)
        return None

    async def _put_in_order(self, now: float) -> None:
        await self._database.write(lambda conn: lanes.put_in_order(conn, self.portal, now))
        self._weather.cleared = False

    async def _wake_due(self, now: float) -> None:
        self._due = math.inf  # and from now on what requests that end meanwhile say
        await self._database.write(lambda conn: lanes.wake_due(conn, self.portal, now))
        async with self._database.glance() as conn:
            due = await lanes.next_due(conn, self.portal)
        self._due = min(self._due, math.inf if due is None else due)

    async def _dispatch_upload(self, tasks: asyncio.TaskGroup) -> list[float]:
        """A large recording takes two requests of its own, and goes only while cards have plenty of room. Gives the seconds
        until then, if any."""
        delay = self._bucket.delay(count=2 + self._courier.departing, reserve=self._pacer.reserve)
        if delay > 0:
            return [delay]
        claimed = await self._claim(1, urgent=False, uploads=True)
        self._may_upload = claimed.left
        self._start(tasks, claimed.runs, calm=True)
        return [0.0] if claimed.left else []

    def _allowed(self, reserve: float) -> float:
        return self._bucket.delay(count=1 + self._courier.departing, reserve=reserve)

    async def _claim(self, most: int, *, urgent: bool, uploads: bool = False) -> Claimed:
        room = self._courier.most_bytes
        order = Order(
            lanes=most,
            bytes=min(room, URGENT_BYTES) if urgent else room,
            paused={method: until for method, (until, _) in self._weather.paused_methods().items()},
            alone=frozenset(self._courier.alone),
            large=lambda step: prepare.is_large(step, self._inline_limit),
            uploads=uploads,
        )
        now = self._clock()
        claimed = await self._database.write(lambda conn: claim(conn, self.portal, order, now), urgent=urgent)
        self._may_upload = self._may_upload or claimed.uploads
        self._due = min(self._due, claimed.due)
        for step, settled in claimed.skipped:
            self._report(step, settled)
        return claimed

    def _start(self, tasks: asyncio.TaskGroup, runs: Sequence[Run], *, calm: bool) -> None:
        if not runs:
            return
        upload = runs[0].upload
        calm = calm and not upload
        self._courier.departing += 2 if upload else 1
        self._pacer.left(self._clock())
        self._calm += calm
        self._uploads += upload
        request = tasks.create_task(self._request(runs, urgent=not calm and not upload), name=f"request to {self.portal}")
        self._requests.add(request)

        def over(request: asyncio.Task[None]) -> None:
            self._requests.discard(request)
            self._calm -= calm
            self._uploads -= upload
            self._may_upload = self._may_upload or upload
            if self._starved or self._may_upload:
                self._wake.set()

        request.add_done_callback(over)

    async def _request(self, runs: Sequence[Run], *, urgent: bool) -> None:
        verdicts = await self._courier.carry(runs)
        now = self._clock()
        ready, due = await self._insist(
            lambda: self._database.write(
                lambda conn: store(conn, self.portal, verdicts, now, jitter=self._jitter), urgent=urgent
            )
        )
        if ready or due < self._due:
            self._due = min(self._due, due)
            self._wake.set()
        for run in runs:
            by_id = {step.id: step for step in run.steps}
            for settled in verdicts[run.lane].settled:
                self._report(by_id[settled.id], settled)

    def _report(self, step: Step, settled: Settled) -> None:
        """One line a transition."""
        if settled.state not in (*PENDING, State.HELD):
            self._tally.settled[settled.state.value] += 1
        self._told(step, settled)
        level = log.warning if settled.state is State.DEAD else log.info
        level(
            f"step {step.state} -> {settled.state}",
            portal=self.portal,
            call=step.lane,
            kind=step.kind.value,
            attempts=step.attempts,
            error=settled.error,
            note=None if settled.note is None else str(settled.note),
        )

    async def _rest(self, pause: float | None) -> None:
        if not self._stopping:
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                return
        self._wake.clear()

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """While the database is in trouble, nothing of `work` was stored: it is done again."""
        return await insist(work, "sender", portal=self.portal)
