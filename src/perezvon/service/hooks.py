"""The integrator's hooks on what is planned for a call: between the facts and the steps, before anything is stored.

Everything else plans as if there were none: `CallHooks.plan` has the shape of `rules.plan`. What hooks change is told in
decisions of its own, so that the call's page (and a replay of what was decided) shows whose doing it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perezvon.calls import Call, CallEnded, Fact
from perezvon.calls.facts import Answered, CallStarted, LeftTalk, Ringing, StoppedRinging, Transferred
from perezvon.customisation import Answer, Customiser, Fate, Point, call_data
from perezvon.customisation.points import CallData, Stage
from perezvon.rules import Decision, Kind, People, PlanState, Policy, Reason, Ref, StepDraft, pick_up, plan
from perezvon.rules.orders import Ordered, answer_of
from perezvon.rules.vocabulary import Priority

OF_STEPS = {
    Kind.REGISTER: Point.PROCESS_REGISTRATION_PARAMS,
    Kind.SHOW: Point.CUSTOMIZE_SHOW_CALL_CARD,
    Kind.FINISH: Point.PROCESS_FINAL_PARAMS,
}
OF_CALLS = frozenset(
    {
        *OF_STEPS.values(),
        Point.NEED_REGISTRATION,
        Point.PROCESS_CLIENT_PHONE,
        Point.PROCESS_USER_PHONE,
        Point.CUSTOMIZE_ACTIVITY,
        Point.CUSTOMIZE_ENTITY,
    }
)
"""The points that are asked here."""

ROUNDS = 4.0
"""All hooks before a card together take no longer than so many times what one of them may take."""

BY_HOOKS = "customisation"
"""For what a call was left out, beside the filters."""

MOST_CALLS = 5000
"""Calls whose extensions are remembered."""

NOT_REGISTERED = Reason("not registered: customisation {point} says so", {"point": Point.NEED_REGISTRATION.value})
LOOKED_AT = Reason("customisation {point} is asked about the call's CRM object", {"point": Point.CUSTOMIZE_ENTITY.value})

Planned = tuple[PlanState, list[Decision]]


class CallHooks:
    """`customiser` is asked; what it was told of employees' numbers is remembered as long as their call goes on."""

    def __init__(self, pbx: str, customiser: Customiser) -> None:
        self._pbx = pbx
        self._customiser = customiser
        self._extensions: dict[str, dict[str, str]] = {}

    @property
    def active(self) -> bool:
        return self._customiser.wants_any(OF_CALLS)

    async def plan(
        self, state: PlanState, facts: Sequence[Fact], policy: Policy, people: People, call: Call | None
    ) -> Planned:
        """`call`: as it is now; None when it is not known, and then no hook is asked."""
        if call is None or not facts:
            return plan(state, facts, policy, people)
        asked = _Asked(self._customiser, call_data(call, self._pbx), _stage(facts))
        people = await self._people(asked, facts, people)

        def work(policy: Policy) -> Planned:
            return plan(state, facts, policy, people)

        planned, decisions = await self._planned(asked, state, policy, work, ended=_over(facts))
        if _over(facts):
            self._extensions.pop(call.id, None)
            decisions += _robot_answered(state, facts)
        return planned, decisions

    async def pick_up(self, state: PlanState, at: float, policy: Policy, people: People, call: Call | None) -> Planned:
        """The same for an employee who has come to the phone for a callback form. `at`: POSIX seconds."""
        if call is None:
            return pick_up(state, at, policy, people)
        asked = _Asked(self._customiser, call_data(call, self._pbx), "conversation_requested")
        people = await self._people(asked, (), people)
        return await self._planned(asked, state, policy, lambda policy: pick_up(state, at, policy, people), ended=False)

    async def _planned(
        self, asked: _Asked, state: PlanState, policy: Policy, work: Callable[[Policy], Planned], *, ended: bool
    ) -> Planned:
        """`work` plans by a policy, as if there were no hooks."""
        planned, decisions = work(policy)
        registers = any(step.kind is Kind.REGISTER for made in decisions for step in made.steps)
        notes: list[Decision] = []
        refused = False
        if registers and not state.registered and self._customiser.wants(Point.NEED_REGISTRATION):
            answer = await asked.ask(Point.NEED_REGISTRATION, {})
            notes += _noted(answer)
            if answer.fate is Fate.CHANGED and answer.value is False:
                refused = True
                planned, decisions = work(replace(policy, register=False))
                notes.append(Decision(NOT_REGISTERED))
        registered = planned.registered
        planned, changed = await _customised(asked, planned, decisions, ended=ended)
        if ended:
            cancelled = state.finished or registered
            if (refused or cancelled) and not (planned.registered or planned.portal_call):
                planned = replace(planned, left_out=planned.left_out or BY_HOOKS)
        return planned, [*notes, *changed]

    async def _people(self, asked: _Asked, facts: Sequence[Fact], people: People) -> People:
        """With the extensions under which the portal knows whoever the facts name."""
        if not self._customiser.wants(Point.PROCESS_USER_PHONE):
            return people
        if len(self._extensions) > MOST_CALLS:  # of calls whose end no hook was told of
            self._extensions.clear()
        known = self._extensions.setdefault(asked.call["id"], {})
        for extension in dict.fromkeys(_extensions(facts)):
            if extension not in known:
                answer = await asked.ask(Point.PROCESS_USER_PHONE, {"phone": extension})
                known[extension] = answer.value
        others = {extension: there for extension, there in known.items() if there != extension}
        if not others:
            return people
        users = {extension: people.user(there) for extension, there in others.items()}
        names = {extension: people.names[there] for extension, there in others.items() if there in people.names}
        return People({**people.users, **users}, {**people.names, **names})


