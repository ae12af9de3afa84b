"""timeman.*: the working day of an employee, and the one schedule of the company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_moment
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.registry import Caller, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
DAY_STARTS, DAY_ENDS = 9 * 3600, 18 * 3600
SCHEDULE = 1


@dataclass(slots=True)
class Day:
    """A working day. POSIX seconds; `leaks`: seconds of pauses so far; `paused_at` while one lasts."""

    start: float
    finish: float | None = None
    leaks: float = 0.0
    paused_at: float | None = None


class WorkTime:
    def __init__(self) -> None:
        self.days: dict[int, Day] = {}


def _user(portal: PortalState, name: str, who: Caller, params: Params) -> User:
    user = portal.people.users.get(params.integer("USER_ID", who.user_id))
    if user is None:
        raise documented(name, "User not found")
    return user


def _keeps_days(user: User) -> bool:
    """Only searchCrmEntities tells of somebody whose working days are not kept by a status of its own."""
    return user.timeman_status not in ("UNAVAILABLE", "NOT_INSTALLED")


def _day(portal: PortalState, user: User) -> Day:
    """Today's day; an employee whose status says nothing else came at nine."""
    days = portal.part(WorkTime).days
    if user.id not in days:
        midnight = as_moment(portal.iso()[:10] + "T00:00:00" + portal.iso()[19:]) or portal.now()
        days[user.id] = Day(midnight + DAY_STARTS, portal.now() if user.timeman_status == "CLOSED" else None)
    return days[user.id]


def _clock(seconds: float) -> str:
    whole = int(max(0.0, seconds))
    return f"{whole // 3600:02}:{whole % 3600 // 60:02}:{whole % 60:02}"


def _view(portal: PortalState, user: User) -> dict[str, Json]:
    day = _day(portal, user)
    worked = (day.finish - day.start - day.leaks) if day.finish else 0.0
    told: dict[str, Json] = {
        "STATUS": user.timeman_status if _keeps_days(user) else "CLOSED",
        "TIME_START": portal.iso(day.start),
        "TIME_FINISH": None if day.finish is None else portal.iso(day.finish),
        "DURATION": _clock(worked),
        "TIME_LEAKS": _clock(day.leaks),
        "ACTIVE": True,
        "IP_OPEN": "127.0.0.1",
        "IP_CLOSE": "127.0.0.1" if day.finish else None,
        "LAT_OPEN": 0,
        "LON_OPEN": 0,
        "LAT_CLOSE": 0,
        "LON_CLOSE": 0,
        "TZ_OFFSET": 10800,
    }
    if user.timeman_status == "EXPIRED":
        told["TIME_FINISH_DEFAULT"] = portal.iso(day.start + DAY_ENDS - DAY_STARTS)
    return told


def _same_day(portal: PortalState, one: float, other: float) -> bool:
    return portal.iso(one)[:10] == portal.iso(other)[:10]


@method("timeman.status")
async def status(portal: PortalState, who: Caller, params: Params) -> Json:
    return _view(portal, _user(portal, "timeman.status", who, params))


@method("timeman.open")
async def open_day(portal: PortalState, who: Caller, params: Params) -> Json:
    """Begins the day, or goes on after a pause or an early end."""
    name = "timeman.open"
    user = _user(portal, name, who, params)
    at = as_moment(params.text("TIME")) if "TIME" in params else portal.now()
    if at is None or not _same_day(portal, at, portal.now()):
        raise documented(name, "WRONG_DATETIME")
    if "TIME" in params and user.timeman_status == "PAUSED":
        raise documented(name, "Unable to set time")
    days = portal.part(WorkTime).days
    day = days.get(user.id)
    if day is None or user.timeman_status in ("CLOSED", "EXPIRED"):
        days[user.id] = Day(at)
    elif day.paused_at is not None:
        day.leaks += portal.now() - day.paused_at
        day.paused_at = None
    _set(portal, user, "OPENED")
    return _view(portal, user)


@method("timeman.close")
async def close_day(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "timeman.close"
    user = _user(portal, name, who, params)
    day = _day(portal, user)
    at = as_moment(params.text("TIME")) if "TIME" in params else portal.now()
    if at is None or ("TIME" in params and not _same_day(portal, at, day.start)):
        raise documented(name, "WRONG_DATETIME")
    if day.paused_at is not None:
        day.leaks += portal.now() - day.paused_at
        day.paused_at = None
    day.finish = at
    _set(portal, user, "CLOSED")
    return _view(portal, user)


@method("timeman.pause")
async def pause(portal: PortalState, who: Caller, params: Params) -> Json:
    user = _user(portal, "timeman.pause", who, params)
    _day(portal, user).paused_at = portal.now()
    _set(portal, user, "PAUSED")
    return _view(portal, user)


def _set(portal: PortalState, user: User, status: str) -> None:
    user.timeman_status = status
    portal.publish("employee", user_id=user.id, timeman_status=status)


@method("timeman.settings")
async def settings(portal: PortalState, who: Caller, params: Params) -> Json:
    user = _user(portal, "timeman.settings", who, params)
    return {
        "UF_TIMEMAN": _keeps_days(user),
        "UF_TM_FREE": False,
        "UF_TM_MAX_START": "09:15:00",
        "UF_TM_MIN_FINISH": "17:45:00",
        "UF_TM_MIN_DURATION": "08:00:00",
        "UF_TM_ALLOWED_DELTA": "00:15:00",
        "ADMIN": user.admin,
    }


@method("timeman.schedule.get")
async def schedule_get(portal: PortalState, who: Caller, params: Params) -> Json:
    """One fixed schedule, number 1: nine to six, Monday to Friday. Any other number gives []."""
    if params.integer("id") != SCHEDULE:
        return []
    shape = contract().raw["methods"]["timeman.schedule.get"]["response_shape"]["result"]
    rules = {name: -1 for name, kind in shape["SCHEDULE_VIOLATION_RULES"].items() if kind == "int"}
    notified: dict[str, list[Json]] = {name: [] for name in shape["SCHEDULE_VIOLATION_RULES"]["USERS_TO_NOTIFY"]}
    return {
        "ID": SCHEDULE,
        "NAME": "Пятидневка",
        "SCHEDULE_TYPE": "FIXED",
        "REPORT_PERIOD": "MONTH",
        "REPORT_PERIOD_OPTIONS": {"START_WEEK_DAY": 0},
        "CALENDAR_ID": 1,
        "ALLOWED_DEVICES": {"browser": True},
        "DELETED": "0",
        "IS_FOR_ALL_USERS": True,
        "WORKTIME_RESTRICTIONS": [],
        "CONTROLLED_ACTIONS": 3,
        "UPDATED_BY": 0,
        "DELETED_BY": 0,
        "DELETED_AT": "",
        "CREATED_BY": 1,
        "CREATED_AT": portal.iso(0),
        "SHIFTS": [
            {
                "ID": 1,
                "NAME": "Смена",
                "BREAK_DURATION": 3600,
                "WORK_TIME_START": DAY_STARTS,
                "WORK_TIME_END": DAY_ENDS,
                "WORK_DAYS": "12345",
                "SCHEDULE_ID": SCHEDULE,
                "DELETED": False,
            }
        ],
        "CALENDAR": {"ID": 1, "NAME": "", "PARENT_CALENDAR_ID": 0, "SYSTEM_CODE": "", "EXCLUSIONS": []},
        "SCHEDULE_VIOLATION_RULES": {
            **rules,
            "ID": 1,
            "SCHEDULE_ID": SCHEDULE,
            "ENTITY_CODE": "UA",
            "USERS_TO_NOTIFY": notified,
        },
    }
