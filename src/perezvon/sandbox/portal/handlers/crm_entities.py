"""crm.lead.*, crm.contact.*, crm.company.*, crm.deal.*: add, get, list, update, delete and fields with classic names.

The four families differ in their fields (tables of the contract) and in the words of their errors, so the handlers are
made in a loop. Unknown keys of `fields` are ignored, as documented; a value that its field cannot hold is refused when the
portal is strict (the real one casts or keeps it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.crm_directories import CURRENCIES
from perezvon.sandbox.portal.handlers.crm_fields import (
    MULTIFIELDS,
    TYPES,
    Field,
    WrongValueError,
    classic_order,
    custom_field,
    fields_of,
    multifield_row,
    stored,
)
from perezvon.sandbox.portal.handlers.crm_objects import change, create, known_stage, merged_rows, read
from perezvon.sandbox.portal.handlers.crm_userfields import user_fields
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_list, as_mapping
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
IMPORTED = frozenset({"DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID"})
UNFILTERED = frozenset({"CONTACT_IDS", "COMPANY_IDS", "OBSERVERS"})
_WORDS = {"email": "invalid address", "currency": '"Currency"'}
Rows = dict[str, list[tuple[str, dict[str, Json] | None]]]


def classic_view(portal: PortalState, entity: Entity) -> dict[str, Json]:
    """What crm.<type>.get answers: every field in the documented order, multifields only when they hold something."""
    fields = entity.fields
    shown = {name: read(portal, entity, name) for name in classic_order(entity.type)}
    shown |= {name: [] if one.many else None for name, one in user_fields(portal, entity.type).items()}
    shown |= {name: value for name, value in fields.items() if custom_field(name)}
    return shown | {kind: fields[kind] for kind in MULTIFIELDS if fields.get(kind)}


def clean(
    portal: PortalState, type_: str, name: str, given: Mapping[str, Json], *, imported: bool = False, category: str = ""
) -> tuple[dict[str, Json], Rows]:
    """The known fields out of `fields`, in stored form, and the changes of multifields as (row id, row or None)."""
    values: dict[str, Json] = {}
    rows: Rows = {}
    declared = user_fields(portal, type_)
    for key, value in given.items():
        if key.startswith("UF_") and declared:  # unknown ones are ignored, as documented
            if key in declared:
                try:
                    values[key] = declared[key].stored(value)
                except WrongValueError as wrong:
                    raise _refused(name, wrong) from wrong
            continue
        field = fields_of(type_).get(key) or custom_field(key)
        if field is None or not field.settable or not field.classic or (key in IMPORTED and not imported):
            continue
        try:
            if field.kind == "multifield":
                rows[key] = [_row(key, row, field) for row in as_list(value)]
            else:
                values[key] = stored(field, as_list(value) if field.kind == "list" else value)
                _check_reference(portal, type_, field, values[key], str(values.get("CATEGORY_ID") or category or ""))
        except WrongValueError as wrong:
            if portal.config.strict_params or wrong.reason in _WORDS:
                raise _refused(name, wrong) from wrong
            values[key] = str(value)
    return values, rows


def _row(kind: str, row: Json, field: Field) -> tuple[str, dict[str, Json] | None]:
    pairs = {name.upper(): item for name, item in as_mapping(row).items()} if isinstance(row, (Mapping, list)) else {}
    gone = str(pairs.get("DELETE", "")).upper() == "Y"
    return str(pairs.get("ID") or ""), None if gone else multifield_row(kind, row, field)


def _check_reference(portal: PortalState, type_: str, field: Field, value: Json, category: str) -> None:
    """People, objects, currencies and stages that a field names have to be there."""
    if value in (None, "", []):
        return
    known = True
    if field.type == "user":
        known = int(value) in portal.people.users
    elif field.target:
        known = all(portal.crm.get(field.target, int(one)) for one in as_list(value))
    elif field.name == "CURRENCY_ID":
        known = value in CURRENCIES
    elif field.name in ("STATUS_ID", "STAGE_ID"):
        known = known_stage(portal, type_, value, category)
    if not known:
        raise WrongValueError(field, value, "currency" if field.name == "CURRENCY_ID" else "reference")


def _refused(name: str, wrong: WrongValueError) -> RestError:
    if wrong.reason in _WORDS and any(_WORDS[wrong.reason] in e.description for e in contract().methods[name].errors):
        return documented(name, _WORDS[wrong.reason])
    return RestError(
        "SANDBOX_WRONG_VALUE",
        f"{name}: {wrong.field.name} cannot be {str(wrong.value)[:60]!r} (wrong {wrong.reason})",
        argument=wrong.field.name,
    )


def _make(type_: str) -> None:
    family = f"crm.{type_.lower()}"

    def needs_map(params: Params, operation: str, *names: str) -> None:
        for name in names:
            value = params.get(name)
            if value is not None and not isinstance(value, (Mapping, list)):
                about = f"'{name}' must be"
                raise _or(f"{family}.{operation}", about, RestError("", f"Parameter '{name}' must be array"))

    def found(portal: PortalState, params: Params, operation: str) -> Entity:
        name = f"{family}.{operation}"
        number = params.integer("id")
        if number <= 0:
            raise _or(name, "ID is not defined", RestError("", "ID is not defined or invalid"))
        entity = portal.crm.get(type_, number)
        if entity is None:
            raise _or(name, "not found", RestError("", "Not found"))
        return entity

    @method(f"{family}.add", checks_itself=("fields", "params"))
    async def add(portal: PortalState, who: Caller, params: Params) -> Json:
        needs_map(params, "add", "fields", "params")
        imported = Params(params.mapping("params")).flag("IMPORT")
        values, rows = clean(portal, type_, f"{family}.add", params.mapping("fields"), imported=imported)
        return create(portal, who, type_, values, {kind: _new(changes) for kind, changes in rows.items()}).id

    @method(f"{family}.get", checks_itself=("id",))
    async def get(portal: PortalState, who: Caller, params: Params) -> Json:
        return classic_view(portal, found(portal, params, "get"))

    @method(f"{family}.update", checks_itself=("id", "fields", "params"))
    async def update(portal: PortalState, who: Caller, params: Params) -> Json:
        needs_map(params, "update", "fields", "params")
        entity = found(portal, params, "update")
        given = {key: value for key, value in params.mapping("fields").items() if key != "CATEGORY_ID"}
        category = entity.text("CATEGORY_ID")
        values, rows = clean(portal, type_, f"{family}.update", given, category=category)
        change(portal, who, entity, values, {kind: merged_rows(entity, kind, changes) for kind, changes in rows.items()})
        return True

    @method(f"{family}.delete", checks_itself=("id",))
    async def delete(portal: PortalState, who: Caller, params: Params) -> Json:
        portal.crm.delete(found(portal, params, "delete"))
        return True

    @method(f"{family}.fields")
    async def fields(portal: PortalState, who: Caller, params: Params) -> Json:
        return {
            name: field.description(read_only=not field.settable)
            for name, field in fields_of(type_).items()
            if field.classic
        } | {name: one.description() for name, one in user_fields(portal, type_).items()}

    @method(f"{family}.list", checks_itself=("select", "filter", "order"))
    async def list_(portal: PortalState, who: Caller, params: Params) -> Json:
        needs_map(params, "list", "order", "filter")
        return listed(portal, type_, params)


def listed(portal: PortalState, type_: str, params: Params) -> Page:
    """Filtered, ordered, selected; unknown names in filter and order have no effect, as in the real portal."""
    known = {name: field for name, field in fields_of(type_).items() if field.classic and name not in UNFILTERED}
    every = portal.crm.of(type_)
    customs = sorted({name for entity in every for name in entity.fields if name.startswith("UF_")})

    def value(entity: Entity, name: str) -> Json:
        return read(portal, entity, name)

    given = {
        key: item
        for key, item in params.mapping("filter").items()
        if query.Condition.parse(key, item).field in known or custom_field(query.Condition.parse(key, item).field)
    }
    group = query.parse(given)
    entities = [entity for entity in every if query.matches(group, entity, value)]
    order = {name: way for name, way in params.mapping("order").items() if name in known} or {"ID": "ASC"}
    entities = query.ordered(entities, order, value)
    names = query.selected(
        [*classic_order(type_), *customs, *MULTIFIELDS],
        [str(name) for name in params.items_of("select")],
        unselectable=frozenset(MULTIFIELDS),
    )
    names = names if "ID" in names else ["ID", *names]
    page = page_of(entities, params.integer("start"))
    rows = [{name: _shown(portal, entity, name) for name in names} for entity in page.items]
    return Page([{k: v for k, v in row.items() if k not in MULTIFIELDS or v} for row in rows], page.total, page.next)


def _shown(portal: PortalState, entity: Entity, name: str) -> Json:
    return entity.fields.get(name) if name in MULTIFIELDS else read(portal, entity, name)


def _new(changes: list[tuple[str, dict[str, Json] | None]]) -> list[Json]:
    return [row for _, row in changes if row is not None]


def _or(name: str, about: str, otherwise: RestError) -> RestError:
    """The documented error, or a general one where the page is silent."""
    known = contract().methods[name].errors
    return documented(name, about) if any(about.lower() in error.description.lower() for error in known) else otherwise


for _type in TYPES:
    _make(_type)
