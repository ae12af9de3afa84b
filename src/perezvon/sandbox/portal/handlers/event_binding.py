"""event.bind, event.unbind, event.get, event.test, events: who wants to hear of what."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.events import Binding, known_event
from perezvon.sandbox.portal.handlers.application import app_of
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any


@method("event.bind", checks_itself=("handler",))
async def bind(portal: PortalState, who: Caller, params: Params) -> Json:
    event = params.text("event").upper()
    if not known_event(event):
        raise RestError("ERROR_EVENT_NOT_FOUND", "Event not found")
    offline = params.text("event_type", "online") == "offline"
    admin = portal.people.users[who.user_id].admin
    auth_type = params.integer("auth_type")
    if offline and not admin:
        raise RestError("ACCESS_DENIED", "Access denied! Offline events binding requires administrator access rights", 403)
    if auth_type not in {0, who.user_id} and not admin:
        raise RestError(
            "ACCESS_DENIED", "Access denied! Event binding with AUTH_TYPE requires administrator access rights", 403
        )
    handler = "" if offline else params.text("handler")
    if not offline and not handler.startswith(("http://", "https://")):
        raise RestError("ERROR_ARGUMENT", "Argument 'HANDLER' is null or empty", argument="HANDLER")
    connector = params.text("auth_connector") if offline else ""
    wanted = (who.app, event, handler, auth_type, offline, connector)
    if any((b.app, b.event, b.handler, b.auth_type, b.offline, b.connector) == wanted for b in portal.events.bindings):
        raise RestError("ERROR_CORE", "Unable to set event handler: Handler already binded")
    portal.events.bind(who.app, event, handler, auth_type, who.user_id, offline, connector)
    return True


@method("event.unbind")
async def unbind(portal: PortalState, who: Caller, params: Params) -> Json:
    """Without parameters every handler of the application goes. auth_type 0 or empty means those bound without one."""
    admin = portal.people.users[who.user_id].admin
    offline = params.text("event_type", "online") == "offline"
    if offline and not admin:
        raise RestError(
            "ACCESS_DENIED", "Access denied! Offline events unbinding requires administrator access rights", 403
        )
    if params.integer("auth_type") not in {0, who.user_id} and not admin:
        raise RestError(
            "ACCESS_DENIED", "Access denied! Event unbinding with AUTH_TYPE requires administrator access rights", 403
        )

    def meant(binding: Binding) -> bool:
        if binding.app != who.app or not (admin or binding.bound_by == who.user_id):
            return False
        if not params:
            return admin or not binding.offline
        return (
            binding.offline == offline
            and binding.event == params.text("event", binding.event).upper()
            and binding.handler == params.text("handler", binding.handler)
            and ("auth_type" not in params or binding.auth_type == params.integer("auth_type"))
        )

    gone = [binding for binding in portal.events.bindings if meant(binding)]
    portal.events.bindings = [binding for binding in portal.events.bindings if binding not in gone]
    return {"count": len(gone)}


@method("event.get")
async def get(portal: PortalState, who: Caller, params: Params) -> Json:
    del params
    admin = portal.people.users[who.user_id].admin
    rows: list[Json] = []
    for binding in portal.events.bindings:
        if binding.app != who.app or not (admin or binding.bound_by == who.user_id):
            continue
        row: dict[str, Json] = {"event": binding.event, "handler": binding.handler, "auth_type": str(binding.auth_type)}
        row["offline"] = 1 if binding.offline else 0
        if binding.connector:
            row["connector_id"] = binding.connector
        rows.append(row)
    return rows


@method("event.test")
async def test(portal: PortalState, who: Caller, params: Params) -> Json:
    """ONAPPTEST to the caller's own handlers, with whatever parameters were given."""
    query = {name: value for name, value in params.items() if name != "auth"}
    app = app_of(portal, who)
    data = {"QUERY": query, "LANGUAGE_ID": portal.config.language}
    portal.emit("ONAPPTEST", data, who.user_id, app.client_id)
    return 1


@method("events")
async def events(portal: PortalState, who: Caller, params: Params) -> Json:
    del portal, who, params
    return [event for event in contract().events if not event.endswith("*")]
