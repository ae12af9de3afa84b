"""Tasks as the pretend portal keeps them, and how the REST answers show one. Rules and errors are in `tasks.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.handlers.messenger import task_chat
from perezvon.sandbox.portal.params import as_list
from perezvon.sandbox.portal.state import PortalState

Json = Any
PENDING, IN_PROGRESS, CONTROL, COMPLETED, DEFERRED = 2, 3, 4, 5, 6
CRM_LINK = re.compile(r"(L|D|C|CO|SI|Q|T[0-9a-f]+)_\d+")
ON_DEMAND = ("UF_CRM_TASK", "UF_TASK_WEBDAV_FILES", "UF_MAIL_MESSAGE")


@dataclass(slots=True)
class Comment:
    """`at`: POSIX seconds."""

    id: int
    author: int
    at: float
    text: str
    files: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class Task:
    """Moments are POSIX seconds, None when not set. `links`: UF_CRM_TASK, like L_5. `extra`: other fields by upper name."""

    id: int
    title: str
    creator: int
    responsible: int
    created: float
    changed: float
    changed_by: int
    description: str = ""
    status: int = PENDING
    status_at: float = 0.0
    priority: int = 1
    deadline: float | None = None
    start_plan: float | None = None
    end_plan: float | None = None
    started: float | None = None
    closed: float | None = None
    closed_by: int = 0
    parent: int = 0
    group: int = 0
    auditors: list[int] = field(default_factory=list[int])
    accomplices: list[int] = field(default_factory=list[int])
    links: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    tags: list[str] = field(default_factory=list[str])
    comments: list[Comment] = field(default_factory=list[Comment])
    extra: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def members(self) -> list[int]:
        return list(dict.fromkeys([self.creator, self.responsible, *self.accomplices, *self.auditors]))

    def overdue(self, now: float) -> bool:
        return self.deadline is not None and self.deadline < now and self.status < CONTROL


class TaskBoard:
    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self._last = 0
        self._last_comment = 0

    def next_id(self) -> int:
        self._last += 1
        return self._last

    def next_comment_id(self) -> int:
        self._last_comment += 1
        return self._last_comment


def value(portal: PortalState, task: Task, name: str) -> Json:
    """A field by its upper-case name, for filters and orders."""
    now = portal.now()
    match name:
        case "ID":
            return task.id
        case "TITLE":
            return task.title
        case "STATUS":
            return [task.status, *([-1] if task.overdue(now) else [])]
        case "REAL_STATUS":
            return task.status
        case "RESPONSIBLE_ID":
            return task.responsible
        case "CREATED_BY":
            return task.creator
        case "DEADLINE":
            return None if task.deadline is None else portal.iso(task.deadline)
        case "CREATED_DATE":
            return portal.iso(task.created)
        case "CHANGED_DATE":
            return portal.iso(task.changed)
        case "CLOSED_DATE":
            return None if task.closed is None else portal.iso(task.closed)
        case "DATE_START":
            return None if task.started is None else portal.iso(task.started)
        case "PRIORITY":
            return task.priority
        case "PARENT_ID":
            return task.parent or None
        case "GROUP_ID":
            return task.group
        case "ACCOMPLICE":
            return task.accomplices
        case "AUDITOR":
            return task.auditors
        case "TAG":
            return task.tags
        case "UF_CRM_TASK":
            return task.links
        case "STATUS_CHANGED_BY":
            return task.changed_by
        case _:
            return task.extra.get(name)


def person(portal: PortalState, user: int) -> dict[str, Json]:
    known = portal.people.users.get(user)
    return {
        "id": str(user),
        "name": known.full_name if known else "",
        "link": f"/company/personal/user/{user}/",
        "icon": "/bitrix/images/tasks/default_avatar.png",
        "workPosition": known.position if known else "",
    }


def view(portal: PortalState, task: Task, who: int) -> dict[str, Json]:
    """The whole task with camelCase names, in the documented order. Empty maps are [] as PHP writes them."""
    shape = contract().raw["methods"]["tasks.task.add"]["response_shape"]["result"]["task"]

    def iso(at: float | None) -> str | None:
        return None if at is None else portal.iso(at)

    known: dict[str, Json] = {
        "id": str(task.id),
        "parentId": str(task.parent) if task.parent else None,
        "title": task.title,
        "description": task.description,
        "mark": task.extra.get("MARK"),
        "priority": str(task.priority),
        "multitask": "N",
        "notViewed": "N",
        "replicate": "N",
        "stageId": "0",
        "createdBy": str(task.creator),
        "createdDate": iso(task.created),
        "responsibleId": str(task.responsible),
        "changedBy": str(task.changed_by),
        "changedDate": iso(task.changed),
        "statusChangedBy": str(task.changed_by) if task.status_at else None,
        "closedBy": str(task.closed_by) if task.closed_by else None,
        "closedDate": iso(task.closed),
        "activityDate": iso(task.changed),
        "dateStart": iso(task.started),
        "deadline": iso(task.deadline),
        "startDatePlan": iso(task.start_plan),
        "endDatePlan": iso(task.end_plan),
        "guid": f"{{sandbox-{task.id:08d}}}",
        "commentsCount": str(len(task.comments)) if task.comments else None,
        "allowChangeDeadline": str(task.extra.get("ALLOW_CHANGE_DEADLINE", "Y")),
        "allowTimeTracking": str(task.extra.get("ALLOW_TIME_TRACKING", "N")),
        "taskControl": str(task.extra.get("TASK_CONTROL", "N")),
        "addInReport": "N",
        "timeEstimate": str(task.extra.get("TIME_ESTIMATE", "0")),
        "matchWorkTime": str(task.extra.get("MATCH_WORK_TIME", "N")),
        "siteId": "s1",
        "subordinate": "N",
        "outlookVersion": "1",
        "isMuted": "N",
        "isPinned": "N",
        "isPinnedInGroup": "N",
        "descriptionInBbcode": "Y",
        "status": str(task.status),
        "statusChangedDate": iso(task.status_at or task.created),
        "durationType": "days",
        "favorite": "N",
        "groupId": str(task.group),
        "auditors": [str(user) for user in task.auditors],
        "accomplices": [str(user) for user in task.accomplices],
        "checklist": [],
        "group": [],
        "creator": person(portal, task.creator),
        "responsible": person(portal, task.responsible),
        "accomplicesData": {str(user): person(portal, user) for user in task.accomplices},
        "auditorsData": {str(user): person(portal, user) for user in task.auditors},
        "newCommentsCount": 0,
        "action": actions(portal, task, who),
        "checkListTree": {"nodeId": 0, "fields": {}, "action": [], "descendants": []},
        "checkListCanAdd": True,
    }
    told = {name: known.get(name) for name in shape}
    told["tags"] = {str(at + 1): {"id": at + 1, "title": tag} for at, tag in enumerate(task.tags)}
    told["chatId"] = str(task_chat(portal, task.id, task.title, task.members).id)
    return told


def actions(portal: PortalState, task: Task, who: int) -> dict[str, bool]:
    """What this user may do now, by the names that `action` has."""
    names = contract().raw["methods"]["tasks.task.complete"]["response_shape"]["result"]["task"]["action"]
    admin = portal.people.users[who].admin
    works = admin or who in (task.creator, task.responsible) or who in task.accomplices
    owns = admin or who == task.creator
    may = {
        "complete": works and task.status in (PENDING, IN_PROGRESS, DEFERRED),
        "start": works and task.status in (PENDING, DEFERRED),
        "pause": works and task.status == IN_PROGRESS,
        "defer": works and task.status in (PENDING, IN_PROGRESS),
        "renew": works and task.status in (CONTROL, COMPLETED, DEFERRED),
        "delegate": (admin or who == task.responsible) and task.status != COMPLETED,
        "approve": owns and task.status == CONTROL,
        "disapprove": owns and task.status == CONTROL,
        "edit": owns,
        "remove": owns,
        "changeDeadline": owns or (who == task.responsible and task.extra.get("ALLOW_CHANGE_DEADLINE", "Y") == "Y"),
        "create": True,
        "edit.originator": owns,
        "edit.plan": owns,
    }
    return {str(name): bool(may.get(str(name), False)) for name in names}


def comment_view(portal: PortalState, comment: Comment) -> dict[str, Json]:
    author = portal.people.users.get(comment.author)
    told: dict[str, Json] = {
        "POST_MESSAGE_HTML": None,
        "ID": str(comment.id),
        "AUTHOR_ID": str(comment.author),
        "AUTHOR_NAME": author.full_name if author else "",
        "AUTHOR_EMAIL": author.email if author else "",
        "POST_DATE": portal.iso(comment.at),
        "POST_MESSAGE": comment.text,
    }
    files = [file for number in comment.files if (file := portal.files.get(number))]
    if files:
        told["ATTACHED_OBJECTS"] = {
            str(file.id): {
                "ATTACHMENT_ID": str(file.id),
                "NAME": file.name,
                "SIZE": str(len(file.content)),
                "FILE_ID": str(file.id),
                "DOWNLOAD_URL": f"{portal.base_url}{file.path}",
                "VIEW_URL": f"{portal.base_url}{file.path}",
            }
            for file in files
        }
    return told


def file_ids(given: Json) -> list[int]:
    """`n12` marks of attached drive files as numbers."""
    marks = [str(mark) for mark in as_list(given)]
    return [int(mark[1:]) for mark in marks if re.fullmatch(r"n\d+", mark)]
