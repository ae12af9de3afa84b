"""The timeline of CRM objects: comments, log messages, further bindings of a record, an application's blocks under it.

Every record has one number, whatever its kind, as in the portal: bindings and blocks refer to it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.crm import TYPE_IDS
from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.crm_activities import owner
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_int, as_list, as_mapping
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
Link = tuple[str, int]
BOUND_TYPES = frozenset({"lead", "deal", "contact", "company", "order"})


@dataclass(slots=True)
class Record:
    """`kind`: comment or log. `links`: (type in lower case, id) of every object in whose timeline it stands."""

    id: int
    kind: str
    links: list[Link]
    author: int
    created: float
    text: str
    title: str = ""
    icon: str = ""
    files: dict[str, Json] = field(default_factory=dict[str, Json])
    app: str = ""
    blocks: dict[str, dict[str, Json]] = field(default_factory=dict[str, dict[str, Json]])


class Timeline:
    def __init__(self) -> None:
        self.records: dict[int, Record] = {}

    def add(self, kind: str, link: Link, author: int, created: float, text: str) -> Record:
        number = max(self.records, default=0) + 1
        self.records[number] = Record(number, kind, [link], author, created, text)
        return self.records[number]


def _owner_link(portal: PortalState, name: str, type_: str, number: int) -> Link:
    """The object named by its lower-case type and id, or the documented error."""
    type_id = TYPE_IDS.get(type_.upper(), as_int(type_.removeprefix("dynamic_")))
    if owner(portal, type_id, number) is None:
        raise documented(name, "OWNER_NOT_FOUND")
    return type_, number


def _record(portal: PortalState, name: str, number: int, kind: str) -> Record:
    record = portal.part(Timeline).records.get(number)
    if record is None or record.kind != kind:
        raise documented(name, "Not found" if name.endswith("comment.get") else "NOT_FOUND")
    return record


def _told(portal: PortalState, record: Record, link: Link | None = None) -> dict[str, Json]:
    type_, number = link or record.links[0]
    told: dict[str, Json] = {
        "ID": str(record.id),
        "ENTITY_ID": str(number),
        "ENTITY_TYPE": type_,
        "CREATED": portal.iso(record.created),
        "COMMENT": record.text,
        "AUTHOR_ID": str(record.author),
    }
    return told | {"FILES": record.files} if record.files else told


def _files(portal: PortalState, who: Caller, given: Json) -> dict[str, Json]:
    """[[name, base64], …] as the documented map of files."""
    kept: dict[str, Json] = {}
    for row in as_list(given):
        parts = as_list(as_mapping(row).get("fileData") or row)
        try:
            name, content = str(parts[0]), base64.b64decode(str(parts[1]), validate=True)
        except (IndexError, binascii.Error) as wrong:
            raise RestError("INVALID_ARG_VALUE", "FILES: every row should be [name, base64]") from wrong
        file = portal.files.add(name, content, portal.now(), who.user_id)
        author = portal.people.users[who.user_id]
        url = f"{portal.base_url}{file.path}"
        kept[str(file.id)] = {
            "id": file.id,
            "date": portal.iso(),
            "type": file.media_type.partition("/")[0],
            "name": name,
            "size": len(content),
            "image": False,
            "authorId": who.user_id,
            "authorName": author.full_name,
            "urlPreview": url,
            "urlShow": url,
            "urlDownload": url,
        }
    return kept


def _event(portal: PortalState, change: str, record: Record) -> None:
    portal.publish("timeline", change=change, id=record.id, entity_type=record.links[0][0], entity_id=record.links[0][1])
    if record.kind == "comment":
        portal.emit(f"ONCRMTIMELINECOMMENT{change}", {"FIELDS": {"ID": str(record.id)}})


# ----- comments


@method("crm.timeline.comment.add")
async def comment_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.timeline.comment.add"
    fields = Params(params.mapping("fields"))
    if not fields.text("ENTITY_ID") or not fields.text("ENTITY_TYPE"):
        raise documented(name, "100")
    if not fields.text("COMMENT").strip():
        raise documented(name, "INVALID_ARG_VALUE")
    link = _owner_link(portal, name, fields.text("ENTITY_TYPE"), fields.integer("ENTITY_ID"))
    record = portal.part(Timeline).add("comment", link, who.user_id, portal.now(), fields.text("COMMENT"))
    record.files = _files(portal, who, fields.get("FILES"))
    _event(portal, "ADD", record)
    return record.id


@method("crm.timeline.comment.get", checks_itself=("id",))
async def comment_get(portal: PortalState, who: Caller, params: Params) -> Json:
    if params.integer("id") <= 0:
        raise documented("crm.timeline.comment.get", "ID is not defined")
    return _told(portal, _record(portal, "crm.timeline.comment.get", params.integer("id"), "comment"))


@method("crm.timeline.comment.list", checks_itself=("order",))
async def comment_list(portal: PortalState, who: Caller, params: Params) -> Json:
    given = Params(params.mapping("filter"))
    link = (given.text("ENTITY_TYPE"), given.integer("ENTITY_ID"))
    if not all(link):
        raise RestError("", "Filter should hold ENTITY_ID and ENTITY_TYPE", argument="filter")
    records = [r for r in portal.part(Timeline).records.values() if r.kind == "comment" and link in r.links]
    rows = query.ordered([_told(portal, record, link) for record in records], params.mapping("order") or {"ID": "ASC"})
    if params.items_of("select"):
        rows = [{n: row.get(n) for n in query.selected(row, params.items_of("select"))} for row in rows]
    return page_of(rows, params.integer("start"))


@method("crm.timeline.comment.update")
async def comment_update(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.timeline.comment.update"
    record = _record(portal, name, params.integer("id"), "comment")
    _check_owner(name, record, params)
    fields = Params(params.mapping("fields"))
    if "COMMENT" in fields and not fields.text("COMMENT").strip():
        raise documented(name, "INVALID_ARG_VALUE")
    record.text = fields.text("COMMENT", record.text)
    if "FILES" in fields:
        record.files = _files(portal, who, fields["FILES"])
    _event(portal, "UPDATE", record)
    return record.id


@method("crm.timeline.comment.delete")
async def comment_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.timeline.comment.delete"
    record = _record(portal, name, params.integer("id"), "comment")
    link = _check_owner(name, record, params)
    if link is None and len(record.links) > 1:
        raise documented(name, "MULTIPLE_BINDINGS")
    if link and len(record.links) > 1:
        record.links.remove(link)
        return None
    del portal.part(Timeline).records[record.id]
    _event(portal, "DELETE", record)
    return None


def _check_owner(name: str, record: Record, params: Params) -> Link | None:
    if not params.integer("ownerTypeId"):
        return None
    names = {number: type_.lower() for type_, number in TYPE_IDS.items()}
    type_id = params.integer("ownerTypeId")
    link = (names.get(type_id, f"dynamic_{type_id}"), params.integer("ownerId"))
    if link not in record.links:
        raise documented(name, "OWNER_NOT_FOUND")
    return link


def _fields_told(name: str) -> dict[str, Json]:
    spec = contract().raw["methods"][name]
    types = {row["name"]: row["type"] for rows in spec["return_groups"].values() for row in rows}
    return {
        key: {
            "type": types.get(key, "string"),
            "isRequired": key in {"ENTITY_ID", "ENTITY_TYPE", "OWNER_ID", "COMMENT"},
            "isReadOnly": key in {"ID", "CREATED"},
            "isImmutable": key in {"ENTITY_ID", "ENTITY_TYPE", "AUTHOR_ID"},
            "isMultiple": key == "FILES",
            "isDynamic": False,
            "title": str(key).replace("_", " ").capitalize(),
        }
        for key in spec["response_shape"]["result"]
    }


@method("crm.timeline.comment.fields")
async def comment_fields(portal: PortalState, who: Caller, params: Params) -> Json:
    return _fields_told("crm.timeline.comment.fields")


# ----- further bindings of a record


@method("crm.timeline.bindings.fields")
async def bindings_fields(portal: PortalState, who: Caller, params: Params) -> Json:
    return _fields_told("crm.timeline.bindings.fields")


def _binding(portal: PortalState, name: str, params: Params) -> tuple[Record, Link]:
    fields = Params(params.mapping("fields"))
    record = portal.part(Timeline).records.get(fields.integer("OWNER_ID"))
    if record is None:
        raise documented(name, "OWNER_ID is not defined")
    if fields.text("ENTITY_TYPE") not in BOUND_TYPES:
        raise documented(name, "ENTITY_TYPE is not defined")
    link = (fields.text("ENTITY_TYPE"), fields.integer("ENTITY_ID"))
    if portal.crm.get(link[0].upper(), link[1]) is None:
        raise documented(name, "ENTITY_ID is not defined")
    return record, link


@method("crm.timeline.bindings.bind")
async def bindings_bind(portal: PortalState, who: Caller, params: Params) -> Json:
    record, link = _binding(portal, "crm.timeline.bindings.bind", params)
    if link not in record.links:
        record.links.append(link)
        _event(portal, "UPDATE", record)
    return True


@method("crm.timeline.bindings.unbind")
async def bindings_unbind(portal: PortalState, who: Caller, params: Params) -> Json:
    record, link = _binding(portal, "crm.timeline.bindings.unbind", params)
    if link not in record.links:
        raise documented("crm.timeline.bindings.unbind", "Not found")
    record.links.remove(link)
    if not record.links:
        del portal.part(Timeline).records[record.id]
    return True


@method("crm.timeline.bindings.list")
async def bindings_list(portal: PortalState, who: Caller, params: Params) -> Json:
    record = portal.part(Timeline).records.get(as_int(params.mapping("filter").get("OWNER_ID")))
    if record is None:
        raise documented("crm.timeline.bindings.list", "OWNER_ID is not defined")
    rows = [{"OWNER_ID": str(record.id), "ENTITY_ID": str(number), "ENTITY_TYPE": type_} for type_, number in record.links]
    return Page(rows, len(rows), None)


# ----- log messages of an application


def _log_told(portal: PortalState, record: Record) -> dict[str, Json]:
    return {
        "id": record.id,
        "created": portal.iso(record.created),
        "authorId": record.author,
        "title": record.title,
        "text": record.text,
        "iconCode": record.icon,
    }


def _owner_by_id(portal: PortalState, name: str, params: Params) -> Link:
    type_id, number = params.integer("entityTypeId"), params.integer("entityId")
    entity = owner(portal, type_id, number)
    if entity is None:
        raise documented(name, "OWNER_NOT_FOUND")
    return entity.type.lower(), number


@method("crm.timeline.logmessage.add")
async def log_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.timeline.logmessage.add"
    fields = Params(params.mapping("fields"))
    if any(not fields.text(key) for key in ("entityTypeId", "entityId", "title", "text", "iconCode")):
        raise documented(name, "100")
    link = _owner_by_id(portal, name, fields)
    record = portal.part(Timeline).add("log", link, who.user_id, portal.now(), fields.text("text"))
    record.title, record.icon, record.app = fields.text("title"), fields.text("iconCode"), who.app
    _event(portal, "ADD", record)
    return {"logMessage": _log_told(portal, record)}


@method("crm.timeline.logmessage.get")
async def log_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return {"logMessage": _log_told(portal, _record(portal, "crm.timeline.logmessage.get", params.integer("id"), "log"))}


@method("crm.timeline.logmessage.list")
async def log_list(portal: PortalState, who: Caller, params: Params) -> Json:
    entity = owner(portal, params.integer("entityTypeId"), params.integer("entityId"))
    link = (entity.type.lower(), entity.id) if entity else ("", 0)
    rows = [_log_told(portal, r) for r in portal.part(Timeline).records.values() if r.kind == "log" and link in r.links]
    return page_of(query.ordered(rows, params.mapping("order") or {"id": "ASC"}), params.integer("start"))


@method("crm.timeline.logmessage.delete")
async def log_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    record = _record(portal, "crm.timeline.logmessage.delete", params.integer("id"), "log")
    if record.app != who.app:
        raise documented("crm.timeline.logmessage.delete", "REMOVING_DISABLED")
    del portal.part(Timeline).records[record.id]
    return True


# ----- an application's blocks under a record


def _blocks_of(portal: PortalState, name: str, who: Caller, params: Params) -> Record:
    if who.kind != "oauth":
        raise documented(name, "ERROR_WRONG_CONTEXT")
    link = _owner_by_id(portal, name, params)
    record = portal.part(Timeline).records.get(params.integer("timelineId"))
    if record is None or link not in record.links:
        raise documented(name, "NOT_FOUND")
    return record


@method("crm.timeline.layout.blocks.set")
async def blocks_set(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.timeline.layout.blocks.set"
    record = _blocks_of(portal, name, who, params)
    if record.kind == "log":
        raise documented(name, "UNSUITABLE_TIMELINE_ITEM")
    blocks = as_mapping(as_mapping(params.get("layout")).get("blocks"))
    if not blocks or any(not as_mapping(block).get("type") for block in blocks.values()):
        raise documented(name, "FIELD_IS_REQUIRED")
    record.blocks[who.app] = {"blocks": blocks}
    return {"success": True}


@method("crm.timeline.layout.blocks.get")
async def blocks_get(portal: PortalState, who: Caller, params: Params) -> Json:
    record = _blocks_of(portal, "crm.timeline.layout.blocks.get", who, params)
    return {"layout": record.blocks.get(who.app)}


@method("crm.timeline.layout.blocks.delete")
async def blocks_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    record = _blocks_of(portal, "crm.timeline.layout.blocks.delete", who, params)
    if record.blocks.pop(who.app, None) is None:
        raise documented("crm.timeline.layout.blocks.delete", "NOT_FOUND")
    return {"success": True}
