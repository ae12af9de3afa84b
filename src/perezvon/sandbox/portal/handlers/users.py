"""user.get, user.search, user.current, user.fields, user.update, user.admin, user.access, profile, access.name,
department.*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.listing import check_fields, matching, ordered
from perezvon.sandbox.portal.params import Params, as_int
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.php import EmptyObject
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
FIELDS = tuple(contract().methods["user.fields"].raw["response_shape"]["result"])
BRIEF = frozenset(
    [
        "ID",
        "XML_ID",
        "ACTIVE",
        "NAME",
        "LAST_NAME",
        "SECOND_NAME",
        "TITLE",
        "IS_ONLINE",
        "TIME_ZONE",
        "TIME_ZONE_OFFSET",
        "TIMESTAMP_X",
        "DATE_REGISTER",
        "LAST_ACTIVITY_DATE",
        "LAST_LOGIN",
        "PERSONAL_GENDER",
        "PERSONAL_BIRTHDAY",
        "PERSONAL_PHOTO",
        "WORK_POSITION",
        "UF_EMPLOYMENT_DATE",
        "UF_DEPARTMENT",
        "UF_PHONE_INNER",
        "USER_TYPE",
    ]
)
SEARCH_FIELDS = ("NAME", "LAST_NAME", "WORK_POSITION", "UF_DEPARTMENT_NAME", "USER_TYPE", "FIND")
UPDATABLE = {
    "NAME": "name",
    "LAST_NAME": "last_name",
    "SECOND_NAME": "second_name",
    "EMAIL": "email",
    "WORK_POSITION": "position",
    "WORK_PHONE": "work_phone",
    "PERSONAL_MOBILE": "mobile",
    "PERSONAL_PHONE": "personal_phone",
    "UF_PHONE_INNER": "extension",
}
HIDDEN_TYPES = frozenset({"bot", "email", "replica", "integrator"})


def user_row(portal: PortalState, user: User) -> dict[str, Json]:
    """All REST fields of a user; those that are empty in the profile are not there, as in the documentation's samples."""
    row: dict[str, Json] = {
        "ID": str(user.id),
        "ACTIVE": user.active,
        "NAME": user.name,
        "LAST_NAME": user.last_name,
        "SECOND_NAME": user.second_name,
        "EMAIL": user.email,
        "LAST_LOGIN": "",
        "DATE_REGISTER": "2024-01-15T03:00:00+03:00",
        "TIME_ZONE": portal.config.time_zone,
        "IS_ONLINE": "Y" if user.online else "N",
        "TIMESTAMP_X": EmptyObject(),
        "LAST_ACTIVITY_DATE": EmptyObject(),
        "PERSONAL_GENDER": "",
        "PERSONAL_WWW": "",
        "PERSONAL_BIRTHDAY": "",
        "PERSONAL_MOBILE": user.mobile,
        "PERSONAL_CITY": "",
        "WORK_PHONE": user.work_phone,
        "WORK_POSITION": user.position,
        "UF_EMPLOYMENT_DATE": "",
        "UF_DEPARTMENT": list(user.departments),
        "USER_TYPE": user.user_type,
    }
    if user.extension:
        row["UF_PHONE_INNER"] = user.extension
    if user.personal_phone:
        row["PERSONAL_PHONE"] = user.personal_phone
    return row | user.extra


def _visible(portal: PortalState, who: Caller) -> list[Mapping[str, Json]]:
    """What this caller may see of whom: bots, mail users, replicas and integrators are never listed."""
    users = sorted(portal.people.users.values(), key=lambda user: user.id)
    return [_cut(user_row(portal, user), who) for user in users if user.user_type not in HIDDEN_TYPES]


def _cut(row: dict[str, Json], who: Caller) -> dict[str, Json]:
    if "user" in who.scopes:
        return row
    allowed = BRIEF | {"EMAIL"} if "user_basic" in who.scopes else BRIEF
    return {name: value for name, value in row.items() if name in allowed}


def _page(rows: list[Mapping[str, Json]], params: Params) -> Page:
    sort = params.text("sort").upper()
    rows = ordered(rows, sort or "ID", params.text("order", "ASC"))
    select = [str(name).upper() for name in params.items_of("select")]
    if select and "*" not in select:
        names = set(select)
        rows = [
            {k: v for k, v in row.items() if k in names or k == "ID" or ("UF_*" in names and k.startswith("UF_"))}
            for row in rows
        ]
    return page_of(rows, params.integer("start"))


@method("user.get")
async def user_get(portal: PortalState, who: Caller, params: Params) -> Page:
    conditions = params.mapping("FILTER")
    known = {*FIELDS, "NAME_SEARCH", "UF_PHONE_INNER", "UF_DEPARTMENT"}
    check_fields(conditions, known, "user.get", portal.config.strict_params)
    words = str(conditions.pop("NAME_SEARCH", "")).lower().split()
    rows = matching(_visible(portal, who), conditions)
    rows = [row for row in rows if all(word in _name(row) for word in words)]
    return _page(rows, params)


