"""The fields of CRM objects: which there are, of which type, how a value is stored and how it is answered.

The tables are read out of the contract (`crm.<type>.fields`, `crm.item.add`), so that this room holds only what a table
cannot say: the names that `crm.item.*` spells otherwise, and how a value of each type is checked. Values are stored as the
classic `get` answers them (`crm.Entity`): ids and numbers as strings, empty as None. Pure: no portal, no state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.crm import TYPE_IDS
from perezvon.sandbox.portal.params import as_list, as_mapping, as_moment

Json = Any
Kind = Literal["text", "integer", "number", "flag", "moment", "date", "id", "list", "multifield", "file"]

TYPES = ("LEAD", "DEAL", "CONTACT", "COMPANY")
MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
CUSTOM_PREFIXES = ("UF_", "PARENT_ID_")

_ITEM_NAMES = {
    "DATE_CREATE": "createdTime",
    "DATE_MODIFY": "updatedTime",
    "CREATED_BY_ID": "createdBy",
    "MODIFY_BY_ID": "updatedBy",
    "MOVED_BY_ID": "movedBy",
    "STATUS_ID": "stageId",
    "STATUS_SEMANTIC_ID": "stageSemanticId",
    "COMPANY_TYPE": "typeId",
}
_KINDS: Mapping[str, Kind] = {
    "integer": "integer",
    "double": "number",
    "char": "flag",
    "boolean": "flag",
    "datetime": "moment",
    "date": "date",
    "user": "id",
    "crm_multifield": "multifield",
    "file": "file",
    "crm_lead": "id",
    "crm_deal": "id",
    "crm_contact": "id",
    "crm_company": "id",
    "crm_quote": "id",
    "crm_category": "integer",
}
_LISTS = frozenset({"CONTACT_IDS", "COMPANY_IDS", "OBSERVERS"})
_NO_FIELDS = ("Field_", "crm_", "Parameter_params", "Params_")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class Field:
    """`name`: classic; `item`: as crm.item.* spells it. `type`: the documentation's word. `kind`: how values are handled.
    `settable`, `item_settable`: listed among the fields of crm.<type>.add and of crm.item.add. `classic`: the classic
    methods know it. `target`: the CRM type whose ids the value holds ("" for none)."""

    name: str
    item: str
    type: str
    kind: Kind
    settable: bool
    item_settable: bool = False
    classic: bool = True
    status_type: str = ""
    target: str = ""

    def description(self, *, read_only: bool) -> dict[str, Json]:
        """As crm.<type>.fields and crm.item.fields tell it (without `upperName`)."""
        told: dict[str, Json] = {
            "type": self.type.removesuffix("[]"),
            "isRequired": False,
            "isReadOnly": read_only,
            "isImmutable": False,
            "isMultiple": self.kind in {"multifield", "list"},
            "isDynamic": self.name.startswith(CUSTOM_PREFIXES),
            "title": self.name.replace("_", " ").capitalize(),
        }
        if self.status_type:
            told["statusType"] = self.status_type
        return told


class WrongValueError(ValueError):
    """A value that its field does not take. The caller makes the error of its own method out of it."""

    def __init__(self, field: Field, value: Json, reason: str = "value") -> None:
        super().__init__(f"{field.name}: {value!r} is no {field.kind}")
        self.field = field
        self.value = value
        self.reason = reason
        """"value", "list" (a multiple field got a single value) or "email"."""


@cache
def fields_of(type_: str) -> Mapping[str, Field]:
    """The fields of LEAD, DEAL, CONTACT or COMPANY by classic name, in the order of the documentation."""
    methods = contract().raw["methods"]
    low = type_.lower()
    types: dict[str, str] = {}
    for rows in (
        *_groups(methods[f"crm.{low}.fields"]),
        *_groups(methods[f"crm.{low}.get"]),
        *_groups(methods[f"crm.{low}.add"]),
    ):
        for row in rows:
            types.setdefault(row["name"], row["type"] or "string")
    settable = {str(row["name"]) for rows in _groups(methods[f"crm.{low}.add"]) for row in rows} | set(MULTIFIELDS)
    item_rows = methods["crm.item.add"]["param_groups"]["fields_by_entityTypeId"][str(TYPE_IDS[type_])]
    item_types = {str(row["name"]): str(row["type"] or "string") for row in item_rows if not row["name"].endswith("...")}
    shape = cast("dict[str, dict[str, Json]]", methods[f"crm.{low}.fields"]["response_shape"]["result"])
    found = {
        name: _field(
            name,
            types.get(name, "string"),
            settable=name in settable or _address(name),
            item_settable=item_name(name) in item_types,
            status_type=_status_type(type_, name) if "statusType" in shown else "",
        )
        for name, shown in shape.items()
        if not name.startswith("PARENT_ID_")
    }
    known = {field.item for field in found.values()} | {"fm"}
    for item, type_name in item_types.items():
        if item not in known:
            found[upper_name(item)] = _field(upper_name(item), type_name, item_settable=True, classic=False)
    return found


@cache
def item_names(type_: str) -> Mapping[str, Field]:
    """The same fields by the name that crm.item.* uses; multifields are not item fields (they come as `fm`)."""
    return {field.item: field for field in fields_of(type_).values() if field.kind != "multifield"}


@cache
def classic_order(type_: str) -> tuple[str, ...]:
    """The names that crm.<type>.get answers, in its order, without multifields."""
    shape = contract().raw["methods"][f"crm.{type_.lower()}.get"]["response_shape"]["result"]
    return tuple(name for name in shape if name not in MULTIFIELDS and not name.startswith("PARENT_ID_"))


def custom_field(name: str) -> Field | None:
    """A field that the portal's owner made (UF_…, PARENT_ID_…): any text is accepted under such a name."""
    classic = upper_name(name) if not name.isupper() else name
    return (
        Field(classic, name, "string", "text", settable=True, item_settable=True)
        if classic.startswith(CUSTOM_PREFIXES)
        else None
    )


