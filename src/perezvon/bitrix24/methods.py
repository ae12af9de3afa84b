"""The REST methods that we use: parameters in, small values out.

`register`, `card`, … build the parameters only, so that the same ones go alone (`portal.call`) or in a batch (`Command`);
the `read_…` functions read the answers of both. The others ask and read.
Source: contract.json "methods" (telephony.*, voximplant.statistic.get, user.get, profile, app.info, scope, server.time).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.errors import Ambiguous, NotFound
from perezvon.bitrix24.values import Json, flag, mapping, moment, number, rows, text, whole

REGISTER = "telephony.externalCall.register"
SHOW = "telephony.externalCall.show"
HIDE = "telephony.externalCall.hide"
FINISH = "telephony.externalCall.finish"
ATTACH_RECORD = "telephony.externalCall.attachRecord"
UPDATE_ACTIVITY = "crm.activity.update"
GET_ACTIVITY = "crm.activity.get"
GET_ITEM = "crm.item.get"
UPDATE_ITEM = "crm.item.update"
SEARCH = "telephony.externalCall.searchCrmEntities"
ADD_TASK = "tasks.task.add"
GET_TASK = "tasks.task.get"
LIST_TASKS = "tasks.task.list"
UPDATE_TASK = "tasks.task.update"
COMPLETE_TASK = "tasks.task.complete"
RENEW_TASK = "tasks.task.renew"
ADD_COMMENT = "task.commentitem.add"
LIST_COMMENTS = "task.commentitem.getlist"
ACTIVITY_BINDINGS = "crm.activity.binding.list"
LIST_ITEMS = "crm.item.list"
ADD_TRIGGER = "crm.automation.trigger.add"
LIST_TRIGGERS = "crm.automation.trigger.list"
DELETE_TRIGGER = "crm.automation.trigger.delete"
EXECUTE_TRIGGER = "crm.automation.trigger.execute"
ADD_ROBOT = "bizproc.robot.add"
UPDATE_ROBOT = "bizproc.robot.update"
LIST_ROBOTS = "bizproc.robot.list"
DELETE_ROBOT = "bizproc.robot.delete"
ANSWER_ROBOT = "bizproc.event.send"
STATISTIC = "voximplant.statistic.get"
OBJECT = {"lead": "crm.lead", "contact": "crm.contact", "company": "crm.company", "deal": "crm.deal"}
"""The families of methods of the CRM's objects: `.get`, `.update`, `.list`, `.fields`."""
LIST_DEALS = "crm.deal.list"
LIST_LEADS = "crm.lead.list"
BIND_ACTIVITY = "crm.activity.binding.add"
CRM_MODE = "crm.settings.mode.get"
STATUSES = "crm.status.entity.items"
DIALOG = "im.dialog.get"
ADD_MESSAGE = "im.message.add"
NOTIFY = "im.notify.personal.add"
LINES = "telephony.externalLine.get"
ADD_LINE = "telephony.externalLine.add"
UPDATE_LINE = "telephony.externalLine.update"
USERS = "user.get"
_TYPES = {"LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4, "QUOTE": 7, "SMART_INVOICE": 31}
_PHONES = ("PERSONAL_MOBILE", "WORK_PHONE", "PERSONAL_PHONE")
_USER_FIELDS = ("ID", "ACTIVE", "NAME", "LAST_NAME", "EMAIL", "UF_PHONE_INNER", *_PHONES)


@dataclass(frozen=True, slots=True)
class Registered:
    """`created`: (type, id) of CRM objects made for this call. `lead_error`: why the portal made none, else empty."""

    call_id: str
    entity_type: str
    entity_id: str
    created: tuple[tuple[str, str], ...]
    lead_error: str


@dataclass(frozen=True, slots=True)
class Finished:
    """`activity_id` is empty when the call belongs to no CRM object; `errors`: what the portal says beside that."""

    row_id: str
    call_id: str
    user_id: str
    duration: int
    failed_code: str
    activity_id: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatisticRow:
    """One finished call. `started`: ISO 8601 with offset, as the portal writes it. `record_file_id`: "" for none."""

    row_id: str
    call_id: str
    external_call_id: str
    user_id: str
    line: str
    phone: str
    duration: int
    started: str
    failed_code: str
    activity_id: str
    record_file_id: str


@dataclass(frozen=True, slots=True)
class UploadSlot:
    """Where the second step of attachRecord goes. The address holds the access token: never log it."""

    url: str
    field: str

    def __repr__(self) -> str:
        return f"UploadSlot(field={self.field!r})"


@dataclass(frozen=True, slots=True)
class Line:
    number: str
    name: str
    crm_auto_create: bool


@dataclass(frozen=True, slots=True)
class User:
    """A row of user.get. `phones`: mobile, work and personal numbers as written in the profile."""

    id: str
    name: str
    extension: str
    active: bool
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    id: str
    name: str
    admin: bool


@dataclass(frozen=True, slots=True)
class AppInfo:
    """`code`: the client_id. `installed` is False until an application with a page has called installFinish."""

    code: str
    installed: bool
    status: str
    license: str


def register(
    *,
    user_id: str | int,
    phone: str,
    call_type: int,
    external_call_id: str,
    started: str = "",
    line: str = "",
    crm_create: bool = True,
    source: str = "",
    show: bool = False,
    add_to_chat: bool = False,
) -> dict[str, Any]:
    """`call_type`: 1 outgoing, 2 incoming, 3 redirected, 4 callback. `phone`: E.164. `started`: ISO 8601 with offset.

    Safe to repeat with the same `external_call_id`: within 30 minutes the portal gives the same CALL_ID.
    """
    params: dict[str, Any] = {
        "USER_ID": user_id,
        "PHONE_NUMBER": phone,
        "TYPE": call_type,
        "EXTERNAL_CALL_ID": external_call_id,
        "CRM_CREATE": int(crm_create),
        "SHOW": int(show),
        "ADD_TO_CHAT": int(add_to_chat),
    }
    optional = {"CALL_START_DATE": started, "LINE_NUMBER": line, "CRM_SOURCE": source}
    return params | {name: value for name, value in optional.items() if value}


def card(call_id: Any, users: Iterable[str | int]) -> dict[str, Any]:
    """For show and hide. `call_id`: text, or a ResultRef inside a batch."""
    return {"CALL_ID": call_id, "USER_ID": list(users)}


def finish(
    call_id: Any, *, user_id: str | int, duration: int, status_code: str, failed_reason: str = "", add_to_chat: bool = False
) -> dict[str, Any]:
    """`duration`: whole seconds of talk. `status_code`: "200", "304", "603-S", … (contract.json, enums.status_code)."""
    params: dict[str, Any] = {
        "CALL_ID": call_id,
        "USER_ID": user_id,
        "DURATION": duration,
        "STATUS_CODE": status_code,
        "ADD_TO_CHAT": int(add_to_chat),
    }
    if failed_reason:
        params["FAILED_REASON"] = failed_reason
    return params


def attach_record(call_id: Any, filename: str, *, content: str = "", url: str = "") -> dict[str, Any]:
    """`content`: base64. With neither `content` nor `url` the portal answers with an `UploadSlot`."""
    params: dict[str, Any] = {"CALL_ID": call_id, "FILENAME": filename}
    if url:
        params["RECORD_URL"] = url
    elif content:
        params["FILE_CONTENT"] = content
    return params


def read_registered(result: Json) -> Registered:
    """Raises Ambiguous when the answer names no call."""
    data = mapping(result)
    call_id = text(data.get("CALL_ID"))
    if not call_id:
        raise Ambiguous(f"{REGISTER}: the answer has no CALL_ID", method=REGISTER)
    created = [mapping(row) for row in rows(data.get("CRM_CREATED_ENTITIES"))]
    return Registered(
        call_id=call_id,
        entity_type=text(data.get("CRM_ENTITY_TYPE")),
        entity_id=number(data.get("CRM_ENTITY_ID")),
        created=tuple((text(row.get("ENTITY_TYPE")), number(row.get("ENTITY_ID"))) for row in created),
        lead_error=text(data.get("LEAD_CREATION_ERROR")),
    )


def read_finished(result: Json) -> Finished:
    data = mapping(result)
    errors = data.get("ERRORS")
    told = mapping(errors).values() if isinstance(errors, dict) else rows(errors)
    return Finished(
        row_id=number(data.get("ID")),
        call_id=text(data.get("CALL_ID")),
        user_id=number(data.get("PORTAL_USER_ID")),
        duration=whole(data.get("CALL_DURATION")) or 0,
        failed_code=text(data.get("CALL_FAILED_CODE")),
        activity_id=number(data.get("CRM_ACTIVITY_ID")),
        errors=tuple(text(error) for error in told if error),
    )


def read_statistic(result: Json) -> list[StatisticRow]:
    return [
        StatisticRow(
            row_id=number(row.get("ID")),
            call_id=text(row.get("CALL_ID")),
            external_call_id=text(row.get("EXTERNAL_CALL_ID")),
            user_id=number(row.get("PORTAL_USER_ID")),
            line=text(row.get("PORTAL_NUMBER")),
            phone=text(row.get("PHONE_NUMBER")),
            duration=whole(row.get("CALL_DURATION")) or 0,
            started=text(row.get("CALL_START_DATE")),
            failed_code=text(row.get("CALL_FAILED_CODE")),
            activity_id=number(row.get("CRM_ACTIVITY_ID")),
            record_file_id=number(row.get("RECORD_FILE_ID")),
        )
        for row in map(mapping, rows(result))
        if row
    ]


def read_upload_slot(result: Json) -> UploadSlot:
    """Raises Ambiguous when the answer has no address."""
    data = mapping(result)
    url = text(data.get("uploadUrl"))
    if not url:
        raise Ambiguous(f"{ATTACH_RECORD}: the answer has no uploadUrl", method=ATTACH_RECORD)
    return UploadSlot(url, text(data.get("fieldName")) or "file")


def read_file_id(result: Json) -> str:
    return number(mapping(result).get("FILE_ID"))


def statistic_filter(*, call_id: str = "", external_call_id: str = "") -> dict[str, Any]:
    """Finds a finished call by the portal's id or by ours (click-to-call has only the portal's)."""
    if bool(call_id) == bool(external_call_id):
        raise ValueError("a finished call is found by exactly one of call_id and external_call_id")
    wanted = {"CALL_ID": call_id} if call_id else {"EXTERNAL_CALL_ID": external_call_id}
    return {"FILTER": wanted, "SORT": "ID", "ORDER": "DESC"}


def statistic_period(*, phone: str, since: str, until: str) -> dict[str, Any]:
    """Finds the calls with a number (or the end of one) that began in a period; ISO 8601 with offset."""
    wanted = {">=CALL_START_DATE": since, "<=CALL_START_DATE": until, "%PHONE_NUMBER": phone}
    return {"FILTER": wanted, "SORT": "ID", "ORDER": "DESC"}


async def statistic_find(
    portal: Portal, *, call_id: str = "", external_call_id: str = "", reserve: float | None = None
) -> StatisticRow | None:
    """The newest finished call with this id; None when there is none (yet). Raises a PortalError."""
    params = statistic_filter(call_id=call_id, external_call_id=external_call_id)
    answer = await portal.call(STATISTIC, params, reserve=reserve)
    found = read_statistic(answer.result)
    # A filter that the portal does not know is dropped silently: never take a foreign call for ours.
    matching = [
        row for row in found if row.call_id == call_id or (external_call_id and row.external_call_id == external_call_id)
    ]
    return matching[0] if matching else None


def read_user(row: Json) -> User:
    data = mapping(row)
    parts = (text(data.get("LAST_NAME")), text(data.get("NAME")))
    name = " ".join(part.strip() for part in parts if part.strip())
    numbers = (text(data.get(field)).strip() for field in _PHONES)
    return User(
        id=number(data.get("ID")),
        name=name or text(data.get("EMAIL")),
        extension=text(data.get("UF_PHONE_INNER")).strip(),
        active=flag(data.get("ACTIVE"), default=True),
        phones=tuple(dict.fromkeys(n for n in numbers if n)),
    )


async def users(portal: Portal, *, reserve: float | None = None) -> list[User]:
    """All active employees (not extranet guests). Raises a PortalError."""
    params = {"FILTER": {"ACTIVE": True, "USER_TYPE": "employee"}, "sort": "ID", "order": "ASC", "select": _USER_FIELDS}
    found = [read_user(row) async for row in portal.listing(USERS, params, reserve=reserve)]
    return [user for user in found if user.id]


async def lines(portal: Portal) -> list[Line]:
    """The application's own lines. Raises a PortalError (AppContextRequired for a webhook on a strict portal)."""
    answer = await portal.call(LINES)
    return [
        Line(text(row.get("NUMBER")), text(row.get("NAME")), flag(row.get("CRM_AUTO_CREATE"), default=True))
        for row in map(mapping, rows(answer.result))
    ]


async def add_line(portal: Portal, number_: str, name: str, *, crm_auto_create: bool = True) -> None:
    """Raises AlreadyExists when the application has the line."""
    await portal.call(ADD_LINE, {"NUMBER": number_, "NAME": name, "CRM_AUTO_CREATE": "Y" if crm_auto_create else "N"})


async def update_line(portal: Portal, number_: str, name: str, *, crm_auto_create: bool) -> None:
    """`name`: "" leaves it as it is. Raises a PortalError."""
    named = {"NAME": name} if name else {}
    await portal.call(UPDATE_LINE, {"NUMBER": number_, **named, "CRM_AUTO_CREATE": "Y" if crm_auto_create else "N"})


async def profile(portal: Portal) -> Profile:
    data = mapping((await portal.call("profile")).result)
    name = " ".join(part for part in (text(data.get("LAST_NAME")), text(data.get("NAME"))) if part)
    return Profile(number(data.get("ID")), name, flag(data.get("ADMIN")))


async def app_info(portal: Portal) -> AppInfo:
    data = mapping((await portal.call("app.info")).result)
    return AppInfo(
        code=text(data.get("CODE")),
        installed=flag(data.get("INSTALLED")),
        status=text(data.get("STATUS")),
        license=text(data.get("LICENSE")),
    )


async def granted_scopes(portal: Portal) -> frozenset[str]:
    return frozenset(text(row) for row in rows((await portal.call("scope")).result))


async def server_time(portal: Portal) -> float | None:
    """POSIX seconds, UTC, by the portal's clock; None when the answer is no date."""
    return moment((await portal.call("server.time")).result)


async def feature(portal: Portal, code: str) -> bool:
    """Whether the portal's plan has a feature (`rest_offline_extended`, `rest_auth_connector`)."""
    return flag(mapping((await portal.call("feature.get", {"CODE": code})).result).get("value"))


async def responsible_of(portal: Portal, entity_type: str, entity_id: str) -> str:
    """The user id of whoever is responsible for an object of the CRM; "" when there is no such object. Raises a
    PortalError."""
    dynamic = entity_type.removeprefix("DYNAMIC_")
    type_ = _TYPES.get(entity_type) or (int(dynamic) if dynamic.isascii() and dynamic.isdigit() else 0)
    if not type_ or not entity_id.isdecimal():
        return ""
    try:
        answer = await portal.call(GET_ITEM, {"entityTypeId": type_, "id": int(entity_id)})
    except NotFound:
        return ""
    return number(mapping(mapping(answer.result).get("item")).get("assignedById"))


async def responsible_by_number(portal: Portal, phone: str) -> str:
    """Of what the CRM knows by a client's number: whoever the first of that belongs to. Raises a PortalError."""
    answer = await portal.call(SEARCH, {"PHONE_NUMBER": phone})
    owners = (number(mapping(row).get("ASSIGNED_BY_ID")) for row in rows(answer.result))
    return next((owner for owner in owners if owner), "")
