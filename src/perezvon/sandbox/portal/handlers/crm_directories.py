"""Directories of the CRM: statuses and sources, enumerations, currencies, mode, search for doubles by phone or e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.handlers import crm_query as query
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.numbers import canonical
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method
from perezvon.sandbox.portal.seed import SOURCES
from perezvon.sandbox.portal.state import PortalState

Json = Any
FOUND_AT_MOST = 20
FINAL_MEANING = {"CONVERTED": "S", "WON": "S", "JUNK": "F", "LOSE": "F", "APOLOGY": "F"}
WITH_MEANING = ("STATUS", "DEAL_STAGE")
COLORS = ("#39A8EF", "#2FC6F6", "#55D0E0", "#47E4C2", "#FFA900", "#7BD500", "#FF5752", "#FF5752")
CURRENCIES: Mapping[str, tuple[str, str]] = {
    "RUB": ("1.0000", "Российский рубль"),
    "USD": ("92.5000", "Доллар США"),
    "EUR": ("99.7000", "Евро"),
    "BYN": ("28.3000", "Белорусский рубль"),
    "KZT": ("0.1900", "Казахстанский тенге"),
}
_NAMES: Mapping[str, Mapping[str, str]] = {
    "STATUS": {
        "NEW": "Не обработан",
        "IN_PROCESS": "В работе",
        "PROCESSED": "Обработан",
        "JUNK": "Некачественный лид",
        "CONVERTED": "Качественный лид",
    },
    "DEAL_STAGE": {
        "NEW": "Новая",
        "PREPARATION": "Подготовка документов",
        "PREPAYMENT_INVOICE": "Cчёт на предоплату",
        "EXECUTING": "В работе",
        "FINAL_INVOICE": "Финальный счёт",
        "WON": "Сделка успешна",
        "LOSE": "Сделка провалена",
        "APOLOGY": "Анализ причины провала",
    },
    "SOURCE": SOURCES,
    "DEAL_TYPE": {"SALE": "Продажа", "SERVICES": "Услуги"},
    "CONTACT_TYPE": {"CLIENT": "Клиенты", "SUPPLIER": "Поставщики", "PARTNER": "Партнёры", "OTHER": "Другое"},
    "COMPANY_TYPE": {"CUSTOMER": "Клиент", "SUPPLIER": "Поставщик", "PARTNER": "Партнёр", "OTHER": "Другое"},
    "INDUSTRY": {"IT": "Информационные технологии", "FINANCE": "Финансы", "OTHER": "Другое"},
    "EMPLOYEES": {"EMPLOYEES_1": "менее 50", "EMPLOYEES_2": "50-250", "EMPLOYEES_3": "250-500", "EMPLOYEES_4": "более 500"},
    "HONORIFIC": {"HNR_RU_1": "г-н", "HNR_RU_2": "г-жа"},
    "CALL_LIST": {
        "IN_WORK": "В работе",
        "SUCCESS": "Успешно",
        "WRONG_NUMBER": "Неверный номер",
        "STOP_CALLING": "Больше не звонить",
    },
}


class Directories:
    """All rows of all directories, as crm.status.get answers them. One a portal."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Json]] = []
        for directory, names in _NAMES.items():
            for at, (status, name) in enumerate(names.items()):
                self.add(directory, status, name, 10 * (at + 1), system=True)

    def add(self, directory: str, status: str, name: str, sort: int, *, system: bool = False, meaning: str = "") -> int:
        number = len(self.rows) + 1
        told = FINAL_MEANING.get(status, meaning) if directory.startswith(WITH_MEANING) else ""
        self.rows.append(
            {
                "ID": str(number),
                "ENTITY_ID": directory,
                "STATUS_ID": status,
                "NAME": name,
                "NAME_INIT": name if system else "",
                "SORT": str(sort),
                "SYSTEM": "Y" if system else "N",
                "CATEGORY_ID": directory.removeprefix("DEAL_STAGE_") if directory.startswith("DEAL_STAGE_") else None,
                "COLOR": COLORS[(sort // 10 - 1) % len(COLORS)] if directory.startswith(WITH_MEANING) else "",
                "SEMANTICS": told or None,
            }
        )
        return number


def statuses_of(portal: PortalState, directory: str) -> list[dict[str, Json]]:
    """Rows of one directory by SORT."""
    rows = [row for row in portal.part(Directories).rows if row["ENTITY_ID"] == directory]
    return sorted(rows, key=lambda row: int(row["SORT"]))


def status_name(portal: PortalState, directory: str, status: str) -> str:
    return next((str(row["NAME"]) for row in statuses_of(portal, directory) if row["STATUS_ID"] == status), status)


def _told(row: dict[str, Json]) -> dict[str, Json]:
    if not str(row["ENTITY_ID"]).startswith(WITH_MEANING):
        return dict(row)
    meaning = {"S": "success", "F": "failure"}.get(str(row["SEMANTICS"]), "process")
    return {**row, "EXTRA": {"SEMANTICS": meaning, "COLOR": row["COLOR"]}}


@method("crm.status.list")
async def status_list(portal: PortalState, who: Caller, params: Params) -> Json:
    rows = portal.part(Directories).rows
    group = query.parse(params.mapping("filter"))
    unknown = [name for name in group.fields() if name not in rows[0]]
    if unknown:
        raise documented("crm.status.list", "Invalid parameters")
    found = [_told(row) for row in rows if query.matches(group, row)]
    found = query.ordered(found, params.mapping("order") or {"SORT": "ASC"})
    return Page(found, len(found), None)


@method("crm.status.get", checks_itself=("id",))
async def status_get(portal: PortalState, who: Caller, params: Params) -> Json:
    row = next((row for row in portal.part(Directories).rows if row["ID"] == params.text("id")), None)
    if row is None:
        raise documented("crm.status.get", "Status is not found")
    return row


@method("crm.status.entity.items", checks_itself=("entityId",))
async def status_items(portal: PortalState, who: Caller, params: Params) -> Json:
    rows = statuses_of(portal, params.text("entityId"))
    if not rows:
        raise documented("crm.status.entity.items", "entityId is not defined")
    return [{"NAME": row["NAME"], "SORT": int(row["SORT"]), "STATUS_ID": row["STATUS_ID"]} for row in rows]


@method("crm.status.add", checks_itself=("fields",))
async def status_add(portal: PortalState, who: Caller, params: Params) -> Json:
    if not isinstance(params.get("fields"), Mapping):
        raise documented("crm.status.add", "must be array")
    fields = Params(params.mapping("fields"))
    directory, status, name = fields.text("ENTITY_ID"), fields.text("STATUS_ID"), fields.text("NAME")
    lacking = [f"The field {key} is required." for key in ("ENTITY_ID", "STATUS_ID") if not fields.text(key)]
    if lacking:
        raise RestError("", ", ".join(lacking))
    rows = statuses_of(portal, directory)
    if not rows and not directory.startswith("DEAL_STAGE_"):
        raise documented("crm.status.add", "entity type is not supported")
    if not name:
        raise documented("crm.status.add", "Title is required")
    if any(row["STATUS_ID"] == status for row in rows):
        raise documented("crm.status.add", "status ID already exists")
    sort = fields.integer("SORT", 10 * (len(rows) + 1))
    if directory == "SOURCE":
        portal.crm.sources[status] = name
    return portal.part(Directories).add(directory, status, name, sort, meaning=fields.text("SEMANTICS"))


@method("crm.settings.mode.get")
async def settings_mode_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return portal.crm.mode


@method("crm.currency.list")
async def currency_list(portal: PortalState, who: Caller, params: Params) -> Json:
    rows: list[dict[str, Json]] = [
        {
            "CURRENCY": code,
            "AMOUNT_CNT": "1",
            "AMOUNT": amount,
            "SORT": str(100 * (at + 1)),
            "BASE": "Y" if at == 0 else "N",
            "FULL_NAME": name,
            "LID": portal.config.language,
            "FORMAT_STRING": f"# {code}",
            "DEC_POINT": ".",
            "THOUSANDS_SEP": " ",
            "DECIMALS": "2",
            "DATE_UPDATE": portal.iso(0),
        }
        for at, (code, (amount, name)) in enumerate(CURRENCIES.items())
    ]
    rows = query.ordered(rows, {key.upper(): way for key, way in params.mapping("order").items()})
    return Page(rows, len(rows), None)


def _enumeration(values: Mapping[str, str], short: Mapping[str, str] | None = None) -> list[dict[str, Json]]:
    """`short` given: an enumeration with symbol codes (owner types)."""
    return [
        {
            "ID": int(number),
            "NAME": name.capitalize(),
            "SYMBOL_CODE": None if short is None else name,
            "SYMBOL_CODE_SHORT": None if short is None else short.get(name, f"T{int(number):x}"),
        }
        for number, name in values.items()
    ]


@method("crm.enum.activitytype")
async def enum_activity_type(portal: PortalState, who: Caller, params: Params) -> Json:
    return _enumeration(contract().raw["enums"]["activity_type"])


@method("crm.enum.activitydirection")
async def enum_activity_direction(portal: PortalState, who: Caller, params: Params) -> Json:
    return _enumeration(contract().raw["enums"]["activity_direction"])


@method("crm.enum.activitystatus")
async def enum_activity_status(portal: PortalState, who: Caller, params: Params) -> Json:
    return _enumeration(contract().raw["enums"]["activity_status"])


@method("crm.enum.settings.mode")
async def enum_settings_mode(portal: PortalState, who: Caller, params: Params) -> Json:
    return _enumeration(contract().raw["enums"]["crm_mode"])


@method("crm.enum.ownertype")
async def enum_owner_type(portal: PortalState, who: Caller, params: Params) -> Json:
    enums = contract().raw["enums"]
    names = {number: str(name).partition("(")[0] for number, name in enums["owner_type_id"].items()}
    return _enumeration(names, enums["owner_short"])


@method("crm.duplicate.findbycomm", checks_itself=("type", "values"))
async def duplicate_findbycomm(portal: PortalState, who: Caller, params: Params) -> Json:
    """Leads, contacts, companies by phone or e-mail; extension numbers behind a comma or `ext` are ignored."""
    kind = params.text("type").upper()
    if not kind:
        raise documented("crm.duplicate.findbycomm", "Communication type is not defined")
    if kind not in ("PHONE", "EMAIL"):
        raise RestError(
            f"Communication type '{params.text('type')}' is not supported in current context", "unsupported type"
        )
    values = [str(value) for value in params.items_of("values") if str(value).strip()][:FOUND_AT_MOST]
    if not values:
        raise documented("crm.duplicate.findbycomm", "Communication values is not defined")

    def read(value: str) -> str:
        return canonical(_without_extension(value), portal.config.region) if kind == "PHONE" else value.casefold()

    wanted = {read(value) for value in values}
    found: dict[str, Json] = {}
    for type_ in ("LEAD", "CONTACT", "COMPANY"):
        if params.text("entity_type") not in ("", type_):
            continue
        hits = [e.id for e in portal.crm.of(type_) if wanted & {read(value) for value in e.values(kind)}]
        if hits:
            found[type_] = hits[:FOUND_AT_MOST]
        if len(hits) >= FOUND_AT_MOST:
            break
    return found


def _without_extension(number: str) -> str:
    for mark in (",", ";", "#", "ext", "доб"):
        number = number.partition(mark)[0]
    return number
