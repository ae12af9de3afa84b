"""crm.activity.*: activities (those that finish of a call makes too), their bindings to CRM objects, transcripts.

An activity is a CRM object of type ACTIVITY; BINDINGS holds {OWNER_TYPE_ID, OWNER_ID} of every object it is bound to, the
owner first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.crm import TYPE_NAMES, Entity
from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_int, as_list, as_mapping
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
ON_DEMAND = frozenset({"COMMUNICATIONS", "FILES", "BINDINGS", "WEBDAV_ELEMENTS"})
DEFAULTS: Mapping[str, Json] = {
    "PROVIDER_GROUP_ID": None,
    "ASSOCIATED_ENTITY_ID": "0",
    "COMPLETED": "N",
    "STATUS": "1",
    "PRIORITY": "2",
    "NOTIFY_TYPE": "0",
    "NOTIFY_VALUE": "0",
    "DESCRIPTION": "",
    "DESCRIPTION_TYPE": "1",
    "DIRECTION": "0",
    "LOCATION": "",
    "SETTINGS": [],
    "PROVIDER_PARAMS": [],
    "RESULT_MARK": "0",
    "RESULT_STATUS": "0",
    "RESULT_STREAM": "0",
    "AUTOCOMPLETE_RULE": "0",
    "IS_INCOMING_CHANNEL": "N",
}
PROVIDERS = {"1": ("CRM_MEETING", "MEETING"), "2": ("VOXIMPLANT_CALL", "CALL"), "4": ("CRM_EMAIL", "EMAIL")}


def activity_fields() -> list[str]:
    """All names that crm.activity.get answers, in its order."""
    return list(contract().raw["methods"]["crm.activity.get"]["response_shape"]["result"])


def read(entity: Entity, name: str) -> Json:
    value = entity.fields.get(name, DEFAULTS.get(name))
    if name == "DEADLINE" and not value:
        return entity.fields.get("END_TIME" if entity.text("TYPE_ID") == "3" else "START_TIME")
    return DEFAULTS[name] if value is None and name in DEFAULTS else value


def bindings(entity: Entity) -> list[tuple[int, int]]:
    """(entity type id, entity id) of every object the activity is bound to."""
    rows = [as_mapping(row) for row in as_list(entity.fields.get("BINDINGS"))]
    return [(as_int(row.get("OWNER_TYPE_ID")), as_int(row.get("OWNER_ID"))) for row in rows]


def save_bindings(portal: PortalState, entity: Entity, pairs: list[tuple[int, int]]) -> None:
    rows = [{"OWNER_TYPE_ID": str(type_id), "OWNER_ID": str(owner)} for type_id, owner in pairs]
    type_id, owner = pairs[0]
    portal.crm.update(entity, {"BINDINGS": rows, "OWNER_TYPE_ID": str(type_id), "OWNER_ID": str(owner)})


def owner(portal: PortalState, type_id: int, number: int) -> Entity | None:
    return portal.crm.get(TYPE_NAMES.get(type_id, f"DYNAMIC_{type_id}"), number)


def _found(portal: PortalState, name: str, number: int) -> Entity:
    entity = portal.crm.get("ACTIVITY", number)
    if entity is None:
        raise documented(name, "Activity is not found")
    return entity


@method("crm.activity.add", checks_itself=("fields",))
async def activity_add(portal: PortalState, who: Caller, params: Params) -> Json:
    fields = _checked(portal, "crm.activity.add", as_mapping(params.get("fields")), None)
    now = portal.iso()
    provider, kind = PROVIDERS.get(str(fields["TYPE_ID"]), ("REST_APP", ""))
    stamp = {"CREATED": now, "LAST_UPDATED": now, "AUTHOR_ID": str(who.user_id), "EDITOR_ID": str(who.user_id)}
    entity = portal.crm.add("ACTIVITY", {"PROVIDER_ID": provider, "PROVIDER_TYPE_ID": kind, **stamp, **fields})
    return entity.id


@method("crm.activity.update", checks_itself=("id", "fields"))
async def activity_update(portal: PortalState, who: Caller, params: Params) -> Json:
    entity = _found(portal, "crm.activity.update", params.integer("id"))
    if entity.text("PROVIDER_ID") == "CONFIGURABLE_REST_APP":
        raise documented("crm.activity.update", "crm.activity.configurable.update")
    fields = _checked(portal, "crm.activity.update", as_mapping(params.get("fields")), entity)
    if "COMPLETED" in fields and "STATUS" not in fields:
        fields["STATUS"] = "2" if fields["COMPLETED"] == "Y" else "1"
    portal.crm.update(entity, {**fields, "LAST_UPDATED": portal.iso(), "EDITOR_ID": str(who.user_id)})
    return True


@method("crm.activity.get", checks_itself=("id",))
async def activity_get(portal: PortalState, who: Caller, params: Params) -> Json:
    entity = _found(portal, "crm.activity.get", params.integer("id"))
    return {name: read(entity, name) for name in activity_fields()}


@method("crm.activity.delete", checks_itself=("id",))
async def activity_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    portal.crm.delete(_found(portal, "crm.activity.delete", params.integer("id")))
    return True


@method("crm.activity.fields")
async def activity_fields_method(portal: PortalState, who: Caller, params: Params) -> Json:
    spec = contract().raw["methods"]["crm.activity.fields"]
    types = {row["name"]: row["type"] for rows in spec["return_groups"].values() for row in rows}
    settable = {row["name"] for row in contract().raw["methods"]["crm.activity.add"]["param_groups"]["Parameter_fields"]}
    return {
        name: {
            "type": types.get(name, "string"),
            "isRequired": name in {"OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "COMMUNICATIONS", "RESPONSIBLE_ID", "SUBJECT"},
            "isReadOnly": name not in settable,
            "isImmutable": False,
            "isMultiple": name in ON_DEMAND,
            "isDynamic": False,
            "title": str(name).replace("_", " ").capitalize(),
        }
        for name in spec["response_shape"]["result"]
    }


@method("crm.activity.list", checks_itself=("select", "filter", "order"))
async def activity_list(portal: PortalState, who: Caller, params: Params) -> Json:
    """BINDINGS in the filter is a list of {OWNER_TYPE_ID, OWNER_ID}; an activity comes once for each link that matches."""
    known = set(activity_fields()) | ON_DEMAND
    given = params.mapping("filter")
    links = [as_mapping(link) for link in as_list(given.pop("BINDINGS", None))]
    group = query.parse({key: v for key, v in given.items() if query.Condition.parse(key, v).field in known})
    entities = [entity for entity in portal.crm.of("ACTIVITY") if query.matches(group, entity, read)]
    if links:
        entities = [entity for entity in entities for pair in bindings(entity) for link in links if _linked(link, pair)]
    order = {name: way for name, way in params.mapping("order").items() if name in known} or {"START_TIME": "ASC"}
    page = page_of(query.ordered(entities, order, read), params.integer("start"))
    names = query.selected([*activity_fields(), *ON_DEMAND], params.items_of("select"), unselectable=ON_DEMAND)
    names = names if "ID" in names else ["ID", *names]
    return Page([{name: read(entity, name) for name in names} for entity in page.items], page.total, page.next)


def _linked(link: dict[str, Json], pair: tuple[int, int]) -> bool:
    wanted = (link.get("OWNER_TYPE_ID"), link.get("OWNER_ID"))
    return all(want is None or as_int(want) == have for want, have in zip(wanted, pair, strict=True))


def _checked(portal: PortalState, name: str, given: dict[str, Json], entity: Entity | None) -> dict[str, Json]:
    """`fields` in stored form; missing or wrong required ones give the documented errors."""
    settable = {row["name"] for row in contract().raw["methods"]["crm.activity.add"]["param_groups"]["Parameter_fields"]}
    fields = {key: _plain(value) for key, value in given.items() if key in settable}
    new = entity is None
    type_id = str(fields.get("TYPE_ID") or (entity.text("TYPE_ID") if entity else ""))
    if (new or "TYPE_ID" in fields) and type_id not in contract().raw["enums"]["activity_type"]:
        raise documented(name, "TYPE_ID is not defined")
    if type_id == "3" and new:
        raise RestError("", "The field TYPE_ID is not defined or invalid")
    if type_id == "6" and new and not fields.get("PROVIDER_ID"):
        raise documented(name, "without provider is not supported")
    if fields.get("PROVIDER_ID") == "CONFIGURABLE_REST_APP":
        raise documented(name, "crm.activity.configurable")
    if (new or "SUBJECT" in fields) and not str(fields.get("SUBJECT") or "").strip():
        raise documented(name, "SUBJECT is not defined")
    if (new or "RESPONSIBLE_ID" in fields) and as_int(fields.get("RESPONSIBLE_ID")) not in portal.people.users:
        raise documented(name, "RESPONSIBLE_ID is not defined")
    if new or "COMMUNICATIONS" in fields:
        fields["COMMUNICATIONS"] = _communications(name, type_id, given.get("COMMUNICATIONS"))
    if new or {"OWNER_ID", "OWNER_TYPE_ID"} & fields.keys():
        _bind(portal, name, fields, entity)
    if "FILES" in given:
        fields["FILES"] = [_file(portal, row, as_int(fields.get("RESPONSIBLE_ID"))) for row in as_list(given["FILES"])]
    return fields


def _bind(portal: PortalState, name: str, fields: dict[str, Json], entity: Entity | None) -> None:
    type_id = as_int(fields.get("OWNER_TYPE_ID") or (entity.number("OWNER_TYPE_ID") if entity else 0))
    number = as_int(fields.get("OWNER_ID") or (entity.number("OWNER_ID") if entity else 0))
    pairs = [(type_id, number)]
    for row in as_list(fields.get("COMMUNICATIONS")):
        pair = (as_int(row.get("ENTITY_TYPE_ID")), as_int(row.get("ENTITY_ID")))
        if pair not in pairs and all(pair):
            pairs.append(pair)
    if any(owner(portal, *pair) is None for pair in pairs):
        raise documented(name, "Could not build binding")
    kept = [pair for pair in bindings(entity) if pair not in pairs][1:] if entity else []
    fields["BINDINGS"] = [{"OWNER_TYPE_ID": str(t), "OWNER_ID": str(i)} for t, i in [*pairs, *kept]]


def _communications(name: str, type_id: str, given: Json) -> list[dict[str, Json]]:
    rows = [as_mapping(row) for row in as_list(given)]
    if not rows or any(not str(row.get("VALUE") or "") for row in rows):
        raise documented(name, "COMMUNICATIONS is not defined")
    if type_id == "2" and len(rows) > 1:
        raise documented(name, "only one communication")
    names = ("TYPE", "VALUE", "ENTITY_ID", "ENTITY_TYPE_ID")
    return [{key: _plain(row[key]) for key in names if key in row} for row in rows]


def _file(portal: PortalState, row: Json, user: int) -> dict[str, Json]:
    """{fileData: [name, base64]} into the portal's files."""
    parts = as_list(as_mapping(row).get("fileData"))
    try:
        name, content = str(parts[0]), base64.b64decode(str(parts[1]), validate=True)
    except (IndexError, binascii.Error) as wrong:
        raise RestError("", "FILES: every row should be {fileData: [name, base64]}") from wrong
    file = portal.files.add(name, content, portal.now(), user)
    return {"id": file.id, "url": f"{portal.base_url}{file.path}"}


