"""`perezvon backfill`: what a PBX's channel event log tells of a period is compared with what we have stored; calls that
are missing are stored, and their steps queued. So are those that a filter kept from the portal and keeps no more.

Works beside a running service: each call is put in only where there is none, together with its steps, in one transaction,
and a counter tells the service to look. What runs, or has just ended, is left to it. As for all that is told late
(absence.py), no card is shown: the call is registered, finished, and its recording looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.asterisk.cel import Row
from perezvon.asterisk.cel_events import events_of
from perezvon.asterisk.cel_source import CelSource
from perezvon.bitrix24.directory import Directory
from perezvon.calls import CallEnded, CallStarted, Event, ExpectedCall, Fact, Numbering, Snapshot, Tracker
from perezvon.calls.call import Call
from perezvon.recordings import Folder
from perezvon.rules import Decision, Kind, PlanState, Policy, Priority, StepDraft, Triggers, plan
from perezvon.rules.recordings import mode_of
from perezvon.service.absence import with_recordings
from perezvon.service.clickbook import ClickBook
from perezvon.service.hooks import CallHooks
from perezvon.service.policies import PortalRules
from perezvon.service.rounds import recordings_of
from perezvon.storage import calls, clicks, counters, journal, lanes, recordings
from perezvon.storage.calls import StoredCall
from perezvon.storage.clicks import Click
from perezvon.storage.database import Database

log = structlog.get_logger(__name__)

QUEUED = "queued:"
"""Counters that say for which portals a command has queued something."""

AROUND = 2 * 3600.0
"""Seconds before and after a period that are read too: calls that last, and those that they are transferred into."""

QUIET = 5.0
"""Seconds after a call's end for which it is the service's own."""

AT_ONCE = 50
"""Calls in one transaction."""

RESTART = 5.0
"""Seconds by which a channel with a lower number must be younger to show that Asterisk has been started anew."""


class Fate(StrEnum):
    """`MISSING`: we have nothing of the call, or a filter left it out that does so no more. `QUEUED`: so it was, now it is
    stored, and its steps wait for the portal.
    `THERE`: it is stored, or some of its steps are. `RUNNING`: it is not over in the log, or only just."""

    MISSING = "missing"
    QUEUED = "queued"
    THERE = "there"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Late:
    """A call out of the log. `steps`: what the portal is to be asked; none while it runs."""

    call: Call
    fate: Fate
    facts: tuple[Fact, ...] = ()
    plan: PlanState = field(default_factory=PlanState)
    decisions: tuple[Decision, ...] = ()

    @property
    def steps(self) -> tuple[StepDraft, ...]:
        """Less urgent than everything that happens now. A lead that is new to the portal only is announced to nobody."""
        steps = (step for made in self.decisions for step in made.steps if step.kind is not Kind.ANNOUNCE)
        return tuple(replace(step, priority=max(step.priority, Priority.CRM)) for step in steps)


class Backfill:
    """Of one PBX. `clock`: POSIX seconds. `layouts`: where recordings lie whose names nobody tells."""

    def __init__(
        self,
        pbx: str,
        source: CelSource,
        folder: Folder,
        numbering: Numbering,
        rules: PortalRules,
        directory: Directory,
        database: Database,
        *,
        layouts: Sequence[str] = (),
        clock: Callable[[], float],
        hooks: CallHooks | None = None,
    ) -> None:
        self._hooks = hooks
        self.pbx = pbx
        self.portal = rules.portal
        self._source = source
        self._folder = folder
        self._numbering = numbering
        self._rules = rules
        self._directory = directory
        self._database = database
        self._layouts = layouts
        self._clock = clock

    async def find(self, since: float, until: float) -> list[Late]:
        """The calls that began in the period (POSIX seconds, the end excluded) and that the settings report to the portal,
        oldest first. Changes nothing. Raises CelUnreadable, Unavailable."""
        rows = await self._source.read(since - AROUND, min(until + AROUND, self._clock()))
        events = await asyncio.to_thread(lambda: events_of(_whole(rows)))
        placed = await self._clicks(events)
        tracker = Tracker(self.pbx, self._numbering)
        told = list(self._facts(events, tracker, placed))
        facts = await with_recordings(self.pbx, self._folder, told, _channels(events))
        by_call: dict[str, list[Fact]] = {}
        for fact in facts:
            by_call.setdefault(fact.call, []).append(fact)
        running = {call.id: call for call in tracker.live()}
        found = [self._late(told, running.get(call), placed) for call, told in by_call.items()]
        late = [one for one in found if one is not None and since <= one.call.started < until]
        compared = await self._compared(sorted(late, key=lambda one: one.call.started))
        return [one for late in compared if (one := await self._customised(late, placed)) is not None]

    async def _customised(self, late: Late, placed: dict[str, Click]) -> Late | None:
        """As the integrator's hooks want it; None where they leave it out."""
        if late.fate is not Fate.MISSING or self._hooks is None or not self._hooks.active:
            return late
        state = _before(late.facts, placed)
        policy = _untriggered(self._rules.policy)
        state, decisions = await self._hooks.plan(state, late.facts, policy, self._rules.people, late.call)
        reported = state.registered or state.portal_call
        return replace(late, plan=state, decisions=tuple(decisions)) if reported else None

    def _facts(self, events: Sequence[Event], tracker: Tracker, placed: dict[str, Click]) -> Iterator[Fact]:
        newest, highest, last = 0.0, 0, 0.0
        for event in events:
            try:
                if event.name == "Newchannel":
                    number = _number(event["uniqueid"])
                    if number is not None and number < highest and event.at > newest + RESTART:
                        highest = 0
                        # Nobody knows how long its calls went on: to the last that it told at least.
                        yield from tracker.resync(Snapshot(last, (), {}, {}, restarted=True))
                    if number is not None and number >= highest:
                        newest, highest = event.at, number
                    if (click := placed.get(event["uniqueid"])) and (employee := self._directory.by_user(click.user_id)):
                        expected = ExpectedCall(event.at, click.uniqueid, employee.extension, click.number)
                        yield from tracker.expect(expected)
                last = max(last, event.at)
                yield from tracker.feed(event)
            except Exception:
                # A defect in one call never stops the next.
                log.exception(
                    "tracker failed on an event", pbx=self.pbx, event_name=event.name, headers=dict(event.headers)
                )

    async def _clicks(self, events: Sequence[Event]) -> dict[str, Click]:
        """The clicks that our own Originates came of, by the employee's channel."""
        uids = {event["uniqueid"] for event in events if event.name == "Newchannel"}
        placed: dict[str, Click] = {}
        async with self._database.read() as conn:
            for uid in sorted(uid for uid in uids if _number(uid) is None):
                if (click := await clicks.by_uniqueid(conn, uid)) is not None:
                    placed[uid] = click
        return placed

    def _late(self, facts: list[Fact], running: Call | None, placed: dict[str, Click]) -> Late | None:
        """None for what is not reported."""
        started = next((fact for fact in facts if isinstance(fact, CallStarted)), None)
        ended = next((fact for fact in facts if isinstance(fact, CallEnded)), None)
        if started is None:
            return None
        try:
            untriggered = _untriggered(self._rules.policy)
            state, decisions = plan(_before(facts, placed), facts, untriggered, self._rules.people)
        except Exception:
            log.exception("planner failed on a call", pbx=self.pbx, call=started.call, facts=[str(fact) for fact in facts])
            return None
        if not state.registered and not state.portal_call:
            return None
        if ended is None or ended.record.ended is None or ended.record.ended > self._clock() - QUIET:
            call = running if ended is None else ended.record
            return None if call is None else Late(call, Fate.RUNNING)
        return Late(ended.record, Fate.MISSING, tuple(facts), state, tuple(decisions))

    async def _compared(self, found: Sequence[Late]) -> list[Late]:
        async with self._database.read() as conn:
            there = await self._there(conn, found)
        return [replace(one, fate=Fate.THERE) if one.call.id in there else one for one in found]

    async def _there(self, conn: AsyncConnection, found: Sequence[Late]) -> set[str]:
        ids = [one.call.id for one in found]
        stored = await calls.stored_among(conn, ids) - (await calls.left_out_among(conn, ids)).keys()
        known = await lanes.known_keys(conn, self.portal, [step.key for one in found for step in one.steps])
        return stored | {one.call.id for one in found if any(step.key in known for step in one.steps)}

    async def store(self, found: Sequence[Late]) -> list[Late]:
        """Those that are missing are queued, unless somebody else has been faster. Raises StorageError."""
        done: list[Late] = []
        for start in range(0, len(found), AT_ONCE):
            some = found[start : start + AT_ONCE]
            fates = await self._database.write(lambda conn, some=some: self._put(conn, some))
            done += [replace(one, fate=fates.get(one.call.id, one.fate)) for one in some]
        return done

    async def _put(self, conn: AsyncConnection, found: Sequence[Late]) -> dict[str, Fate]:
        now = self._clock()
        missing = [one for one in found if one.fate is Fate.MISSING]
        there = await self._there(conn, missing)
        fates = dict.fromkeys(there, Fate.THERE)
        for one in missing:
            call = one.call.id
            if call in there:
                continue
            row = self._row(one)
            added = await calls.add(conn, row)
            if not added and not await calls.tell_late(conn, row):
                fates[call] = Fate.THERE
                continue
            fates[call] = Fate.QUEUED
            told = [(call, made.reason, [step.key for step in made.steps]) for made in one.decisions]
            await journal.append(conn, one.facts if added else (), now, told)
            await ClickBook().follow(conn, one.plan, row)
            await lanes.append(conn, self.portal, call, one.steps, now)
            mode, _ = mode_of(self._rules.policy.line_of(one.call), self._rules.policy)
            if mode != "off" and not one.plan.recording_stays:
                paths = [(call, path) for path in recordings_of(one.call, self.pbx, self._layouts)]
                await recordings.add(conn, pbx=self.pbx, portal=self.portal, paths=paths, now=now, mode=mode)
        if Fate.QUEUED in fates.values():
            await counters.bump(conn, f"{QUEUED}{self.portal}", now)
        return fates

    def _row(self, late: Late) -> StoredCall:
        call = late.call
        return StoredCall(
            id=call.id,
            pbx=self.pbx,
            direction=call.direction,
            started=call.started,
            live=False,
            portal=self.portal,
            client=call.client,
            line=call.line,
            answered=call.answered,
            ended=call.ended,
            outcome=call.outcome,
            duration=call.duration,
            last_talker=call.last_talker,
            state=call.as_json(),
            plan=late.plan.as_json(),
        )


