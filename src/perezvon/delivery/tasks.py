"""How the one task of a client whom nobody answered is kept: request by request, each after a look at what is there. Pure.

A step of these kinds wants something of the task (missed_task: that it is open and tells of a further call; close_task;
remind_task), and gets there in stages, which are kept with the step and so outlive a kill:

search -> add                                     there is no task yet; whose client it is decides who gets it
read -> (renew) -> change -> comment -> complete  there is one, and it is still open, or may be opened again
read -> search -> add                             it was closed or deleted in the portal by hand

Neither a task nor a comment is made twice: both carry a mark, by which they are looked for when it is not known whether
they were made. What was read counts for a moment only; an employee may be faster than we are.

Source: contract.json, methods tasks.task.*, task.commentitem.*, telephony.externalCall.searchCrmEntities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.bitrix24 import methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import (
    Ambiguous,
    AppContextRequired,
    MissingScope,
    Permanent,
    PortalError,
)
from perezvon.bitrix24.values import Json, mapping, moment, number, rows, text
from perezvon.calls.call import iso
from perezvon.delivery.task_progress import (
    Outcome,
    Progress,
    Stage,
    behind,
    done,
    go_on,
    known_before,
    over,
    progress_of,
    seen,
    unsettled,
)
from perezvon.delivery.weather import METHOD_WIDE, PORTAL_WIDE
from perezvon.rules.missed import OWNER
from perezvon.rules.vocabulary import Kind, Reason
from perezvon.storage.steps import Settled, State, Step

MADE = Reason("the task was made")
FOUND = Reason("the task had been made although the portal's answer was lost")
TOLD = Reason("the task tells of it")
SILENT = Reason("the task is there, but the portal refuses the comment: {error}")
BARE = Reason("the task was made without group, observers and tags, which the portal refuses: {error}")
ANEW = Reason("the task before was closed or deleted in the portal: a new one was made")
RENEWED = Reason("the task was closed in the portal: it was opened again")
CLOSED = Reason("the task was closed")
CLOSED_BY_HAND = Reason("the task was closed in the portal already")
GONE = Reason("not sent: the task was deleted in the portal")
NONE_MADE = Reason("not sent: there is no task")
OTHERS = Reason("not sent: the task belongs to user {user}, who has not talked with the client")
IN_TIME = Reason("not sent: somebody has talked with the client before the task could be made")

FRESH = 10.0
"""Seconds for which it counts what was read."""
SLACK = 900.0
"""Seconds by which the portal's clock may differ from ours."""
PAGE = 50
PATIENCE = 20
"""Tries after which a portal that answers others, and not this, is not asked any more."""

_FIRST_WAIT = 2.0
_LONGEST_WAIT = 60.0
_LATE = 5.0
"""Seconds after which a request that got no answer is over at the portal, as a rule."""

_OPEN = frozenset({"1", "2", "3", "6"})
_SELECTED = ["ID", "TITLE", "STATUS", "RESPONSIBLE_ID", "CLOSED_DATE", "AUDITORS", "PRIORITY"]
_EXTRAS = frozenset({"GROUP_ID", "AUDITORS", "TAGS"})
"""What a task can do without, where the portal knows the group or the observers no more."""
_PREFIX = {"CONTACT": "C_", "LEAD": "L_", "COMPANY": "CO_"}
_REFUSED = (Permanent, MissingScope, AppContextRequired)


@dataclass(frozen=True, slots=True)
class Errand:
    """One request. `verifies`: asks whether what the stage does was done already."""

    stage: Stage
    method: str
    params: Mapping[str, Any]
    verifies: bool = False


def useless(step: Step, steps: Sequence[Step]) -> Reason | None:
    """Why the step is not worth a request (any more)."""
    if step.state is not State.NEW:
        return None
    known = known_before(step, steps)
    if step.kind is not Kind.MISSED_TASK:
        return None if known.get("task") or unsettled(step, steps) else NONE_MADE
    later = any(one.kind is Kind.CLOSE_TASK and one.pending and one.params.get("close") for one in behind(step, steps))
    made = known.get("task") or mapping(step.result).get("task")
    unconditional = all(one.params.get("only") is None for one in behind(step, steps) if one.kind is Kind.CLOSE_TASK)
    return IN_TIME if later and unconditional and not made and not unsettled(step, steps) else None


