"""How a portal call ends: whom it is finished for, with which status, and what its activity will tell. Pure.

With `transfers="each"` a completed transfer ends the portal call of whoever talked so far (turns.py); else all end with the
call itself.

Source: the telephony tutorial of the Bitrix24 REST documentation.
"""

from __future__ import annotations

from dataclasses import replace

from perezvon.calls.call import Call, Direction, Outcome
from perezvon.calls.facts import CallEnded, Transferred
from perezvon.rules.account import DESCRIBED, LEFT_OUT, account, describe_own, legs_of, ordered
from perezvon.rules.after_call import after_call
from perezvon.rules.left_out import heard, known_people, recording_left_out, tell_left_out, turn_left_out
from perezvon.rules.notes import pass_on
from perezvon.rules.numbers import PHONE
from perezvon.rules.policy import People, Policy
from perezvon.rules.portal_call import call_id, left_to_portal, push, register
from perezvon.rules.responsible import or_fallback, responsible, responsible_in
from perezvon.rules.state import PlanState
from perezvon.rules.triggers import pulled
from perezvon.rules.turns import following
from perezvon.rules.vocabulary import Decision, Kind, Priority, Reason, StepDraft

STATUS_CODE = {
    Outcome.ANSWERED: "200",
    Outcome.MISSED: "304",
    Outcome.BUSY: "486",
    Outcome.NO_ANSWER: "480",
    Outcome.CANCELLED: "603-S",
    Outcome.FAILED: "503",
}


def finish_key(portal_call: str) -> str:
    """One key for both ways in which a click may end, so that it is finished once."""
    return f"click:{portal_call}:finish"


def refuse_click(portal_call: str, user: str, status: str, reason: Reason) -> StepDraft:
    """The finish of a click on a number that could not even ring the employee's phone: the portal's card must not hang."""
    return StepDraft(
        key=finish_key(portal_call),
        kind=Kind.FINISH,
        params={"CALL_ID": portal_call, "USER_ID": int(user), "DURATION": 0, "STATUS_CODE": status, "ADD_TO_CHAT": 0},
        priority=Priority.FINISH,
        reason=reason,
    )