def _plain(value: Json) -> Json:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


# ----- bindings to CRM objects


def _bound(portal: PortalState, name: str, params: Params, prefix: str = "entity") -> tuple[Entity, tuple[int, int]]:
    entity = portal.crm.get("ACTIVITY", params.integer("activityId"))
    if entity is None:
        raise documented(name, "NOT_FOUND")
    named = prefix if prefix == "entity" else f"{prefix}Entity"
    pair = (params.integer(f"{named}TypeId"), params.integer(f"{named}Id"))
    if owner(portal, *pair) is None:
        raise documented(name, "OWNER_NOT_FOUND")
    return entity, pair


@method("crm.activity.binding.list")
async def binding_list(portal: PortalState, who: Caller, params: Params) -> Json:
    entity = portal.crm.get("ACTIVITY", params.integer("activityId"))
    if entity is None:
        raise documented("crm.activity.binding.add", "NOT_FOUND")
    return [{"entityTypeId": type_id, "entityId": number} for type_id, number in bindings(entity)]


@method("crm.activity.binding.add")
async def binding_add(portal: PortalState, who: Caller, params: Params) -> Json:
    entity, pair = _bound(portal, "crm.activity.binding.add", params)
    if pair in bindings(entity):
        raise documented("crm.activity.binding.add", "ACTIVITY_IS_ALREADY_BOUND")
    save_bindings(portal, entity, [*bindings(entity), pair])
    return True


