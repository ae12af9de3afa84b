"""What should be done: facts of one call in, decisions with their reasons and the portal's steps out.

Pure, and a reducer like the tracker: `plan(state, facts, policy, people) -> (state, decisions)`. One round gets all facts
of a call that came together, so that five phones that begin to ring are one `show`.

The card: at any moment the users whose phones ring or who talk shall have it on their screens, and nobody else. Each round
compares that with what is shown and asks for the difference. `register` never shows a card by itself (SHOW=0): a `show`
step, which may expire, rides in the same batch.

Source of the order register, show, hide, finish: the telephony tutorial of the Bitrix24 REST documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from perezvon.calls.call import Call, Direction, Outcome, iso
from perezvon.calls.facts import (
    Answered,
    CallEnded,
    CallStarted,
    Fact,
    LeftTalk,
    Ringing,
    StoppedRinging,
)
from perezvon.rules.policy import People, Policy
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

# The portal refuses to register anything else ("Unsupported phone number format", contract.json): SIP user names, garbage.
_PHONE = re.compile(r"\+?[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, why, and what the portal is to be asked for. `unmapped`: extensions without a portal user."""

    reason: Reason
    steps: tuple[StepDraft, ...] = ()
    unmapped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanState:
    """What the planner remembers of a call. `portal_call`: the CALL_ID that a click on a number brought along; such a call
    is never registered by us. `ringing` pairs a channel with its extension (one employee may have several devices)."""

    started: CallStarted | None = None
    portal_call: str = ""
    registered: bool = False
    finished: bool = False
    shown: tuple[str, ...] = ()
    ringing: tuple[tuple[str, str], ...] = ()
    talking: tuple[str, ...] = ()
    pushes: int = 0

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> PlanState:
        started: dict[str, Any] | None = body.get("started")
        if started is not None:
            started = dict(started, direction=Direction(started["direction"]))
        return cls(
            started=CallStarted(**started) if started is not None else None,
            portal_call=body.get("portal_call", ""),
            registered=body.get("registered", False),
            finished=body.get("finished", False),
            shown=tuple(body.get("shown", ())),
            ringing=tuple((channel, extension) for channel, extension in body.get("ringing", ())),
            talking=tuple(body.get("talking", ())),
            pushes=body.get("pushes", 0),
        )


def plan(state: PlanState, facts: Sequence[Fact], policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """One round: the facts of one call that came together. Facts of a finished call change nothing."""
    decisions: list[Decision] = []
    ended: CallEnded | None = None
    for fact in facts:
        state = _remember(state, fact)
        match fact:
            case CallStarted(direction=Direction.INTERNAL) if not policy.internal_calls:
                decisions.append(Decision(Reason("internal call: left out by the settings")))
            case Ringing(extension=extension) if not people.user(extension):
                decisions.append(
                    Decision(
                        Reason("{extension} has no portal user: no card", {"extension": extension}), unmapped=(extension,)
                    )
                )
            case CallEnded():
                ended = fact
            case _:
                pass
    if not _reported(state, policy):
        return state, decisions
    if ended is None:
        state, cards = _cards(state, facts[-1].at, policy, people)
        return state, decisions + cards
    state, final = _finish(state, ended, policy, people)
    return state, decisions + final


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
    if state.started is None or state.finished:
        return False
    return state.started.direction is not Direction.INTERNAL or policy.internal_calls


def _remember(state: PlanState, fact: Fact) -> PlanState:
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
            return replace(state, ringing=_without(state.ringing, channel), talking=talking)
        case LeftTalk(extension=extension):
            return replace(state, talking=tuple(e for e in state.talking if e != extension))
        case _:
            return state


def _without(ringing: Iterable[tuple[str, str]], channel: str) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in ringing if pair[0] != channel)


