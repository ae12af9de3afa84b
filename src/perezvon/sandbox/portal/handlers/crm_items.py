"""crm.item.*: leads, deals, contacts and companies by entityTypeId: camelCase fields, numbers as numbers, phones in `fm`.

Other types (quotes, invoices, smart processes) are not there: SPA not found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.crm import TYPE_IDS, Entity
from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.crm_directories import CURRENCIES
from perezvon.sandbox.portal.handlers.crm_fields import (
    TYPES,
    Field,
    WrongValueError,
    custom_field,
    for_item,
    item_name,
    item_names,
    multifield_row,
    stored,
)
from perezvon.sandbox.portal.handlers.crm_objects import change, create, known_stage, merged_rows, read
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_int, as_list, as_mapping
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
FM_KINDS = ("PHONE", "EMAIL", "WEB", "IM")
FLAT = {
    "phoneMobile": ("PHONE", "MOBILE"),
    "phoneWork": ("PHONE", "WORK"),
    "phoneMailing": ("PHONE", "MAILING"),
    "emailHome": ("EMAIL", "HOME"),
    "emailWork": ("EMAIL", "WORK"),
    "emailMailing": ("EMAIL", "MAILING"),
    "skype": ("IM", "SKYPE"),
    "icq": ("IM", "ICQ"),
    "imol": ("IM", "IMOL"),
    "email": ("EMAIL", ""),
    "phone": ("PHONE", ""),
}


@cache
def _shape(type_: str) -> tuple[str, ...]:
    """The keys of an item in the documented order: lead's and deal's samples; contact and company follow the lead's."""
    methods = contract().raw["methods"]
    sample = "crm.item.add" if type_ == "DEAL" else "crm.item.get"
    shown = [str(name) for name in methods[sample]["response_shape"]["result"]["item"]]
    if type_ in ("LEAD", "DEAL"):
        return tuple(shown)
    common = {
        "id",
        "createdTime",
        "updatedTime",
        "createdBy",
        "updatedBy",
        "assignedById",
        "opened",
        *FLAT,
        "fm",
        "entityTypeId",
    }
    own = set(item_names(type_))
    return (*(n for n in shown if n in common | own), *(n for n in item_names(type_) if n not in shown))


def item_view(portal: PortalState, entity: Entity, *, original_uf: bool = False) -> dict[str, Json]:
    """The whole item, as crm.item.get answers it."""
    names = item_names(entity.type)
    shown: dict[str, Json] = {}
    for name in _shape(entity.type):
        if name == "fm":
            shown["fm"] = _fm(entity)
        elif name == "entityTypeId":
            shown[name] = TYPE_IDS[entity.type]
        elif name in FLAT:
            shown[name] = _flat(entity, *FLAT[name])
        elif name in names:
            shown[name] = _value(portal, entity, names[name])
        else:
            shown[name] = None
    for name, value in entity.fields.items():
        if custom_field(name):
            shown[name if original_uf and name.startswith("UF_") else item_name(name)] = value
    return shown


def _value(portal: PortalState, entity: Entity, field: Field) -> Json:
    value = read(portal, entity, field.name)
    return for_item(field, [] if field.kind == "list" and value is None else value)


def _fm(entity: Entity) -> list[dict[str, Json]]:
    return [
        {"id": int(row["ID"]), "valueType": row["VALUE_TYPE"], "value": row["VALUE"], "typeId": kind}
        for kind in FM_KINDS
        for row in as_list(entity.fields.get(kind))
    ]


def _flat(entity: Entity, kind: str, value_type: str) -> Json:
    rows = as_list(entity.fields.get(kind))
    return next((row["VALUE"] for row in rows if not value_type or row["VALUE_TYPE"] == value_type), None)


def _type(name: str, params: Params) -> str:
    number = params.integer("entityTypeId")
    type_ = next((type_ for type_ in TYPES if TYPE_IDS[type_] == number), None)
    if type_ is None:
        raise documented(name, "SPA not found")
    return type_