def upper_name(item: str) -> str:
    """`assignedById` -> ASSIGNED_BY_ID, `ufCrm_1234` -> UF_CRM_1234, `parentId156` -> PARENT_ID_156."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=\d)", "_", item).upper()


def item_name(classic: str) -> str:
    """ASSIGNED_BY_ID -> `assignedById`, UF_CRM_1234 -> `ufCrm_1234`, PARENT_ID_156 -> `parentId156`."""
    if classic in _ITEM_NAMES:
        return _ITEM_NAMES[classic]
    head, *tail = classic.lower().split("_")
    divider = "" if classic.startswith("PARENT_ID_") else "_"
    return head + "".join(divider + part if part.isdigit() else part.capitalize() for part in tail)


def stored(field: Field, value: Json) -> Json:
    """The value as it is kept, or WrongValueError. None and "" empty the field."""
    if field.kind == "list":
        if not isinstance(value, (list, Mapping)):
            raise WrongValueError(field, value, "list")
        return [_digits(field, one) for one in as_list(value)]
    if value is None or value == "":
        return None
    match field.kind:
        case "id":
            number = _digits(field, value)
            return None if number == "0" and field.type != "user" else number
        case "integer":
            return _digits(field, value)
        case "number":
            return _amount(field, value)
        case "flag":
            return _flag(field, value)
        case "moment" | "date":
            return _moment(field, value)
        case "file":
            return _file(field, value)
        case _:
            if isinstance(value, (list, Mapping)):
                if field.name.startswith(CUSTOM_PREFIXES):
                    return cast("Json", value)
                raise WrongValueError(field, cast("Json", value))
            return "Y" if value is True else "N" if value is False else str(value)


def for_item(field: Field, value: Json) -> Json:
    """A stored value as crm.item.* answers it: numbers as numbers."""
    if field.kind == "list":
        return [int(one) for one in as_list(value)]
    if value is None or value == "":
        return None
    if field.kind in {"id", "integer"}:
        return int(value)
    if field.kind == "number":
        amount = float(value)
        return int(amount) if amount.is_integer() else amount
    return value


def multifield_row(kind: str, row: Json, field: Field | None = None) -> dict[str, Json] | None:
    """One row of PHONE, EMAIL, … out of {VALUE, VALUE_TYPE}; None when it holds no value. E-mails are checked."""
    pairs = as_mapping(row) if isinstance(row, (Mapping, list)) else {"VALUE": row}
    given = {name.upper(): item for name, item in pairs.items()}
    value = str(given.get("VALUE") or "").strip()
    if not value:
        return None
    if kind == "EMAIL" and not _EMAIL.fullmatch(value):
        raise WrongValueError(field or _field(kind, "crm_multifield"), value, "email")
    types = contract().raw["enums"]["multifield_value_type"].get(kind, ())
    chosen = str(given.get("VALUE_TYPE") or given.get("VALUETYPE") or "")
    return {"TYPE_ID": kind, "VALUE_TYPE": chosen if chosen in types else (types[0] if types else "OTHER"), "VALUE": value}


def _field(
    name: str,
    type_: str,
    *,
    settable: bool = False,
    item_settable: bool = False,
    classic: bool = True,
    status_type: str = "",
) -> Field:
    type_ = "user" if name == "LAST_ACTIVITY_BY" else type_
    single = type_.removesuffix("[]")
    kind: Kind = "list" if name in _LISTS else _KINDS.get(single, "text")
    target = single.removeprefix("crm_").upper() if single.startswith("crm_") else ""
    return Field(
        name=name,
        item=item_name(name),
        type=type_,
        kind=kind,
        settable=settable,
        item_settable=item_settable,
        classic=classic,
        status_type=status_type,
        target=target if target in TYPES else "",
    )


def _groups(method: Mapping[str, Json]) -> list[list[dict[str, Json]]]:
    found: list[list[dict[str, Json]]] = [method["returns"]]
    for part in ("return_groups", "param_groups"):
        groups = cast("dict[str, list[dict[str, Json]]]", method.get(part) or {})
        found += [rows for name, rows in groups.items() if not name.startswith(_NO_FIELDS)]
    return found


def _address(name: str) -> bool:
    """Addresses are set through the classic methods although the pages of companies and contacts list them no more."""
    return "ADDRESS" in name and not name.endswith("LOC_ADDR_ID")


def _status_type(type_: str, name: str) -> str:
    special = {
        ("LEAD", "STATUS_ID"): "STATUS",
        ("DEAL", "STAGE_ID"): "DEAL_STAGE",
        ("DEAL", "TYPE_ID"): "DEAL_TYPE",
        ("CONTACT", "TYPE_ID"): "CONTACT_TYPE",
        ("COMPANY", "COMPANY_TYPE"): "COMPANY_TYPE",
        ("COMPANY", "INDUSTRY"): "INDUSTRY",
        ("COMPANY", "EMPLOYEES"): "EMPLOYEES",
    }
    return special.get((type_, name)) or {"SOURCE_ID": "SOURCE", "HONORIFIC": "HONORIFIC"}.get(name, "")


def _digits(field: Field, value: Json) -> str:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value).strip()):
        raise WrongValueError(field, value)
    return str(int(str(value).strip()))


def _amount(field: Field, value: Json) -> str:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+([.,]\d+)?", str(value).strip()):
        raise WrongValueError(field, value)
    whole, _, part = str(value).strip().replace(",", ".").partition(".")
    return f"{int(whole)}.{(part + '00')[:2]}"


def _flag(field: Field, value: Json) -> str:
    known = {"Y": "Y", "N": "N", "1": "Y", "0": "N", "TRUE": "Y", "FALSE": "N"}
    text = str(value).strip().upper()
    if text not in known:
        raise WrongValueError(field, value)
    return known[text]


def _moment(field: Field, value: Json) -> str:
    text = str(value).strip()
    swapped = re.sub(r"^(\d\d)\.(\d\d)\.(\d{4})", r"\3-\2-\1", text)
    if re.fullmatch(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?", swapped):
        return swapped
    if as_moment(text) is None:
        raise WrongValueError(field, value)
    return text


def _file(field: Field, value: Json) -> Json:
    data = as_mapping(value).get("fileData", value)
    parts = as_list(data)
    if len(parts) != 2:
        raise WrongValueError(field, value)
    return str(parts[0])
