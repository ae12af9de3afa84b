"""One PBX: its events become facts, facts become decisions, and all of it is stored before anything is sent.

The call's state, its facts, the decisions and the portal's steps are one transaction. While it is under way further events
gather, so that a busy PBX makes larger rounds, not a longer queue. When the database is gone, the round is kept and tried
again: nothing is skipped (the AMI layer drops the connection when too much gathers, and all begins with a new snapshot).

Where the integrator's hooks are asked about calls (hooks.py), a call whose hooks are being asked is held meanwhile, and all
others go on (held.py).

A snapshot comes first after every loss of the connection, or of us. What happened in between is fed before it (absence.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from perezvon.calls import CallEnded, CallStarted, Event, ExpectedCall, Fact, Snapshot, Tracker
from perezvon.rules import Decision, PlanState, Reason, StepDraft, pick_up, plan
from perezvon.service.absence import Absence
from perezvon.service.clickbook import ClickBook
from perezvon.service.held import Held
from perezvon.service.hooks import CallHooks
from perezvon.service.policies import PortalRules
from perezvon.service.rounds import Ledger, Round, Taken
from perezvon.storage import calls, progress
from perezvon.storage.database import Database
from perezvon.storage.progress import Progress

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 5000
"""Events of the past in one transaction."""
MOST_RECENT = 2000
"""Events that are kept to be looked at."""
FUTURE = 60.0
"""Seconds by which an event may be ahead of the PBX's clock and still count for how far we are."""
SET_BACK = 3600.0
"""Seconds that are read up when the PBX's clock was set back, so that nobody knows how long we were away. What is stored
as ended is left out (absence.py)."""
REMEMBER = 5.0
"""Seconds after which it is stored how far we are, though nothing has happened that would be."""