def give_away(state: PlanState, fact: Transferred, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """A transfer ends the turn: its portal call is finished for who made the transfer, with his own talk."""
    turn = state.turn
    if why := turn_left_out(state, None, policy, people):
        decisions = [Decision(why.reason)]
    else:
        known = known_people(state, policy, people)
        user, reason, unmapped = or_fallback(
            fact.from_, "{extension} has passed the client on: this portal call is over", policy, known
        )
        since = turn.since if turn.since is not None else fact.at
        state, decisions = _close(
            state, user, _seconds(fact.at - since), "200", reason, policy, people, unmapped, at=fact.at, passed_on=True
        )
        state = replace(state, notes=pass_on(state.notes, fact.at))
    talking = tuple(extension for extension in state.talking if extension != fact.from_)
    ringing = [extension for _, extension in state.ringing]
    return replace(state, talking=talking, turn=following(turn, fact, talking, ringing)), decisions


def finish_call(state: PlanState, ended: CallEnded, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    started = state.started
    assert started is not None
    call = ended.record
    if left_to_portal(state, policy):
        why = Reason("left to the portal: it writes down the calls of its own SIP line itself")
        decisions = [Decision(why), *_described_there(state, ended, policy, people)]
        return replace(state, finished=True, ringing=(), talking=()), decisions
    if why := turn_left_out(state, call, policy, people):
        state, decisions = tell_left_out(state, why)
    elif state.turn.later:
        state, decisions = _finish_later_turn(state, call, ended.at, policy, people)
    else:
        _, known_call, known = heard(state, call, policy, people)
        user, reason, unmapped = responsible(known_call, started, policy, known)
        duration = _seconds(call.duration) if call.answered is not None else 0
        status = STATUS_CODE[call.outcome or Outcome.FAILED]
        if duration == 0 and status == "200":
            status = "304"
        state, decisions = _close(state, user, duration, status, reason, policy, people, unmapped, at=ended.at, whole=call)
    if state.told and call.recordings and (why := recording_left_out(state, call, policy, people)):
        state = replace(state, recording_stays=True)
        decisions.append(Decision(why.recording_stays))
    decisions += [Decision(wanted.reason, wanted.steps) for wanted in after_call(state, call, policy, people)]
    if policy.triggers and call.direction is Direction.INCOMING and state.told:
        steps = pulled(policy.triggers, state.pressed, f"{started.call}:finish", state.missed)
        decisions += [Decision(step.reason, (step,)) for step in steps]
    return replace(state, finished=True, ringing=(), talking=()), decisions


def _described_there(state: PlanState, ended: CallEnded, policy: Policy, people: People) -> list[Decision]:
    """In the portal's own activity. It is found by the client's number only."""
    started = state.started
    assert started is not None
    if not state.notes or policy.telling is None or not PHONE.fullmatch(started.client):
        return []
    told = account(state.notes, ended.at, people, policy.telling)
    step = describe_own(started.call, started.client, started.at, ended.at, told)
    return [Decision(DESCRIBED, (step,))]


def _finish_later_turn(
    state: PlanState, call: Call, at: float, policy: Policy, people: People
) -> tuple[PlanState, list[Decision]]:
    """Of a client who was passed on and whom nobody took there is a missed call: for who was rung last, else for who had
    passed him on."""
    turn = state.turn
    if not (turn.registered or turn.rung or turn.talkers) and call.third_parties:
        return state, [Decision(Reason("passed on to somebody outside: no further portal call"))]
    known_state, known_call, known = heard(state, call, policy, people)
    user, reason, unmapped = responsible_in(known_state.turn, known_call, policy, known)
    if turn.since is None:
        status = STATUS_CODE[Outcome.MISSED if call.direction is Direction.INCOMING else Outcome.NO_ANSWER]
        return _close(state, user, 0, status, reason, policy, people, unmapped, at=at)
    ended = call.ended if call.ended is not None else turn.since
    return _close(state, user, _seconds(ended - turn.since), "200", reason, policy, people, unmapped, at=at)


def _close(
    state: PlanState,
    user: str,
    duration: int,
    status: str,
    reason: Reason,
    policy: Policy,
    people: People,
    unmapped: tuple[str, ...],
    *,
    at: float,
    passed_on: bool = False,
    whole: Call | None = None,
) -> tuple[PlanState, list[Decision]]:
    """Finish the present turn's portal call, which is registered for that if it was not yet; leave no card up. `at`: the
    moment when the turn was over. `whole`: the call, where this is its only portal call."""
    started = state.started
    assert started is not None
    decisions: list[Decision] = []
    if not state.turn_told:
        why = Reason("the call ended before anybody could be shown its card")
        state, decisions = register(state, user, policy, people, why)
    left = tuple(shown for shown in state.shown if shown != user)
    if left:
        why = Reason("the call is over: no card for {users}", {"users": ", ".join(left)})
        decisions.append(Decision(why, (push(Kind.HIDE, state, left, why),)))
    of_click = state.portal_call and not state.turn.later
    step = StepDraft(
        key=finish_key(state.portal_call) if of_click else f"{started.call}:finish{state.turn.suffix}",
        kind=Kind.FINISH,
        params={
            "CALL_ID": call_id(state, by_name=passed_on),
            "USER_ID": int(user),
            "DURATION": duration,
            "STATUS_CODE": status,
            "ADD_TO_CHAT": int(policy.chat.report),
        },
        priority=Priority.FINISH,
        reason=reason,
    )
    decisions.append(Decision(reason, (step,), unmapped=unmapped))
    if status == STATUS_CODE[Outcome.MISSED] and started.direction is Direction.INCOMING:
        state = replace(state, missed=step.key)
    legs = legs_of(whole) if whole is not None else ()
    words = state.order.text if state.order is not None and not state.turn.later else ""
    if words and policy.telling is not None:
        told = ordered(words, policy.telling)
        if state.notes or legs:
            told += f"\n\n{account(state.notes, at, people, policy.telling, legs)}"
        state = replace(state, accounts=(*state.accounts, (step.key, told)))
    elif state.notes and policy.telling is None:
        decisions.append(Decision(LEFT_OUT))
    elif (state.notes or legs) and policy.telling is not None:
        told = account(state.notes, at, people, policy.telling, legs)
        state = replace(state, accounts=(*state.accounts, (step.key, told)))
    finishes = (*state.finishes, (step.key, user))
    return replace(state, shown=(), pushes=state.pushes + 1, finishes=finishes), decisions


def _seconds(talk: float) -> int:
    """Whole seconds as the portal counts them: a talk of a third of a second is still an answered call."""
    return max(1, round(talk))