def _robot_answered(state: PlanState, facts: Sequence[Fact]) -> list[Decision]:
    """A robot is answered also where the registration was cancelled in an earlier round, which ends all planning."""
    order = state.order
    if not state.finished or order is None or order.ordered is not Ordered.ROBOT or not order.token:
        return []
    steps = [answer_of(order, fact.record) for fact in facts if isinstance(fact, CallEnded)]
    return [Decision(step.reason, (step,)) for step in steps]


class _Asked:
    """The hooks of one round: what they are told of the call, and the time that they have together."""

    def __init__(self, customiser: Customiser, call: CallData, stage: Stage) -> None:
        self.customiser = customiser
        self.call = call
        self._stage: Stage = stage
        self._deadline = asyncio.get_running_loop().time() + ROUNDS * customiser.limits.urgent

    async def ask(self, point: Point, more: Mapping[str, Any]) -> Answer:
        data = {"call": self.call, "stage": self._stage, **more}
        deadline = None if self._stage == "call_ended" else self._deadline
        return await self.customiser.ask(point, data, call=self.call["id"], deadline=deadline)


async def _customised(asked: _Asked, state: PlanState, decisions: Iterable[Decision], *, ended: bool) -> Planned:
    """Each step as the hooks want it. What refers to a step that was cancelled goes with it."""
    made: list[Decision] = []
    gone = _Gone()
    finish: StepDraft | None = None
    described: set[str] = set()
    for decision in decisions:
        steps: list[StepDraft] = []
        notes: list[Decision] = []
        for step in decision.steps:
            if gone.with_(step):
                continue
            taken, said = await _step(asked, step)
            notes += said
            if taken is None:
                gone.add(step)
                if step.kind is Kind.REGISTER:
                    state = replace(state, finished=True, registered=False, shown=())
                continue
            steps.append(taken)
            finish = taken if taken.kind is Kind.FINISH else finish
            if taken.kind is Kind.DESCRIBE:
                described |= {value.key for value in taken.params.values() if isinstance(value, Ref)}
        if steps or not decision.steps:
            made.append(replace(decision, steps=tuple(steps)))
        made += notes
    if ended and finish is not None:
        if finish.key not in described and not gone.described(finish.key):
            made += await _activity_of(asked, finish)
        if asked.customiser.wants(Point.CUSTOMIZE_ENTITY):
            made.append(Decision(LOOKED_AT, (_entity(finish),)))
    return state, made