def errand(step: Step, steps: Sequence[Step], now: float, paused: Mapping[str, float]) -> Errand:
    """The next request. `paused`: methods that the portal refuses, until when (POSIX seconds)."""
    progress = progress_of(step, steps)
    stage = progress.stage
    unsure = step.state is State.UNSURE
    if stage is Stage.SEARCH and paused.get(methods.SEARCH, 0.0) > now:
        stage = Stage.ADD  # it is good for the owner and the links only
    fresh = step.sent is not None and now - step.sent < FRESH
    stale = stage in (Stage.CHANGE, Stage.COMMENT, Stage.COMPLETE, Stage.RENEW) and not fresh
    if (stale and not unsure) or (unsure and stage in (Stage.CHANGE, Stage.COMPLETE, Stage.RENEW)):
        stage = Stage.READ
    task = progress.task
    match stage:
        case Stage.SEARCH:
            return Errand(stage, methods.SEARCH, {"PHONE_NUMBER": text(step.params.get("phone"))})
        case Stage.ADD if unsure:
            wanted = {">=CREATED_DATE": iso(step.created - SLACK)}
            select = ["ID", "TITLE", "DESCRIPTION", "RESPONSIBLE_ID"]
            params = {"order": {"ID": "asc"}, "filter": wanted, "select": select, "start": progress.start}
            return Errand(stage, methods.LIST_TASKS, params, verifies=True)
        case Stage.ADD:
            return Errand(stage, methods.ADD_TASK, {"fields": _fields(step, progress)})
        case Stage.READ:
            return Errand(stage, methods.GET_TASK, {"taskId": task, "select": _SELECTED})
        case Stage.RENEW:
            return Errand(stage, methods.RENEW_TASK, {"taskId": task})
        case Stage.CHANGE:
            return Errand(stage, methods.UPDATE_TASK, {"taskId": task, "fields": _change(step, progress)})
        case Stage.COMMENT if unsure:
            return Errand(stage, methods.LIST_COMMENTS, {"TASKID": task, "ORDER": {"ID": "desc"}}, verifies=True)
        case Stage.COMMENT:
            fields = {"POST_MESSAGE": text(step.params.get("comment"))}
            return Errand(stage, methods.ADD_COMMENT, {"TASKID": task, "FIELDS": fields})
        case Stage.COMPLETE:
            return Errand(stage, methods.COMPLETE_TASK, {"taskId": task})


def told(step: Step, asked: Errand, answer: Answer | PortalError, steps: Sequence[Step], substitute: str) -> Outcome:
    """What the answer means. `substitute`: the user who takes the place of those whom the portal refuses."""
    progress = progress_of(step, steps)
    progress.stage = asked.stage
    if isinstance(answer, PortalError):
        return _failed(step, asked, answer, progress, substitute)
    progress.tries = 0
    result = answer.result
    match asked.stage:
        case Stage.SEARCH:
            _owned(step, result, progress)
            return go_on(step, progress, Stage.ADD)
        case Stage.ADD:
            return _looked_for(step, result, progress) if asked.verifies else _added(step, result, progress)
        case Stage.READ:
            return _read(step, result, progress)
        case Stage.RENEW:
            progress.renewed = True
            return _next(step, progress)
        case Stage.CHANGE:
            progress.changed = True
            progress.title = text(_change(step, progress).get("TITLE")) or progress.title
            return _next(step, progress)
        case Stage.COMMENT if asked.verifies and not _marked(step, result, "POST_MESSAGE"):
            return go_on(step, progress, Stage.COMMENT)
        case Stage.COMMENT:
            progress.commented = True
            return _next(step, progress)
        case Stage.COMPLETE:
            return _closed(step, progress, CLOSED)


# ---- a new task


def _fields(step: Step, progress: Progress) -> dict[str, Json]:
    fields: dict[str, Json] = dict(mapping(step.params.get("task")))
    users = progress.users or _without_owner(step)
    fields["RESPONSIBLE_ID"] = users[min(progress.who, len(users) - 1)]
    if progress.bare:
        return {name: value for name, value in fields.items() if name not in _EXTRAS}
    if progress.links:
        fields["UF_CRM_TASK"] = progress.links
    return fields


def _without_owner(step: Step) -> list[str]:
    return [user for user in map(text, rows(step.params.get("chain"))) if user != OWNER]


