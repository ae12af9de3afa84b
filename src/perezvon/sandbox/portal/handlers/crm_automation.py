"""What the CRM does by itself, or for a campaign: triggers and the stages they lead to, call lists, visit traces."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.crm import TYPE_NAMES, Entity
from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.bizproc import Bizproc, run_robot
from perezvon.sandbox.portal.handlers.crm_directories import statuses_of
from perezvon.sandbox.portal.handlers.crm_objects import STAGE_FIELD
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_int, as_list, as_mapping
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
CODE = re.compile(r"[a-z0-9.\-_]+", re.IGNORECASE)
TRIGGERED_TYPES = ("LEAD", "DEAL", "QUOTE", "INVOICE", "SMART_INVOICE")
LISTED_TYPES = {"CONTACT": 3, "COMPANY": 4}
TRACED_TYPES = frozenset({"COMPANY", "CONTACT", "DEAL", "LEAD", "QUOTE"})


@dataclass(frozen=True, slots=True)
class Execution:
    """A trigger that was pulled: by the code of an application ("" for one configured in the portal) on one object."""

    at: float
    app: str
    code: str
    entity_type: str
    entity_id: int


@dataclass(frozen=True, slots=True)
class StageRobot:
    """A robot of an application on a stage, with the properties that the administrator has filled in. `{phone}` and
    `{responsible}` in them are the object's, as placeholders are in the designer."""

    app: str
    code: str
    properties: Mapping[str, str]


class Automation:
    """`triggers`: (application, code) -> name. `executions`: everything that was pulled, for tests to look at.

    `stages`: what the administrator has put on a funnel: (application, code, type) -> the stage that the trigger leads to.
    `robots`: (type, stage) -> what runs when an object comes to that stage by a trigger."""

    def __init__(self) -> None:
        self.triggers: dict[tuple[str, str], str] = {}
        self.executions: list[Execution] = []
        self.stages: dict[tuple[str, str, str], str] = {}
        self.robots: dict[tuple[str, str], list[StageRobot]] = {}


def forget(portal: PortalState, app: str, *, triggers: bool) -> None:
    """What vanishes when the application is updated (robots, by the documentation) or removed (triggers too)."""
    board, automation = portal.part(Bizproc), portal.part(Automation)
    board.robots = {key: robot for key, robot in board.robots.items() if key[0] != app}
    if triggers:
        automation.triggers = {key: name for key, name in automation.triggers.items() if key[0] != app}


def _pulled(portal: PortalState, app: str, code: str, entity_type: str, entity_id: int) -> bool:
    portal.part(Automation).executions.append(Execution(portal.now(), app, code, entity_type, entity_id))
    portal.publish("trigger", code=code, entity_type=entity_type, entity_id=entity_id)
    stage = portal.part(Automation).stages.get((app, code, entity_type))
    entity = portal.crm.get(entity_type, entity_id)
    if stage and entity is not None and entity.text(STAGE_FIELD[entity_type]) != stage:
        portal.crm.update(entity, {STAGE_FIELD[entity_type]: stage, "MOVED_TIME": portal.iso(), "MOVED_BY_ID": "0"})
        _arrived(portal, entity, stage)
    return True


def _arrived(portal: PortalState, entity: Entity, stage: str) -> None:
    """The robots of the stage run."""
    known = {"phone": next(iter(entity.values("PHONE")), ""), "responsible": f"user_{entity.responsible}"}
    for robot in portal.part(Automation).robots.get((entity.type, stage), []):
        if (robot.app, robot.code) in portal.part(Bizproc).robots:
            filled = {name: text.format_map(known) for name, text in robot.properties.items()}
            run_robot(portal, robot.app, robot.code, f"{entity.type}_{entity.id}", filled)


@method("crm.automation.trigger", checks_itself=("target",))
async def trigger(portal: PortalState, who: Caller, params: Params) -> Json:
    """For webhooks: target like DEAL_15. The portal here has no trigger of its own, so whatever code comes is noted."""
    name = "crm.automation.trigger"
    if not params.text("target"):
        raise documented(name, "Target is not set")
    target = re.fullmatch(r"([A-Z_]+?|DYNAMIC_\d+)_(\d+)", params.text("target"))
    if target is None or (target[1] not in TRIGGERED_TYPES and not target[1].startswith("DYNAMIC_")):
        raise documented(name, "Incorrect target format")
    if portal.crm.get(target[1], int(target[2])) is None:
        raise documented(name, "Target is not found")
    return _pulled(portal, who.app, params.text("code"), target[1], int(target[2]))