def _cards(state: PlanState, at: float, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    """Bring what is on the screens to what should be there."""
    started = state.started
    assert started is not None
    wanted = _users((*(extension for _, extension in state.ringing), *state.talking), people)
    decisions: list[Decision] = []
    if not state.registered and not state.portal_call:
        owner = wanted[0] if wanted else ""
        if not owner and not state.talking:
            return state, decisions  # nobody to show it to yet: registered when somebody is rung, or at the end
        owner = owner or policy.fallback_user
        decisions += _registration(started, owner, policy, _why_registered(started, owner, people))
        state = replace(state, registered=True)
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


def _finish(state: PlanState, ended: CallEnded, policy: Policy, people: People) -> tuple[PlanState, list[Decision]]:
    started = state.started
    assert started is not None
    call = ended.record
    user, reason, unmapped = _responsible(call, started, policy, people)
    decisions: list[Decision] = []
    if not state.registered and not state.portal_call:
        why = Reason("the call ended before anybody could be shown its card")
        decisions += _registration(started, user, policy, why)
        state = replace(state, registered=True)
    left = tuple(shown for shown in state.shown if shown != user)
    if left:
        why = Reason("the call is over: no card for {users}", {"users": ", ".join(left)})
        decisions.append(Decision(why, (_push(Kind.HIDE, state, left, why),)))
    duration = max(1, round(call.duration)) if call.answered is not None else 0
    status = STATUS_CODE[call.outcome or Outcome.FAILED]
    if duration == 0 and status == "200":
        status = "304"
    step = StepDraft(
        key=finish_key(state.portal_call) if state.portal_call else f"{started.call}:finish",
        kind=Kind.FINISH,
        params={
            "CALL_ID": _call_id(state),
            "USER_ID": int(user),
            "DURATION": duration,
            "STATUS_CODE": status,
            "ADD_TO_CHAT": 0,
        },
        priority=Priority.FINISH,
        reason=reason,
    )
    decisions.append(Decision(reason, (step,), unmapped=unmapped))
    return replace(state, finished=True, shown=(), ringing=(), talking=(), pushes=state.pushes + 1), decisions


def _responsible(call: Call, started: CallStarted, policy: Policy, people: People) -> tuple[str, Reason, tuple[str, ...]]:
    """One of those who talked, as the policy wants; of a missed call the last who was rung; else a user of the settings."""
    people = _with_mobile(call, people)
    if call.last_talker:
        return _talker(call, policy, people)
    if started.direction is not Direction.INCOMING and started.extension:
        return _or_fallback(started.extension, "responsible: {extension} placed the call", policy, people)
    for extension in reversed(call.rung):
        if user := people.user(extension):
            return user, Reason("responsible: {extension} was rung last, nobody answered", {"extension": extension}), ()
    user = policy.missed_user or policy.fallback_user
    return user, Reason("responsible: user {user} of the settings, no employee was rung", {"user": user}), call.rung


def _with_mobile(call: Call, people: People) -> People:
    """The outside number to which an employee's calls go stands for him, unless the portal knows whose it is."""
    user = people.user(call.forwarded_by)
    return People({call.forwarded_to: user, **people.users}) if user else people


def _talker(call: Call, policy: Policy, people: People) -> tuple[str, Reason, tuple[str, ...]]:
    if policy.responsible == "first" and call.talkers:
        return _or_fallback(call.talkers[0], "responsible: {extension} talked first", policy, people)
    talked = call.talk_times()
    if policy.responsible == "longest" and talked:
        longest = max(talked.values())
        if talked.get(call.last_talker, 0.0) < longest:  # among equals the last
            of_them = [extension for extension in call.talkers if talked.get(extension) == longest]
            return _or_fallback(of_them[-1], "responsible: {extension} talked longest", policy, people)
    return _or_fallback(call.last_talker, "responsible: {extension} talked last", policy, people)


def _or_fallback(extension: str, text: str, policy: Policy, people: People) -> tuple[str, Reason, tuple[str, ...]]:
    if user := people.user(extension):
        return user, Reason(text, {"extension": extension}), ()
    fallback = policy.fallback_user
    text = "responsible: user {user} of the settings, because {extension} has no portal user"
    return fallback, Reason(text, {"user": fallback, "extension": extension}), (extension,)


def _why_registered(started: CallStarted, owner: str, people: People) -> Reason:
    args = {"direction": started.direction.value, "user": owner}
    if owner in people.users.values():
        return Reason("{direction} call: its first employee is user {user}", args)
    return Reason("{direction} call: the employee has no portal user, registered to user {user}", args)


def _registration(started: CallStarted, user: str, policy: Policy, reason: Reason) -> list[Decision]:
    line = policy.line(started.line, started.line_raw, started.trunk)
    incoming = started.direction is Direction.INCOMING
    phone = started.client if _PHONE.fullmatch(started.client) else ""
    decisions: list[Decision] = []
    if started.client and not phone:
        args = {"client": started.client[:80], "number": policy.anonymous_number}
        decisions.append(Decision(Reason("{client} is no phone number: the portal is told {number}", args)))
    params: dict[str, Json] = {
        "USER_ID": int(user),
        "PHONE_NUMBER": phone or policy.anonymous_number,
        "TYPE": CALL_TYPE[started.direction],
        "CALL_START_DATE": iso(started.at),
        "CRM_CREATE": int(bool(phone) and (policy.lead_for_incoming if incoming else policy.lead_for_outgoing)),
        "SHOW": 0,
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": f"{policy.installation}-{started.call}",
    }
    if line.number:
        params["LINE_NUMBER"] = line.number
    if line.source:
        params["CRM_SOURCE"] = line.source
    step = StepDraft(f"{started.call}:register", Kind.REGISTER, params, Priority.CARD, reason)
    return [*decisions, Decision(reason, (step,))]


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


def _call_id(state: PlanState) -> Json | Ref:
    return state.portal_call or Ref(Kind.REGISTER, "CALL_ID")


def _users(extensions: Iterable[str], people: People) -> tuple[str, ...]:
    """Portal users of the extensions, each once, in order."""
    return tuple(dict.fromkeys(user for user in map(people.user, extensions) if user))