class Switchboard:
    """`rules()` gives what applies now (None while no portal is set). `stored(portal)` is called after each transaction
    that left steps for it, `to_convert()` after one that left recordings. `layouts`: where those lie whose names the PBX
    does not tell. `before(call)`: what is to be told of the call that was before anything was planned for it."""

    def __init__(
        self,
        pbx: str,
        tracker: Tracker,
        database: Database,
        rules: Callable[[], PortalRules | None],
        clicks: ClickBook,
        stored: Callable[[str], None],
        to_convert: Callable[[], None],
        absence: Absence,
        *,
        layouts: Sequence[str] = (),
        clock: Callable[[], float],
        hooks: CallHooks | None = None,
        hold: Callable[[StepDraft], StepDraft] = lambda step: step,
        before: Callable[[str], Sequence[Reason]] = lambda call: (),
    ) -> None:
        self.pbx = pbx
        self.tracker = tracker
        self._absence = absence
        self._database = database
        self._rules = rules
        self._clicks = clicks
        self._ledger = Ledger(pbx, database, clicks, layouts=layouts, clock=clock, hold=hold)
        self._stored = stored
        self._to_convert = to_convert
        self._clock = clock
        self._hooks = hooks
        self._told_before = before
        self.recent: deque[Event] = deque(maxlen=MOST_RECENT)
        self.held = Held(self._decide_asking)
        self._plans: dict[str, PlanState] = {}
        self._turn = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._begun: deque[str] = deque(maxlen=1000)
        self._until = 0.0  # the PBX's clock
        self._ahead = 0.0  # of the PBX's clock before ours
        self._followed: dict[str, float] = {}
        self._met: set[str] = set()  # calls that were going on when we began to listen
        self.startup = ""
        self.last_event: float | None = None

    @property
    def ahead(self) -> float:
        """Seconds by which the PBX's clock is before ours."""
        return self._ahead

    @property
    def live_calls(self) -> int:
        return len(self._plans)

    async def restore(self) -> None:
        """The calls that were under way when we stopped. Before the first snapshot."""
        async with self._database.read() as conn:
            rows = await calls.load_live(conn, self.pbx)
            known = await progress.load(conn, self.pbx)
        if known is not None:
            self._until, self.startup = known.until, known.startup
        self.tracker.restore(dict(row.state) for row in rows)
        for row in rows:
            state = self._plans[row.id] = PlanState.from_json(row.plan)
            self._notice(state)
            self._followed[row.id] = float(row.state.get("followed", 0.0)) or self._until
        log.info("calls restored", pbx=self.pbx, live=len(rows))

    async def on_snapshot(self, snapshot: Snapshot, startup: str = "") -> None:
        """`startup`: when the PBX was started, in its own words."""
        async with self._turn:
            self.startup = startup or self.startup
            self._ahead = snapshot.at - self._clock() if snapshot.at else 0.0
            self._heed_set_back(snapshot.at)
            missed: list[Event] = []
            if self._until and snapshot.at:
                missed = await self._absence.events(self.tracker, self._until, self._followed, snapshot)
            if snapshot.restarted:
                at = _moment(self.startup, snapshot.at)
                await self._catch_up([event for event in missed if event.at < at])
                await self._record(await self._absence.recorded(self._resync(_nothing(at))))
                missed = [event for event in missed if event.at >= at]
                snapshot = replace(snapshot, restarted=False)
            await self._catch_up(missed)
            self._until = max(self._until, snapshot.at)
            self._followed.clear()
            facts = await self._absence.recorded(self._resync(snapshot))
            self._met = {call.id for call in self.tracker.live()}
            await self._record(facts)
            if not facts:
                await self._remember()
        self._tell()

    def _heed_set_back(self, at: float) -> None:
        """`at`: what the PBX's clock says now, 0 where it says nothing."""
        if not at or self._until <= at + FUTURE:
            return
        log.warning("the PBX's clock was set back", pbx=self.pbx, seconds=round(self._until - at))
        self._until = self._ledger.kept_until = at - SET_BACK
        self._followed = {call: min(until, self._until) for call, until in self._followed.items()}

    async def _catch_up(self, events: Sequence[Event]) -> None:
        for start in range(0, len(events), MOST_AT_ONCE):
            facts: list[Fact] = []
            for event in events[start : start + MOST_AT_ONCE]:
                facts += self._feed(event)
            await self._record(await self._absence.recorded(facts))

    async def on_events(self, events: list[Event]) -> None:
        async with self._turn:
            facts: list[Fact] = []
            self.recent.extend(events)
            for event in events:
                facts += self._feed(event)
            self.last_event = self._clock()
            await self._record(await self._with_untold(facts))
            if self._until > self._ledger.kept_until + REMEMBER:
                await self._remember()
        self._tell()

    async def _with_untold(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        """A call that was going on when we began to listen may have got its recording before; the snapshot does not tell
        that of a channel that ends while the PBX draws it up."""
        over = {fact.call: fact for fact in facts if isinstance(fact, CallEnded) and fact.call in self._met}
        if not over:
            return facts
        self._met -= over.keys()
        told = {fact.call: fact for fact in await self._absence.recorded(list(over.values()))}
        return [told[fact.call] if isinstance(fact, CallEnded) and fact.call in told else fact for fact in facts]

    async def expect(self, expected: ExpectedCall) -> None:
        """A call that we are about to place."""
        async with self._turn:
            await self._record(self.tracker.expect(expected))

    async def forget(self, uniqueid: str) -> None:
        """The call that we wanted to place did not come about."""
        async with self._turn:
            self.tracker.forget(uniqueid)

    async def pick_up(self, uniqueid: str) -> bool:
        """The employee has come to the phone for the order placed under this ChannelId: the portal is told from now on.
        False when the call is over already."""
        picked_up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        async with self._turn:
            call = next((call for call, state in self._plans.items() if _expected(state) == uniqueid), "")
            rules = self._rules()
            if rules is None or self.tracker.call(call) is None:
                return False
            taken = replace(self._take(call, [], asking=True), picked_up=picked_up)
            if self._asks(rules) or self.held.has(call):
                await self.held.put(call, taken)
            else:
                state, decisions = pick_up(self._plans[call], self._now(), rules.policy, rules.people)
                await self._finish([self._round(call, taken, state, decisions, rules)], rules)
                picked_up.set_result(True)
        self._tell()
        return await picked_up

    def _now(self) -> float:
        """By the PBX's clock."""
        return self._clock() + self._ahead

    def going_on(self, uniqueid: str) -> bool:
        """Whether the call placed by us under this ChannelId is not over yet."""
        return any(_expected(state) == uniqueid for state in self._plans.values())

    def began(self, uniqueid: str) -> bool:
        """Whether the call placed by us under this ChannelId has been seen to begin (it may be over since)."""
        return uniqueid in self._begun

    def on_progress(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener` after every round; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def _notice(self, state: PlanState) -> None:
        if state.started is not None and state.started.expected and state.started.expected not in self._begun:
            self._begun.append(state.started.expected)

    def _feed(self, event: Event) -> list[Fact]:
        if event.at <= self._clock() + self._ahead + FUTURE:
            self._until = max(self._until, event.at)
        try:
            return self.tracker.feed(event)
        except Exception:
            # A defect in one call never stops the next.
            log.exception("tracker failed on an event", pbx=self.pbx, event_name=event.name, headers=dict(event.headers))
            return []

    def _resync(self, snapshot: Snapshot) -> list[Fact]:
        try:
            return self.tracker.resync(snapshot)
        except Exception:
            log.exception("tracker failed on a snapshot", pbx=self.pbx, channels=len(snapshot.channels))
            return []

    async def _record(self, facts: Sequence[Fact]) -> None:
        if not facts:
            return
        rules = self._rules()
        asking = self._asks(rules)
        rounds: list[Round] = []
        for call, told in _by_call(facts):
            try:
                taken = self._take(call, told, asking=asking)
                if asking or self.held.has(call):
                    await self.held.put(call, taken)
                    continue
                rounds.append(self._decide(call, taken, rules))
            except Exception:
                log.exception("planner failed on a call", pbx=self.pbx, call=call, facts=[str(fact) for fact in told])
        await self._finish(rounds, rules)

    def _asks(self, rules: PortalRules | None) -> bool:
        return self._hooks is not None and self._hooks.active and rules is not None

    async def _finish(self, rounds: Sequence[Round], rules: PortalRules | None) -> None:
        """Stores what was decided, and tells whoever goes on with it."""
        for done in await self._ledger.keep(rounds, rules, self._reached()):
            self._ledger.tell(done)
            self._notice(done.plan)
            if done.row.live:
                self._plans[done.row.id] = done.plan
            else:
                self._plans.pop(done.row.id, None)
        if rules is not None and any(done.steps or (done.ended and rules.policy.missed) for done in rounds):
            self._stored(rules.portal)
        if any(done.recordings for done in rounds):
            self._to_convert()

    def _take(self, call: str, facts: list[Fact], *, asking: bool) -> Taken:
        ended = next((fact for fact in facts if isinstance(fact, CallEnded)), None)
        if ended is not None:
            return Taken(tuple(facts), {}, ended.record)
        state = {**self.tracker.export(call), "followed": self._until}
        return Taken(tuple(facts), state, self.tracker.call(call) if asking else None)

    def _decide(self, call: str, taken: Taken, rules: PortalRules | None) -> Round:
        state, of_click = self._before(call, taken)
        if rules is None:
            started = next((fact for fact in taken.facts if isinstance(fact, CallStarted)), state.started)
            return self._round(call, taken, replace(state, started=started), of_click, rules)
        state, decisions = plan(state, taken.facts, rules.policy, rules.people)
        return self._round(call, taken, state, [*of_click, *decisions], rules)

    async def _decide_asking(self, call: str, taken: Taken) -> None:
        """The same with the hooks asked, and stored."""
        rules = self._rules()
        try:
            if rules is None or self._hooks is None:
                done = self._decide(call, taken, rules)
            elif taken.picked_up is not None:
                state, at = self._plans.get(call, PlanState()), self._now()
                state, decisions = await self._hooks.pick_up(state, at, rules.policy, rules.people, taken.seen)
                done = self._round(call, taken, state, decisions, rules)
            else:
                state, of_click = self._before(call, taken)
                state, decisions = await self._hooks.plan(state, taken.facts, rules.policy, rules.people, taken.seen)
                done = self._round(call, taken, state, [*of_click, *decisions], rules)
        except Exception as error:
            log.exception("planner failed on a call", pbx=self.pbx, call=call, facts=[str(fact) for fact in taken.facts])
            if taken.picked_up is not None and not taken.picked_up.done():
                taken.picked_up.set_exception(error)
            return
        await self._finish([done], rules)
        if taken.picked_up is not None and not taken.picked_up.done():
            taken.picked_up.set_result(True)
        self._tell()

    def _before(self, call: str, taken: Taken) -> tuple[PlanState, list[Decision]]:
        """What was planned for the call so far, and what is known of the click that it came of."""
        state = self._plans.get(call, PlanState())
        of_click: list[Decision] = []
        for fact in taken.facts:
            if isinstance(fact, CallStarted) and (click := self._clicks.expected(fact.expected)):
                state = replace(state, portal_call=click.portal_call, shown=(click.user_id,), call_list=click.call_list)
            elif isinstance(fact, CallStarted) and (order := self._clicks.ordered(fact.expected)):
                state = replace(state, order=order)
            if isinstance(fact, CallStarted):
                of_click += [Decision(reason) for reason in self._clicks.reasons(fact.expected)]
        return state, of_click

    def _round(
        self, call: str, taken: Taken, state: PlanState, decisions: Sequence[Decision], rules: PortalRules | None
    ) -> Round:
        told_before = () if taken.ended is None else [Decision(note) for note in self._told_before(call)]
        return self._ledger.entry(call, taken, state, [*told_before, *decisions], rules, self._ahead)

    async def _remember(self) -> None:
        """How far we are, when no call has anything new to be stored."""
        await self._ledger.store((), None, self._reached())

    def _reached(self) -> Progress:
        return Progress(min(self._until, self.held.oldest), self.startup)


def _nothing(at: float) -> Snapshot:
    """The PBX at the moment in which it has been started anew."""
    return Snapshot(at=at, channels=(), bridges={}, waiting={}, restarted=True)


def _moment(startup: str, latest: float) -> float:
    """When the PBX was started; it tells that in its local time, taken for ours."""
    try:
        return min(datetime.fromisoformat(startup).timestamp(), latest)
    except (ValueError, OverflowError):
        return latest


def _expected(state: PlanState) -> str:
    return state.started.expected if state.started is not None else ""


def _by_call(facts: Iterable[Fact]) -> list[tuple[str, list[Fact]]]:
    grouped: dict[str, list[Fact]] = {}
    for fact in facts:
        grouped.setdefault(fact.call, []).append(fact)
    return list(grouped.items())
