"""What should be done: facts of one call in, decisions with their reasons and the portal's steps out.

Pure, and a reducer like the tracker: `plan(state, facts, policy, people) -> (state, decisions)`. One round gets all facts
of a call that came together, so that five phones that begin to ring are one `show`.

The card: at any moment the users whose phones ring or who talk shall have it on their screens, and nobody else. Each round
compares that with what is shown and asks for the difference (portal_call.py).

What the filters of the settings leave out is not told (left_out.py): no card, no portal call, no lead, no recording.

Of a callback form's attempts (orders.py) only the one in which an employee has come to the phone is told.

With `transfers="each"` a completed transfer finishes the portal call of whoever talked so far (finishing.py), and the next
employee who is rung or talks gets a portal call of his own (turns.py); all of them are steps of the one lane.

Source of the order register, show, hide, finish: the telephony tutorial of the Bitrix24 REST documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from perezvon.calls.call import Direction, LegOutcome
from perezvon.calls.facts import (
    Answered,
    CallEnded,
    CallStarted,
    Connecting,
    Fact,
    LeftTalk,
    Ringing,
    StoppedRinging,
    Transferred,
)
from perezvon.rules.connecting import told_by
from perezvon.rules.finishing import finish_call, give_away
from perezvon.rules.left_out import call_left_out, employee_left_out, takes_part, tell_left_out, with_card
from perezvon.rules.notes import note
from perezvon.rules.orders import HELD, Ordered, answer_of, called
from perezvon.rules.policy import People, Policy
from perezvon.rules.portal_call import left_to_portal, push, register, why_registered
from perezvon.rules.state import PlanState
from perezvon.rules.turns import follow, gives_away
from perezvon.rules.vocabulary import Decision, Kind, Reason


def plan(state: PlanState, facts: Sequence[Fact], policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """One round: the facts of one call that came together. Facts of a finished call change nothing."""
    decisions: list[Decision] = []
    ended: CallEnded | None = None
    for fact in facts:
        if isinstance(fact, Transferred) and _ends_turn(state, fact, policy):
            state, given = give_away(state, fact, policy, people)
            decisions += given
            continue
        state = _seen_at_portal(_remember(state, fact), fact, policy, people)
        state, judged = _judge(state, fact, policy, people)
        decisions += judged
        match fact:
            case Ringing() if state.left_out or judged:
                pass
            case Ringing(channel=channel) if policy.at_portal(channel) and not people.user(fact.extension):
                decisions.append(Decision(Reason("the portal's own line is rung: it shows its card itself")))
            case CallStarted(direction=Direction.INTERNAL) if not policy.internal_calls:
                decisions.append(Decision(Reason("internal call: left out by the settings")))
            case Ringing(extension=extension) if not people.user(extension):
                decisions.append(
                    Decision(
                        Reason("{extension} has no portal user: no card", {"extension": extension}), unmapped=(extension,)
                    )
                )
            case Connecting():
                decisions += [Decision(reason) for reason in told_by(fact)]
            case CallEnded():
                ended = fact
            case _:
                pass
    if ended is not None and state.held and called(ended.record):
        state = replace(state, picked_up=True)
    if not _reported(state, policy):
        return state, [*decisions, *_untold(state, ended)]
    if ended is None:
        state, cards = _cards(state, facts[-1].at, policy, people)
        return state, decisions + cards
    state, final = finish_call(state, ended, policy, people)
    return state, [*decisions, *final, *_answered(state, ended)]


def pick_up(state: PlanState, at: float, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """An employee has come to the phone for a callback form. `at`: POSIX seconds."""
    state = replace(state, picked_up=True)
    return _cards(state, at, policy, people) if _reported(state, policy) else (state, [])


def _untold(state: PlanState, ended: CallEnded | None) -> list[Decision]:
    """Whoever has ordered the call is answered even if the portal never hears of the call itself."""
    if ended is None or state.finished:
        return []
    if state.held and state.order is not None:
        extension = state.started.extension if state.started is not None else ""
        return [Decision(Reason(HELD.text, {"extension": extension}))]
    return _answered(state, ended)


def _answered(state: PlanState, ended: CallEnded) -> list[Decision]:
    if state.order is None or state.order.ordered is not Ordered.ROBOT or not state.order.token:
        return []
    step = answer_of(state.order, ended.record)
    return [Decision(step.reason, (step,))]


def _reported(state: PlanState, policy: Policy) -> bool:
    if state.started is None or state.finished or state.held:
        return False
    if not (policy.register or state.registered or state.portal_call):
        return False
    if not state.turn_told and call_left_out(state, policy):
        return False
    return state.started.direction is not Direction.INTERNAL or policy.internal_calls


def _judge(state: PlanState, fact: Fact, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """What the filters say to a fact. Of a call that is left out for its client or line that is told once."""
    started = state.started
    if started is None or state.finished or (started.direction is Direction.INTERNAL and not policy.internal_calls):
        return state, []
    left_out = None if state.turn_told else call_left_out(state, policy)
    if left_out is not None:
        return (state, []) if state.left_out else tell_left_out(state, left_out)
    state = replace(state, left_out="") if state.left_out else state
    extension = takes_part(fact)
    if not extension or (why := employee_left_out(extension, state, policy, people)) is None:
        return state, []
    return replace(state, passed_over=True), [Decision(why.no_card)]


def _ends_turn(state: PlanState, fact: Transferred, policy: Policy) -> bool:
    if policy.transfers != "each" or not _reported(state, policy) or not gives_away(state.turn, fact):
        return False
    return state.started is not None and state.started.direction is not Direction.INTERNAL


def _remember(state: PlanState, fact: Fact) -> PlanState:
    if (turn := follow(state.turn, fact)) is not state.turn:
        state = replace(state, turn=turn)
    if (notes := note(state.notes, fact)) is not state.notes:
        state = replace(state, notes=notes, pressed=notes if not state.turn.later else state.pressed)
    match fact:
        case CallStarted():
            # Who placed an outgoing call has the client's card from the beginning.
            placed = (fact.extension,) if fact.extension and fact.direction is not Direction.INCOMING else ()
            return replace(state, started=fact, talking=placed)
        case Ringing(channel=channel, extension=extension):
            return replace(state, ringing=(*_without(state.ringing, channel), (channel, extension)))
        case StoppedRinging(channel=channel):
            return replace(state, ringing=_without(state.ringing, channel))
        case Answered(channel=channel, extension=extension):
            talking = state.talking if extension in state.talking else (*state.talking, extension)
            return replace(state, ringing=_without(state.ringing, channel), talking=talking, picked_up=True)
        case LeftTalk(extension=extension):
            return replace(state, talking=tuple(e for e in state.talking if e != extension))
        case _:
            return state


def _seen_at_portal(state: PlanState, fact: Fact, policy: Policy, people: People) -> PlanState:
    """A call that the portal's line could not take at all has not been seen there."""
    if not policy.portal_peers:
        return state
    match fact:
        case CallStarted(channel=channel) if policy.at_portal(channel):
            return replace(state, at_portal=True)
        case Ringing(channel=channel) | Answered(channel=channel) if policy.at_portal(channel):
            return replace(state, at_portal=True)
        case Ringing(extension=extension) | Answered(extension=extension) if people.user(extension):
            return replace(state, desk=True)
        case StoppedRinging(channel=channel, outcome=LegOutcome.FAILED) if policy.at_portal(channel):
            return replace(state, at_portal=False)
        case _:
            return state


