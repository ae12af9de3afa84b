"""tasks.task.*: tasks with statuses, people, deadlines and links to CRM objects; messages to a task's chat (REST v3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.handlers.messenger import say, task_chat
from perezvon.sandbox.portal.handlers.task_board import (
    COMPLETED,
    CONTROL,
    CRM_LINK,
    DEFERRED,
    IN_PROGRESS,
    ON_DEMAND,
    PENDING,
    Task,
    TaskBoard,
    actions,
    file_ids,
    value,
    view,
)
from perezvon.sandbox.portal.params import Params, as_int, as_mapping, as_moment
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
STATUSES = frozenset({PENDING, IN_PROGRESS, CONTROL, COMPLETED, DEFERRED})
KEPT = (
    "MARK",
    "TASK_CONTROL",
    "ALLOW_CHANGE_DEADLINE",
    "ALLOW_TIME_TRACKING",
    "TIME_ESTIMATE",
    "MATCH_WORK_TIME",
    "SE_PARAMETER",
)
REFUSED = "Action on the task is not allowed"


def _event(portal: PortalState, change: str, task: Task) -> None:
    before: Json = "undefined" if change == "ADD" else {"ID": str(task.id)}
    after: Json = "undefined" if change == "DELETE" else {"ID": str(task.id)}
    portal.publish("task", change=change, id=task.id, title=task.title, status=task.status)
    data = {"FIELDS_BEFORE": before, "FIELDS_AFTER": after, "IS_ACCESSIBLE_BEFORE": "N", "IS_ACCESSIBLE_AFTER": "undefined"}
    portal.emit(f"ONTASK{change}", data)


def _found(portal: PortalState, name: str, who: Caller, params: Params) -> Task:
    """The task, for whoever takes part in it or is an administrator."""
    number = params.integer("taskId")
    if number <= 0:
        raise documented(name, "wrong task id")
    task = portal.part(TaskBoard).tasks.get(number)
    if task is None or (who.user_id not in task.members and not portal.people.users[who.user_id].admin):
        code = "1048582" if name in ("tasks.task.defer", "tasks.task.renew", "tasks.task.delete") else "0"
        raise documented(name, "No access to delete") if name.endswith("delete") else RestError(code, REFUSED)
    return task


# ----- making and changing


def _apply(portal: PortalState, name: str, task: Task, given: Mapping[str, Json]) -> None:
    """Take over the known fields, checked; raises before anything is changed."""
    fields = Params({key.upper(): item for key, item in given.items()})
    wrong = "Incorrect status" if name.endswith("add") else "Invalid status"
    if "STATUS" in fields and fields.integer("STATUS") not in STATUSES:
        raise documented(name, wrong)
    if "RESPONSIBLE_ID" in fields and portal.people.active(fields.integer("RESPONSIBLE_ID")) is None:
        raise documented(name, '"Responsible" field')
    parent = fields.integer("PARENT_ID")
    if parent:
        _check_parent(portal, name, task, parent)
    moments = {key: _moment(name, fields, key) for key in ("DEADLINE", "START_DATE_PLAN", "END_DATE_PLAN") if key in fields}
    start, end = moments.get("START_DATE_PLAN", task.start_plan), moments.get("END_DATE_PLAN", task.end_plan)
    if start and end and end < start:
        raise documented(name, "earlier than the start")
    links = [str(one) for one in fields.items_of("UF_CRM_TASK")]
    bad = next((one for one in links if not CRM_LINK.fullmatch(one)), None)
    if bad is not None:
        raise RestError(
            "SANDBOX_WRONG_VALUE", f"{name}: UF_CRM_TASK {bad!r} should look like L_5 or CO_12", argument="UF_CRM_TASK"
        )
    people = {key: [as_int(one) for one in fields.items_of(key)] for key in ("AUDITORS", "ACCOMPLICES") if key in fields}
    unknown = next((one for ids in people.values() for one in ids if one not in portal.people.users), None)
    if unknown is not None:
        raise RestError("SANDBOX_WRONG_VALUE", f"{name}: there is no user {unknown}")
    task.title = fields.text("TITLE", task.title)
    task.description = fields.text("DESCRIPTION", task.description)
    task.responsible = fields.integer("RESPONSIBLE_ID", task.responsible)
    task.creator = fields.integer("CREATED_BY", task.creator)
    task.priority = fields.integer("PRIORITY", task.priority)
    task.parent, task.group = parent or task.parent, fields.integer("GROUP_ID", task.group)
    task.deadline = moments.get("DEADLINE", task.deadline)
    task.start_plan, task.end_plan = start, end
    task.auditors, task.accomplices = people.get("AUDITORS", task.auditors), people.get("ACCOMPLICES", task.accomplices)
    task.links = links if "UF_CRM_TASK" in fields else task.links
    if "UF_TASK_WEBDAV_FILES" in fields:
        task.files = [str(one) for one in fields.items_of("UF_TASK_WEBDAV_FILES")]
    task.tags = [str(tag) for tag in fields.items_of("TAGS")] if "TAGS" in fields else task.tags
    task.extra |= {
        key: item for key, item in fields.items() if key in KEPT or (key.startswith("UF_") and key not in ON_DEMAND)
    }
    if "STATUS" in fields:
        _move(portal, task, fields.integer("STATUS"), task.changed_by)


def _check_parent(portal: PortalState, name: str, task: Task, parent: int) -> None:
    tasks = portal.part(TaskBoard).tasks
    if parent not in tasks:
        raise documented(name, '"Parent Task" field')
    if name.endswith("update"):
        if parent == task.id:
            raise documented(name, "bind the node to itself")
        above = parent
        while above:
            if above == task.id:
                raise documented(name, "cyclic")
            above = tasks[above].parent


def _moment(name: str, fields: Params, key: str) -> float | None:
    text = fields.text(key)
    if not text:
        return None
    moment = as_moment(text)
    if moment is None:
        raise RestError("SANDBOX_WRONG_VALUE", f"{name}: {key} {text!r} should be ISO 8601 with an offset", argument=key)
    return moment


def _move(portal: PortalState, task: Task, status: int, by: int) -> None:
    if status == task.status:
        return
    task.status, task.status_at = status, portal.now()
    task.closed, task.closed_by = (portal.now(), by) if status in (COMPLETED, CONTROL) else (None, 0)
    if status == IN_PROGRESS:
        task.started = portal.now()


@method("tasks.task.add", checks_itself=("fields",))
async def task_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "tasks.task.add"
    if not isinstance(params.get("fields"), Mapping):
        raise documented(name, "100")
    given = Params({key.upper(): item for key, item in params.mapping("fields").items()})
    if not given.text("TITLE").strip():
        raise documented(name, "Task title not specified")
    if not given.integer("RESPONSIBLE_ID"):
        raise documented(name, "Responsible person not specified")
    now = portal.now()
    task = Task(0, "", who.user_id, 0, now, now, who.user_id)
    _apply(portal, name, task, given)
    board = portal.part(TaskBoard)
    task.id = board.next_id()
    board.tasks[task.id] = task
    _event(portal, "ADD", task)
    return {"task": view(portal, task, who.user_id)}


@method("tasks.task.update", checks_itself=("taskId", "fields"))
async def task_update(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "tasks.task.update"
    given = params.mapping("fields")
    if not given:
        raise documented(name, "{fields}")
    task = _found(portal, name, who, params)
    if not actions(portal, task, who.user_id)["edit"]:
        raise documented(name, REFUSED)
    task.changed_by = who.user_id
    _apply(portal, name, task, given)
    _changed(portal, task, who)
    return {"task": view(portal, task, who.user_id)}


@method("tasks.task.delete", checks_itself=("taskId",))
async def task_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "tasks.task.delete"
    task = _found(portal, name, who, params)
    if not actions(portal, task, who.user_id)["remove"]:
        raise documented(name, "No access to delete")
    del portal.part(TaskBoard).tasks[task.id]
    _event(portal, "DELETE", task)
    return {"task": True}


def _changed(portal: PortalState, task: Task, who: Caller) -> None:
    task.changed, task.changed_by = portal.now(), who.user_id
    _event(portal, "UPDATE", task)


# ----- statuses


def _make_action(action: str, status: int) -> None:
    name = f"tasks.task.{action}"

    @method(name, checks_itself=("taskId",))
    async def act(portal: PortalState, who: Caller, params: Params) -> Json:
        task = _found(portal, name, who, params)
        if not actions(portal, task, who.user_id)[action]:
            raise documented(name, "not allowed")
        controlled = action == "complete" and task.extra.get("TASK_CONTROL") == "Y" and who.user_id != task.creator
        _move(portal, task, CONTROL if controlled else status, who.user_id)
        _changed(portal, task, who)
        return {"task": view(portal, task, who.user_id)}


for _action, _status in (("complete", COMPLETED), ("renew", PENDING), ("defer", DEFERRED), ("start", IN_PROGRESS)):
    _make_action(_action, _status)


@method("tasks.task.delegate", checks_itself=("taskId", "userId"))
async def task_delegate(portal: PortalState, who: Caller, params: Params) -> Json:
    """The former responsible stays as an observer."""
    name = "tasks.task.delegate"
    if not params.integer("userId"):
        raise documented(name, "{userId}")
    task = _found(portal, name, who, params)
    if portal.people.active(params.integer("userId")) is None or not actions(portal, task, who.user_id)["delegate"]:
        raise documented(name, "not allowed")
    if task.responsible not in (task.creator, *task.auditors):
        task.auditors.append(task.responsible)
    task.responsible = params.integer("userId")
    _changed(portal, task, who)
    return {"task": view(portal, task, who.user_id)}


# ----- reading


def _selected(portal: PortalState, task: Task, who: Caller, select: list[Json]) -> dict[str, Json]:
    """`select` names are upper case (RESPONSIBLE_ID) or camel case; `id` and what belongs to a chosen person come along."""
    whole = view(portal, task, who.user_id)
    names = [_camel(str(name)) for name in select]
    if {_camel(name) for name in ON_DEMAND} & set(names):
        whole["ufCrmTask"] = task.links or False
        whole["ufTaskWebdavFiles"] = file_ids(task.files) or False
        whole["ufMailMessage"] = None
    whole |= {_camel(name): item for name, item in task.extra.items() if name.startswith("UF_")}
    if not names or "*" in names:
        return whole
    related = {
        "creator": "createdBy",
        "responsible": "responsibleId",
        "auditorsData": "auditors",
        "accomplicesData": "accomplices",
    }
    always = {"id", "group", "favorite", "descriptionInBbcode", "action"}
    on_demand = {_camel(name) for name in ON_DEMAND}
    return {
        name: item
        for name, item in whole.items()
        if name in names or name in always or name in on_demand or related.get(name) in names
    }


def _camel(name: str) -> str:
    if not re.fullmatch(r"[A-Z0-9_]+", name):
        return name
    head, *tail = name.lower().split("_")
    return head + "".join(part.capitalize() for part in tail)


@method("tasks.task.get", checks_itself=("taskId", "select"))
async def task_get(portal: PortalState, who: Caller, params: Params) -> Json:
    """[] for a task that is not there, or not for this user's eyes."""
    name = "tasks.task.get"
    if "taskId" not in params:
        raise documented(name, "CTaskItem")
    if "select" in params and not isinstance(params["select"], (list, Mapping)):
        raise documented(name, "{select}")
    if params.integer("taskId") <= 0:
        raise documented(name, "wrong task id")
    task = portal.part(TaskBoard).tasks.get(params.integer("taskId"))
    if task is None or (who.user_id not in task.members and not portal.people.users[who.user_id].admin):
        return []
    return {"task": _selected(portal, task, who, params.items_of("select"))}


