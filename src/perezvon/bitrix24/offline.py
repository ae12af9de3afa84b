"""The portal's offline queue: events without an open port. Reserve, hand over, and only then clear.

A poll is two kinds of commands (`event.offline.clear` for what was handed over, `event.offline.get` for the next), so that
it costs one request and can ride in somebody else's batch: `commands()` and `absorb()`. `run()` polls by itself when
nobody did. Where the plan has no confirmation (`rest_offline_extended`), reading deletes: a crash then loses a click.
Source: contract.json "offline_events"; needs an application and an administrator's token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from perezvon.bitrix24 import methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import Ambiguous, Forbidden, Permanent, PortalError
from perezvon.bitrix24.events import PortalEvent, offline_event
from perezvon.bitrix24.values import flag, mapping, rows, text
from perezvon.rules.vocabulary import Reason

GET = "event.offline.get"
CLEAR = "event.offline.clear"
LIST = "event.offline.list"
FULL = 50
_GET_KEY = "offline_get"
_CLEAR_KEY = "offline_clear_"
_MOST_CLEARS = 5
_LONGEST_PAUSE = 15.0
_WAIT_FOR_COMPANY = 2.0
"""Seconds that a poll waits for a request to ride in, when one left in the last `_COMPANY_LASTS` seconds."""
_COMPANY_LASTS = 4.0

Consume = Callable[[list[PortalEvent]], Awaitable[None]]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Reservation:
    """`process_id` is "" when reading has deleted the rows already."""

    process_id: str
    events: list[PortalEvent]


class OfflineQueue:
    """`consume` gets the events and returns when they are stored; when it raises, they come again.

    `interval`: seconds between polls (the delay of a click). `reserve`: tokens that a poll of our own leaves to others.
    `clock`: POSIX seconds, for the events; `ticks`: a monotonic clock, for the polls.
    """

    def __init__(
        self,
        portal: Portal,
        consume: Consume,
        *,
        interval: float = 2.5,
        reserve: float = 2.0,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._portal = portal
        self._consume = consume
        self.interval = interval
        self._reserve = reserve
        self._clock = clock
        self._ticks = ticks
        self._reserved: list[_Reservation] = []
        self._to_clear: list[str] = []
        self._clearing: list[str] = []
        self._polling = False
        self._doubt = True
        self._next = ticks()
        self._company = float("-inf")
        self._failures = 0
        self._handing = asyncio.Lock()
        self.confirmed: bool | None = None
        self.last_poll = 0.0
        self.problem: str | Reason = ""

    def due(self) -> bool:
        """Whether a poll should ride along now: none is under way, and the interval or the pause after an error is over.

        To be asked at every request that leaves: while there are some, our own poll waits a moment for the next one.
        """
        self._company = self._ticks()
        return self._is_due()

    def _is_due(self) -> bool:
        return self.confirmed is not None and not self._polling and self._ticks() >= self._next

    def _own_turn(self) -> float:
        """Seconds until a poll of our own should leave."""
        expecting = self._ticks() - self._company < _COMPANY_LASTS
        return self._next + (_WAIT_FOR_COMPANY if expecting else 0.0) - self._ticks()

    def commands(self) -> list[Command]:
        """A poll for a batch: at most six commands. Its answers must come back to `absorb`, or its error to `failed`."""
        self._polling = True
        self._clearing = self._to_clear[:_MOST_CLEARS]
        clears = [Command(f"{_CLEAR_KEY}{n}", CLEAR, {"process_id": p}) for n, p in enumerate(self._clearing)]
        clear = 0 if self.confirmed else 1
        return [*clears, Command(_GET_KEY, GET, {"clear": clear, "limit": FULL})]

    async def absorb(self, answers: Sequence[Answer | PortalError]) -> None:
        """The answers to `commands()`, in their order. Hands the events over.

        Raises what `consume` raises; the events are kept and handed over again before the next poll.
        """
        now = self._clock()
        cleared, self._clearing = self._clearing, []
        self._polling = False
        for process_id, answer in zip(cleared, answers, strict=False):
            if isinstance(answer, Answer | Permanent):
                self._to_clear.remove(process_id)
            if isinstance(answer, PortalError):
                log.warning("offline events not cleared", portal=self._portal.name, error=str(answer))
        last = answers[-1]
        if isinstance(last, PortalError):
            if isinstance(last, Forbidden):
                self.confirmed = None  # the plan or the user's rights have changed: ask again
            self._failed(last)
            return
        if self._failures:
            log.info("offline events are read again", portal=self._portal.name, after_failures=self._failures)
        self._failures, self.problem, self.last_poll = 0, "", now
        read = mapping(last.result)
        found = rows(read.get("events"))
        self._next = self._ticks() + (0.0 if len(found) >= FULL else self.interval)
        events = [event for row in found if (event := offline_event(mapping(row), now=now)) is not None]
        process_id = text(read.get("process_id"))
        if events or (process_id and found):
            self._reserved.append(_Reservation(process_id, events))
        await self.hand_over()

    def failed(self, error: PortalError) -> None:
        """The batch that the poll rode in failed as a whole."""
        self._clearing, self._polling = [], False
        self._failed(error)

    async def hand_over(self) -> None:
        """Gives the consumer what it has not taken yet."""
        async with self._handing:
            while self._reserved:
                reservation = self._reserved[0]
                if reservation.events:
                    await self._consume(reservation.events)
                self._reserved.pop(0)
                if reservation.process_id:
                    self._to_clear.append(reservation.process_id)

    async def prepare(self) -> None:
        """Asks the plan whether reading can be confirmed, and takes over what a crash left. Raises a PortalError."""
        if self.confirmed is None:
            self.confirmed = await methods.feature(self._portal, "rest_offline_extended")
            if not self.confirmed:
                log.warning(
                    "this plan deletes offline events at reading: a crash may lose a click", portal=self._portal.name
                )
        if self.confirmed and self._doubt and not self._polling:
            self._polling = True
            try:
                await self._take_over()
            finally:
                self._polling = False
        self._doubt = False

    async def _take_over(self) -> None:
        """Rows reserved under a name that we never learned: the answer was lost, or the process died."""
        now = self._clock()
        ours = {*self._to_clear, *(reservation.process_id for reservation in self._reserved)}
        left: dict[str, list[PortalEvent]] = {}
        async for row in self._portal.listing(LIST, reserve=self._reserve):
            process_id = text(mapping(row).get("PROCESS_ID"))
            event = offline_event(mapping(row), now=now)
            if process_id and process_id not in ours and event is not None and not flag(mapping(row).get("ERROR")):
                left.setdefault(process_id, []).append(event)
        self._reserved.extend(_Reservation(process_id, events) for process_id, events in left.items())
        if left:
            log.info(
                "offline events left over by a lost answer or run",
                portal=self._portal.name,
                events=sum(map(len, left.values())),
            )

    async def run(self) -> None:
        """Polls until cancelled; whatever fails is told and tried again later."""
        while True:
            try:
                if self.confirmed is None or self._doubt:
                    await self.prepare()
                await self.hand_over()
                if self._is_due() and self._own_turn() <= 0:
                    await self._poll()
            except PortalError as error:
                self._failed(error)
            except Exception as error:
                log.exception("offline events could not be handed over", portal=self._portal.name)
                self._back_off(f"{type(error).__name__} while the events were stored")
            await asyncio.sleep(self.interval if self._polling else max(self._own_turn(), 0.02))

    async def _poll(self) -> None:
        try:
            answers = await self._portal.batch(self.commands(), reserve=self._reserve)
        except PortalError as error:
            self.failed(error)
            return
        except BaseException:
            self._clearing, self._polling = [], False
            raise
        await self.absorb(answers)

    def _failed(self, error: PortalError) -> None:
        self._doubt = self._doubt or isinstance(error, Ambiguous)
        if error.why != self.problem:
            log.warning("offline events cannot be read", portal=self._portal.name, error=str(error))
        self._back_off(error.why)

    def _back_off(self, problem: str | Reason) -> None:
        self.problem = problem
        self._failures += 1
        self._next = self._ticks() + min(self.interval * 2 ** min(self._failures, 10), _LONGEST_PAUSE)