def _without(ringing: Iterable[tuple[str, str]], channel: str) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in ringing if pair[0] != channel)


def _cards(state: PlanState, at: float, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """Bring what is on the screens to what should be there."""
    started = state.started
    assert started is not None
    ringing, talking = (
        with_card(extensions, state, policy, people) for extensions in ((e for _, e in state.ringing), state.talking)
    )
    wanted = _users((*ringing, *talking), people)
    if call_left_out(state, policy):
        wanted = tuple(user for user in wanted if user in state.shown)
    decisions: list[Decision] = []
    if left_to_portal(state, policy):
        return state, decisions
    if not state.turn_told:
        owner = wanted[0] if wanted else ""
        if not owner and not talking:
            return state, decisions  # nobody to show it to yet: registered when somebody is rung, or at the end
        owner = owner or policy.fallback_user
        state, registered = register(state, owner, policy, people, why_registered(state, owner, people))
        decisions += registered
    if not policy.show_card:
        return state, decisions
    show = tuple(user for user in wanted if user not in state.shown)
    hide = tuple(user for user in state.shown if user not in wanted)
    if show:
        reason = Reason("the phone rings or the talk goes on: card for {users}", {"users": ", ".join(show)})
        step = push(Kind.SHOW, state, show, reason, expires=at + policy.card_lifetime)
        decisions.append(Decision(reason, (step,)))
        state = replace(state, pushes=state.pushes + 1)
    if hide:
        reason = Reason("neither rung nor talking any more: no card for {users}", {"users": ", ".join(hide)})
        decisions.append(Decision(reason, (push(Kind.HIDE, state, hide, reason),)))
        state = replace(state, pushes=state.pushes + 1)
    return replace(state, shown=wanted), decisions


def _users(extensions: Iterable[str], people: People) -> tuple[str, ...]:
    """Portal users of the extensions, each once, in order."""
    return tuple(dict.fromkeys(user for user in map(people.user, extensions) if user))
