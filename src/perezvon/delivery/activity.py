"""How a call's activity is told something: it is read first, so that what an employee has written there stays. Pure.

Of a call that the portal wrote down itself (its own SIP line) the activity has to be found first: in its statistics, by the
client's number and the time.

crm.activity.update replaces the whole text, and an employee may have typed a comment during the call, which the portal
keeps there. So each try is two requests, which ride in batches like all others: crm.activity.get, and a moment later the
text that was found with ours below it. Where ours stands there already, it was done.

Source: contract.json, methods crm.activity.get, crm.activity.update, voximplant.statistic.get.
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
from perezvon.bitrix24.values import Json, mapping, moment, number, real, rows, text
from perezvon.calls.call import iso
from perezvon.delivery.kinds import KINDS
from perezvon.delivery.weather import PORTAL_WIDE
from perezvon.rules.vocabulary import Reason, Ref
from perezvon.storage.steps import Settled, State, Step

NO_ACTIVITY = Reason("not sent: the portal made no activity for this call")
GONE = Reason("not sent: the activity has been deleted in the portal")
NOT_FOUND = Reason("not sent: the portal has no activity of its own for this call")
THERE = Reason("the activity tells it already")

FRESH = 30.0
"""Seconds for which it counts what was read."""

PATIENCE = 24 * 3600.0
MANY_TRIES = 20
"""Seconds and tries (a request each) after which a portal that answers others, and not this, is not asked any more."""

LOOKED_FOR = 600.0
"""Seconds after the call for which its record is looked for in the portal's statistics."""
AROUND = 180.0
"""Seconds by which the clocks may differ, and by which the portal may be rung later than the PBX was."""
DIGITS = 10
"""Last digits in which two forms of a number agree."""

FIND = "find"
SOUGHT = "?"
"""In place of an activity that has to be found yet."""

_ACTIVITY = "activity"
_FOUND = "DESCRIPTION"
_FORM = "DESCRIPTION_TYPE"
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


@dataclass(frozen=True, slots=True)
class FindOwnCall:
    """Asks for the portal's own record of a call. `since`, `until`: its time on the PBX (POSIX seconds)."""

    phone: str
    since: float
    until: float

    method = methods.STATISTIC

    @property
    def params(self) -> dict[str, Any]:
        since, until = (iso(at) or "" for at in (self.since - AROUND, self.until + AROUND))
        return methods.statistic_period(phone=_digits(self.phone), since=since, until=until)

    def found(self, result: Json) -> str:
        """The activity of the record that began nearest; "" for none. The portal drops a filter that it does not know, and
        a call of ours, or of another application, is not its own."""
        near: list[tuple[float, str]] = []
        for raw in map(mapping, rows(result)):
            for row in methods.read_statistic([raw]):
                began = moment(row.started)
                own = not row.external_call_id and not number(raw.get("REST_APP_ID"))
                ours = own and row.activity_id and _digits(row.phone) == _digits(self.phone)
                if ours and began is not None and self.since - AROUND <= began <= self.until + AROUND:
                    near.append((abs(began - self.since), row.activity_id))
        return min(near)[1] if near else ""


Question = ReadActivity | FindOwnCall


def activity_of(step: Step, finish: Step | None) -> str | None:
    """The activity's id; "" where the portal made none, None while the call is not finished, SOUGHT: see there."""
    if FIND in step.params:
        return text(mapping(step.result).get(_ACTIVITY)) or SOUGHT
    if finish is None or finish.state is not State.DONE:
        return None
    ref = step.params.get("id")
    return number(mapping(finish.result).get(ref.field)) if isinstance(ref, Ref) else number(ref)


def question(step: Step, activity: str, now: float) -> Question | None:
    """None when what stands there has just been read, so that it may be written."""
    if activity == SOUGHT:
        wanted = mapping(step.params.get(FIND))
        return FindOwnCall(text(wanted.get("phone")), real(wanted.get("since")) or 0.0, real(wanted.get("until")) or 0.0)
    fresh = step.sent is not None and now - step.sent < FRESH
    known = step.state is State.NEW and _FOUND in mapping(step.result) and fresh
    return None if known else ReadActivity(activity)


def params_of(step: Step, activity: Json) -> dict[str, Json]:
    """What is sent. `activity`: its id, where the finish told it."""
    return {"id": activity or mapping(step.result).get(_ACTIVITY), "fields": fields_of(step)}


def fields_of(step: Step) -> dict[str, Json]:
    """What is written, from what was read. Other fields than the text are written as they are."""
    found = text(mapping(step.result).get(_FOUND)).strip()
    others = _others(step)
    if _flat(_told(step)) in _flat(found):
        return others
    return {**others, _FOUND: f"{found}\n\n{_told(step)}"} if found else {**others, _FOUND: _told(step), _FORM: _PLAIN}


def was_asked(step: Step, asked: Question, outcome: Answer | PortalError) -> Settled:
    if isinstance(outcome, PortalError):
        return refused(step, outcome, outcome.as_json(), GONE)
    if isinstance(asked, FindOwnCall):
        if activity := asked.found(outcome.result):
            return Settled(step.id, State.NEW, {_ACTIVITY: activity}, note=step.note)
        if step.sent is not None and step.sent > asked.until + LOOKED_FOR:
            return Settled(step.id, State.SKIPPED, note=NOT_FOUND)
        return Settled(step.id, State.UNSURE, note=step.note)
    there = mapping(outcome.result)
    found = text(there.get(_FOUND))
    others = all(text(there.get(name)) == text(value) for name, value in _others(step).items())
    if _flat(_told(step)) in _flat(found) and others:
        return Settled(step.id, State.DONE, True, note=THERE)
    return Settled(step.id, State.NEW, {_FOUND: found, _ACTIVITY: asked.activity}, note=step.note)


def was_written(step: Step, outcome: Answer | PortalError) -> Settled:
    if isinstance(outcome, PortalError):
        return refused(step, outcome, outcome.as_json(), GONE)
    try:
        return Settled(step.id, State.DONE, KINDS[step.kind].read(outcome.result).result, note=step.note)
    except Ambiguous as error:
        return refused(step, error, error.as_json(), GONE)


def refused(step: Step, error: PortalError, kept: Json, gone: Reason) -> Settled:
    """Neither an object that was deleted nor a portal that will not have it is tried for ever. `kept`: of what was read."""
    words = str(error)
    if isinstance(error, NotFound) and not isinstance(error, MethodNotFound):
        return Settled(step.id, State.SKIPPED, kept, words, gone)
    old = step.sent is not None and step.sent > step.created + PATIENCE and step.attempts > MANY_TRIES
    if isinstance(error, _REFUSED) or (old and not isinstance(error, PORTAL_WIDE)):
        return Settled(step.id, State.DEAD, kept, words, step.note)
    return Settled(step.id, State.UNSURE, kept, words, step.note)


def _digits(phone: str) -> str:
    return "".join(char for char in phone if char.isdigit())[-DIGITS:]


def _others(step: Step) -> dict[str, Json]:
    return {name: value for name, value in mapping(step.params.get("fields")).items() if name not in (_FOUND, _FORM)}


def _told(step: Step) -> str:
    return text(mapping(step.params.get("fields")).get(_FOUND))


def _flat(told: str) -> str:
    """Portals may keep other ends of lines."""
    return " ".join(told.split())