@method("tasks.task.list", checks_itself=("order",))
async def task_list(portal: PortalState, who: Caller, params: Params) -> Json:
    known = set(
        next(p for p in contract().raw["methods"]["tasks.task.list"]["params"] if p["name"] == "filter")["filter_fields"]
    )
    order = {str(key).upper(): way for key, way in params.mapping("order").items()} or {"ID": "DESC"}
    if set(order) - known:
        raise documented("tasks.task.list", "Invalid sorting key")
    given = {key: item for key, item in params.mapping("filter").items() if query.Condition.parse(key, item).field in known}
    only_roots = str(given.pop("ONLY_ROOT_TASKS", "N")) == "Y"

    def read(task: Task, field: str) -> Json:
        return value(portal, task, field)

    admin = portal.people.users[who.user_id].admin
    tasks = [task for task in portal.part(TaskBoard).tasks.values() if admin or who.user_id in task.members]
    group = query.parse(given)
    tasks = [task for task in tasks if query.matches(group, task, read) and not (only_roots and task.parent)]
    page = page_of(query.ordered(tasks, order, read), params.integer("start"))
    rows = [_selected(portal, task, who, params.items_of("select")) for task in page.items]
    return Page({"tasks": rows}, page.total, page.next)


# ----- the task's chat, REST v3


@method("tasks.task.chat.message.send", checks_itself=("fields",))
async def chat_message_send(portal: PortalState, who: Caller, params: Params) -> Json:
    fields = as_mapping(params.get("fields"))
    code = "BITRIX_REST_V3_EXCEPTION_VALIDATION_REQUESTVALIDATIONEXCEPTION"
    wrong = [
        {"field": field, "message": f"Required field `{field}` is missing or has a wrong type"}
        for field, good in (
            ("taskId", as_int(fields.get("taskId")) > 0),
            ("text", isinstance(fields.get("text"), str) and bool(fields.get("text"))),
        )
        if not good
    ]
    if wrong:
        raise RestError(code, "Request validation error", 400, validation=wrong)
    task = portal.part(TaskBoard).tasks.get(as_int(fields["taskId"]))
    if task is None or (who.user_id not in task.members and not portal.people.users[who.user_id].admin):
        raise documented("tasks.task.chat.message.send", "Access denied")
    say(portal, task_chat(portal, task.id, task.title, task.members), who.user_id, str(fields["text"]))
    portal.publish("task", change="MESSAGE", id=task.id, title=task.title, status=task.status)
    return {"result": True}
