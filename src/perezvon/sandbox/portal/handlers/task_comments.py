"""task.commentitem.*: comments of tasks, the old way (positional parameters, errors out of the PHP code)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.handlers.task_board import Comment, Task, TaskBoard, comment_view, file_ids
from perezvon.sandbox.portal.params import Params, as_moment
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
FILTERED = frozenset({"ID", "AUTHOR_ID", "AUTHOR_NAME", "POST_DATE"})
ORDERED = FILTERED | {"AUTHOR_EMAIL"}
OPERATORS = frozenset({"=", "!", "<", "<=", ">", ">="})
WRITTEN = frozenset({"POST_MESSAGE", "AUTHOR_ID", "POST_DATE", "UF_FORUM_MESSAGE_DOC"})


def _wrong_arguments(text: str) -> RestError:
    return RestError("ERROR_CORE", f"TASKS_ERROR_EXCEPTION_#256; {text}; 256/TE/WRONG_ARGUMENTS")


def _task(portal: PortalState, operation: str, who: Caller, params: Params) -> Task:
    if not params.text("TASKID").isdigit():
        raise _wrong_arguments(
            f'Param #0 (taskId) for method ctaskcommentitem::{operation}() expected to be of type "integer", '
            "but given something else."
        )
    task = portal.part(TaskBoard).tasks.get(params.integer("TASKID"))
    if task is None or (who.user_id not in task.members and not portal.people.users[who.user_id].admin):
        raise RestError("ERROR_CORE", "TASKS_ERROR_EXCEPTION_#8; Action failed; 8/TE/ACTION_FAILED_TO_BE_PROCESSED")
    return task


def _comment(operation: str, task: Task, params: Params) -> Comment:
    if "ITEMID" not in params:
        raise _wrong_arguments(f"Param #1 (itemId) expected by method ctaskcommentitem::{operation}(), but not given.")
    found = next((comment for comment in task.comments if comment.id == params.integer("ITEMID")), None)
    if found is None:
        raise documented("task.commentitem.get", "ITEM_NOT_FOUND")
    return found


@method("task.commentitem.add", checks_itself=("TASKID", "FIELDS"))
async def comment_add(portal: PortalState, who: Caller, params: Params) -> Json:
    task = _task(portal, "add", who, params)
    fields = Params(params.mapping("FIELDS"))
    unknown = next((name for name in fields if name not in WRITTEN), None)
    if unknown is not None:
        raise _wrong_arguments(f"Param #1 (arFields) for method ctaskcommentitem::add() must not contain key {unknown}.")
    if not fields.text("POST_MESSAGE").strip():
        raise documented("task.commentitem.add", "Comment text")
    files = file_ids(fields.get("UF_FORUM_MESSAGE_DOC"))
    if any(portal.files.get(number) is None for number in files):
        raise documented("task.commentitem.add", "File not found")
    at = as_moment(fields.text("POST_DATE")) or portal.now()
    author = fields.integer("AUTHOR_ID", who.user_id)
    comment = Comment(portal.part(TaskBoard).next_comment_id(), author, at, fields.text("POST_MESSAGE"), files)
    task.comments.append(comment)
    _event(portal, "ADD", task, comment)
    return comment.id


@method("task.commentitem.get", checks_itself=("TASKID", "ITEMID"))
async def comment_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return comment_view(portal, _comment("get", _task(portal, "get", who, params), params))


@method("task.commentitem.getlist", checks_itself=("TASKID", "ORDER", "FILTER"))
async def comment_list(portal: PortalState, who: Caller, params: Params) -> Json:
    task = _task(portal, "getlist", who, params)
    order, given = params.mapping("ORDER"), params.mapping("FILTER")
    for name in order:
        if name not in ORDERED:
            raise _wrong_arguments(
                f'Param #1 (arOrder) for method ctaskcommentitem::getlist() must not contain key "{name}".'
            )
    for name in given:
        condition = query.Condition.parse(name, None)
        if condition.field not in FILTERED or condition.operator not in OPERATORS:
            raise _wrong_arguments(
                f'Param #2 (arFilter) for method ctaskcommentitem::getlist() must not contain key "{name}".'
            )
    group = query.parse(given)
    rows = [row for row in (comment_view(portal, comment) for comment in task.comments) if query.matches(group, row)]
    return query.ordered(rows, order or {"ID": "ASC"})


@method("task.commentitem.delete", checks_itself=("TASKID", "ITEMID"))
async def comment_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    task = _task(portal, "delete", who, params)
    comment = _comment("delete", task, params)
    task.comments.remove(comment)
    _event(portal, "DELETE", task, comment)
    return True


def _event(portal: PortalState, change: str, task: Task, comment: Comment) -> None:
    about: Mapping[str, Json] = {"ID": str(comment.id), "MESSAGE_ID": str(comment.id), "TASK_ID": str(task.id)}
    portal.publish("task", change=f"COMMENT_{change}", id=task.id, title=task.title, status=task.status)
    data = {
        "FIELDS_BEFORE": "undefined" if change == "ADD" else about,
        "FIELDS_AFTER": about if change == "ADD" else "undefined",
    }
    portal.emit(f"ONTASKCOMMENT{change}", dict(data))
