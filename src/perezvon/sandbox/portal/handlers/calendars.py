"""calendar.*: events of people and of the company, and who is busy when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.params import Params, as_int, as_moment
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
PORTAL_FORMAT = "%d.%m.%Y %H:%M:%S"
DAY = 86400
LONGEST_NAME = 255


@dataclass(slots=True)
class Event:
    """`start`, `end`: POSIX seconds. `given`: everything else as calendar.event.add got it."""

    id: int
    type: str
    owner: int
    name: str
    start: float
    end: float
    author: int
    created: float
    accessibility: str
    attendees: list[int] = field(default_factory=list[int])
    given: dict[str, Json] = field(default_factory=dict[str, Json])


class Calendars:
    def __init__(self) -> None:
        self.events: dict[int, Event] = {}


def _required(name: str, params: Params, *names: str) -> None:
    """The pages of this module print one text for every missing parameter."""
    for key in names:
        if not params.text(key):
            errors = contract().methods[name].errors
            found = next((e for e in errors if f'"{key}"' in e.description and "Invalid" not in e.description), None)
            raise RestError(
                "", found.description if found else f'The required parameter "{key}" for the method "{name}" is not set'
            )


def _moment(portal: PortalState, text: str) -> float | None:
    """ISO with or without offset, or the portal's own format; without an offset the portal's zone counts."""
    for form in (PORTAL_FORMAT, "%d.%m.%Y", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=portal.zone).timestamp()
        except ValueError:
            continue
    return as_moment(text)


def _portal_time(portal: PortalState, at: float) -> str:
    return datetime.fromtimestamp(at, portal.zone).strftime(PORTAL_FORMAT)


def _short(portal: PortalState, event: Event) -> dict[str, Json]:
    return {
        "ID": str(event.id),
        "NAME": event.name,
        "DATE_FROM": _portal_time(portal, event.start),
        "DATE_TO": _portal_time(portal, event.end),
        "DATE_FROM_TS_UTC": str(int(event.start)),
        "DATE_TO_TS_UTC": str(int(event.end)),
        "~USER_OFFSET_FROM": 0,
        "~USER_OFFSET_TO": 0,
        "DT_SKIP_TIME": str(event.given.get("skip_time", "N")),
        "TZ_FROM": str(event.given.get("timezone_from", portal.config.time_zone)),
        "TZ_TO": str(event.given.get("timezone_to", portal.config.time_zone)),
        "ACCESSIBILITY": event.accessibility,
        "IMPORTANCE": str(event.given.get("importance", "normal")),
        "EVENT_TYPE": "",
    }


@method("calendar.event.add", checks_itself=("type", "ownerId", "from", "to", "name", "section"))
async def event_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "calendar.event.add"
    _required(name, params, "type", "ownerId", "name", "from", "to")
    if params.text("type") not in ("user", "group", "company_calendar"):
        raise RestError("", "Access denied")
    if len(params.text("name")) > LONGEST_NAME:
        raise RestError("", 'Invalid value for the parameter "name"')
    start, end = _moment(portal, params.text("from")), _moment(portal, params.text("to"))
    if start is None or end is None or end < start:
        raise RestError("", "An error occurred while creating the event")
    if params.text("skip_time") == "Y":
        end += DAY - 1
    events = portal.part(Calendars).events
    number = max(events, default=0) + 1
    events[number] = Event(
        id=number,
        type=params.text("type"),
        owner=params.integer("ownerId"),
        name=params.text("name"),
        start=start,
        end=end,
        author=who.user_id,
        created=portal.now(),
        accessibility=params.text("accessibility") or "busy",
        attendees=[as_int(one) for one in params.items_of("attendees")],
        given=dict(params),
    )
    return number


@method("calendar.event.get", checks_itself=("type",))
async def event_get(portal: PortalState, who: Caller, params: Params) -> Json:
    if not params.text("type"):
        raise RestError("", 'Required parameter "type" is not specified for method "calendar.event.get"')
    start = _moment(portal, params.text("from")) if params.text("from") else portal.now() - 30 * DAY
    end = _moment(portal, params.text("to")) if params.text("to") else portal.now() + 90 * DAY
    return [
        _long(portal, event)
        for event in portal.part(Calendars).events.values()
        if (event.type, event.owner) == (params.text("type"), params.integer("ownerId"))
        and event.end >= (start or 0.0)
        and event.start < (end or float("inf")) + DAY
    ]


def _long(portal: PortalState, event: Event) -> dict[str, Json]:
    shape = contract().raw["methods"]["calendar.event.get"]["response_shape"]["result"][0]
    told: dict[str, Json] = dict.fromkeys(shape)
    return told | {
        **_short(portal, event),
        "PARENT_ID": str(event.id),
        "DELETED": "N",
        "CAL_TYPE": event.type,
        "OWNER_ID": str(event.owner),
        "TZ_OFFSET_FROM": "10800",
        "TZ_OFFSET_TO": "10800",
        "DT_LENGTH": int(event.end - event.start),
        "CREATED_BY": str(event.author),
        "DATE_CREATE": _portal_time(portal, event.created),
        "TIMESTAMP_X": _portal_time(portal, event.created),
        "DESCRIPTION": str(event.given.get("description", "")),
        "PRIVATE_EVENT": str(event.given.get("private_event", "")),
        "IS_MEETING": bool(event.attendees),
        "MEETING_STATUS": "H" if event.attendees else "",
        "MEETING_HOST": str(event.author),
        "LOCATION": str(event.given.get("location", "")),
        "REMIND": event.given.get("remind", []),
        "COLOR": str(event.given.get("color", "")),
        "SECTION_ID": str(event.given.get("section", "")),
        "SECT_ID": str(event.given.get("section", "")),
        "ATTENDEE_LIST": [{"id": one, "entryId": str(event.id), "status": "Q"} for one in event.attendees],
    }


@method("calendar.accessibility.get", checks_itself=("users", "from", "to"))
async def accessibility_get(portal: PortalState, who: Caller, params: Params) -> Json:
    """Keyed by user; somebody without events has []."""
    name = "calendar.accessibility.get"
    _required(name, params, "from", "to")
    if not params.items_of("users"):
        raise RestError("", f'The required parameter "users" for the method "{name}" is not set.')
    start = _moment(portal, params.text("from")) or 0.0
    end = (_moment(portal, params.text("to")) or float("inf")) + DAY
    events = portal.part(Calendars).events.values()
    return {
        str(user): [
            _short(portal, event)
            for event in events
            if (event.type == "user" and event.owner == as_int(user)) or as_int(user) in event.attendees
            if event.end >= start and event.start < end
        ]
        for user in params.items_of("users")
    }


@method("calendar.settings.get")
async def settings_get(portal: PortalState, who: Caller, params: Params) -> Json:
    shape = contract().raw["methods"]["calendar.settings.get"]["response_shape"]["result"]
    empty: dict[str, Json] = {"str": "", "str:number": "0", "bool": False}
    told: dict[str, Json] = {key: empty.get(kind, []) if isinstance(kind, str) else [] for key, kind in shape.items()}
    return told | {
        "work_time_start": "9",
        "work_time_end": "18",
        "year_holidays": "1.01,2.01,7.01,23.02,8.03,1.05,9.05,12.06,4.11",
        "week_holidays": ["SA", "SU"],
        "week_start": "MO",
        "user_name_template": "#NAME# #LAST_NAME#",
    }
