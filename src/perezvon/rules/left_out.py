"""What the filters (filters.py) mean for a call under way: what is not told of it, whom it shows no card. Pure.

One exception from them all: who clicked on a number in the portal has the call there already, with its card. That call is
followed for him and finished, whoever and whomever he calls; its recording stays here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from perezvon.calls.call import Call, Direction
from perezvon.calls.facts import CallStarted, Fact, Ringing
from perezvon.rules.filters import LeftOut
from perezvon.rules.policy import People, Policy
from perezvon.rules.state import PlanState
from perezvon.rules.vocabulary import Decision


def call_left_out(state: PlanState, policy: Policy) -> LeftOut | None:
    """Why the portal should know nothing of the call: for its client, or its line."""
    started = state.started
    if started is None:
        return None
    return policy.filters.call(started, policy.line(started.line, started.line_raw, started.trunk).number)


def tell_left_out(state: PlanState, why: LeftOut) -> tuple[PlanState, list[Decision]]:
    """What is told of it: once that the portal never hears of the call."""
    if state.told:  # in an earlier turn
        return state, [Decision(why.reason)]
    return replace(state, left_out=why.setting), [Decision(why.reason, left_out=why.setting)]


def employee_left_out(extension: str, state: PlanState, policy: Policy, people: People) -> LeftOut | None:
    """Why this employee has no card, and is responsible for nothing."""
    return None if extension == _clicked(state) else policy.filters.employee(extension, people.users)


def takes_part(fact: Fact) -> str:
    """The extension that comes into the call with this fact, "" for none."""
    match fact:
        case CallStarted(direction=direction, extension=extension) if direction is not Direction.INCOMING:
            return extension
        case Ringing(extension=extension):
            return extension
        case _:
            return ""


def with_card(extensions: Iterable[str], state: PlanState, policy: Policy, people: People) -> tuple[str, ...]:
    """Those of them who are not left out. An outside number that nobody is known by may be that of one who is, so that it
    counts only when the call has none such."""
    filters = policy.filters
    return tuple(
        extension
        for extension in extensions
        if employee_left_out(extension, state, policy, people) is None
        and (not state.passed_over or extension == _clicked(state) or filters.counts(extension, people.users))
    )


def turn_left_out(state: PlanState, call: Call | None, policy: Policy, people: People) -> LeftOut | None:
    """Why the present turn makes no portal call: its employees are left out. `call`: when it is over."""
    turn, started = state.turn, state.started
    if state.turn_told or started is None:
        return None
    who: Sequence[str] = (*turn.rung, *turn.talkers)
    if turn.later:
        who = who or (turn.giver,)
    elif call is not None:
        placed = (started.extension,) if started.direction is not Direction.INCOMING else ()
        who = (*placed, *call.rung, *call.talkers, call.forwarded_by)
    return policy.filters.nobody_heard(filter(None, who), people.users)


def recording_left_out(state: PlanState, call: Call, policy: Policy, people: People) -> LeftOut | None:
    """Why the recording of a call that is told stays here."""
    return call_left_out(state, policy) or policy.filters.nobody_heard(call.talkers, people.users)


def heard(state: PlanState, call: Call, policy: Policy, people: People) -> tuple[PlanState, Call, People]:
    """As if those who are left out had not been there, for finding who is responsible. Where nobody else talked, whoever
    did stays the last talker."""
    if not policy.filters.extensions:
        return state, call, people

    def of(extensions: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(e for e in extensions if employee_left_out(e, state, policy, people) is None)

    talkers = of(call.talkers)
    last = call.last_talker if not talkers or call.last_talker in talkers else talkers[-1]
    turn = state.turn
    turn = replace(turn, talkers=of(turn.talkers) or turn.talkers, rung=of(turn.rung))
    call = replace(call, talkers=talkers or call.talkers, last_talker=last, rung=of(call.rung))
    return replace(state, turn=turn), call, known_people(state, policy, people)


def known_people(state: PlanState, policy: Policy, people: People) -> People:
    """Without those who are left out."""
    if not policy.filters.extensions:
        return people
    users = dict(policy.filters.heard(people.users))
    if (clicked := _clicked(state)) in people.users:
        users[clicked] = people.users[clicked]
    return replace(people, users=users)


def _clicked(state: PlanState) -> str:
    """Who placed the call by a click in the portal."""
    return state.started.extension if state.portal_call and state.started is not None else ""