class _Gone:
    """Steps of this round that were cancelled."""

    def __init__(self) -> None:
        self._kinds: set[Kind] = set()
        self._keys: set[str] = set()
        self._described: set[str] = set()

    def add(self, step: StepDraft) -> None:
        self._keys.add(step.key)
        if step.kind is Kind.DESCRIBE:
            self._described |= {ref.key for ref in _refs(step)}
        else:
            self._kinds.add(step.kind)

    def with_(self, step: StepDraft) -> bool:
        refs = _refs(step)
        lost = any(ref.key in self._keys if ref.key else ref.kind in self._kinds for ref in refs)
        if lost:
            self._keys.add(step.key)
        return lost

    def described(self, finish: str) -> bool:
        return finish in self._described


async def _step(asked: _Asked, step: StepDraft) -> tuple[StepDraft | None, list[Decision]]:
    """None for a step that is cancelled."""
    notes: list[Decision] = []
    if step.kind is Kind.DESCRIBE:
        return await _activity(asked, step)
    point = OF_STEPS.get(step.kind)
    if point is None:
        return step, notes
    params = {name: value for name, value in step.params.items() if not isinstance(value, Ref)}
    refs = {name: value for name, value in step.params.items() if isinstance(value, Ref)}
    if step.kind is Kind.REGISTER:
        answer = await asked.ask(Point.PROCESS_CLIENT_PHONE, {"phone": params["PHONE_NUMBER"]})
        notes += _noted(answer)
        params["PHONE_NUMBER"] = answer.value
    answer = await asked.ask(point, {"params": params})
    notes += _noted(answer)
    if answer.cancelled:
        return None, notes
    return replace(step, params={**answer.value, **refs}), notes


async def _activity(asked: _Asked, step: StepDraft) -> tuple[StepDraft | None, list[Decision]]:
    answer = await asked.ask(Point.CUSTOMIZE_ACTIVITY, {"fields": step.params["fields"]})
    if answer.cancelled:
        return None, _noted(answer)
    return replace(step, params={**step.params, "fields": answer.value}), _noted(answer)


async def _activity_of(asked: _Asked, finish: StepDraft) -> list[Decision]:
    """Of a call whose activity we have nothing to tell: whether the hook has."""
    answer = await asked.ask(Point.CUSTOMIZE_ACTIVITY, {"fields": {}})
    if answer.fate is not Fate.CHANGED or answer.note is None:
        return _noted(answer) if answer.fate is Fate.FAILED else []
    ref = Ref(Kind.FINISH, "CRM_ACTIVITY_ID", finish.key)
    step = StepDraft(
        f"{finish.key}:describe", Kind.DESCRIBE, {"id": ref, "fields": answer.value}, Priority.CRM, answer.note
    )
    return [Decision(answer.note, (step,))]


def _entity(finish: StepDraft) -> StepDraft:
    ref = Ref(Kind.FINISH, "CRM_ENTITY_ID", finish.key)
    return StepDraft(f"{finish.key}:entity", Kind.ENTITY, {"id": ref}, Priority.CRM, LOOKED_AT)


def _refs(step: StepDraft) -> list[Ref]:
    return [value for value in step.params.values() if isinstance(value, Ref)]


def _noted(answer: Answer) -> list[Decision]:
    return [Decision(answer.note)] if answer.note is not None else []


def _over(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, CallEnded) for fact in facts)


def _stage(facts: Sequence[Fact]) -> Stage:
    if _over(facts):
        return "call_ended"
    if any(isinstance(fact, Answered) for fact in facts):
        return "conversation_accepted"
    return "conversation_ended" if any(isinstance(fact, LeftTalk) for fact in facts) else "conversation_requested"


def _extensions(facts: Sequence[Fact]) -> list[str]:
    """Of employees, as the PBX names them."""
    found: list[str] = []
    for fact in facts:
        match fact:
            case CallStarted(extension=extension) | Ringing(extension=extension) | Answered(extension=extension):
                found.append(extension)
            case StoppedRinging(extension=extension) | LeftTalk(extension=extension):
                found.append(extension)
            case Transferred(from_=from_):
                found.append(from_)
            case CallEnded(record=record):
                found += [*record.rung, *record.talkers, record.forwarded_by]
            case _:
                pass
    return [extension for extension in found if extension]
