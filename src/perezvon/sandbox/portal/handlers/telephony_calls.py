"""telephony.externalCall.register, show, hide, finish, searchCrmEntities: parameters and answers; the rules are in
`telephony.py`."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.numbers import supported
from perezvon.sandbox.portal.params import Params, as_int, as_moment
from perezvon.sandbox.portal.php import EmptyObject
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState
from perezvon.sandbox.portal.telephony import (
    close_call,
    duplicate_of,
    employee,
    hide_card,
    new_call_id,
    open_call,
    portal_number,
    show_card,
)

Json = Any
TYPES = frozenset({1, 2, 3, 4, 5})


@method(
    "telephony.externalCall.register",
    checks_itself=("USER_ID", "USER_PHONE_INNER", "PHONE_NUMBER", "TYPE", "CALL_START_DATE"),
)
async def register(portal: PortalState, who: Caller, params: Params) -> Json:
    user = employee(portal, params.integer("USER_ID"), params.text("USER_PHONE_INNER"), stop=".")
    if params.integer("TYPE") not in TYPES:
        raise RestError("ERROR_CORE", "Unknown TYPE.")
    started = as_moment(params["CALL_START_DATE"]) if params.text("CALL_START_DATE") else portal.now()
    if started is None:
        raise RestError("ERROR_CORE", "CALL_START_DATE should be in the ISO-8601 format.")
    phone = params.text("PHONE_NUMBER").strip()
    if not supported(phone):
        raise RestError("ERROR_CORE", "Unsupported phone number format.")
    call = PortalCall(
        id=new_call_id(portal),
        external_id=params.text("EXTERNAL_CALL_ID"),
        app=who.app,
        app_id=who.app_id,
        app_name=who.app_name,
        user_id=user.id,
        phone=phone,
        type=params.integer("TYPE"),
        line=params.text("LINE_NUMBER")[:50],
        started=started,
        registered_at=portal.now(),
        registered_monotonic=portal.monotonic(),
        source=params.text("CRM_SOURCE"),
        registration=dict(params),
    )
    earlier = duplicate_of(portal, call)
    if earlier is not None:
        earlier.registrations += 1
        call = earlier
    else:
        open_call(
            portal,
            call,
            create=params.truthy("CRM_CREATE"),
            crm_type=params.text("CRM_ENTITY_TYPE"),
            crm_id=params.integer("CRM_ENTITY_ID"),
        )
    if params.truthy("SHOW", default=True):
        show_card(portal, call, user.id)
    return _registered(call)


def _registered(call: PortalCall) -> dict[str, Json]:
    result: dict[str, Json] = {
        "CALL_ID": call.id,
        "CRM_CREATED_LEAD": next((id_ for type_, id_ in call.created if type_ == "LEAD"), None),
        "CRM_CREATED_ENTITIES": [{"ENTITY_TYPE": type_, "ENTITY_ID": id_} for type_, id_ in call.created],
        "CRM_ENTITY_TYPE": call.crm_type or None,
        "CRM_ENTITY_ID": call.crm_id or None,
    }
    if call.lead_error:
        result["LEAD_CREATION_ERROR"] = call.lead_error
    return result


@method("telephony.externalCall.show")
async def show(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    call = portal.book.live(params.text("CALL_ID"))
    if call is None:
        return False
    for user_id in _users(params, call):
        show_card(portal, call, user_id)
    return True


@method("telephony.externalCall.hide")
async def hide(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    call = portal.book.live(params.text("CALL_ID"))
    if call is None:
        return False
    for user_id in _users(params, call):
        hide_card(portal, call, user_id, "hide")
    return True


def _users(params: Params, call: PortalCall) -> list[int]:
    """USER_ID, one or many; by default the user of the registration."""
    return [as_int(user) for user in params.items_of("USER_ID")] or [call.user_id]


@method("telephony.externalCall.finish", checks_itself=("CALL_ID", "USER_ID", "USER_PHONE_INNER"))
async def finish(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    if not isinstance(params.get("CALL_ID"), str):
        raise RestError("INVALID_ARGUMENT", "CALL_ID must be a string")
    user = employee(portal, params.integer("USER_ID"), params.text("USER_PHONE_INNER"))
    call = portal.book.live(params.text("CALL_ID"))
    if call is None:
        raise RestError("ERROR_CORE", "Call is not found (call should be registered prior to finishing)")
    duration = max(0, params.integer("DURATION"))
    add_to_chat = params.truthy("ADD_TO_CHAT", default=portal.config.add_to_chat_default)
    end: dict[str, Json] = {
        "duration": duration,
        "status": params.text("STATUS_CODE") or ("200" if duration else "304"),
        "reason": params.text("FAILED_REASON"),
        "vote": params.integer("VOTE"),
        "cost": params.number("COST"),
        "currency": params.text("COST_CURRENCY"),
        "add_to_chat": add_to_chat,
        "record_url": params.text("RECORD_URL"),
    }
    row = close_call(portal, call, user, end)
    result: dict[str, Json] = {
        "CALL_ID": call.id,
        "EXTERNAL_CALL_ID": call.external_id or None,
        "PORTAL_USER_ID": user.id,
        "PHONE_NUMBER": call.phone,
        "PORTAL_NUMBER": portal_number(call),
        "INCOMING": str(call.type),
        "CALL_DURATION": duration,
        "CALL_START_DATE": EmptyObject(),
        "CALL_STATUS": 1 if duration else 0,
        "CALL_VOTE": end["vote"],
        "COST": end["cost"],
        "COST_CURRENCY": end["currency"],
        "CALL_FAILED_CODE": end["status"],
        "CALL_FAILED_REASON": end["reason"],
        "REST_APP_ID": str(call.app_id) if call.app_id else None,
        "REST_APP_NAME": call.app_name or None,
        "CRM_ACTIVITY_ID": call.activity_id,
        "COMMENT": None,
        "CRM_ENTITY_TYPE": call.crm_type or None,
        "CRM_ENTITY_ID": call.crm_id,
        "ID": int(row["ID"]),
    }
    if not call.activity_id:
        result["ERRORS"] = {"ACTIVITY_CREATION": ["No CRM object is bound to the call: no activity was created"]}
    return result


@method("telephony.externalCall.searchCrmEntities")
async def search_crm_entities(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    found: list[Json] = []
    for entity in portal.crm.by_phone(params.text("PHONE_NUMBER")):
        user = portal.people.users.get(entity.responsible)
        row: dict[str, Json] = {
            "CRM_ENTITY_TYPE": entity.type,
            "CRM_ENTITY_ID": entity.id,
            "ASSIGNED_BY_ID": entity.responsible,
            "NAME": entity.title,
            "ASSIGNED_BY": [],
        }
        if user is not None:
            row["ASSIGNED_BY"] = {
                "ID": str(user.id),
                "TIMEMAN_STATUS": user.timeman_status,
                "USER_PHONE_INNER": user.extension or None,
                "WORK_PHONE": user.work_phone or None,
                "PERSONAL_PHONE": user.personal_phone or None,
                "PERSONAL_MOBILE": user.mobile or None,
            }
        found.append(row)
    return found
