"""placement.*: widgets of the application in the portal's pages. Several mistakes are told with HTTP 200 and an `error`
key."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
WORKER = "PAGE_BACKGROUND_WORKER"
SCOPES = {
    "CALL_CARD": "telephony",
    "TELEPHONY_ANALYTICS_MENU": "telephony",
    WORKER: "",
    "REST_APP_URI": "",
    "LEFT_MENU": "",
    "CRM_LEAD_DETAIL_TAB": "crm",
    "CRM_DEAL_DETAIL_TAB": "crm",
    "CRM_CONTACT_DETAIL_TAB": "crm",
    "CRM_COMPANY_DETAIL_TAB": "crm",
}


@method("placement.bind", checks_itself=("PLACEMENT", "HANDLER"))
async def bind(portal: PortalState, who: Caller, params: Params) -> Json:
    place, handler, user = params.text("PLACEMENT"), params.text("HANDLER"), params.integer("USER_ID")
    for name, value in (("PLACEMENT", place), ("HANDLER", handler)):
        if not value:
            raise RestError("ERROR_ARGUMENT", f"Argument '{name}' is null or empty", 200, argument=name)
    if place not in SCOPES or (SCOPES[place] and SCOPES[place] not in who.scopes):
        raise RestError("ERROR_PLACEMENT_NOT_FOUND", "Placement not found")
    mine = [row for row in portal.placements if row["app"] == who.app and row["placement"] == place]
    options = params.mapping("OPTIONS")
    if place == WORKER:
        if not options.get("errorHandlerUrl"):
            raise RestError("EMPTY_ERROR_HANDLER_URL", "The option errorHandlerUrl is missing", 200)
        if any(row["userId"] == user for row in mine):
            raise RestError("ERROR_PLACEMENT_MAX_COUNT", "Placement max count: 1", 200)
    elif user:
        raise RestError("ERROR_PLACEMENT_USER_MODE", "User mode is not available", 200)
    if any(row["handler"] == handler and row["userId"] == user for row in mine):
        raise RestError("ERROR_CORE", "Unable to set placement handler: Handler already binded", 400)
    portal.placements.append(
        {
            "app": who.app,
            "placement": place,
            "userId": user,
            "handler": handler,
            "options": {"errorHandlerUrl": options["errorHandlerUrl"]} if place == WORKER else {},
            "title": params.text("TITLE"),
            "description": params.text("DESCRIPTION"),
            "langAll": params.mapping("LANG_ALL"),
        }
    )
    return True


@method("placement.get")
async def get(portal: PortalState, who: Caller, params: Params) -> Json:
    del params
    return [{k: v for k, v in row.items() if k != "app"} for row in portal.placements if row["app"] == who.app]


@method("placement.list")
async def list_(portal: PortalState, who: Caller, params: Params) -> Json:
    del portal
    wanted = params.text("SCOPE")
    return [place for place, scope in SCOPES.items() if (not scope or scope in who.scopes) and wanted in {"", scope}]


@method("placement.unbind", checks_itself=("PLACEMENT",))
async def unbind(portal: PortalState, who: Caller, params: Params) -> Json:
    """`count` grows by one for each row found and by one for each row removed: 2 for a single handler."""
    place = params.text("PLACEMENT")
    if not place:
        raise RestError("ERROR_ARGUMENT", "Argument 'PLACEMENT' is null or empty", argument="PLACEMENT")
    gone = [
        row
        for row in portal.placements
        if row["app"] == who.app
        and row["placement"] == place
        and row["handler"] == params.text("HANDLER", row["handler"])
        and row["userId"] == params.integer("USER_ID", row["userId"])
    ]
    portal.placements = [row for row in portal.placements if row not in gone]
    return {"count": 2 * len(gone)}