def _owned(step: Step, result: Json, progress: Progress) -> None:
    found = [mapping(row) for row in rows(result)]
    owner = next((user for row in found if (user := number(row.get("ASSIGNED_BY_ID"))) and user != "0"), "")
    chain = [owner if user == OWNER else user for user in map(text, rows(step.params.get("chain")))]
    progress.users = list(dict.fromkeys(user for user in chain if user))
    prefixed = ((_PREFIX.get(text(row.get("CRM_ENTITY_TYPE"))), number(row.get("CRM_ENTITY_ID"))) for row in found[:10])
    progress.links = [f"{prefix}{entity}" for prefix, entity in prefixed if prefix and entity]


def _added(step: Step, result: Json, progress: Progress) -> Outcome:
    task = mapping(mapping(result).get("task"))
    if not number(task.get("id")):
        error = Ambiguous(f"{methods.ADD_TASK}: the answer names no task", method=methods.ADD_TASK)
        return _unsure(step, progress, error)
    return _made(step, progress, task, ANEW if progress.anew else MADE)


def _looked_for(step: Step, result: Json, progress: Progress) -> Outcome:
    """The portal is asked page after page: it cannot look for our mark itself."""
    page = [mapping(row) for row in rows(mapping(result).get("tasks"))]
    mark = text(step.params.get("mark"))
    ours = next((row for row in page if mark and mark in text(row.get("description"))), None)
    if ours is not None:
        return _made(step, progress, ours, FOUND)
    if len(page) >= PAGE:
        progress.start += PAGE
        return Outcome(Settled(step.id, State.UNSURE, progress.as_json(), note=step.note))
    progress.start = 0
    return go_on(step, progress, Stage.ADD)


def _made(step: Step, progress: Progress, task: Mapping[str, Json], note: Reason) -> Outcome:
    fields = _fields(step, progress)
    progress.task = number(task.get("id"))
    progress.title = text(fields["TITLE"])
    if progress.bare:
        note = Reason(BARE.text, {"error": progress.error})
    progress.responsible = number(task.get("responsibleId")) or text(fields["RESPONSIBLE_ID"])
    return done(step, progress, note)


# ---- a task that is there


def _read(step: Step, result: Json, progress: Progress) -> Outcome:
    task = mapping(mapping(result).get("task"))
    if not number(task.get("id")):
        if step.kind is Kind.MISSED_TASK:
            return _make_anew(step, progress)
        return Outcome(Settled(step.id, State.SKIPPED, {}, note=GONE), seen=over(step, progress))
    progress.responsible = number(task.get("responsibleId"))
    progress.auditors = [number(user) for user in rows(task.get("auditors"))]
    progress.their_title = text(task.get("title"))
    if number(task.get("status")) not in _OPEN:
        return _read_closed(step, task, progress)
    only = step.params.get("only")
    if only is not None and progress.responsible not in map(text, rows(only)):
        note = Reason(OTHERS.text, {"user": progress.responsible})
        return Outcome(Settled(step.id, State.SKIPPED, progress.as_json(), note=note), seen=seen(step, progress))
    return _next(step, progress)


def _read_closed(step: Step, task: Mapping[str, Json], progress: Progress) -> Outcome:
    if step.kind is Kind.CLOSE_TASK:
        return _closed(step, progress, CLOSED if progress.completing else CLOSED_BY_HAND)
    if step.kind is Kind.REMIND_TASK:
        return Outcome(Settled(step.id, State.SKIPPED, progress.as_json(), note=CLOSED_BY_HAND))
    since = step.params.get("reopen")
    closed = moment(task.get("closedDate"))
    late = not isinstance(since, (int, float)) or (closed is not None and closed < since)
    if not late and not progress.stays_closed:
        return go_on(step, progress, Stage.RENEW)
    return _make_anew(step, progress)


def _make_anew(step: Step, progress: Progress) -> Outcome:
    return go_on(step, Progress(Stage.SEARCH, anew=True, tries=progress.tries), Stage.SEARCH)


def _change(step: Step, progress: Progress) -> dict[str, Json]:
    """A title that an employee has written stays."""
    change = dict(mapping(step.params.get("change")))
    if progress.their_title != progress.title:
        change.pop("TITLE", None)
    observer = text(step.params.get("observer"))
    if observer and observer not in progress.auditors:
        change["AUDITORS"] = [*progress.auditors, observer]
    return change


