"""What would be decided on recorded facts by other settings: for `perezvon replay`, and for the page of a call. Asks no
portal, no PBX; the hooks only where they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perezvon.calls import Call, CallEnded, Fact
from perezvon.rules import Decision, People, PlanState, Policy, plan
from perezvon.rules.missed import Missed, after
from perezvon.rules.recordings import mode_of
from perezvon.service.hooks import CallHooks

Told = tuple[list[Fact], Mapping[str, Call | None]]
"""Facts, and the calls that they tell of as they are then; None where no hook is to be asked."""


async def decided(rounds: Iterable[Told], policy: Policy, people: People, hooks: CallHooks) -> dict[str, list[Decision]]:
    """By call, as the hooks want it."""
    story = _Story(policy, people)
    for facts, calls in rounds:
        for call, told in by_call(facts):
            state = story.state(call)
            if hooks.active:
                planned = await hooks.plan(state, told, policy, people, calls[call])
            else:
                planned = plan(state, told, policy, people)
            story.goes_on(call, told, planned)
    return story.decided


def replayed(
    rounds: Iterable[Told], policy: Policy, people: People, begun: Mapping[str, PlanState]
) -> dict[str, list[Decision]]:
    """The same without hooks. `begun`: what is known of a call before its first fact (a click, an order)."""
    story = _Story(policy, people, begun)
    for facts, _ in rounds:
        for call, told in by_call(facts):
            story.goes_on(call, told, plan(story.state(call), told, policy, people))
    return story.decided


def by_call(facts: Iterable[Fact]) -> list[tuple[str, list[Fact]]]:
    grouped: dict[str, list[Fact]] = {}
    for fact in facts:
        grouped.setdefault(fact.call, []).append(fact)
    return list(grouped.items())


class _Story:
    """What was decided so far, of each call and of each client who was missed."""

    def __init__(self, policy: Policy, people: People, begun: Mapping[str, PlanState] | None = None) -> None:
        self.decided: dict[str, list[Decision]] = {}
        self._policy = policy
        self._people = people
        self._states = dict(begun or {})
        self._missed: dict[str, Missed] = {}

    def state(self, call: str) -> PlanState:
        return self._states.get(call, PlanState())

    def goes_on(self, call: str, told: Iterable[Fact], planned: tuple[PlanState, list[Decision]]) -> None:
        self._states[call], decisions = planned
        decided = self.decided.setdefault(call, [])
        decided += decisions
        for ended in (fact for fact in told if isinstance(fact, CallEnded)):
            if ended.record.answered is not None and ended.record.recordings and _kept(self._states[call]):
                decided.append(Decision(mode_of(self._policy.line_of(ended.record), self._policy)[1]))
            client = ended.record.client
            row, reason, step = after(self._missed.get(client), ended.record, "portal", self._policy, self._people)
            self._missed.update({} if row is None else {client: row})
            if reason is not None:
                decided.append(Decision(reason, () if step is None else (step,)))


def _kept(state: PlanState) -> bool:
    """Whether a recording of the call goes anywhere at all."""
    return (state.registered or bool(state.portal_call)) and not state.recording_stays
