"""What the page shows, as plain JSON, out of the portal's memory. Pure reading.

Moments are POSIX seconds by the portal's clock. Texts are as they came from outside, HTML and all: the page sets them as
text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.portal.handlers.crm_directories import status_name
from perezvon.sandbox.portal.handlers.messenger import Messenger
from perezvon.sandbox.portal.handlers.task_board import Task, TaskBoard
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.state import PortalState

if TYPE_CHECKING:
    from perezvon.sandbox.portal.server import PortalServer

Json = Any
MOST = 100
RECENT = 500
MOST_MESSAGES = 6
DIRECTIONS = {1: "outgoing", 2: "incoming", 3: "incoming", 4: "callback", 5: "outgoing"}
SHOWN_FAULTS = {Fault.UNAVAILABLE: "unavailable", Fault.SLOW: "slow", Fault.EXPIRED_TOKEN: "expired"}
CRM_TYPES = ("LEAD", "CONTACT", "COMPANY", "DEAL")
SHORT_TYPES = {"L": "LEAD", "C": "CONTACT", "CO": "COMPANY", "D": "DEAL"}


def snapshot(server: PortalServer) -> dict[str, Json]:
    """Everything the page shows, except the outside world."""
    portal = server.state
    calls = portal.calls()
    newest = sorted(calls[-RECENT:], key=lambda call: (call.started, call.registered_at), reverse=True)
    return {
        "now": portal.now(),
        "portal": {"faults": _faults(server), "requests": portal.journal.http_requests, "open": server.is_open},
        "employees": [_employee(portal, user) for user in _staff(portal)],
        "calls": [_call(portal, call) for call in newest[:MOST]],
        "calls_total": len(calls),
        "clients": [_client(portal, entity) for entity in _newest_clients(portal)],
        "tasks": [_task(portal, task) for task in list(portal.part(TaskBoard).tasks.values())[: -MOST - 1 : -1]],
        "chats": _chats(portal, calls[-RECENT:]),
    }


def _staff(portal: PortalState) -> list[User]:
    staff = [user for user in portal.people.users.values() if user.active and user.user_type == "employee"]
    return sorted(staff, key=lambda user: (not user.extension, user.extension, user.id))


def _faults(server: PortalServer) -> list[dict[str, Json]]:
    portal = server.state
    planned = [p for p in portal.faults.planned if p.left != 0 and (p.until is None or p.until > portal.now())]
    shown = [{"kind": SHOWN_FAULTS.get(p.fault, p.fault.value), "until": p.until} for p in planned]
    return shown if server.is_open else [*shown, {"kind": "outage", "until": None}]


# ----- calls and their cards


def _employee(portal: PortalState, user: User) -> dict[str, Json]:
    open_calls = [portal.book.calls[call_id] for call_id in portal.book.on_screen.get(user.id, ())]
    cards = [_card(portal, call, card.shown_at) for call in open_calls if (card := call.card_of(user.id))]
    return {
        "id": user.id,
        "name": user.full_name,
        "position": user.position,
        "extension": user.extension,
        "cards": cards,
    }


def _card(portal: PortalState, call: PortalCall, since: float) -> dict[str, Json]:
    return {
        "call_id": call.id,
        "direction": DIRECTIONS.get(call.type, "incoming"),
        "number": call.phone,
        "name": _client_name(portal, call),
        "line": call.line,
        "line_name": _line_name(portal, call),
        "crm": {"type": call.crm_type, "id": call.crm_id} if call.crm_type else None,
        "since": since,
    }


def _call(portal: PortalState, call: PortalCall) -> dict[str, Json]:
    responsible = portal.people.users.get(int(call.finish.get("user_id") or 0))
    file = portal.files.get(call.recording.file_id) if call.recording else None
    activity = portal.crm.get("ACTIVITY", call.activity_id)
    return {
        "call_id": call.id,
        "direction": DIRECTIONS.get(call.type, "incoming"),
        "live": call.live,
        "talked": not call.live and int(call.finish.get("duration") or 0) > 0,
        "number": call.phone,
        "name": _client_name(portal, call),
        "line": call.line,
        "line_name": _line_name(portal, call),
        "responsible": responsible.full_name if responsible else "",
        "started": call.started,
        "duration": int(call.finish.get("duration") or 0),
        "status_code": str(call.finish.get("status") or ""),
        "status_text": str(call.finish.get("reason") or ""),
        "description": activity.text("DESCRIPTION") if activity else "",
        "record": {"url": file.path, "name": file.name, "size": len(file.content)} if file else None,
    }


def _client_name(portal: PortalState, call: PortalCall) -> str:
    """A person's or company's name. The title that the portal made up for a new lead is none."""
    entity = portal.crm.get(call.crm_type, call.crm_id) if call.crm_type else None
    if entity is None:
        return ""
    person = " ".join(part for part in (entity.text("NAME"), entity.text("LAST_NAME")) if part)
    made_up = (entity.type, entity.id) in call.created
    if entity.type == "LEAD" and person:
        return person
    return "" if made_up else entity.title


def _line_name(portal: PortalState, call: PortalCall) -> str:
    line = portal.book.line(call.app, call.line) if call.line else None
    return line.name if line else ""


# ----- clients, tasks, chats


def _newest_clients(portal: PortalState) -> list[Entity]:
    every = [entity for type_ in CRM_TYPES for entity in portal.crm.of(type_)]
    return sorted(every, key=lambda entity: (entity.text("DATE_CREATE"), entity.id), reverse=True)[:MOST]


def _client(portal: PortalState, entity: Entity) -> dict[str, Json]:
    responsible = portal.people.users.get(entity.responsible)
    stage = entity.text("STATUS_ID") or entity.text("STAGE_ID")
    directory = "STATUS" if entity.type == "LEAD" else "DEAL_STAGE"
    return {
        "key": f"{entity.type}:{entity.id}",
        "type": entity.type,
        "id": entity.id,
        "title": entity.title,
        "name": " ".join(part for part in (entity.text("NAME"), entity.text("LAST_NAME")) if part),
        "phones": entity.values("PHONE"),
        "status": status_name(portal, directory, stage) if stage else "",
        "source": status_name(portal, "SOURCE", entity.text("SOURCE_ID")) if entity.text("SOURCE_ID") else "",
        "responsible": responsible.full_name if responsible else "",
    }


def _task(portal: PortalState, task: Task) -> dict[str, Json]:
    said = portal.part(Messenger).of_entity("TASKS_TASK", str(task.id))
    comments = [(comment.author, comment.at, comment.text) for comment in task.comments]
    comments += [(message.author, message.at, message.text) for message in (said.messages if said else [])]
    return {
        "key": f"task:{task.id}",
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "status": task.status,
        "done": task.status == 5,
        "overdue": task.overdue(portal.now()),
        "deadline": task.deadline,
        "responsible": _name(portal, task.responsible),
        "links": [_linked(portal, link) for link in task.links],
        "comments": [
            {"author": _name(portal, author), "at": at, "text": text}
            for author, at, text in sorted(comments, key=lambda one: one[1])[-MOST_MESSAGES:]
        ],
    }


def _linked(portal: PortalState, link: str) -> str:
    short, _, number = link.partition("_")
    entity = portal.crm.get(SHORT_TYPES.get(short, short), int(number)) if number.isdigit() else None
    return entity.title if entity else link


def _chats(portal: PortalState, calls: Iterable[PortalCall]) -> list[dict[str, Json]]:
    """Chats with something in them, the latest first; notifications and messages about calls gathered for each employee."""
    board = portal.part(Messenger)
    found: list[dict[str, Json]] = []
    for chat in board.chats.values():
        if chat.entity_type == "TASKS_TASK" or not chat.messages:
            continue
        names = " · ".join(_name(portal, user) for user in chat.users)
        messages = [(m.author, m.at, m.text) for m in chat.messages]
        found.append(_told(portal, f"chat:{chat.id}", chat.kind, chat.title or names, messages))
    to_whom: dict[int, list[tuple[int, float, str]]] = {}
    for one in board.notifications.values():
        to_whom.setdefault(one.user, []).append((one.author, one.at, one.text))
    for call in calls:
        if call.chat_message and call.finished_at is not None:
            user = int(call.finish.get("user_id") or 0)
            to_whom.setdefault(user, []).append((0, call.finished_at, call.chat_message))
    for user, messages in to_whom.items():
        found.append(_told(portal, f"notify:{user}", "notify", _name(portal, user), messages))
    return sorted(found, key=lambda chat: -chat["messages"][-1]["at"])[:MOST]


def _told(portal: PortalState, key: str, kind: str, title: str, messages: list[tuple[int, float, str]]) -> dict[str, Json]:
    latest = sorted(messages, key=lambda one: one[1])[-MOST_MESSAGES:]
    told = [{"author": _name(portal, author) if author else "", "at": at, "text": text} for author, at, text in latest]
    return {"key": key, "kind": kind, "title": title, "messages": told}


def _name(portal: PortalState, user: int) -> str:
    known = portal.people.users.get(user)
    return known.full_name if known else f"#{user}"