def _next(step: Step, progress: Progress) -> Outcome:
    if not progress.changed and _change(step, progress):
        return go_on(step, progress, Stage.CHANGE)
    if not progress.commented and step.params.get("comment"):
        return go_on(step, progress, Stage.COMMENT)
    if step.params.get("close"):
        return go_on(step, progress, Stage.COMPLETE)
    if progress.error:
        return done(step, progress, Reason(SILENT.text, {"error": progress.error}))
    return done(step, progress, RENEWED if progress.renewed else TOLD)


def _closed(step: Step, progress: Progress, note: Reason) -> Outcome:
    return Outcome(Settled(step.id, State.DONE, progress.as_json(), note=note), seen=over(step, progress))


# ---- errors


def _failed(step: Step, asked: Errand, error: PortalError, progress: Progress, substitute: str) -> Outcome:
    progress.completing |= asked.stage is Stage.COMPLETE and isinstance(error, Ambiguous)
    wide = isinstance(error, PORTAL_WIDE) or (isinstance(error, METHOD_WIDE) and not isinstance(error, Permanent))
    refused = isinstance(error, _REFUSED)
    if refused and asked.stage is Stage.SEARCH:
        return go_on(step, progress, Stage.ADD)
    if refused and asked.stage in (Stage.CHANGE, Stage.COMMENT) and not isinstance(error, MissingScope):
        progress.changed |= asked.stage is Stage.CHANGE
        progress.commented |= asked.stage is Stage.COMMENT
        progress.error = str(error) if asked.stage is Stage.COMMENT else progress.error
        return _next(step, progress)
    if wide and not isinstance(error, Ambiguous):
        return _again(step, asked, error, progress, 0.0)
    progress.tries += 1
    if isinstance(error, Permanent):
        return _refused(step, asked, error, progress, substitute)
    if isinstance(error, Ambiguous):
        return _unsure(step, progress, error)
    if progress.tries > PATIENCE:
        return Outcome(Settled(step.id, State.DEAD, progress.as_json(), str(error), step.note))
    wait = error.retry_after if error.retry_after is not None else _wait(progress)
    return _again(step, asked, error, progress, wait)


def _refused(step: Step, asked: Errand, error: PortalError, progress: Progress, substitute: str) -> Outcome:
    """The next of the chain may be somebody whom the portal knows; an employee may just have closed the task."""
    if asked.stage is Stage.ADD and not asked.verifies:
        users = progress.users or _without_owner(step)
        if substitute and substitute not in users:
            users = [*users, substitute]
        progress.users = users
        if progress.who + 1 < len(users):
            progress.who += 1
            return go_on(step, progress, Stage.ADD)
        if not progress.bare:
            progress.bare, progress.who, progress.error = True, 0, str(error)
            return go_on(step, progress, Stage.ADD)
    elif asked.stage is Stage.READ:
        return _read(step, [], progress)
    elif asked.stage is Stage.RENEW:
        progress.stays_closed = True
        return go_on(step, progress, Stage.READ)
    elif progress.tries <= PATIENCE:
        stage = Stage.READ if asked.stage is Stage.COMPLETE else asked.stage
        progress.stage = stage
        state = State.UNSURE if asked.verifies else State.NEW
        return Outcome(Settled(step.id, state, progress.as_json(), str(error), step.note), _wait(progress))
    return Outcome(Settled(step.id, State.DEAD, progress.as_json(), str(error), step.note))


def _again(step: Step, asked: Errand, error: PortalError, progress: Progress, wait: float) -> Outcome:
    state = State.UNSURE if asked.verifies else State.NEW
    return Outcome(Settled(step.id, state, progress.as_json(), str(error), step.note), wait)


def _unsure(step: Step, progress: Progress, error: PortalError) -> Outcome:
    return Outcome(Settled(step.id, State.UNSURE, progress.as_json(), str(error), step.note), max(_wait(progress), _LATE))


def _wait(progress: Progress) -> float:
    return min(_FIRST_WAIT * 2.0 ** max(progress.tries - 1, 0), _LONGEST_WAIT)


def _marked(step: Step, result: Json, name: str) -> bool:
    mark = text(step.params.get("mark"))
    return any(mark and mark in text(mapping(row).get(name)) for row in rows(result))
