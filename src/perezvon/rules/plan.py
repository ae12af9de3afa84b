"""What should be done: facts of one call in, decisions with their reasons and the portal's steps out.

Pure, and a reducer like the tracker: `plan(state, facts, policy, people) -> (state, decisions)`. One round gets all facts
of a call that came together, so that five phones that begin to ring are one `show`.

The card: at any moment the users whose phones ring or who talk shall have it on their screens, and nobody else. Each round
compares that with what is shown and asks for the difference. `register` never shows a card by itself (SHOW=0): a `show`
step, which may expire, rides in the same batch.

What the filters of the settings leave out is not told (left_out.py): no card, no portal call, no lead, no recording.

A call that somebody has ordered (orders.py) is registered by us in his words; of a callback form's attempts only the one in
which an employee has come to the phone is told.

With `transfers="each"` a completed transfer finishes the portal call of whoever talked so far, and the next employee who is
rung or talks gets a portal call of his own (turns.py); all of them are steps of the one lane.

Source of the order register, show, hide, finish: the telephony tutorial of the Bitrix24 REST documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from perezvon.calls.call import Call, Direction, LegOutcome, Outcome, iso
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
from perezvon.rules.account import DESCRIBED, LEFT_OUT, account, describe_own, legs_of, ordered
from perezvon.rules.after_call import after_call
from perezvon.rules.connecting import told_by
from perezvon.rules.filters import LeftOut
from perezvon.rules.left_out import (
    call_left_out,
    employee_left_out,
    heard,
    known_people,
    recording_left_out,
    takes_part,
    turn_left_out,
    with_card,
)
from perezvon.rules.notes import note, pass_on
from perezvon.rules.numbers import PHONE, Towards, formatted
from perezvon.rules.orders import HELD, Ordered, answer_of, called, registration
from perezvon.rules.policy import People, Policy
from perezvon.rules.responsible import or_fallback, responsible, responsible_in
from perezvon.rules.state import PlanState
from perezvon.rules.triggers import pulled
from perezvon.rules.turns import follow, following, gives_away
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft

CALL_TYPE = {Direction.OUTGOING: 1, Direction.INTERNAL: 1, Direction.INCOMING: 2}

STATUS_CODE = {
    Outcome.ANSWERED: "200",
    Outcome.MISSED: "304",
    Outcome.BUSY: "486",
    Outcome.NO_ANSWER: "480",
    Outcome.CANCELLED: "603-S",
    Outcome.FAILED: "503",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, why, and what the portal is to be asked for. `unmapped`: extensions without a portal user.
    `left_out`: the filter for which the portal never hears of the call, told once. `unknown_line`: a company number that is
    not in the settings, once a call."""

    reason: Reason
    steps: tuple[StepDraft, ...] = ()
    unmapped: tuple[str, ...] = ()
    left_out: str = ""
    unknown_line: str = ""


