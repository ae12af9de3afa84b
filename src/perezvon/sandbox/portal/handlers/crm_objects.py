"""Leads, deals, contacts and companies as things that are made, changed and linked: the rules that the classic methods and
crm.item.* share. Values come in checked and stored-like (`crm_fields.stored`); answers are built by the callers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.handlers.crm_directories import FINAL_MEANING, statuses_of
from perezvon.sandbox.portal.handlers.crm_fields import MULTIFIELDS, Field, custom_field, fields_of
from perezvon.sandbox.portal.registry import Caller
from perezvon.sandbox.portal.state import PortalState

Json = Any
Binding = dict[str, Json]

STAGE_FIELD = {"LEAD": "STATUS_ID", "DEAL": "STAGE_ID"}
CONTACT_LINKS = "~CONTACTS"
COMPANY_LINKS = "~COMPANIES"
_DEFAULTS: Mapping[str, Mapping[str, Json]] = {
    "LEAD": {"STATUS_ID": "NEW", "CURRENCY_ID": "RUB", "OPPORTUNITY": "0.00", "OPENED": "Y", "IS_MANUAL_OPPORTUNITY": "N"},
    "DEAL": {
        "STAGE_ID": "NEW",
        "CATEGORY_ID": "0",
        "TYPE_ID": "SALE",
        "CURRENCY_ID": "RUB",
        "OPPORTUNITY": "0.00",
        "TAX_VALUE": "0.00",
        "OPENED": "Y",
        "IS_MANUAL_OPPORTUNITY": "N",
        "IS_RECURRING": "N",
        "IS_REPEATED_APPROACH": "N",
    },
    "CONTACT": {"TYPE_ID": "CLIENT", "OPENED": "Y", "EXPORT": "Y"},
    "COMPANY": {
        "COMPANY_TYPE": "CUSTOMER",
        "INDUSTRY": "OTHER",
        "EMPLOYEES": "EMPLOYEES_1",
        "CURRENCY_ID": "RUB",
        "REVENUE": "0.00",
        "OPENED": "Y",
        "IS_MY_COMPANY": "N",
    },
}
_TITLES = {
    "ru": {"LEAD": "Лид", "DEAL": "Сделка", "COMPANY": "Компания"},
    "en": {"LEAD": "Lead", "DEAL": "Deal", "COMPANY": "Company"},
}


def semantic(type_: str, stage: str) -> str:
    """P in progress, S success, F failure: of a lead's status or a deal's stage (C5:WON of another pipeline too)."""
    return FINAL_MEANING.get(stage.rpartition(":")[2], "P") if type_ in STAGE_FIELD else ""


def known_stage(portal: PortalState, type_: str, stage: str, category: str) -> bool:
    """Whether the stage is in the directory of its pipeline. A pipeline without a directory takes any stage of its own."""
    pipeline = "DEAL_STAGE" if category in ("", "0") else f"DEAL_STAGE_{category}"
    rows = statuses_of(portal, "STATUS" if type_ == "LEAD" else pipeline)
    return stage in {row["STATUS_ID"] for row in rows} or (not rows and stage.startswith(f"C{category}:"))


def create(
    portal: PortalState, who: Caller, type_: str, values: Mapping[str, Json], rows: Mapping[str, list[Json]]
) -> Entity:
    """A new object: defaults filled, times and authors set, links made. `rows`: multifield rows by kind."""
    now = portal.iso()
    fields: dict[str, Json] = {
        **_DEFAULTS[type_],
        "ASSIGNED_BY_ID": str(who.user_id),
        "CREATED_BY_ID": str(who.user_id),
        "MODIFY_BY_ID": str(who.user_id),
        "DATE_CREATE": now,
        "DATE_MODIFY": now,
        "LAST_ACTIVITY_TIME": now,
        "LAST_ACTIVITY_BY": str(who.user_id),
        **{
            name: value
            for name, value in values.items()
            if name not in {"CONTACT_IDS", "COMPANY_IDS"} and value is not None
        },
        **{kind: _numbered(portal, found) for kind, found in rows.items() if found},
    }
    if type_ in STAGE_FIELD:
        _stage_moved(portal, who, type_, fields)
    if type_ in ("LEAD", "DEAL"):
        fields["IS_RETURN_CUSTOMER"] = "Y" if fields.get("COMPANY_ID") or fields.get("CONTACT_ID") else "N"
    _take_links(fields, values)
    titles = _TITLES.get(portal.config.language, _TITLES["en"])
    untitled = type_ in titles and not fields.get("TITLE")
    if untitled:
        fields["TITLE"] = f"{titles[type_]} #{_next_id(portal, type_)}"
    entity = portal.crm.add(type_, fields)
    if type_ == "COMPANY" and "CONTACT_IDS" in values:
        set_company_contacts(portal, entity, [_binding("CONTACT_ID", int(one)) for one in values["CONTACT_IDS"]])
    return entity


def change(
    portal: PortalState,
    who: Caller,
    entity: Entity,
    values: Mapping[str, Json],
    rows: Mapping[str, list[Json]] | None = None,
) -> None:
    """Write changed values; `rows` replaces the multifield rows of the kinds it names."""
    fields: dict[str, Json] = {name: value for name, value in values.items() if name not in {"CONTACT_IDS", "COMPANY_IDS"}}
    stage = STAGE_FIELD.get(entity.type)
    if stage and stage in fields and fields[stage] != entity.fields.get(stage):
        _stage_moved(portal, who, entity.type, fields)
    fields.setdefault("MODIFY_BY_ID", str(who.user_id))
    fields.setdefault("DATE_MODIFY", portal.iso())
    for kind, found in (rows or {}).items():
        fields[kind] = _numbered(portal, found)
    _take_links(fields, values)
    if entity.type == "COMPANY" and "CONTACT_IDS" in values:
        set_company_contacts(portal, entity, [_binding("CONTACT_ID", int(one)) for one in values["CONTACT_IDS"]])
    portal.crm.update(entity, fields)


def merged_rows(entity: Entity, kind: str, changes: Sequence[tuple[str, dict[str, Json] | None]]) -> list[Json]:
    """The multifield rows after `changes`: (row id, new row or None to delete); id "" adds. Unknown ids change nothing."""
    kept = {str(row["ID"]): dict(row) for row in cast("list[dict[str, Json]]", entity.fields.get(kind) or [])}
    added: list[Json] = []
    for row_id, row in changes:
        if not row_id:
            if row is not None:
                added.append(row)
        elif row_id in kept:
            if row is None:
                del kept[row_id]
            else:
                kept[row_id].update(row)
    return [*kept.values(), *added]


def read(portal: PortalState, entity: Entity, name: str) -> Json:
    """The value of a classic field as stored, with what follows from other fields computed. Multifields: their values."""
    fields = entity.fields
    if name in MULTIFIELDS:
        return entity.values(name)
    if name in ("HAS_PHONE", "HAS_EMAIL"):
        return "Y" if fields.get(name.removeprefix("HAS_")) else "N"
    if name in fields:
        return fields[name]
    match name:
        case "HAS_IMOL":
            return "N"
        case "STATUS_SEMANTIC_ID" | "STAGE_SEMANTIC_ID":
            return semantic(entity.type, str(read(portal, entity, STAGE_FIELD[entity.type]) or ""))
        case "IS_RETURN_CUSTOMER":
            return "Y" if fields.get("COMPANY_ID") or fields.get("CONTACT_ID") else "N"
        case "IS_NEW":
            return "Y" if read(portal, entity, "STAGE_ID") == "NEW" else "N"
        case "CLOSED":
            return "N" if entity.open else "Y"
        case "CONTACT_IDS":
            return [str(row["CONTACT_ID"]) for row in contact_links(portal, entity)]
        case "COMPANY_IDS":
            return [str(row["COMPANY_ID"]) for row in company_links(entity)]
        case _:
            return _DEFAULTS.get(entity.type, {}).get(name)


def field_named(type_: str, name: str) -> Field | None:
    return fields_of(type_).get(name) or custom_field(name)


def contact_links(portal: PortalState, entity: Entity) -> list[Binding]:
    """Contacts of a lead, deal or company, the primary one marked."""
    if entity.type == "COMPANY":
        return [
            {**row, "CONTACT_ID": contact.id}
            for contact in portal.crm.of("CONTACT")
            for row in company_links(contact)
            if row.pop("COMPANY_ID") == entity.id
        ]
    return _links(entity, CONTACT_LINKS, "CONTACT_ID")


def company_links(contact: Entity) -> list[Binding]:
    return _links(contact, COMPANY_LINKS, "COMPANY_ID")


def set_links(portal: PortalState, entity: Entity, key: str, rows: Sequence[Binding]) -> None:
    """Replace the contacts of a lead or deal (`key` CONTACT_ID), or the companies of a contact (COMPANY_ID)."""
    ordered = _ordered(rows)
    primary = next((str(row[key]) for row in ordered if row["IS_PRIMARY"] == "Y"), None)
    store = CONTACT_LINKS if key == "CONTACT_ID" else COMPANY_LINKS
    portal.crm.update(entity, {store: ordered, key: primary})


def set_company_contacts(portal: PortalState, company: Entity, rows: Sequence[Binding]) -> None:
    wanted = {int(row["CONTACT_ID"]): row for row in rows}
    for contact in portal.crm.of("CONTACT"):
        links = company_links(contact)
        kept = [row for row in links if row["COMPANY_ID"] != company.id]
        if contact.id in wanted:
            row = wanted[contact.id]
            kept.append({**_binding("COMPANY_ID", company.id), "SORT": row["SORT"], "IS_PRIMARY": row["IS_PRIMARY"]})
        if kept != links:
            set_links(portal, contact, "COMPANY_ID", kept)


def _binding(key: str, number: int, sort: int = 10, primary: str = "N") -> Binding:
    return {key: number, "SORT": sort, "ROLE_ID": 0, "IS_PRIMARY": primary}


def _links(entity: Entity, store: str, key: str) -> list[Binding]:
    rows = cast("list[Binding] | None", entity.fields.get(store))
    if rows is not None:
        return [dict(row) for row in rows]
    return [_binding(key, entity.number(key), primary="Y")] if entity.number(key) else []


def _ordered(rows: Sequence[Binding]) -> list[Binding]:
    """By SORT; the first is primary unless one says so, and only one is."""
    found = sorted((dict(row) for row in rows), key=lambda row: int(row["SORT"]))
    primary = next((at for at, row in enumerate(found) if row["IS_PRIMARY"] == "Y"), 0)
    for at, row in enumerate(found):
        row["IS_PRIMARY"] = "Y" if at == primary else "N"
    return found


def _take_links(fields: dict[str, Json], values: Mapping[str, Json]) -> None:
    """CONTACT_IDS / COMPANY_IDS replace the whole set; CONTACT_ID / COMPANY_ID alone make a set of one."""
    for many, one, store in (("CONTACT_IDS", "CONTACT_ID", CONTACT_LINKS), ("COMPANY_IDS", "COMPANY_ID", COMPANY_LINKS)):
        if many in values:
            rows = [_binding(one, int(number), 10 * (at + 1)) for at, number in enumerate(values[many])]
            fields[store] = _ordered(rows)
            fields[one] = str(rows[0][one]) if rows else None
        elif one in values and store == CONTACT_LINKS:
            fields[store] = [_binding(one, int(values[one]), primary="Y")] if values[one] else []


def _stage_moved(portal: PortalState, who: Caller, type_: str, fields: dict[str, Json]) -> None:
    stage = str(fields.get(STAGE_FIELD[type_]) or "NEW")
    meaning = semantic(type_, stage)
    fields["STATUS_SEMANTIC_ID" if type_ == "LEAD" else "STAGE_SEMANTIC_ID"] = meaning
    fields |= {"MOVED_BY_ID": str(who.user_id), "MOVED_TIME": portal.iso()}
    if type_ == "LEAD":
        fields["DATE_CLOSED"] = portal.iso() if meaning != "P" else None
    else:
        fields["CLOSED"] = "N" if meaning == "P" else "Y"


def _numbered(portal: PortalState, rows: Sequence[Json]) -> list[Json]:
    return [
        {"ID": str(row.get("ID") or portal.crm.next_value_id()), **{k: v for k, v in row.items() if k != "ID"}}
        for row in rows
    ]


def _next_id(portal: PortalState, type_: str) -> int:
    return max((entity.id for entity in portal.crm.of(type_)), default=0) + 1
