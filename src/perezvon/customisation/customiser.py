"""Asks the hooks: which there are, which are switched on or left alone for a while, and what their answers are worth.

Two processes, each started when the first file with a function for it is there: one for points where somebody waits, one
for the others, so that a slow record path holds up no card. A hook that loops for ever costs its own question one time-out:
the process is killed and the next one starts. After `TIMEOUTS` of these in a row its point is left alone for `REST`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from perezvon.customisation.answer import Answer, Fate, Said, difference
from perezvon.customisation.checks import Nonsense
from perezvon.customisation.desk import Desk, Limits
from perezvon.customisation.files import Unreadable, read_folder, signature
from perezvon.customisation.points import POINTS, Point
from perezvon.customisation.process import Died, Edition, HookFailed, HookTrouble, Loaded, NotStarted, TimedOut
from perezvon.customisation.status import CustomisationStatus, PointStatus
from perezvon.rules.vocabulary import Reason

log = structlog.get_logger(__name__)

TIMEOUTS = 3
"""Time-outs (or deaths) in a row after which a point is left alone."""
REST = 300.0
"""Seconds for that."""
QUEUE = 3.0
"""A hook's turn is waited for so many times as long as its answer: others may be asked just then."""
LOOK = 1.0
"""Seconds between two looks at the files."""

CHANGED = Reason("customisation {point}: {what}")
CANCELLED = Reason("cancelled by customisation: {point}")
FAILED = Reason("customisation {point} failed, the default stands: {why}")


@dataclass(slots=True)
class _Tally:
    """`row`: time-outs without an answer between them. `until`: left alone until then (the clock's seconds)."""

    asked: int = 0
    changed: int = 0
    cancelled: int = 0
    failed: int = 0
    row: int = 0
    until: float = 0.0
    last_error: str = ""
    last_error_at: float | None = None


MOST_CALLS, MOST_SAID, LONGEST_PRINTED = 300, 40, 2000
"""Calls of which it is remembered what hooks have answered, answers of one, characters that one has printed."""