@method("user.search")
async def user_search(portal: PortalState, who: Caller, params: Params) -> Page:
    """Finds by the beginnings of words; FIND looks everywhere and excludes every other key."""
    conditions = params.mapping("FILTER")
    check_fields(conditions, SEARCH_FIELDS, "user.search", portal.config.strict_params)
    rows = _visible(portal, who)
    if "FIND" in conditions:
        words = str(conditions["FIND"]).lower().split()
        rows = [row for row in rows if all(word in _name(row) for word in words)]
    else:
        department = str(conditions.pop("UF_DEPARTMENT_NAME", "")).lower()
        names = {number: d.name.lower() for number, d in portal.people.departments.items()}
        rows = matching(rows, {f"%{name.lstrip('%')}": value for name, value in conditions.items()})
        rows = [r for r in rows if any(department in names.get(number, "") for number in r["UF_DEPARTMENT"])]
    return _page(rows, params)


def _name(row: Mapping[str, Json]) -> str:
    return f"{row.get('LAST_NAME', '')} {row.get('NAME', '')} {row.get('SECOND_NAME', '')}".lower()


@method("user.current")
async def user_current(portal: PortalState, who: Caller, params: Params) -> Json:
    del params
    return _cut(user_row(portal, portal.people.users[who.user_id]), who)


@method("user.fields")
async def user_fields(portal: PortalState, who: Caller, params: Params) -> Json:
    del portal, params
    return {name: name for name in FIELDS if name in BRIEF or "user" in who.scopes}


@method("user.update")
async def user_update(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    user = portal.people.users.get(params.integer("ID"))
    if user is None:
        raise RestError("ERROR_CORE", "invalid user ID")
    if "ACTIVE" in params:
        user.active = params.flag("ACTIVE")
    for name, value in params.items():
        if name in UPDATABLE:
            setattr(user, UPDATABLE[name], str(value))
        elif name == "UF_DEPARTMENT":
            user.departments = [as_int(number) for number in params.items_of(name)]
        elif name not in {"ID", "ACTIVE"}:
            user.extra[name] = value
    portal.publish("employee", user={"id": user.id, "extension": user.extension, "active": user.active})
    return True


@method("user.admin")
async def user_admin(portal: PortalState, who: Caller, params: Params) -> Json:
    del params
    return portal.people.users[who.user_id].admin


@method("user.access")
async def user_access(portal: PortalState, who: Caller, params: Params) -> Json:
    codes = {str(code).upper() for code in params.items_of("ACCESS")}
    user = portal.people.users[who.user_id]
    return bool(codes & {f"U{user.id}", "AU", "G2", *(["G1"] if user.admin else [])})


@method("access.name")
async def access_name(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    names: dict[str, Json] = {}
    for code in (str(code).upper() for code in params.items_of("ACCESS")):
        user = portal.people.users.get(as_int(code[1:])) if code.startswith("U") else None
        if user is not None:
            names[code] = {"provider": "Пользователь", "name": user.full_name, "provider_id": "user"}
        elif code == "AU":
            names[code] = {"provider": "", "name": "Все авторизованные пользователи", "provider_id": "other"}
        elif code.startswith("G"):
            names[code] = {"provider": "", "name": f"Группа {code[1:]}", "provider_id": "group"}
    return names or False


@method("profile")
async def profile(portal: PortalState, who: Caller, params: Params) -> Json:
    del params
    user = portal.people.users[who.user_id]
    return {
        "ID": str(user.id),
        "ADMIN": user.admin,
        "NAME": user.name,
        "LAST_NAME": user.last_name,
        "PERSONAL_GENDER": "",
        "TIME_ZONE": portal.config.time_zone,
    }


@method("department.get")
async def department_get(portal: PortalState, who: Caller, params: Params) -> Page:
    del who
    rows: list[Mapping[str, Json]] = []
    for department in portal.people.departments.values():
        row: dict[str, Json] = {"ID": str(department.id), "NAME": department.name, "SORT": department.sort}
        if department.parent:
            row["PARENT"] = str(department.parent)
        if department.head:
            row["UF_HEAD"] = str(department.head)
        rows.append(row)
    conditions = {name: params[name] for name in ("ID", "NAME", "SORT", "PARENT", "UF_HEAD") if name in params}
    rows = ordered(matching(rows, conditions), params.text("sort", "ID"), params.text("order", "ASC"))
    return page_of(rows, params.integer("START"))


@method("department.fields")
async def department_fields(portal: PortalState, who: Caller, params: Params) -> Json:
    del portal, who, params
    return {
        "ID": "ID",
        "NAME": "Название подразделения",
        "SORT": "Поле сортировки",
        "PARENT": "Родительское подразделение",
        "UF_HEAD": "Руководитель",
    }