@method("crm.activity.binding.delete")
async def binding_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.binding.delete"
    entity, pair = _bound(portal, name, params)
    kept = [one for one in bindings(entity) if one != pair]
    if len(kept) == len(bindings(entity)):
        raise documented(name, "BINDING_NOT_FOUND")
    if not kept:
        raise documented(name, "LAST_BINDING_CANNOT_BE_DELETED")
    save_bindings(portal, entity, kept)
    return True


@method("crm.activity.binding.move")
async def binding_move(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "crm.activity.binding.move"
    entity, source = _bound(portal, name, params, "source")
    target = _bound(portal, name, params, "target")[1]
    if source[0] != target[0]:
        raise documented(name, "SOURCE_AND_TARGET_ENTITY_TYPES_ARE_NOT_EQUAL_ERROR")
    if source[1] == target[1]:
        raise documented(name, "SOURCE_AND_TARGET_ENTITY_ID_ARE_EQUAL_ERROR")
    pairs = bindings(entity)
    if source not in pairs:
        raise documented(name, "BINDING_NOT_FOUND")
    if target in pairs:
        raise documented(name, "ACTIVITY_IS_ALREADY_BOUND")
    save_bindings(portal, entity, [target if pair == source else pair for pair in pairs])
    return True


@method("crm.activity.call.getTranscript")
async def call_get_transcript(portal: PortalState, who: Caller, params: Params) -> Json:
    """Transcripts made by the portal's own AI only (documentation): attached ones are not seen, so null for every call."""
    if portal.crm.get("ACTIVITY", params.integer("activityId")) is None:
        raise documented("crm.activity.call.getTranscript", "NOT_FOUND")
    return None
