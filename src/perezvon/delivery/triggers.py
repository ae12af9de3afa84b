"""How a trigger of the portal's funnels is pulled: for which lead or deal is asked first, where it is not known. Pure.

A lead, or a deal that the portal has made for the call, is told by its answers already. For a contact or a company there
are no triggers: then it is the newest of the deals that the call's activity is bound to. A step goes in stages, which are
kept with it:

(bindings | search -> deals) -> pull -> (look, when it is not known whether it was pulled) -> pull

The portal does not tell whether a trigger was pulled. But what a trigger does is move the object on: if the object has been
moved since, it was done; if not, pulling it once more does what was wanted and no more.

Source: contract.json, methods crm.automation.trigger.execute, crm.activity.binding.list, crm.item.get, crm.item.list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perezvon.bitrix24 import methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import (
    Ambiguous,
    AppContextRequired,
    MethodNotFound,
    MissingScope,
    NotFound,
    Permanent,
    PortalError,
)
from perezvon.bitrix24.values import Json, mapping, moment, number, rows, text
from perezvon.delivery.weather import METHOD_WIDE, PORTAL_WIDE
from perezvon.rules.vocabulary import Reason, Ref
from perezvon.storage.steps import Settled, State, Step

NO_OBJECT = Reason("not sent: neither a lead nor a deal belongs to this call, a trigger needs one")
GONE = Reason("not sent: the lead or deal has been deleted in the portal")
PULLED = Reason("pulled for {type} {id}")
MOVED = Reason("{type} {id} has been moved since: the trigger was pulled although the portal's answer was lost")

LEAD, DEAL = "1", "2"
NAMES: Mapping[str, str] = {LEAD: "LEAD", DEAL: "DEAL"}
TYPES: Mapping[str, str] = {name: type_ for type_, name in NAMES.items()}
CONTACT, COMPANY = "CONTACT", "COMPANY"

WAIT_FOR_REGISTRATION = 30.0
MANY_TRIES = 20
"""Tries after which a portal that does not know the trigger is not asked any more."""
SLACK = 2.0
"""Seconds by which the portal's clock may differ from ours where it does not tell its own."""

_FIRST_WAIT = 2.0
_LONGEST_WAIT = 60.0


class Stage(StrEnum):
    BINDINGS = "bindings"
    SEARCH = "search"
    DEALS = "deals"
    PULL = "pull"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Pull:
    """One request. `object`: (type, id) of the lead or deal, once it is known. `pulled`: when that was tried last (POSIX
    seconds, our clock), as far as it is kept."""

    stage: Stage
    method: str
    params: Mapping[str, Any]
    object: tuple[str, str] = ("", "")
    pulled: float | None = None

    @property
    def verifies(self) -> bool:
        """Whether it changes nothing at the portal."""
        return self.stage is not Stage.PULL


def useless(step: Step, finish: Step | None, register: Step | None) -> Reason | None:
    """Why there is nothing to be pulled. `finish`, `register`: of the call, None for a step that names a number."""
    if finish is None or finish.state is not State.DONE or _kept(step):
        return None
    told = mapping(finish.result)
    known = _object(finish, register)[1] or number(told.get("CRM_ACTIVITY_ID"))
    return None if known else NO_OBJECT


def pull(step: Step, finish: Step | None, register: Step | None) -> Pull | None:
    """The next request; None while the call is not finished."""
    found = _kept(step)
    if not found and any(isinstance(value, Ref) for value in step.params.values()):
        if finish is None or finish.state is not State.DONE:
            return None
        found = _object(finish, register)
        if not found[1]:
            activity = number(mapping(finish.result).get("CRM_ACTIVITY_ID"))
            return Pull(Stage.BINDINGS, methods.ACTIVITY_BINDINGS, {"activityId": int(activity) if activity else 0})
    kept = mapping(step.result)
    if not found and kept.get("client"):
        field = "contactId" if kept.get("client_type") == CONTACT else "companyId"
        wanted = {field: int(text(kept["client"])), "closed": "N"}
        params = {"entityTypeId": 2, "select": ["id"], "filter": wanted, "order": {"id": "DESC"}}
        return Pull(Stage.DEALS, methods.LIST_ITEMS, params)
    if not found:
        return Pull(Stage.SEARCH, methods.SEARCH, {"PHONE_NUMBER": text(step.params.get("phone"))})
    type_, id_ = found
    pulled = kept.get("pulled")
    if step.state is State.UNSURE and step.attempts:
        since = float(pulled) if isinstance(pulled, (int, float)) else step.sent
        return Pull(Stage.LOOK, methods.GET_ITEM, {"entityTypeId": int(type_), "id": int(id_)}, found, since)
    params = {"CODE": step.params["CODE"], "OWNER_TYPE_ID": int(type_), "OWNER_ID": int(id_)}
    return Pull(Stage.PULL, methods.EXECUTE_TRIGGER, params, found)


