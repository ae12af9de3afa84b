"""Carries one request to the portal and says what became of each lane's steps. Touches no database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.encoding import MAX_COMMANDS, Command
from perezvon.bitrix24.errors import Ambiguous, Permanent, PortalError
from perezvon.bitrix24.methods import read_upload_slot
from perezvon.delivery import prepare
from perezvon.delivery.kinds import FILE
from perezvon.delivery.portal import MOST_RIDING, Passenger, PortalPort
from perezvon.delivery.prepare import CannotPrepare, NotNow
from perezvon.delivery.runs import Run
from perezvon.delivery.status import Tally
from perezvon.delivery.verdicts import Outcome, Verdict, backoff, judge
from perezvon.delivery.weather import METHOD_WIDE, Weather
from perezvon.storage.steps import Settled, State, Step

log = structlog.get_logger(__name__)

MOST_BYTES = 8 * 1024 * 1024
LEAST_BYTES = 256 * 1024
"""Size of a batch's body: at most, and at least however often it did not get through."""

_DEFECT_WAIT = 60.0
NOTHING: Mapping[int, str] = {}


class Courier:
    """`most_bytes`: how large a body may be now; it shrinks when a large one does not get through.

    `alone`: lanes with which the portal refused a batch as a whole: their steps go one by one, to find the one at fault.
    `departing`: requests that were started and have not taken from the bucket yet. `passenger()`: who may ride along now.
    `link(subject)`: the address of a recording, for the portal.
    """

    def __init__(
        self,
        portal: str,
        port: PortalPort,
        weather: Weather,
        tally: Tally,
        *,
        fallback_user: Callable[[], str],
        passenger: Callable[[], Passenger | None],
        link: Callable[[str], str] = prepare.no_links,
        clock: Callable[[], float],
    ) -> None:
        self._passenger = passenger
        self._link = link
        self._portal = portal
        self._port = port
        self._weather = weather
        self._tally = tally
        self._fallback_user = fallback_user
        self._clock = clock
        self.most_bytes = MOST_BYTES
        self.alone: set[str] = set()
        self.departing = 0

    async def carry(self, runs: Sequence[Run]) -> dict[str, Verdict]:
        """One request with the moves of all runs, by lane what became of them. Nothing is raised but cancellation."""
        try:
            return await (self._upload(runs[0]) if runs[0].upload else self._send(runs))
        except Exception as error:
            log.exception(
                "a request to the portal went wrong on our side", portal=self._portal, lanes=[run.lane for run in runs]
            )
            return {run.lane: _defective(run, error) for run in runs}

    async def _send(self, runs: Sequence[Run]) -> dict[str, Verdict]:
        try:
            heavy = any(FILE in move.step.params for run in runs for move in run.moves)
            cargo = await asyncio.to_thread(_load, runs, self._link) if heavy else _load(runs, self._link)
        finally:
            self.departing -= 1
        commands = cargo.commands
        crowd = len(commands) + MOST_RIDING > MAX_COMMANDS or any(run.lane in self.alone for run in runs)
        rider = None if crowd or not commands else self._passenger()
        riding = rider.commands() if rider is not None and rider.due() else []
        outcomes: Sequence[Outcome] = []
        try:
            outcomes = await self._ask(commands, rider, riding)
        except PortalError as error:
            batch = len(commands) + len(riding) > 1
            if batch and isinstance(error, Permanent) and not isinstance(error, METHOD_WIDE):
                log.warning("batch refused as a whole -> its lanes go one by one", portal=self._portal, error=str(error))
                self.alone |= {run.lane for run in runs}
                self.most_bytes = max(self.most_bytes // 2, LEAST_BYTES)
                return {run.lane: Verdict(tuple(_unchanged(move.step) for move in run.moves)) for run in runs}
            if isinstance(error, Ambiguous):
                self.most_bytes = max(self.most_bytes // 2, LEAST_BYTES)
            outcomes = [error] * len(commands)
        else:
            self.most_bytes = min(self.most_bytes * 2, MOST_BYTES)
        self.alone -= {run.lane for run in runs}
        told = dict(zip(cargo.steps, outcomes, strict=True))
        return {run.lane: self._judge(run, told, cargo.broken, cargo.later) for run in runs}

    async def _ask(
        self, commands: Sequence[Command], rider: Passenger | None = None, riding: Sequence[Command] = ()
    ) -> Sequence[Outcome]:
        """Raises the error of a request that failed as a whole."""
        if not commands:
            return []
        methods = [command.method for command in commands]
        self._tally.request(len(commands))
        try:
            if len(commands) + len(riding) == 1:
                outcomes: Sequence[Outcome] = [await self._port.call(commands[0].method, commands[0].params)]
            else:
                outcomes = await self._port.batch([*commands, *riding])
        except PortalError as error:
            self._tally.error(error, self._clock(), whole=True)
            self._weather.failed(methods, error)
            if rider is not None and riding:
                rider.failed(error)
            raise
        if rider is not None and riding:
            await self._let_off(rider, outcomes[len(commands) :])
            outcomes = outcomes[: len(commands)]
        self._weather.told(methods, outcomes)
        for outcome in outcomes:
            if isinstance(outcome, PortalError):
                self._tally.error(outcome, self._clock(), whole=False)
        return outcomes

    async def _let_off(self, rider: Passenger, outcomes: Sequence[Outcome]) -> None:
        """What the passenger makes of its answers is no business of the lanes."""
        try:
            await rider.absorb(outcomes)
        except Exception:
            log.exception("what rode along could not be taken, it comes again", portal=self._portal)

    async def _upload(self, run: Run) -> dict[str, Verdict]:
        """A large recording: asks where it shall go, sends it there."""
        (move,) = run.moves
        try:
            try:
                wanted = await asyncio.to_thread(prepare.upload, move, run.steps)
            finally:
                self.departing -= 2
        except CannotPrepare as error:
            return {run.lane: self._judge(run, {}, {move.step.id: str(error)})}
        try:
            (outcome,) = await self._ask([Command(prepare.key(move.step), move.method, wanted.params)])
        except PortalError as error:
            outcome = error
        if not isinstance(outcome, Answer):
            return {run.lane: self._judge(run, {move.step.id: outcome}, {})}
        self._tally.request(0)
        try:
            slot = read_upload_slot(outcome.result)
            outcome = await self._port.upload(slot.url, slot.field, wanted.filename, wanted.file)
        except PortalError as error:
            self._tally.error(error, self._clock(), whole=True)
            verdict = self._judge(run, {move.step.id: error}, {})
            return {run.lane: replace(verdict, wait=max(verdict.wait, backoff(move.step)))}
        return {run.lane: self._judge(run, {move.step.id: outcome}, {})}

    def _judge(
        self, run: Run, told: Mapping[int, Outcome], broken: Mapping[int, str], later: Mapping[int, str] = NOTHING
    ) -> Verdict:
        """The verdict on one lane; a defect in it holds up no other."""
        moves = [move for move in run.moves if move.step.id in told]
        try:
            verdict = judge(moves, [told[move.step.id] for move in moves], run.steps, substitute=self._fallback_user())
        except Exception as error:
            log.exception("an answer of the portal could not be judged", portal=self._portal, lane=run.lane)
            return _defective(run, error)
        settled = list(verdict.settled)
        for move in run.moves:
            if move.step.id in broken:
                settled.append(Settled(move.step.id, State.DEAD, error=broken[move.step.id]))
            elif move.step.id not in told:  # it came after such a one, or has to wait itself
                settled.append(replace(_unchanged(move.step), error=later.get(move.step.id, move.step.error)))
        wait = max([verdict.wait, *(backoff(move.step) for move in run.moves if move.step.id in later)])
        return replace(verdict, settled=tuple(settled), wait=wait)


@dataclass(slots=True)
class _Cargo:
    """`steps`: the step of each command. `broken`: steps that can never be sent, and why; `later`: not now."""

    commands: list[Command] = field(default_factory=list[Command])
    steps: list[int] = field(default_factory=list[int])
    broken: dict[int, str] = field(default_factory=dict[int, str])
    later: dict[int, str] = field(default_factory=dict[int, str])


def _load(runs: Sequence[Run], link: Callable[[str], str]) -> _Cargo:
    """The commands of all lanes: cards first, and no step before an earlier one of its lane."""
    cargo = _Cargo()
    made: list[tuple[int, int, Command]] = []
    for run in runs:
        riding: set[int] = set()
        urgency = 0
        for move in run.moves:
            try:
                command = prepare.command(move, run.steps, riding, link)
            except CannotPrepare as error:
                cargo.broken[move.step.id] = str(error)
                break
            except NotNow as error:
                cargo.later[move.step.id] = str(error)
                break
            riding.add(move.step.id)
            urgency = max(urgency, move.step.priority)
            made.append((urgency, move.step.id, command))
    for _, step_id, command in sorted(made, key=lambda one: one[0]):
        cargo.commands.append(command)
        cargo.steps.append(step_id)
    return cargo


def _unchanged(step: Step) -> Settled:
    return Settled(step.id, step.state, step.result, step.error, step.note)


def _defective(run: Run, error: Exception) -> Verdict:
    """Nobody knows what was done: looked up later, and the error stands on the call's page."""
    steps = [move.step for move in run.moves]
    return Verdict(tuple(Settled(step.id, State.UNSURE, step.result, f"defect: {error!r}") for step in steps), _DEFECT_WAIT)
