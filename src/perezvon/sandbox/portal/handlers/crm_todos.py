"""Activities of a special kind: to-dos (crm.activity.todo.*), those of an application (configurable) and their badges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.handlers.crm_activities import bindings, owner
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_flag, as_int, as_list, as_mapping, as_moment
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
COLORS = frozenset({"default", "1", "2", "3", "4", "5", "6", "7"})
APP_PROVIDER = "CONFIGURABLE_REST_APP"
LAYOUT_KEYS = {"icon": ("code",), "header": ("title",), "body": ("logo",)}
LAYOUT_MORE = frozenset({"footer"})
MOST_BLOCKS, MOST_TAGS = 20, 2
KEY = re.compile(r"[A-Za-z0-9_-]+")


class Badges:
    def __init__(self) -> None:
        self.by_code: dict[str, dict[str, Json]] = {}


# ----- to-dos


def _owner(portal: PortalState, name: str, params: Params) -> tuple[int, int]:
    pair = (params.integer("ownerTypeId"), params.integer("ownerId"))
    if owner(portal, *pair) is None:
        raise documented(name, "OWNER_NOT_FOUND")
    return pair


def _todo(portal: PortalState, name: str, params: Params, refusal: str = "CAN_NOT_UPDATE_COMPLETED_TODO") -> Entity:
    pair = _owner(portal, name, params)
    entity = portal.crm.get("ACTIVITY", params.integer("id"))
    if entity is None or pair not in bindings(entity) or entity.text("PROVIDER_ID") != "CRM_TODO":
        raise documented(name, "NOT_FOUND")
    if entity.text("COMPLETED") == "Y":
        raise documented(name, refusal)
    return entity


def _deadline(portal: PortalState, name: str, params: Params, key: str) -> str:
    text = params.text(key)
    moment = as_moment(text)
    if moment is None:
        raise documented(name, "WRONG_DATETIME_FORMAT")
    return portal.iso(moment)


def _responsible(portal: PortalState, name: str, params: Params, default: int) -> str:
    number = params.integer("responsibleId", default)
    if number not in portal.people.users:
        raise RestError("INVALID_ARG_VALUE", f"{name}: responsibleId {number} is no user of the portal")
    return str(number)


def _filled(portal: PortalState, name: str, params: Params, who: Caller) -> dict[str, Json]:
    at = _deadline(portal, name, params, "deadline")
    color = params.text("colorId", "default")
    return {
        "SUBJECT": params.text("title") or "Дело",
        "DESCRIPTION": params.text("description"),
        "START_TIME": at,
        "END_TIME": at,
        "DEADLINE": at,
        "RESPONSIBLE_ID": _responsible(portal, name, params, who.user_id),
        "ASSOCIATED_ENTITY_ID": params.text("parentActivityId", "0"),
        "SETTINGS": {"COLOR_ID": color, "PING_OFFSETS": as_list(params.get("pingOffsets"))},
        "LAST_UPDATED": portal.iso(),
        "EDITOR_ID": str(who.user_id),
    }


@method("crm.activity.todo.add")
async def todo_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.todo.add"
    type_id, number = _owner(portal, name, params)
    fields = _filled(portal, name, params, who) | {
        "OWNER_TYPE_ID": str(type_id),
        "OWNER_ID": str(number),
        "TYPE_ID": "6",
        "PROVIDER_ID": "CRM_TODO",
        "PROVIDER_TYPE_ID": "TODO",
        "CREATED": portal.iso(),
        "AUTHOR_ID": str(who.user_id),
        "COMPLETED": "N",
        "STATUS": "1",
        "BINDINGS": [{"OWNER_TYPE_ID": str(type_id), "OWNER_ID": str(number)}],
        "COMMUNICATIONS": [],
    }
    return {"id": portal.crm.add("ACTIVITY", fields).id}


@method("crm.activity.todo.update")
async def todo_update(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.todo.update"
    entity = _todo(portal, name, params)
    if params.integer("parentActivityId") == entity.id:
        raise documented(name, "ERROR_PARENT_ACTIVITY_RESTRICT")
    portal.crm.update(entity, _filled(portal, name, params, who))
    return {"id": entity.id}


@method("crm.activity.todo.updateDeadline")
async def todo_deadline(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.todo.updateDeadline"
    entity = _todo(portal, name, params)
    at = _deadline(portal, name, params, "value")
    portal.crm.update(entity, {"START_TIME": at, "END_TIME": at, "DEADLINE": at})
    return {"id": entity.id}


@method("crm.activity.todo.updateDescription")
async def todo_description(portal: PortalState, who: Caller, params: Params) -> Json:
    entity = _todo(portal, "crm.activity.todo.updateDescription", params)
    portal.crm.update(entity, {"DESCRIPTION": params.text("value")})
    return {"id": entity.id}


@method("crm.activity.todo.updateColor")
async def todo_color(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.todo.updateColor"
    entity = _todo(portal, name, params, "CAN_NOT_UPDATE_COLOR_COMPLETED_TODO")
    if params.text("colorId") not in COLORS:
        raise documented(name, "CAN_NOT_UPDATE_WRONG_COLOR_TODO")
    portal.crm.update(
        entity, {"SETTINGS": {**as_mapping(entity.fields.get("SETTINGS")), "COLOR_ID": params.text("colorId")}}
    )
    return {"id": entity.id}


@method("crm.activity.todo.updateResponsibleUser")
async def todo_responsible(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.todo.updateResponsibleUser"
    entity = _todo(portal, name, params, "CAN_NOT_UPDATE_RESPONSIBLE_USER_COMPLETED_TODO")
    portal.crm.update(entity, {"RESPONSIBLE_ID": _responsible(portal, name, params, 0)})
    return {"id": entity.id}


# ----- activities of an application


def _layout(name: str, given: Json) -> dict[str, Json]:
    """The layout, its required parts checked; what may stand inside a block is not."""
    layout = as_mapping(given)
    if not layout:
        raise documented(name, "ERROR_EMPTY_LAYOUT")
    unknown = sorted(set(layout) - set(LAYOUT_KEYS) - LAYOUT_MORE)
    if unknown:
        raise RestError("FIELD_IS_REDUNDANT", f"layout has an unknown field {unknown[0]}")
    for part, required in LAYOUT_KEYS.items():
        inside = layout.get(part)
        lacking = (
            part if not isinstance(inside, Mapping) else next((k for k in required if not as_mapping(inside).get(k)), "")
        )
        if lacking:
            raise RestError("FIELD_IS_REQUIRED", f"layout: {part}{'' if lacking == part else '.' + lacking} is required")
    for place, most in (("blocks", MOST_BLOCKS), ("tags", MOST_TAGS)):
        items = as_mapping(as_mapping(layout["body" if place == "blocks" else "header"]).get(place))
        if len(items) > most:
            raise documented(name, "TOO_MANY_ITEMS")
        if any(not KEY.fullmatch(key) for key in items):
            raise documented(name, "KEY_CONTAIN_WRONG_SYMBOLS")
    return layout


def _app_fields(portal: PortalState, name: str, who: Caller, given: Mapping[str, Json]) -> dict[str, Json]:
    fields = Params(given)
    incoming = as_flag(fields.get("isIncomingChannel") or "")
    found: dict[str, Json] = {
        "PROVIDER_TYPE_ID": fields.text("typeId", "CONFIGURABLE"),
        "COMPLETED": "Y" if as_flag(fields.get("completed") or "") else "N",
        "IS_INCOMING_CHANNEL": "Y" if incoming else "N",
        "RESPONSIBLE_ID": _responsible(portal, name, fields, who.user_id),
        "ORIGINATOR_ID": fields.get("originatorId"),
        "ORIGIN_ID": fields.get("originId"),
    }
    if fields.text("deadline"):
        if incoming:
            raise documented(name, "INCOMING_ACTIVITY_CAN_NOT_BE_WITH_DEADLINE")
        moment = as_moment(fields.text("deadline"))
        if moment is None:
            raise documented(name, "WRONG_FIELD_VALUE")
        found |= {"DEADLINE": portal.iso(moment), "START_TIME": portal.iso(moment), "END_TIME": portal.iso(moment)}
    badge = fields.text("badgeCode")
    if badge and badge not in portal.part(Badges).by_code:
        raise documented(name, "WRONG_FIELD_VALUE")
    return found | {"~BADGE": badge, "~PINGS": [as_int(one) for one in fields.items_of("pingOffsets")]}


def _of_app(portal: PortalState, name: str, who: Caller, params: Params) -> Entity:
    entity = portal.crm.get("ACTIVITY", params.integer("id"))
    if entity is None or entity.text("PROVIDER_ID") != APP_PROVIDER:
        raise documented(name, "NOT_FOUND")
    if entity.fields["~APP"] != who.app:
        raise RestError("ERROR_WRONG_APPLICATION", "activity belongs to another application")
    return entity


@method("crm.activity.configurable.add")
async def configurable_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.configurable.add"
    pair = (params.integer("ownerTypeId"), params.integer("ownerId"))
    if owner(portal, *pair) is None:
        raise documented(name, "ACCESS_DENIED")
    layout = _layout(name, params.get("layout"))
    link = {"OWNER_TYPE_ID": str(pair[0]), "OWNER_ID": str(pair[1])}
    fields = _app_fields(portal, name, who, params.mapping("fields")) | link
    fields |= {
        "TYPE_ID": "6",
        "PROVIDER_ID": APP_PROVIDER,
        "SUBJECT": str(as_mapping(layout["header"])["title"]),
        "CREATED": portal.iso(),
        "LAST_UPDATED": portal.iso(),
        "AUTHOR_ID": str(who.user_id),
        "BINDINGS": [link],
        "COMMUNICATIONS": [],
        "~APP": who.app,
        "~LAYOUT": layout,
    }
    return {"activity": {"id": portal.crm.add("ACTIVITY", fields).id}}


@method("crm.activity.configurable.update", checks_itself=("fields", "layout"))
async def configurable_update(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.configurable.update"
    entity = _of_app(portal, name, who, params)
    if "fields" not in params and "layout" not in params:
        raise documented(name, "100")
    changed: dict[str, Json] = {"LAST_UPDATED": portal.iso()}
    if "layout" in params:
        changed["~LAYOUT"] = _layout(name, params["layout"])
        changed["SUBJECT"] = str(as_mapping(changed["~LAYOUT"]["header"])["title"])
    if "fields" in params:
        changed |= _app_fields(portal, name, who, _told_fields(entity) | params.mapping("fields"))
    portal.crm.update(entity, changed)
    return {"activity": {"id": entity.id}}


@method("crm.activity.configurable.get")
async def configurable_get(portal: PortalState, who: Caller, params: Params) -> Json:
    entity = _of_app(portal, "crm.activity.configurable.get", who, params)
    return {
        "activity": {
            "id": entity.id,
            "ownerTypeId": entity.number("OWNER_TYPE_ID"),
            "ownerId": entity.number("OWNER_ID"),
            "fields": _told_fields(entity),
            "layout": entity.fields["~LAYOUT"],
        }
    }


def _told_fields(entity: Entity) -> dict[str, Json]:
    return {
        "typeId": entity.text("PROVIDER_TYPE_ID"),
        "completed": entity.text("COMPLETED") == "Y",
        "deadline": entity.fields.get("DEADLINE"),
        "pingOffsets": entity.fields["~PINGS"],
        "isIncomingChannel": entity.text("IS_INCOMING_CHANNEL") == "Y",
        "responsibleId": entity.number("RESPONSIBLE_ID"),
        "badgeCode": entity.text("~BADGE"),
        "originatorId": entity.fields.get("ORIGINATOR_ID"),
        "originId": entity.fields.get("ORIGIN_ID"),
    }


# ----- badges


@method("crm.activity.badge.add")
async def badge_add(portal: PortalState, who: Caller, params: Params) -> Json:
    badge = {name: params[name] for name in ("code", "title", "value", "type")}
    portal.part(Badges).by_code[params.text("code")] = badge
    return {"badge": badge}


@method("crm.activity.badge.get")
async def badge_get(portal: PortalState, who: Caller, params: Params) -> Json:
    badge = portal.part(Badges).by_code.get(params.text("code"))
    if badge is None:
        raise documented("crm.activity.badge.get", "NOT_FOUND")
    return {"badge": badge}


@method("crm.activity.badge.list")
async def badge_list(portal: PortalState, who: Caller, params: Params) -> Json:
    return {"badges": list(portal.part(Badges).by_code.values())}


@method("crm.activity.badge.delete")
async def badge_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    if portal.part(Badges).by_code.pop(params.text("code"), None) is None:
        raise documented("crm.activity.badge.delete", "NOT_FOUND")
    return True
