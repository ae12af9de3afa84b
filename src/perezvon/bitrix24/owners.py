"""Whose a client is in the CRM, and which employees work now: the questions of autoconnect, parameters in, values out.

Source: contract.json, methods telephony.externalCall.searchCrmEntities, crm.item.list, crm.item.get, timeman.status,
timeman.settings, calendar.accessibility.get. The first finds contacts, leads and companies by a number, but neither deals
nor the company of a contact: those are a second request. crm.duplicate.findbycomm would not name whom they belong to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.encoding import Command, ResultRef
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.methods import GET_ITEM, LIST_ITEMS, SEARCH
from perezvon.bitrix24.values import Json, flag, mapping, number, real, rows, text

WORKDAY = "timeman.status"
KEEPS_DAYS = "timeman.settings"
ACCESSIBILITY = "calendar.accessibility.get"
ABSENT = "absent"

MOST_USERS = 24
"""In one batch, with their absences."""

MOST_OBJECTS = 20
LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()
"""An absence for ever ends here: in every zone the day has a next one, and can be written."""

DEAL, CONTACT, COMPANY = 2, 3, 4


@dataclass(frozen=True, slots=True)
class Found:
    """An object with the number. `kind`: contact, lead or company; `user`: whom it belongs to; `workday`: his
    TIMEMAN_STATUS, "" where it is not told."""

    kind: str
    id: str
    user: str
    title: str
    workday: str


@dataclass(frozen=True, slots=True)
class More:
    """`deals`: open ones (id, user, title), the newest first. `company`: the name of the first contact's company."""

    deals: tuple[tuple[str, str, str], ...] = ()
    company: str = ""


@dataclass(frozen=True, slots=True)
class Attendance:
    """Of those who were asked for. `workday`: TIMEMAN_STATUS by user, `absences`: from, until (POSIX seconds) by user; who
    is not in one of them is not known. `keeps`: whether somebody's working days are kept at all; of one whose are not, the
    portal says that his day is closed. `troubles`: what could not be told."""

    workday: dict[str, str]
    absences: dict[str, tuple[tuple[float, float], ...]]
    keeps: dict[str, bool]
    troubles: tuple[PortalError, ...] = ()


async def search(portal: Portal, phone: str) -> list[Found]:
    """Raises a PortalError."""
    answer = await portal.call(SEARCH, {"PHONE_NUMBER": phone})
    found: list[Found] = []
    for row in list(map(mapping, rows(answer.result)))[:MOST_OBJECTS]:
        owner = mapping(row.get("ASSIGNED_BY"))
        user = number(row.get("ASSIGNED_BY_ID")) or number(owner.get("ID"))
        kind, id_ = text(row.get("CRM_ENTITY_TYPE")).lower(), number(row.get("CRM_ENTITY_ID"))
        found.append(Found(kind, id_, user, text(row.get("NAME")).strip(), text(owner.get("TIMEMAN_STATUS")).upper()))
    return found


async def more(portal: Portal, found: Sequence[Found], *, deals: bool, company: bool) -> More:
    """What `search` does not tell. Raises a PortalError."""
    contacts = [one.id for one in found if one.kind == "contact"][:5]
    companies = [one.id for one in found if one.kind == "company"][:5]
    commands: list[Command] = []
    if deals:
        for key, field, ids in (("dc", "@contactId", contacts), ("do", "@companyId", companies)):
            if ids:
                wanted = {field: ids, "=closed": "N"}
                select = ["id", "title", "assignedById"]
                params = {"entityTypeId": DEAL, "filter": wanted, "select": select, "order": {"id": "DESC"}}
                commands.append(Command(key, LIST_ITEMS, params))
    if company and contacts and not companies:
        wanted = {"entityTypeId": CONTACT, "id": contacts[0]}
        commands.append(Command("contact", GET_ITEM, wanted))
        of_contact = ResultRef("contact", ("item", "companyId"))
        commands.append(Command("company", GET_ITEM, {"entityTypeId": COMPANY, "id": of_contact}))
    if not commands:
        return More()
    told: dict[str, tuple[str, str, str]] = {}
    name = ""
    for command, part in zip(commands, await portal.batch(commands), strict=True):
        if isinstance(part, PortalError):  # a contact without a company is one
            continue
        if command.key == "company":
            name = text(mapping(mapping(part.result).get("item")).get("title")).strip()
        elif command.method == LIST_ITEMS:
            for row in map(mapping, rows(mapping(part.result).get("items"))):
                id_ = number(row.get("id"))
                told.setdefault(id_, (id_, number(row.get("assignedById")), text(row.get("title")).strip()))
    newest = sorted(told.values(), key=lambda deal: int(deal[0]) if deal[0].isdecimal() else 0, reverse=True)
    return More(tuple(newest[:MOST_OBJECTS]), name)


async def attendance(
    portal: Portal,
    users: Iterable[str],
    *,
    workday: bool,
    absences: bool,
    keeps: Collection[str] = (),
    now: float,
    zone: tzinfo | None,
    reserve: float | None = None,
) -> Attendance:
    """`keeps`: those of them who are asked whether their working days are kept. `now`: POSIX seconds, UTC. `zone`: of the
    portal's days. Raises a PortalError when nothing could be asked."""
    asked = list(dict.fromkeys(users))
    told = Attendance({}, {}, {})
    troubles: list[PortalError] = []
    for start in range(0, len(asked), MOST_USERS):
        some = asked[start : start + MOST_USERS]
        commands = [Command(f"u{user}", WORKDAY, {"USER_ID": user}) for user in some] if workday else []
        commands += [Command(f"k{user}", KEEPS_DAYS, {"USER_ID": user}) for user in some if workday and user in keeps]
        if absences:
            today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
            days = {"from": str(today), "to": str(today + timedelta(days=1))}
            commands.append(Command("absences", ACCESSIBILITY, {"users": some, **days}))
        for command, part in zip(commands, await portal.batch(commands, reserve=reserve), strict=True):
            if isinstance(part, PortalError):
                troubles.append(part)
            elif command.method == WORKDAY:
                told.workday[command.key[1:]] = text(mapping(part.result).get("STATUS")).upper()
            elif command.method == KEEPS_DAYS:
                told.keeps[command.key[1:]] = flag(mapping(part.result).get("UF_TIMEMAN"), default=True)
            else:
                by_user = mapping(part.result)
                told.absences.update({user: _absences(by_user.get(user), zone) for user in some})
    return replace(told, troubles=tuple(troubles))


def _absences(events: Json, zone: tzinfo | None) -> tuple[tuple[float, float], ...]:
    spans: list[tuple[float, float]] = []
    for event in map(mapping, rows(events)):
        begin, end = real(event.get("DATE_FROM_TS_UTC")), real(event.get("DATE_TO_TS_UTC"))
        if text(event.get("ACCESSIBILITY")) != ABSENT or begin is None or end is None:
            continue
        end = min(max(end, 0.0), LATEST)
        if flag(event.get("DT_SKIP_TIME")):  # whole days: the last one to its end
            last = datetime.fromtimestamp(end, UTC).astimezone(zone)
            end = (last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp()
        spans.append((begin, end))
    return tuple(spans)
