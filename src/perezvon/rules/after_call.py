"""What is done in the CRM and told in a chat when a call is over: whom the new lead belongs to, which fields are filled,
to which deals the activity is bound, who is told. Pure.

All of it are steps of the call's lane behind its finish for which nothing waits (delivery/after.py), and none is asked for
that no setting wants. What a call has made, and which objects it belongs to, is known only when the portal has answered:
the steps say for which objects they are meant, and those that the call does not have cost no request.

`fields_of_object` is the one place where the fields of a lead, contact, company, deal or activity are final before they go.

Sources: contract.json, telephony.externalCall.register and finish (whose a new object is, simple mode), crm.*.update.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import get_args

from perezvon.calls.call import Call, Direction
from perezvon.rules.account import DESCRIBED, describe
from perezvon.rules.call_words import words_of
from perezvon.rules.field_values import FieldType, Refused, converted
from perezvon.rules.left_out import heard
from perezvon.rules.policy import CrmRules, Object, People, Policy
from perezvon.rules.recordings import mode_of
from perezvon.rules.responsible import responsible
from perezvon.rules.state import PlanState
from perezvon.rules.templates import Template, filled, finished, late
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft

DESCRIPTION = "DESCRIPTION"
OWNER = "ASSIGNED_BY_ID"
NEW, OLD, ALL = "new", "old", "all"
"""For which objects a field is meant: those that the call has made, those that were there, both."""

_OBJECTS: tuple[Object, ...] = get_args(Object)
_USER = FieldType("user")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A decision, and the steps that come of it."""

    reason: Reason
    steps: tuple[StepDraft, ...] = ()


def after_call(state: PlanState, call: Call, policy: Policy, people: People) -> Iterator[Wanted]:
    """Nothing for a call of which the portal was not told."""
    if not state.told or not state.finishes:
        return
    words = {} if policy.crm is None else words_of(call, policy, people, policy.crm.telling)
    yield from _written_down(state, policy, words)
    if policy.crm is not None:
        owner = _new_owner(state, call, policy, people)
        yield from (Wanted(reason) for reason in (owner[1] if owner is not None else ()))
        yield from _filled(state, call, policy.crm, words, owner[0] if owner else "", policy, people)
        yield from _bound(state, call, policy.crm)
        yield from _announced(state, call, policy, policy.crm, words, people)


def may_make_lead(state: PlanState, call: Call, policy: Policy) -> bool:
    """Whether the portal may have made a lead (contact, deal) for the call. Of a click it decides that by itself."""
    if state.lead:
        return True
    line = policy.line_of(call)
    return bool(state.portal_call) and policy.lead(line, incoming=False)


def _written_down(state: PlanState, policy: Policy, words: Mapping[str, str]) -> Iterator[Wanted]:
    """The texts of the call's activities: the accounts, and what templates add."""
    rules = policy.crm.fields if policy.crm is not None else ()
    more = [finished(filled(one.template, words), {}) for one in rules if (one.of, one.name) == ("activity", DESCRIPTION)]
    told = dict(state.accounts)
    texts = {finish: "\n\n".join(filter(None, [told.get(finish, ""), *more])) for finish, _ in state.finishes}
    if steps := tuple(describe(finish, text) for finish, text in texts.items() if text):
        yield Wanted(DESCRIBED, steps)


# ---- whose it is


def _new_owner(state: PlanState, call: Call, policy: Policy, people: People) -> tuple[str, tuple[Reason, ...]] | None:
    """Who gets what the call has made, and why, where that is not the user for whom it is finished: the portal does that
    itself."""
    crm, started = policy.crm, state.started
    if crm is None or started is None or not may_make_lead(state, call, policy):
        return None
    line = policy.line_of(call)
    if line.lead_user:
        args = {"user": line.lead_user, "line": line.name or line.number}
        found = line.lead_user, (Reason("new lead: for user {user}, who gets those of the line {line}", args),)
    elif crm.lead_owner == "fixed" and crm.lead_user:
        found = crm.lead_user, (Reason("new lead: for user {user} of the settings", {"user": crm.lead_user}),)
    elif not call.last_talker:
        return None
    else:
        which = policy.responsible if crm.lead_owner in ("call", "fixed") else crm.lead_owner
        _, known_call, known = heard(state, call, policy, people)
        user, why, _ = responsible(known_call, started, replace(policy, responsible=which), known)
        found = user, (Reason("new lead: not for whom the call is finished, but for user {user}", {"user": user}), why)
    return None if found[0] == state.finishes[0][1] else found


# ---- what is written into objects


def _filled(
    state: PlanState,
    call: Call,
    crm: CrmRules,
    words: Mapping[str, str],
    owner: str,
    policy: Policy,
    people: People,
) -> Iterator[Wanted]:
    """Handed over is to who talked only, not to whoever stands in for an employee whom the portal does not know."""
    _, user = state.finishes[-1]
    talked = user in map(people.user, (*call.talkers, call.forwarded_by))
    made = may_make_lead(state, call, policy)
    for of in _OBJECTS:
        fields, refused = fields_of_object(of, crm, words, made=made)
        yield from refused
        if owner and of in _made(crm):
            fields.append(_owner(owner, NEW))
        if crm.hand_over and call.last_talker and talked and of in ("lead", "contact", "company"):
            fields.append(_owner(user, OLD))
        if not fields:
            continue
        last = len(state.finishes)
        for turn, (key, _) in enumerate(state.finishes, start=1):
            if of != "activity" and turn < last:  # each portal call has its activity, all of them have one object
                continue
            suffix = f":{turn}" if of == "activity" and turn > 1 else ""
            params: dict[str, Json | Ref] = {
                "object": of,
                "fields": fields,
                "finish": key,
                "started": call.started,
                "wait": _wait(state, call, policy, crm),
                "portal": crm.portal,
            }
            reason = Reason("fields of the {object} are filled: {fields}", {"object": of, "fields": _names(fields)})
            yield Wanted(reason, (StepDraft(f"{call.id}:fill:{of}{suffix}", Kind.FILL, params, Priority.CRM, reason),))


