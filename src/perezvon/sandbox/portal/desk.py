"""What people do in the portal's own pages: click a number, send a callback form, close a card, install the application."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.handlers.crm_automation import forget
from perezvon.sandbox.portal.numbers import canonical
from perezvon.sandbox.portal.oauth import App
from perezvon.sandbox.portal.state import PortalState
from perezvon.sandbox.portal.telephony import hide_card, new_call_id, open_call, show_card

Json = Any


class DeskError(Exception):
    """Something that cannot be done in the pages: no such user, no application, …"""


def click(
    portal: PortalState,
    user_id: int,
    number: str,
    line: str | None = None,
    app: str | None = None,
    *,
    call_list: int = 0,
) -> PortalCall:
    """A user clicks a number. The portal itself registers the call (TYPE 1, no EXTERNAL_CALL_ID), shows him the card and
    tells the application that owns the line (ONEXTERNALCALLSTART, handler and offline queue). `line` None: the
    application is the line. `call_list`: the list that he works through (crm.calllist.*), 0 for none."""
    owner = _app(portal, app)
    if portal.people.active(user_id) is None:
        raise DeskError(f"user {user_id} is not there or not active: only employees at work can click")
    now = portal.now()
    call = PortalCall(
        id=new_call_id(portal),
        external_id="",
        app=owner.client_id,
        app_id=owner.id,
        app_name=owner.name,
        user_id=user_id,
        phone=number,
        type=1,
        line=line or "",
        started=now,
        registered_at=now,
        registered_monotonic=portal.monotonic(),
        from_click=True,
    )
    open_call(portal, call, create=True)
    show_card(portal, call, user_id)
    international = canonical(number, portal.config.region)
    portal.emit(
        "ONEXTERNALCALLSTART",
        {
            "PHONE_NUMBER": number,
            "PHONE_NUMBER_INTERNATIONAL": international,
            "EXTENSION": "",
            "USER_ID": str(user_id),
            "CALL_LIST_ID": str(call_list),
            "LINE_NUMBER": line or "",
            "IS_MOBILE": "0",
            "CALL_ID": call.id,
            "CRM_ENTITY_TYPE": call.crm_type,
            "CRM_ENTITY_ID": str(call.crm_id),
        },
        user_id,
        owner.client_id,
    )
    return call


def own_call(portal: PortalState, user_id: int, number: str, line: str = "", *, incoming: bool = True) -> PortalCall:
    """A call over the portal's own SIP line: it registers it by itself, shows the card, and tells no application."""
    if portal.people.active(user_id) is None:
        raise DeskError(f"user {user_id} is not there or not active: only employees at work can talk")
    now = portal.now()
    call = PortalCall(
        id=f"{secrets.token_hex(16).upper()}.{int(now)}",
        external_id="",
        app="",
        app_id=0,
        app_name="",
        user_id=user_id,
        phone=number,
        type=2 if incoming else 1,
        line=line,
        started=now,
        registered_at=now,
        registered_monotonic=portal.monotonic(),
    )
    open_call(portal, call, create=False)
    show_card(portal, call, user_id)
    return call


def callback(
    portal: PortalState,
    number: str,
    text: str = "Заказан обратный звонок",
    line: str = "",
    crm_type: str = "",
    crm_id: int = 0,
) -> None:
    """A visitor sends a callback form whose line is the application: ONEXTERNALCALLBACKSTART, with no call and no user."""
    portal.emit(
        "ONEXTERNALCALLBACKSTART",
        {
            "PHONE_NUMBER": number,
            "TEXT": text,
            "VOICE": "ruinternalfemale",
            "CRM_ENTITY_TYPE": crm_type,
            "CRM_ENTITY_ID": str(crm_id or ""),
            "LINE_NUMBER": line,
        },
        0,
    )


def close_card(portal: PortalState, user_id: int, call_id: str) -> None:
    """A user closes the card on his screen by hand."""
    call = portal.book.calls.get(call_id)
    if call is None:
        raise DeskError(f"no call {call_id}")
    hide_card(portal, call, user_id, "user")


def install(portal: PortalState, app_id: str | None = None, user_id: int | None = None) -> tuple[str, str]:
    """An administrator adds the local application ("uses API only"): ONAPPINSTALL with tokens and application_token goes
    to its initial installation path, when it has one. Gives (access token, refresh token), as the application got them."""
    app = _app(portal, app_id)
    admin = portal.config.app_user if user_id is None else user_id
    app.installed, app.removed = True, False
    forget(portal, app.client_id, triggers=False)
    portal.events.bindings = [b for b in portal.events.bindings if b.app != app.client_id]
    block = portal.events.auth_block(app, admin, with_refresh=True)
    if app.install_url:
        data = {"VERSION": str(app.version), "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": portal.config.language}
        portal.events.post(app.install_url, "ONAPPINSTALL", data, block, 0)
    return block["access_token"], block["refresh_token"]


def uninstall(portal: PortalState, app_id: str | None = None) -> None:
    """The application is removed: its tokens die, its lines, handlers and widgets go; ONAPPUNINSTALL goes to the install
    path."""
    app = _app(portal, app_id)
    app.removed = True
    portal.authority.revoke(app.client_id)
    forget(portal, app.client_id, triggers=True)
    portal.events.bindings = [b for b in portal.events.bindings if b.app != app.client_id]
    portal.placements = [row for row in portal.placements if row["app"] != app.client_id]
    portal.book.lines = [line for line in portal.book.lines if line.app != app.client_id]
    if app.install_url:
        block = portal.events.auth_block(app, 0, with_refresh=False)
        portal.events.post(
            app.install_url, "ONAPPUNINSTALL", {"LANGUAGE_ID": portal.config.language, "CLEAN": "1"}, block, 0
        )


def authorize(portal: PortalState, client_id: str, user_id: int, state: str) -> str:
    """A user allows the application: the address his browser is sent to, with the code."""
    app = _app(portal, client_id)
    if not app.redirect_uri:
        raise DeskError(f"application {client_id} has no redirect address: set `handler_url` in the configuration")
    domain = portal.base_url.split("://", 1)[1]
    query = {
        "code": portal.authority.new_code(app, user_id),
        "state": state,
        "domain": domain,
        "member_id": portal.config.member_id,
        "scope": ",".join(sorted(app.scopes)),
        "server_domain": domain,
    }
    return f"{app.redirect_uri}{'&' if '?' in app.redirect_uri else '?'}{urlencode(query)}"


def _app(portal: PortalState, client_id: str | None) -> App:
    app = portal.authority.apps.get(client_id or portal.config.client_id)
    if app is None or app.removed:
        raise DeskError(f"no application {client_id}")
    return app