def _found(portal: PortalState, name: str, params: Params) -> Entity:
    entity = portal.crm.get(_type(name, params), params.integer("id"))
    if entity is None:
        raise documented("crm.item.get", "Item not found")
    return entity


def _clean(portal: PortalState, name: str, type_: str, given: Mapping[str, Json], entity: Entity | None) -> dict[str, Json]:
    """Known fields in stored form under classic names. Unknown keys are ignored silently."""
    values: dict[str, Json] = {}
    for key, value in given.items():
        field = item_names(type_).get(key) or custom_field(key)
        if field is None or not field.item_settable:
            continue
        if field.kind == "list" and value is not None and not isinstance(value, (list, Mapping)):
            raise RestError("100", f"Expected iterable value for multiple field, but got {_php_type(value)} instead")
        try:
            values[field.name] = stored(field, [] if field.kind == "list" and value is None else value)
        except WrongValueError as wrong:
            raise documented(name, "Invalid value for field", field=key) from wrong
    category = values.get("CATEGORY_ID") or (entity.text("CATEGORY_ID") if entity else "")
    for classic, value in values.items():
        if not _known(portal, type_, classic, value, str(category or "")):
            raise documented(name, "Invalid value for field", field=item_name(classic))
    return values


def _known(portal: PortalState, type_: str, classic: str, value: Json, category: str) -> bool:
    """Whether what the value names is there: person, object, currency, stage."""
    if value in (None, "", []):
        return True
    field = next((f for f in item_names(type_).values() if f.name == classic), None)
    if field is None:
        return True
    if field.type.removesuffix("[]") == "user":
        return all(as_int(one) in portal.people.users for one in as_list(value))
    if field.target:
        return all(portal.crm.get(field.target, as_int(one)) for one in as_list(value))
    if classic == "CURRENCY_ID":
        return value in CURRENCIES
    if field.item == "stageId":
        return known_stage(portal, type_, str(value), category)
    return True


def _php_type(value: Json) -> str:
    return {"str": "string", "int": "integer", "float": "double", "bool": "boolean"}.get(type(value).__name__, "object")


def _fm_changes(name: str, given: Json) -> dict[str, list[tuple[str, dict[str, Json] | None]]]:
    """`fm` of an update: keys n0, n1, … add; a numeric id changes its row, or deletes it with an empty value."""
    changes: dict[str, list[tuple[str, dict[str, Json] | None]]] = {}
    for key, row in as_mapping(given).items():
        one = as_mapping(row)
        kind = str(one.get("typeId") or "").upper()
        row_id = key if key.isdigit() else ""
        try:
            made = multifield_row(kind, {"VALUE": one.get("value"), "VALUE_TYPE": one.get("valueType")})
        except WrongValueError as wrong:
            raise documented(name, "Invalid value for field", field="fm") from wrong
        if made is not None and row_id and not one.get("valueType"):
            made.pop("VALUE_TYPE")
        for each in FM_KINDS if row_id and not kind else (kind,):
            if each in FM_KINDS:
                changes.setdefault(each, []).append((row_id, None if made is None else {**made, "TYPE_ID": each}))
    return changes


@method("crm.item.add")
async def item_add(portal: PortalState, who: Caller, params: Params) -> Json:
    type_ = _type("crm.item.add", params)
    given = params.mapping("fields")
    values = _clean(portal, "crm.item.add", type_, given, None)
    rows: dict[str, list[Json]] = {}
    if type_ != "DEAL":
        fresh = {f"n{at}": row for at, row in enumerate(as_list(given.get("fm")))}
        for kind, changes in _fm_changes("crm.item.add", fresh).items():
            rows[kind] = [row for _, row in changes if row is not None]
    entity = create(portal, who, type_, values, rows)
    return {"item": item_view(portal, entity, original_uf=params.flag("useOriginalUfNames"))}


