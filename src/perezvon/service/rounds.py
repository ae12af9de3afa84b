"""What came together of a call, and how it is stored: state, facts, decisions and steps of one or more calls in one
transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls import Call, CallEnded, CallStarted, Fact
from perezvon.recordings import Known, expand
from perezvon.rules import Decision, PlanState, StepDraft
from perezvon.rules.recordings import mode_of
from perezvon.service.clickbook import ClickBook
from perezvon.service.missed import follow
from perezvon.service.policies import PortalRules
from perezvon.storage import calls, counters, journal, lanes, progress, recordings
from perezvon.storage.calls import StoredCall
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError
from perezvon.storage.insist import insist
from perezvon.storage.progress import Progress

log = structlog.get_logger(__name__)

MOST_LINES = 200
"""Company numbers that are not in the settings and are listed: callers can make up any."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Facts of a call that came together, and the call as it was then. `state`: for the restart; empty when it has ended.
    `seen`: for the hooks. `picked_up`: the employee has come to the phone for an order; told when that is stored."""

    facts: tuple[Fact, ...]
    state: Mapping[str, Any]
    seen: Call | None = None
    picked_up: asyncio.Future[bool] | None = None

    @property
    def ended(self) -> CallEnded | None:
        return next((fact for fact in self.facts if isinstance(fact, CallEnded)), None)


@dataclass(frozen=True, slots=True)
class Round:
    """What is to be stored together."""

    row: StoredCall
    facts: tuple[Fact, ...]
    decisions: tuple[Decision, ...]
    steps: tuple[StepDraft, ...]
    recordings: tuple[str, ...]
    plan: PlanState
    ended: Call | None = None
    mode: str = "upload"


class Ledger:
    """Of one PBX. `layouts`: where recordings lie whose names the PBX does not tell. `hold`: of steps for which a hook is
    asked before they are sent. `kept_until`: how far we are with the PBX by what is stored."""

    def __init__(
        self,
        pbx: str,
        database: Database,
        clicks: ClickBook,
        *,
        layouts: Sequence[str],
        clock: Callable[[], float],
        hold: Callable[[StepDraft], StepDraft],
    ) -> None:
        self.pbx = pbx
        self._database = database
        self._clicks = clicks
        self._layouts = layouts
        self._clock = clock
        self._hold = hold
        self.kept_until = 0.0

    def entry(
        self,
        call: str,
        taken: Taken,
        state: PlanState,
        decisions: Sequence[Decision],
        rules: PortalRules | None,
        ahead: float,
    ) -> Round:
        """`ahead`: seconds of the PBX's clock before ours."""
        decided = list(decisions)
        assert state.started is not None, f"call {call} was never told to have started"
        reported = rules is not None and (state.registered or bool(state.portal_call))
        ended = taken.ended
        kept: tuple[str, ...] = ()
        mode = "off"
        if rules is not None and ended is not None and reported and not state.recording_stays:
            names = recordings_of(ended.record, self.pbx, self._layouts)
            if names:
                mode, why = mode_of(rules.policy.line_of(ended.record), rules.policy)
                kept = names if mode != "off" else ()
                decided.append(Decision(why))
        return Round(
            row=self._row(call, taken, state, rules.portal if rules and reported else ""),
            facts=taken.facts,
            decisions=tuple(decided),
            steps=tuple(_by_our_clock(step, ahead) for decision in decided for step in decision.steps),
            recordings=kept,
            plan=state,
            ended=ended.record if ended is not None else None,
            mode=mode,
        )

    def _row(self, call: str, taken: Taken, state: PlanState, portal: str) -> StoredCall:
        started, ended = state.started, taken.ended
        assert started is not None
        row = StoredCall(
            id=call,
            pbx=self.pbx,
            direction=started.direction,
            started=started.at,
            live=ended is None,
            portal=portal,
            client=started.client,
            line=started.line,
            plan=state.as_json(),
        )
        if ended is None:
            return replace(row, state=taken.state)
        record = ended.record
        return replace(
            row,
            direction=record.direction,
            client=record.client,
            line=record.line,
            answered=record.answered,
            ended=record.ended,
            outcome=record.outcome,
            duration=record.duration,
            last_talker=record.last_talker,
            state=record.as_json(),
        )

    async def keep(self, rounds: Sequence[Round], rules: PortalRules | None, reached: Progress) -> Sequence[Round]:
        """Stores them together; when one of them cannot be stored at all, the others without it. Gives what is stored."""
        try:
            await self.store(rounds, rules, reached)
        except StorageError:
            raise
        except Exception:
            if not rounds:
                raise
            if len(rounds) > 1:
                return [done for one in rounds for done in await self.keep([one], rules, reached)]
            (lost,) = rounds
            log.exception(
                "a call cannot be stored", pbx=self.pbx, call=lost.row.id, facts=[str(fact) for fact in lost.facts]
            )
            return []
        return rounds

    async def store(self, rounds: Sequence[Round], rules: PortalRules | None, reached: Progress) -> None:
        """All in one transaction. `reached`: how far we are with the PBX then."""
        now = self._clock()

        async def work(conn: AsyncConnection) -> None:
            if reached.until:
                await progress.save(conn, self.pbx, reached)
            await calls.save(conn, [done.row for done in rounds])
            decided = [(done.row.id, decision) for done in rounds for decision in done.decisions]
            ended = [done.ended for done in rounds if done.ended is not None and not done.plan.left_out]
            followed = [] if rules is None else await follow(conn, rules, ended)
            decided += [(one.call, one.decision) for one in followed]
            await journal.append(
                conn,
                [fact for done in rounds for fact in done.facts],
                now,
                [(call, made.reason, [step.key for step in made.steps]) for call, made in decided],
            )
            for done in rounds:
                await self._clicks.follow(conn, done.plan, done.row, "" if rules is None else rules.portal)
            if rules is None:
                return
            await lanes.append_all(conn, rules.portal, {done.row.id: done.steps for done in rounds}, now)
            for one in followed:
                await lanes.append(conn, rules.portal, one.lane, [self._hold(step) for step in one.decision.steps], now)
            for extension in sorted({extension for _, made in decided for extension in made.unmapped}):
                await counters.bump(conn, f"unmapped:{rules.portal}:{extension}", now)
            for _, made in decided:
                if made.left_out:
                    await counters.bump(conn, f"left_out:{rules.portal}:{made.left_out}", now)
                if made.unknown_line:
                    await counters.bump_among(conn, f"line:{rules.portal}:", made.unknown_line[:50], now, MOST_LINES)
            for mode in sorted({done.mode for done in rounds}):
                paths = [(done.row.id, path) for done in rounds if done.mode == mode for path in done.recordings]
                await recordings.add(conn, pbx=self.pbx, portal=rules.portal, paths=paths, now=now, mode=mode)

        await insist(lambda: self._database.write(work, urgent=bool(rounds)), "calls", pbx=self.pbx)
        self.kept_until = reached.until

    def tell(self, done: Round) -> None:
        for fact in done.facts:
            log.info(_sentence(fact), pbx=self.pbx, call=done.row.id, **_details(fact))
        for decision in done.decisions:
            log.info(
                str(decision.reason), pbx=self.pbx, call=done.row.id, steps=[str(step.kind) for step in decision.steps]
            )


