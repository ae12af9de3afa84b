"""The requests by which the portal learns of a call under way: its registration, cards up and down. Pure.

`register` never shows a card by itself (SHOW=0): a `show` step, which may expire, rides in the same batch. A call that
somebody has ordered (orders.py) is registered in his words.

Source: the telephony tutorial of the Bitrix24 REST documentation.
"""

from __future__ import annotations

from dataclasses import replace

from perezvon.calls.call import Direction, iso
from perezvon.rules.numbers import PHONE, Towards, formatted
from perezvon.rules.orders import Ordered, registration
from perezvon.rules.policy import People, Policy
from perezvon.rules.state import PlanState
from perezvon.rules.vocabulary import Decision, Json, Kind, Priority, Reason, Ref, StepDraft

CALL_TYPE = {Direction.OUTGOING: 1, Direction.INTERNAL: 1, Direction.INCOMING: 2}


def left_to_portal(state: PlanState, policy: Policy) -> bool:
    """The portal writes the call down itself, unless we have to: for an employee with a phone of the PBX."""
    return policy.own_line == "portal" and state.at_portal and not state.desk and not state.turn_told


def why_registered(state: PlanState, owner: str, people: People) -> Reason:
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


def register(
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


def push(
    kind: Kind, state: PlanState, users: tuple[str, ...], reason: Reason, *, expires: float | None = None
) -> StepDraft:
    assert state.started is not None
    return StepDraft(
        key=f"{state.started.call}:{kind}:{state.pushes}",
        kind=kind,
        params={"CALL_ID": call_id(state), "USER_ID": [int(user) for user in users]},
        priority=Priority.CARD,
        reason=reason,
        expires=expires,
    )


def call_id(state: PlanState, *, by_name: bool = False) -> Json | Ref:
    """`by_name`: of the present turn's registration, even when there are others behind it."""
    if state.portal_call and not state.turn.later:
        return state.portal_call
    return Ref(Kind.REGISTER, "CALL_ID", _register_key(state) if by_name or state.turn.later else "")


def _register_key(state: PlanState) -> str:
    assert state.started is not None
    return f"{state.started.call}:register{state.turn.suffix}"