def told(step: Step, asked: Pull, outcome: Answer | PortalError) -> tuple[Settled, float]:
    """What becomes of the step, and the seconds for which its lane is left alone."""
    if isinstance(outcome, PortalError):
        return _failed(step, asked, outcome)
    match asked.stage:
        case Stage.BINDINGS:
            bound = [(number(row.get("entityTypeId")), number(row.get("entityId"))) for row in _maps(outcome.result)]
            return _found(step, _chosen(bound)), 0.0
        case Stage.SEARCH:
            return _searched(step, outcome.result), 0.0
        case Stage.DEALS:
            items = [number(row.get("id")) for row in _maps(mapping(outcome.result).get("items"))]
            return _found(step, _chosen([(DEAL, item) for item in items])), 0.0
        case Stage.LOOK:
            return _looked(step, asked, outcome), 0.0
        case Stage.PULL:
            return Settled(step.id, State.DONE, outcome.result, note=_of(PULLED, asked)), 0.0


def _kept(step: Step) -> tuple[str, str] | None:
    kept = rows(mapping(step.result).get("object"))
    return (text(kept[0]), text(kept[1])) if len(kept) == 2 else None


def _object(finish: Step, register: Step | None) -> tuple[str, str]:
    """What the portal has told of the call itself."""
    end = mapping(finish.result)
    if text(end.get("CRM_ENTITY_TYPE")) == "LEAD" and number(end.get("CRM_ENTITY_ID")):
        return LEAD, number(end.get("CRM_ENTITY_ID"))
    made = _maps(mapping(register.result).get("CRM_CREATED_ENTITIES")) if register is not None else []
    pairs = [(TYPES.get(text(row.get("ENTITY_TYPE")), ""), number(row.get("ENTITY_ID"))) for row in made]
    return _chosen(pairs)


def _chosen(pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """A lead, else the newest deal."""
    for type_ in (LEAD, DEAL):
        ids = [int(id_) for of, id_ in pairs if of == type_ and id_.isdecimal()]
        if ids:
            return type_, str(max(ids))
    return "", ""


def _found(step: Step, found: tuple[str, str]) -> Settled:
    if not found[1]:
        return Settled(step.id, State.SKIPPED, note=NO_OBJECT)
    return Settled(step.id, State.NEW, {"object": list(found)}, note=step.note)


def _searched(step: Step, result: Json) -> Settled:
    known = [(text(row.get("CRM_ENTITY_TYPE")), number(row.get("CRM_ENTITY_ID"))) for row in _maps(result)]
    if lead := [id_ for type_, id_ in known if type_ == "LEAD" and id_]:
        return _found(step, (LEAD, lead[0]))
    for type_, id_ in known:
        if type_ in (CONTACT, COMPANY) and id_.isdecimal():
            return Settled(step.id, State.NEW, {"client": id_, "client_type": type_}, note=step.note)
    return Settled(step.id, State.SKIPPED, note=NO_OBJECT)


def _looked(step: Step, asked: Pull, answer: Answer) -> Settled:
    item = mapping(mapping(answer.result).get("item"))
    moved, made = moment(item.get("movedTime")), moment(item.get("createdTime"))
    if moved is not None and made is not None and moved <= made:
        moved = None  # never: this is where it was made
    ahead = 0.0  # of the portal's clock
    if answer.time.finish is not None and step.sent is not None:
        ahead = answer.time.finish - step.sent
    if moved is not None and asked.pulled is not None and moved >= asked.pulled + ahead - SLACK:
        return Settled(step.id, State.DONE, True, note=_of(MOVED, asked))
    return Settled(step.id, State.NEW, {"object": list(asked.object)}, note=step.note)


def _failed(step: Step, asked: Pull, error: PortalError) -> tuple[Settled, float]:
    words = str(error)
    kept: dict[str, Json] = dict(mapping(step.result)) if asked.stage is not Stage.PULL else {}
    if asked.object[1]:
        kept["object"] = list(asked.object)
    if asked.pulled is not None:
        kept["pulled"] = asked.pulled
    wait = 0.0 if isinstance(error, PORTAL_WIDE + METHOD_WIDE) else (error.retry_after or _backoff(step))
    if isinstance(error, (Permanent, MissingScope, AppContextRequired)) and not isinstance(error, METHOD_WIDE):
        if "is not registered" in words and step.attempts < MANY_TRIES:  # it will be, or has just been
            return Settled(step.id, State.NEW, kept, words, step.note), WAIT_FOR_REGISTRATION
        gone = isinstance(error, NotFound) and not isinstance(error, MethodNotFound)
        if gone or "OWNER_ID" in words:
            return Settled(step.id, State.SKIPPED, kept, words, GONE), 0.0
        return Settled(step.id, State.DEAD, error.as_json(), words, step.note), 0.0
    if asked.stage is Stage.PULL and isinstance(error, Ambiguous):
        kept["pulled"] = step.sent
        return Settled(step.id, State.UNSURE, kept, words, step.note), wait
    state = State.UNSURE if asked.stage is Stage.LOOK else State.NEW
    return Settled(step.id, state, kept, words, step.note), wait


def _of(reason: Reason, asked: Pull) -> Reason:
    type_, id_ = asked.object
    return Reason(reason.text, {"type": NAMES.get(type_, type_), "id": id_})


def _maps(value: Json) -> list[Mapping[str, Json]]:
    return [mapping(row) for row in rows(value)]


def _backoff(step: Step) -> float:
    return min(_FIRST_WAIT * 2.0 ** max(step.attempts - 1, 0), _LONGEST_WAIT)