@method("crm.item.get")
async def item_get(portal: PortalState, who: Caller, params: Params) -> Json:
    entity = _found(portal, "crm.item.get", params)
    return {"item": item_view(portal, entity, original_uf=params.flag("useOriginalUfNames"))}


@method("crm.item.update")
async def item_update(portal: PortalState, who: Caller, params: Params) -> Json:
    """Nothing is saved (and no event sent) when no value changes."""
    entity = _found(portal, "crm.item.update", params)
    given = params.mapping("fields")
    values = _clean(portal, "crm.item.update", entity.type, given, entity)
    changed = {name: value for name, value in values.items() if read(portal, entity, name) != value}
    rows: dict[str, list[Json]] = {}
    if "fm" in given and entity.type != "DEAL":
        for kind, changes in _fm_changes("crm.item.update", given["fm"]).items():
            merged = merged_rows(entity, kind, changes)
            if merged != as_list(entity.fields.get(kind)):
                rows[kind] = merged
    if changed or rows:
        change(portal, who, entity, changed, rows)
    return {"item": item_view(portal, entity, original_uf=params.flag("useOriginalUfNames"))}


@method("crm.item.delete")
async def item_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    portal.crm.delete(_found(portal, "crm.item.delete", params))
    return []


@method("crm.item.fields")
async def item_fields(portal: PortalState, who: Caller, params: Params) -> Json:
    type_ = _type("crm.item.fields", params)
    told = {
        name: {**field.description(read_only=not field.item_settable), "upperName": field.name}
        for name, field in item_names(type_).items()
    }
    return {"fields": told}


@method("crm.item.list", checks_itself=("filter", "order"))
async def item_list(portal: PortalState, who: Caller, params: Params) -> Json:
    type_ = _type("crm.item.list", params)
    original = params.flag("useOriginalUfNames")

    def value(entity: Entity, name: str) -> Json:
        field = item_names(type_).get(name) or custom_field(name)
        return None if field is None else read(portal, entity, field.name)

    group = query.parse(params.mapping("filter"), nested=True)
    _check_filter(type_, group)
    order = params.mapping("order") or {"id": "ASC"}
    _check_order(type_, order)
    entities = [entity for entity in portal.crm.of(type_) if query.matches(group, entity, value)]
    page = page_of(query.ordered(entities, order, value), params.integer("start"))
    select = [str(name) for name in params.items_of("select")] or ["*"]
    items = [_selected(item_view(portal, entity, original_uf=original), select) for entity in page.items]
    return Page({"items": items}, page.total, page.next)


def _selected(item: dict[str, Json], select: list[str]) -> dict[str, Json]:
    """`fm` cannot be named: only * brings it. The id always comes."""
    if "*" in select:
        return item
    return {name: value for name, value in item.items() if name == "id" or (name in select and name != "fm")}


def _check_filter(type_: str, group: query.Group) -> None:
    for part in group.parts:
        if isinstance(part, query.Group):
            _check_filter(type_, part)
            continue
        field = item_names(type_).get(part.field) or custom_field(part.field)
        if field is None:
            raise documented("crm.item.list", "not allowed in filter", field=part.field)
        numeric = field.kind in {"integer", "id", "number"} and "%" not in part.operator
        if numeric and any(not _numeric(one) for one in as_list(part.value)):
            raise documented("crm.item.list", "has invalid value", field=part.field)


def _numeric(value: Json) -> bool:
    return value in (None, "", False) or re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def _check_order(type_: str, order: Mapping[str, Json]) -> None:
    for name, way in order.items():
        if name not in item_names(type_) and custom_field(name) is None:
            raise documented("crm.item.list", "not allowed in order", field=name)
        if str(way).upper() not in ("ASC", "DESC"):
            raise RestError(
                "INVALID_ARG_VALUE",
                f"Invalid order: allowed sort directions are ASC, DESC. But got '{way}' for field '{name}'",
            )