def plan(state: PlanState, facts: Sequence[Fact], policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """One round: the facts of one call that came together. Facts of a finished call change nothing."""
    decisions: list[Decision] = []
    ended: CallEnded | None = None
    for fact in facts:
        if isinstance(fact, Transferred) and _ends_turn(state, fact, policy):
            state, given = _give_away(state, fact, policy, people)
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
    state, final = _finish(state, ended, policy, people)
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
        return (state, []) if state.left_out else _left_out(state, left_out)
    state = replace(state, left_out="") if state.left_out else state
    extension = takes_part(fact)
    if not extension or (why := employee_left_out(extension, state, policy, people)) is None:
        return state, []
    return replace(state, passed_over=True), [Decision(why.no_card)]


def _left_out(state: PlanState, why: LeftOut) -> tuple[PlanState, list[Decision]]:
    if state.told:  # in an earlier turn
        return state, [Decision(why.reason)]
    return replace(state, left_out=why.setting), [Decision(why.reason, left_out=why.setting)]


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


def _left_to_portal(state: PlanState, policy: Policy) -> bool:
    """The portal writes the call down itself, unless we have to: for an employee with a phone of the PBX."""
    return policy.own_line == "portal" and state.at_portal and not state.desk and not state.turn_told


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
    if _left_to_portal(state, policy):
        return state, decisions
    if not state.turn_told:
        owner = wanted[0] if wanted else ""
        if not owner and not talking:
            return state, decisions  # nobody to show it to yet: registered when somebody is rung, or at the end
        owner = owner or policy.fallback_user
        state, registered = _registered(state, owner, policy, people, _why_registered(state, owner, people))
        decisions += registered
    if not policy.show_card:
        return state, decisions
    show = tuple(user for user in wanted if user not in state.shown)
    hide = tuple(user for user in state.shown if user not in wanted)
    if show:
        reason = Reason("the phone rings or the talk goes on: card for {users}", {"users": ", ".join(show)})
        step = _push(Kind.SHOW, state, show, reason, expires=at + policy.card_lifetime)
        decisions.append(Decision(reason, (step,)))
        state = replace(state, pushes=state.pushes + 1)
    if hide:
        reason = Reason("neither rung nor talking any more: no card for {users}", {"users": ", ".join(hide)})
        decisions.append(Decision(reason, (_push(Kind.HIDE, state, hide, reason),)))
        state = replace(state, pushes=state.pushes + 1)
    return replace(state, shown=wanted), decisions


def _give_away(state: PlanState, fact: Transferred, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
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


def _finish(state: PlanState, ended: CallEnded, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    started = state.started
    assert started is not None
    call = ended.record
    if _left_to_portal(state, policy):
        why = Reason("left to the portal: it writes down the calls of its own SIP line itself")
        decisions = [Decision(why), *_described_there(state, ended, policy, people)]
        return replace(state, finished=True, ringing=(), talking=()), decisions
    if why := turn_left_out(state, call, policy, people):
        state, decisions = _left_out(state, why)
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
        state, decisions = _registered(state, user, policy, people, why)
    left = tuple(shown for shown in state.shown if shown != user)
    if left:
        why = Reason("the call is over: no card for {users}", {"users": ", ".join(left)})
        decisions.append(Decision(why, (_push(Kind.HIDE, state, left, why),)))
    of_click = state.portal_call and not state.turn.later
    step = StepDraft(
        key=finish_key(state.portal_call) if of_click else f"{started.call}:finish{state.turn.suffix}",
        kind=Kind.FINISH,
        params={
            "CALL_ID": _call_id(state, by_name=passed_on),
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


def _why_registered(state: PlanState, owner: str, people: People) -> Reason:
    assert state.started is not None
    args = {"direction": state.started.direction.value, "user": owner}
    if state.order is not None and not state.turn.later:
        if state.order.ordered is Ordered.CALLBACK:
            return Reason("callback form: user {user} has come to the phone, now the client is dialled", args)
        if state.order.ordered is Ordered.PAGE:
            return Reason("called back from the page of missed clients, by user {user}", args)
        return Reason("ordered by a robot of the portal, for user {user}", args)
    if state.turn.later:
        args = {"extension": state.turn.giver, "user": owner}
        return Reason("{extension} has passed the client on: a portal call for user {user}", args)
    if owner in people.users.values():
        return Reason("{direction} call: its first employee is user {user}", args)
    return Reason("{direction} call: the employee has no portal user, registered to user {user}", args)


def _registered(
    state: PlanState, user: str, policy: Policy, people: People, reason: Reason
) -> tuple[PlanState, list[Decision]]:
    """A lead is made, if at all, for the first turn that is told, and not of an employee who calls from his own phone."""
    started, turn = state.started, state.turn
    assert started is not None
    order = None if turn.later else state.order
    line = policy.line(started.line, started.line_raw, started.trunk)
    if order is not None and order.line:
        line = policy.line(order.line, order.line, "")
    incoming = started.direction is Direction.INCOMING
    client = formatted(started.client, line.number, policy.to_crm, Towards.CRM)
    phone = client.number if PHONE.fullmatch(client.number) else ""
    stranger = bool(phone) and not people.user(started.client) and not people.user(phone)
    lead = stranger and not state.told and policy.lead(line, incoming=incoming)
    decisions: list[Decision] = []
    if client.reason is not None and not turn.later:
        decisions.append(Decision(client.reason))
    if stranger and not lead and (line.lead_for_incoming if incoming else line.lead_for_outgoing) is False:
        decisions.append(Decision(Reason("no lead: the settings of the line {line} want none", {"line": line.number})))
    if lead and (colleague := policy.filters.colleague(started)):
        decisions.append(Decision(colleague))
        lead = False
    if started.client and not phone and not turn.later:
        args = {"client": started.client[:80], "number": policy.anonymous_number}
        decisions.append(Decision(Reason("{client} is no phone number: the portal is told {number}", args)))
    params: dict[str, Json] = {
        "USER_ID": int(user),
        "PHONE_NUMBER": phone or policy.anonymous_number,
        "TYPE": CALL_TYPE[started.direction],
        "CALL_START_DATE": iso(turn.began if turn.later else started.at),
        "CRM_CREATE": int(lead),
        "SHOW": 0,
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": f"{policy.installation}-{started.call}{turn.suffix}",
    }
    if line.number and (line.known or policy.unknown_lines):
        params["LINE_NUMBER"] = line.number
    elif line.number:
        why = Reason("{line} is not among the lines of the settings: the portal is not told of it", {"line": line.number})
        decisions.append(Decision(why, unknown_line="" if state.told else line.number))
    if line.source:
        params["CRM_SOURCE"] = line.source
    if state.call_list:
        params["CALL_LIST_ID"] = int(state.call_list)
    if order is not None:
        params |= registration(order, line.source)
    step = StepDraft(_register_key(state), Kind.REGISTER, params, Priority.CARD, reason)
    state = replace(state, registered=True, lead=state.lead or lead, turn=replace(turn, registered=True))
    return state, [*decisions, Decision(reason, (step,))]


def _register_key(state: PlanState) -> str:
    assert state.started is not None
    return f"{state.started.call}:register{state.turn.suffix}"


def _push(
    kind: Kind, state: PlanState, users: tuple[str, ...], reason: Reason, *, expires: float | None = None
) -> StepDraft:
    assert state.started is not None
    return StepDraft(
        key=f"{state.started.call}:{kind}:{state.pushes}",
        kind=kind,
        params={"CALL_ID": _call_id(state), "USER_ID": [int(user) for user in users]},
        priority=Priority.CARD,
        reason=reason,
        expires=expires,
    )


def _call_id(state: PlanState, *, by_name: bool = False) -> Json | Ref:
    """`by_name`: of the present turn's registration, even when there are others behind it."""
    if state.portal_call and not state.turn.later:
        return state.portal_call
    return Ref(Kind.REGISTER, "CALL_ID", _register_key(state) if by_name or state.turn.later else "")


def _users(extensions: Iterable[str], people: People) -> tuple[str, ...]:
    """Portal users of the extensions, each once, in order."""
    return tuple(dict.fromkeys(user for user in map(people.user, extensions) if user))
