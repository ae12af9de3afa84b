"""How a call's activity is told something: it is read first, so that what an employee has written there stays. Pure.

crm.activity.update replaces the whole text, and an employee may have typed a comment during the call, which the portal
keeps there. So each try is two requests, which ride in batches like all others: crm.activity.get, and a moment later the
text that was found with ours below it. Where ours stands there already, it was done.

Source: contract.json, methods crm.activity.get and crm.activity.update.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from perezvon.bitrix24.values import Json, mapping, number, text
from perezvon.delivery.kinds import KINDS
from perezvon.delivery.weather import PORTAL_WIDE
from perezvon.rules.vocabulary import Reason, Ref
from perezvon.storage.steps import Settled, State, Step

NO_ACTIVITY = Reason("not sent: the portal made no activity for this call")
GONE = Reason("not sent: the activity has been deleted in the portal")
THERE = Reason("the activity tells it already")

FRESH = 30.0
"""Seconds for which it counts what was read."""

PATIENCE = 24 * 3600.0
MANY_TRIES = 20
"""Seconds and tries (a request each) after which a portal that answers others, and not this, is not asked any more."""

_FOUND = "DESCRIPTION"
_PLAIN = 1
_REFUSED = (Permanent, MissingScope, AppContextRequired)
"""With these the portal would refuse the next try too: a human has to look, and can have it sent again."""


@dataclass(frozen=True, slots=True)
class ReadActivity:
    """Asks for what stands in the activity."""

    activity: str

    method = methods.GET_ACTIVITY

    @property
    def params(self) -> dict[str, Any]:
        return {"id": self.activity}


def activity_of(step: Step, finish: Step | None) -> str | None:
    """The activity's id; "" where the portal made none, None while the call is not finished."""
    if finish is None or finish.state is not State.DONE:
        return None
    ref = step.params.get("id")
    return number(mapping(finish.result).get(ref.field)) if isinstance(ref, Ref) else number(ref)


def question(step: Step, activity: str, now: float) -> ReadActivity | None:
    """None when what stands there has just been read, so that it may be written."""
    fresh = step.sent is not None and now - step.sent < FRESH
    known = step.state is State.NEW and _FOUND in mapping(step.result) and fresh
    return None if known else ReadActivity(activity)


def fields_of(step: Step) -> dict[str, Json]:
    """What is written, from what was read."""
    found = text(mapping(step.result).get(_FOUND)).strip()
    return {_FOUND: f"{found}\n\n{_told(step)}"} if found else {_FOUND: _told(step), "DESCRIPTION_TYPE": _PLAIN}


def was_read(step: Step, outcome: Answer | PortalError) -> Settled:
    if isinstance(outcome, PortalError):
        return _refused(step, outcome)
    found = text(mapping(outcome.result).get(_FOUND))
    if _flat(_told(step)) in _flat(found):
        return Settled(step.id, State.DONE, True, note=THERE)
    return Settled(step.id, State.NEW, {_FOUND: found}, note=step.note)


def was_written(step: Step, outcome: Answer | PortalError) -> Settled:
    if isinstance(outcome, PortalError):
        return _refused(step, outcome)
    try:
        return Settled(step.id, State.DONE, KINDS[step.kind].read(outcome.result).result, note=step.note)
    except Ambiguous as error:
        return _refused(step, error)


def _refused(step: Step, error: PortalError) -> Settled:
    """Neither a deleted activity nor a portal that will not have it is tried for ever."""
    told, words = error.as_json(), str(error)
    if isinstance(error, NotFound) and not isinstance(error, MethodNotFound):
        return Settled(step.id, State.SKIPPED, told, words, GONE)
    old = step.sent is not None and step.sent > step.created + PATIENCE and step.attempts > MANY_TRIES
    if isinstance(error, _REFUSED) or (old and not isinstance(error, PORTAL_WIDE)):
        return Settled(step.id, State.DEAD, told, words, step.note)
    return Settled(step.id, State.UNSURE, told, words, step.note)


def _told(step: Step) -> str:
    return text(mapping(step.params.get("fields")).get(_FOUND))


def _flat(told: str) -> str:
    """Portals may keep other ends of lines."""
    return " ".join(told.split())