def recordings_of(call: Call, pbx: str, layouts: Sequence[str]) -> tuple[str, ...]:
    """The names of an answered call's recordings, or where they are to be looked for."""
    if call.answered is None or call.recordings or not layouts:
        return call.recordings if call.answered is not None else ()
    extension = call.last_talker or next(iter(call.talkers), "")
    known = Known(call.started, call.id.removeprefix(f"{pbx}-"), call.client, call.line, extension)
    path = expand(layouts, known)
    return (path,) if path else ()


def _by_our_clock(step: StepDraft, ahead: float) -> StepDraft:
    """Facts have the PBX's clock, and so has what follows from them; whether a card is too late is seen by ours."""
    return step if step.expires is None else replace(step, expires=step.expires - ahead)


def _sentence(fact: Fact) -> str:
    return f"call {type(fact).__name__}"


def _details(fact: Fact) -> dict[str, Any]:
    match fact:
        case CallStarted():
            return {"direction": str(fact.direction), "client": fact.client, "line": fact.line, "extension": fact.extension}
        case CallEnded(record=record):
            return {
                "outcome": str(record.outcome),
                "duration": round(record.duration, 1),
                "last_talker": record.last_talker,
                "recordings": len(record.recordings),
            }
        case _:
            slots = (name for name in type(fact).__slots__ if name not in ("call", "at", "channel"))
            return {name: str(getattr(fact, name)) for name in slots}