def _code(name: str, params: Params) -> str:
    code = params.text("CODE")
    if not code:
        raise documented(name, "Empty trigger code")
    if not CODE.fullmatch(code):
        raise documented(name, "Wrong trigger code")
    return code


@method("crm.automation.trigger.add", checks_itself=("CODE", "NAME"))
async def trigger_add(portal: PortalState, who: Caller, params: Params) -> Json:
    """A code that is there is renamed."""
    code = _code("crm.automation.trigger.add", params)
    if not params.text("NAME"):
        raise documented("crm.automation.trigger.add", "Empty trigger name")
    portal.part(Automation).triggers[who.app, code] = params.text("NAME")
    return True


@method("crm.automation.trigger.list")
async def trigger_list(portal: PortalState, who: Caller, params: Params) -> Json:
    triggers = portal.part(Automation).triggers
    return [{"NAME": name, "CODE": code} for (app, code), name in triggers.items() if app == who.app]


@method("crm.automation.trigger.delete", checks_itself=("CODE",))
async def trigger_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.automation.trigger.delete"
    if portal.part(Automation).triggers.pop((who.app, _code(name, params)), None) is None:
        raise documented(name, "Trigger not found")
    return True


@method("crm.automation.trigger.execute", checks_itself=("CODE", "OWNER_TYPE_ID", "OWNER_ID"))
async def trigger_execute(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.automation.trigger.execute"
    code = _code(name, params)
    if (who.app, code) not in portal.part(Automation).triggers:
        raise RestError("", f"Trigger with code {code} is not registered.")
    type_ = TYPE_NAMES.get(params.integer("OWNER_TYPE_ID"), f"DYNAMIC_{params.integer('OWNER_TYPE_ID')}")
    if type_ not in TRIGGERED_TYPES and params.integer("OWNER_TYPE_ID") < 128:
        raise documented(name, "OWNER_TYPE_ID")
    if portal.crm.get(type_, params.integer("OWNER_ID")) is None:
        raise documented(name, "OWNER_ID")
    return _pulled(portal, who.app, code, type_, params.integer("OWNER_ID"))


# ----- call lists


@dataclass(slots=True)
class CallList:
    id: int
    created: float
    author: int
    entity_type: str
    webform: int
    statuses: dict[int, str]
    """Entity id -> STATUS_ID of the directory CALL_LIST."""

    def row(self, portal: PortalState) -> dict[str, Json]:
        return {
            "ID": str(self.id),
            "DATE_CREATE": portal.iso(self.created),
            "CREATED_BY_ID": str(self.author),
            "WEBFORM_ID": str(self.webform) if self.webform else None,
            "ENTITY_TYPE_ID": str(LISTED_TYPES[self.entity_type]),
            "ENTITY_TYPE": self.entity_type,
        }


class CallLists:
    def __init__(self) -> None:
        self.lists: dict[int, CallList] = {}


def _listed(portal: PortalState, name: str, params: Params) -> tuple[str, list[int]]:
    """(entity type, ids) of a call list that is made or changed."""
    if not params.text("ENTITY_TYPE") or "ENTITIES" not in params:
        raise documented(name, "ERROR_ARGUMENT")
    if not isinstance(params["ENTITIES"], (list, dict)):
        raise documented(name, "Entities is not array")
    type_ = params.text("ENTITY_TYPE")
    if type_ not in LISTED_TYPES:
        raise documented(name, "ENTITY_TYPE_ERROR")
    ids = [as_int(one) for one in params.items_of("ENTITIES")]
    if not ids or any(portal.crm.get(type_, number) is None for number in ids):
        raise documented(name, "Incorrect entities id")
    return type_, ids


def _call_list(portal: PortalState, name: str, number: int) -> CallList:
    found = portal.part(CallLists).lists.get(number)
    if found is None:
        raise documented(name, "LIST_ID_ERROR")
    return found


@method("crm.calllist.add", checks_itself=("ENTITY_TYPE", "ENTITIES"))
async def calllist_add(portal: PortalState, who: Caller, params: Params) -> Json:
    type_, ids = _listed(portal, "crm.calllist.add", params)
    lists = portal.part(CallLists).lists
    number = max(lists, default=0) + 1
    statuses = dict.fromkeys(ids, "IN_WORK")
    lists[number] = CallList(number, portal.now(), who.user_id, type_, params.integer("WEBFORM_ID"), statuses)
    return number


@method("crm.calllist.update", checks_itself=("LIST_ID", "ENTITY_TYPE", "ENTITIES"))
async def calllist_update(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.calllist.update"
    if not params.text("LIST_ID"):
        raise documented(name, "ERROR_ARGUMENT")
    type_, ids = _listed(portal, name, params)
    found = _call_list(portal, name, params.integer("LIST_ID"))
    if found.entity_type != type_:
        raise documented(name, "Discrepancy")
    found.statuses = {number: found.statuses.get(number, "IN_WORK") for number in ids}
    found.webform = params.integer("WEBFORM_ID", found.webform)
    return True


@method("crm.calllist.get")
async def calllist_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return _call_list(portal, "crm.calllist.get", params.integer("ID")).row(portal)


@method("crm.calllist.list")
async def calllist_list(portal: PortalState, who: Caller, params: Params) -> Json:
    rows = [found.row(portal) for found in portal.part(CallLists).lists.values()]
    names = ["ID", "DATE_CREATE", "CREATED_BY_ID", "WEBFORM_ID", "ENTITY_TYPE_ID", "ENTITY_TYPE"]
    group = query.parse(params.mapping("FILTER"))
    for name in [*group.fields(), *params.mapping("ORDER"), *(s for s in params.items_of("SELECT") if s != "*")]:
        if name not in names:
            template = contract().methods["crm.calllist.list"].errors[0]
            raise RestError(template.code, template.description.replace("FIELD (FIELD)", f"{name} ({name})"))
    rows = [row for row in rows if query.matches(group, row)]
    selected = query.selected(names, params.items_of("SELECT"))
    return [{key: row[key] for key in selected} for row in query.ordered(rows, params.mapping("ORDER") or {"ID": "ASC"})]


@method("crm.calllist.items.get")
async def calllist_items(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.calllist.items.get"
    found = _call_list(portal, name, params.integer("LIST_ID"))
    status = Params(params.mapping("FILTER")).text("STATUS")
    if status and status not in {row["STATUS_ID"] for row in statuses_of(portal, "CALL_LIST")}:
        raise documented(name, "STATUS_ERROR")
    return [
        {"ID": number, "STATUS": held, "ENTITY_TYPE": LISTED_TYPES[found.entity_type]}
        for number, held in found.statuses.items()
        if status in ("", held)
    ]


@method("crm.calllist.statuslist")
async def calllist_statuses(portal: PortalState, who: Caller, params: Params) -> Json:
    return [
        {"ID": int(row["ID"]), "NAME": row["NAME"], "SORT": int(row["SORT"]), "STATUS_ID": row["STATUS_ID"]}
        for row in statuses_of(portal, "CALL_LIST")
    ]


# ----- visit traces


class Traces:
    """`by_id`: trace and the objects it belongs to."""

    def __init__(self) -> None:
        self.by_id: dict[int, tuple[Json, list[tuple[str, int]]]] = {}


@method("crm.tracking.trace.add", checks_itself=("TRACE", "ENTITIES"))
async def trace_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.tracking.trace.add"
    if not params.text("TRACE"):
        raise documented(name, "TRACE required")
    try:
        trace = json.loads(params.text("TRACE"))
    except ValueError as wrong:
        raise documented(name, "Can not parse JSON") from wrong
    pairs: list[tuple[str, int]] = []
    for row in as_list(params.get("ENTITIES")):
        type_, number = str(as_mapping(row).get("TYPE", "")), as_int(as_mapping(row).get("ID"))
        if type_ not in TRACED_TYPES:
            raise documented(name, "Wrong TYPE")
        if number <= 0:
            raise documented(name, "Wrong ID")
        if portal.crm.get(type_, number) is None:
            raise RestError("ERROR_CORE", f"You have no access to entity {type_} with ID {number}.")
        pairs.append((type_, number))
    traces = portal.part(Traces).by_id
    number = max(traces, default=0) + 1
    traces[number] = (trace, pairs)
    return number


@method("crm.tracking.trace.delete", checks_itself=("id",))
async def trace_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    if params.integer("id") <= 0:
        raise documented("crm.tracking.trace.delete", "id required")
    portal.part(Traces).by_id.pop(params.integer("id"), None)
    return None