def _untriggered(policy: Policy) -> Policy:
    """A funnel shall not react days later."""
    return replace(policy, triggers=Triggers())


def _before(facts: Sequence[Fact], placed: dict[str, Click]) -> PlanState:
    """What is known of the click that a call came of."""
    for fact in facts:
        if isinstance(fact, CallStarted) and (click := placed.get(fact.expected)):
            return PlanState(portal_call=click.portal_call, shown=(click.user_id,))
    return PlanState()


def _whole(rows: Sequence[Row]) -> list[Row]:
    """Without channels, and calls, that began before what was read."""
    begun = {row.uniqueid for row in rows if row.kind == "CHAN_START"}
    return [row for row in rows if row.uniqueid in begun and row.linkedid in begun]


def _channels(events: Sequence[Event]) -> dict[str, list[str]]:
    """The unique ids of the channels that were ever linked with another one, by that one's."""
    linked: dict[str, dict[str, None]] = {}
    for event in events:
        if event["uniqueid"]:
            linked.setdefault(event["linkedid"], {})[event["uniqueid"]] = None
    return {first: list(channels) for first, channels in linked.items()}


def _number(uniqueid: str) -> int | None:
    """`1795251052.12`, or with the system's name before: which channel of this run of Asterisk it is. None for an id that
    somebody has given."""
    number = uniqueid.rpartition(".")[2]
    return int(number) if "." in uniqueid and number.isascii() and number.isdigit() else None