def fields_of_object(of: Object, crm: CrmRules, words: Mapping[str, str], *, made: bool) -> tuple[list[Json], list[Wanted]]:
    """The fields as they will be sent, and those that cannot be, with the reason. An empty value is none. `made`: whether
    the call may have made objects."""
    fields: list[Json] = []
    refused: list[Wanted] = []
    for rule in crm.fields:
        if rule.of != of or (of == "activity" and rule.name == DESCRIPTION) or (rule.objects == NEW and not made):
            continue
        parts = filled(rule.template, words)
        type_ = rule.type or FieldType()
        entry: dict[str, Json] = {
            "name": rule.name,
            "existing": rule.existing,
            "objects": rule.objects,
            "type": type_.as_json(),
        }
        if late(parts):
            fields.append({**entry, "parts": parts})
            continue
        text = finished(parts, {})
        value = converted(text, type_, rule.name) if text else None
        if isinstance(value, Refused):
            args = {"object": of, "field": rule.name}
            refused.append(Wanted(Reason("the field {field} of the {object} is left out", args)))
            refused.append(Wanted(value.why))
        elif value is not None:
            fields.append({**entry, "value": value})
    return fields, refused


def _wait(state: PlanState, call: Call, policy: Policy, crm: CrmRules) -> float:
    """Seconds for which a text waits for the recording that it names: none where it does not come."""
    comes = call.recordings and not state.recording_stays and mode_of(policy.line_of(call), policy)[0] != "off"
    return crm.wait if comes else 0.0


def _owner(user: str, objects: str) -> Json:
    return {"name": OWNER, "value": user, "existing": "overwrite", "objects": objects, "type": _USER.as_json()}


def _made(crm: CrmRules) -> tuple[Object, ...]:
    """What the portal makes of an unknown number: a lead; in simple mode a contact and a deal."""
    return {1: ("lead",), 2: ("contact", "deal")}.get(crm.mode, ("lead", "contact", "deal"))  # pyright: ignore[reportReturnType]


def _names(fields: list[Json]) -> str:
    return ", ".join(dict.fromkeys(str(one["name"]) for one in fields))


# ---- what it is bound to


def _bound(state: PlanState, call: Call, crm: CrmRules) -> Iterator[Wanted]:
    if crm.bind_deals == "off" and crm.bind_leads == "off":
        return
    reason = Reason("the activity is bound to the client's open deals and repeat leads too")
    for place, (finish, _) in enumerate(state.finishes, start=1):
        params: dict[str, Json | Ref] = {
            "finish": finish,
            "deals": crm.bind_deals,
            "leads": crm.bind_leads if crm.mode != 2 else "off",
            "started": call.started,
        }
        key = f"{call.id}:bind" + (f":{place}" if place > 1 else "")
        yield Wanted(reason, (StepDraft(key, Kind.BIND, params, Priority.CRM, reason),))


# ---- who is told


def _announced(
    state: PlanState, call: Call, policy: Policy, crm: CrmRules, words: Mapping[str, str], people: People
) -> Iterator[Wanted]:
    chat = policy.chat
    wait = _wait(state, call, policy, crm)
    if chat.leads and may_make_lead(state, call, policy):
        reason = Reason("a new lead is announced to {to}", {"to": chat.leads})
        yield _announcement(
            state, call, policy, crm, f"{call.id}:announce", chat.leads, chat.leads_text, words, reason, wait
        )
    missed = call.direction is Direction.INCOMING and not call.last_talker
    if chat.missed and missed and not people.user(call.client):
        reason = Reason("the missed call is announced to {to}", {"to": chat.missed})
        key = f"{call.id}:announce_missed"
        yield _announcement(state, call, policy, crm, key, chat.missed, chat.missed_text, words, reason, 0.0, always=True)


def _announcement(
    state: PlanState,
    call: Call,
    policy: Policy,
    crm: CrmRules,
    key: str,
    to: str,
    text: Template,
    words: Mapping[str, str],
    reason: Reason,
    wait: float,
    *,
    always: bool = False,
) -> Wanted:
    parts = filled(text, words)
    translate = crm.telling.translate
    params: dict[str, Json | Ref] = {
        "to": to,
        "parts": parts,
        "always": always,
        "words": {
            "LEAD": translate("New lead"),
            "CONTACT": translate("New contact"),
            "DEAL": translate("New deal"),
            "COMPANY": translate("New company"),
        },
        "tag": hashlib.sha256(f"{policy.installation} {key}".encode("utf-8", "replace")).hexdigest()[:16],
        "finish": state.finishes[-1][0],
        "started": call.started,
        "wait": wait if "recording" in late(parts) else 0.0,
        "portal": crm.portal,
    }
    return Wanted(reason, (StepDraft(key, Kind.ANNOUNCE, params, Priority.CRM, reason),))