class Customiser:
    """`folder`: where the hooks' files are, None for no customisation at all. Its owner awaits `open`, runs `run`, and
    awaits `close` at the end."""

    def __init__(self, folder: Path | None, limits: Limits, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.limits = limits
        self._clock = clock
        self._urgent = Desk("urgent")
        self._calm = Desk("calm")
        self._signature: object = None
        self._good: dict[str, str] = {}
        self._loaded = Loaded()
        self._loaded_at: float | None = None
        self._troubles: list[tuple[Reason, Reason]] = []
        self._tallies = {point: _Tally() for point in Point}
        self._on: frozenset[Point] = frozenset()
        self._warm = asyncio.Event()
        self._said: dict[str, deque[Said]] = {}

    # ---- its life

    async def open(self) -> None:
        """What is there is loaded before the first call is asked for. Never raises for what the files are like."""
        await self._look()

    async def run(self) -> None:
        """Follows the files, and keeps the processes warm, until cancelled."""
        if self.folder is None:
            return
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._warm.wait()
            if self._warm.is_set():
                self._warm.clear()
                await self._keep_warm()
            else:
                await self._look()

    async def close(self) -> None:
        self._on = frozenset()
        await asyncio.gather(self._urgent.close(), self._calm.close())

    def change(self, limits: Limits) -> None:
        """From the next question on."""
        self.limits = limits
        self._switch()

    # ---- asking

    def wants(self, point: Point) -> bool:
        """Whether there is a function that would be asked now. Costs nothing."""
        return point in self._on and self._tallies[point].until <= self._clock()

    def wants_any(self, points: frozenset[Point]) -> bool:
        return not self._on.isdisjoint(points) and any(self.wants(point) for point in points)

    async def ask(
        self,
        point: Point,
        data: Mapping[str, Any],
        *,
        call: str = "",
        deadline: float | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Never raises for what a hook does. `deadline`: until when there is time at all (the event loop's seconds);
        `patience`: seconds for which its turn is waited for, where that is not `QUEUE` times its limit."""
        rules, tally = POINTS[point], self._tallies[point]
        default = rules.default(data)
        if not self.wants(point):
            return Answer(Fate.NOT_ASKED, default)
        began = time.monotonic()
        limit = self.limits.of(point)
        if patience is None:
            patience = QUEUE * limit if rules.urgent else max(10.0, QUEUE * limit)
        if deadline is not None:
            left = deadline - asyncio.get_running_loop().time()
            limit, patience = min(limit, left), min(patience, left)
        tally.asked += 1
        printed = ""
        try:
            if limit <= 0:
                raise HookTrouble("other hooks of this call have used up the time")
            desk = self._urgent if rules.urgent else self._calm
            value, printed = await desk.ask(point, dict(data), self.limits, limit, patience)
            tally.row = 0
            answer = self._taken(point, value, data, default)
        except (HookTrouble, Nonsense) as error:
            printed = error.printed if isinstance(error, HookFailed) else printed
            answer = self._failed(point, error, default)
        answer = replace(answer, printed=printed, seconds=time.monotonic() - began)
        self._remember(call, point, answer)
        match answer.fate:
            case Fate.CHANGED:
                tally.changed += 1
            case Fate.CANCELLED:
                tally.cancelled += 1
            case _:
                pass
        level = log.warning if answer.fate is Fate.FAILED else log.info
        level(
            f"hook {point.value} -> {answer.fate.value}",
            call=call,
            ms=round(answer.seconds * 1000, 1),
            **({"note": str(answer.note)} if answer.note is not None else {}),
            **({"printed": printed[:1000]} if printed else {}),
        )
        return answer

    def said(self, call: str) -> Sequence[Said]:
        """What hooks have answered about the call in this run of ours, as far as it is remembered."""
        return tuple(self._said.get(call, ()))

    def _remember(self, call: str, point: Point, answer: Answer) -> None:
        if not call:
            return
        said = self._said.setdefault(call, deque(maxlen=MOST_SAID))
        printed = answer.printed[:LONGEST_PRINTED]
        said.append(Said(self._clock(), point.value, answer.fate, answer.note, printed, answer.seconds))
        while len(self._said) > MOST_CALLS:
            del self._said[next(iter(self._said))]

    def _taken(self, point: Point, value: Any, data: Mapping[str, Any], default: Any) -> Answer:
        """Raises Nonsense."""
        rules = POINTS[point]
        if rules.cancels and (value is None or value in ({}, [])):
            return Answer(Fate.CANCELLED, None, Reason(CANCELLED.text, {"point": point.value}))
        try:
            taken = rules.check(value, default if rules.subject else data)
        except Nonsense as error:
            raise Nonsense(f"its answer is of no use: {error}") from None
        except Exception as error:
            log.exception("a hook's answer could not be checked", point=point.value)
            raise Nonsense(f"its answer is of no use: {type(error).__name__}") from error
        if taken == default:
            return Answer(Fate.UNCHANGED, taken)
        if not rules.subject and not rules.cancels:
            return Answer(Fate.CHANGED, taken)
        told = {"point": point.value, "what": difference(default if rules.subject else {}, taken)}
        return Answer(Fate.CHANGED, taken, Reason(CHANGED.text, told))

    def _failed(self, point: Point, error: Exception, default: Any) -> Answer:
        tally = self._tallies[point]
        tally.failed += 1
        why = f"{error}"
        if isinstance(error, (TimedOut, Died, NotStarted)):
            self._warm.set()
        if isinstance(error, (TimedOut, Died)):
            tally.row += 1
            if tally.row >= TIMEOUTS:
                tally.row = TIMEOUTS - 1  # one more afterwards is enough
                tally.until = self._clock() + REST
                log.warning("hook left alone for a while", point=point.value, seconds=REST, why=why)
        tally.last_error, tally.last_error_at = why, self._clock()
        return Answer(Fate.FAILED, default, Reason(FAILED.text, {"point": point.value, "why": why}))

    # ---- the files

    async def _look(self) -> None:
        """Loads the files when they have changed."""
        if self.folder is None:
            return
        try:
            now = await asyncio.to_thread(signature, self.folder)
            if now == self._signature:
                return
            files = await asyncio.to_thread(read_folder, self.folder)
        except Unreadable as error:
            fix = Reason("let our user read it; what was loaded before goes on")
            self._troubles = [(Reason("the customisation's files cannot be read: {why}", {"why": str(error)}), fix)]
            self._signature = None
            return
        self._signature = now
        await self._load(files)

    async def _load(self, files: Mapping[str, str]) -> None:
        assert self.folder is not None
        troubles: list[tuple[Reason, Reason]] = []
        edition = Edition(str(self.folder), files)
        loaded = Loaded()
        left = dict(files)
        while left:
            edition = Edition(str(self.folder), left)
            try:
                loaded = await self._urgent.load(edition, self.limits)
            except HookTrouble as error:
                troubles.append(self._not_loaded(", ".join(sorted(left)), str(error)))
                log.warning("hooks not loaded", folder=str(self.folder), error=str(error))
                if left == self._good or not self._good:
                    left, loaded = {}, Loaded()
                    break
                left = dict(self._good)
                continue
            if not loaded.broken:
                break
            for name, why in loaded.broken.items():
                good = self._good.get(name)
                troubles.append(
                    self._not_loaded(name, why) if good is None or good == left[name] else self._old_goes_on(name, why)
                )
                log.warning("hook's file not loaded", file=name, error=why)
                if good is None or good == left[name]:
                    del left[name]
                else:
                    left[name] = good
            loaded = Loaded()
        troubles += [
            (
                Reason("{point} is there twice: the function in {file} is not asked", {"point": point, "file": file}),
                Reason("keep one of them"),
            )
            for point, file in loaded.twice
        ]
        if not left:
            await self._urgent.close()
        self._good, self._loaded, self._troubles = left, loaded, troubles
        self._loaded_at = self._clock() if loaded.found else None
        for tally in self._tallies.values():
            tally.row, tally.until = 0, 0.0
        points = {Point(name) for name in loaded.found}
        self._calm.edition = edition if any(not POINTS[point].urgent for point in points) else None
        if self._calm.edition is None:
            await self._calm.close()
        if not any(POINTS[point].urgent for point in points):
            await self._urgent.close()
        self._switch()
        await self._keep_warm()
        log.info("hooks loaded", folder=str(self.folder), points=sorted(loaded.found), troubles=len(troubles))

    def _not_loaded(self, file: str, why: str) -> tuple[Reason, Reason]:
        return (
            Reason("customisation: {file} is not loaded: {why}", {"file": file, "why": why}),
            Reason("correct the file: it is loaded again as soon as it has changed"),
        )

    def _old_goes_on(self, file: str, why: str) -> tuple[Reason, Reason]:
        return (
            Reason("customisation: {file} is not loaded, the version before goes on: {why}", {"file": file, "why": why}),
            Reason("correct the file: it is loaded again as soon as it has changed"),
        )

    def _switch(self) -> None:
        found = {Point(name) for name in self._loaded.found}
        self._on = frozenset(point for point in found if point.value not in self.limits.off)

    async def _keep_warm(self) -> None:
        for desk in (self._urgent, self._calm):
            try:
                await desk.warm(self.limits)
            except HookTrouble as error:
                log.warning("the hooks' process could not be started", error=str(error))

    # ---- how it is doing

    def status(self) -> CustomisationStatus:
        now = self._clock()
        points: Sequence[Point] = [point for point in Point if point.value in self._loaded.found]
        return CustomisationStatus(
            folder="" if self.folder is None else str(self.folder),
            points=tuple(self._point(point, now) for point in points),
            troubles=tuple(self._troubles),
            loaded=self._loaded_at,
        )

    def _point(self, point: Point, now: float) -> PointStatus:
        tally = self._tallies[point]
        return PointStatus(
            name=point.value,
            place=self._loaded.found[point.value],
            on=point.value not in self.limits.off,
            until=tally.until if tally.until > now else None,
            asked=tally.asked,
            changed=tally.changed,
            cancelled=tally.cancelled,
            failed=tally.failed,
            last_error=tally.last_error,
            last_error_at=tally.last_error_at,
        )
