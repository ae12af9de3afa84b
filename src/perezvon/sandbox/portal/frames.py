"""How the portal opens an application's page in a frame: the handler's address with a query, and the form that is posted.

Source: contract.json "placements" (handler_post, CALL_CARD, TELEPHONY_ANALYTICS_MENU). Values only.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.oauth import App
from perezvon.sandbox.portal.state import PortalState

Json = Any
PAGE = "DEFAULT"
"""The application's own page, which its settings name."""

DIRECTIONS = {2: "incoming", 3: "incoming", 4: "callback"}


@dataclass(frozen=True, slots=True)
class OpenedFrame:
    """`title`: of the tab or menu item. `action`: where the browser posts `fields` to."""

    title: str
    action: str
    fields: dict[str, str]

    @property
    def origin(self) -> str:
        parts = urlsplit(self.action)
        return f"{parts.scheme}://{parts.netloc}"


def frames(portal: PortalState, user_id: int, placement: str, options: dict[str, Json], language: str) -> list[OpenedFrame]:
    """One for each handler bound to this place, of applications that are installed and that the user may use."""
    found: list[OpenedFrame] = []
    for row in portal.placements:
        app = portal.authority.apps.get(row["app"])
        if app is None or app.removed or not app.installed or user_id in app.denied:
            continue
        if row["placement"] != placement or row["userId"] not in (0, user_id):
            continue
        told = cast("dict[str, dict[str, Json]]", row["langAll"] or {})
        title = str(told.get(language, {}).get("TITLE") or row["title"] or app.name)
        found.append(opened(portal, app, user_id, placement, str(row["handler"]), options, language, title))
    return found


def opened(
    portal: PortalState,
    app: App,
    user_id: int,
    placement: str,
    handler: str,
    options: dict[str, Json],
    language: str,
    title: str = "",
) -> OpenedFrame:
    """The user has opened this page now: his tokens for the application are made."""
    block = portal.events.auth_block(app, 0, with_refresh=False)
    access, refresh = portal.authority.new_pair(app, user_id)
    scheme, _, domain = portal.base_url.partition("://")
    query = {"DOMAIN": domain, "PROTOCOL": str(int(scheme == "https")), "LANG": language, "APP_SID": secrets.token_hex(16)}
    fields = {
        "AUTH_ID": access,
        "AUTH_EXPIRES": block["expires_in"],
        "REFRESH_ID": refresh,
        "SERVER_ENDPOINT": block["server_endpoint"],
        "APPLICATION_TOKEN": app.application_token,
        "APPLICATION_SCOPE": block["scope"],
        "member_id": block["member_id"],
        "status": block["status"],
        "PLACEMENT": placement,
        "PLACEMENT_OPTIONS": json.dumps(options, ensure_ascii=False),
    }
    joint = "&" if "?" in handler else "?"
    return OpenedFrame(title or app.name, f"{handler}{joint}{urlencode(query)}", fields)


def card_options(portal: PortalState, call: PortalCall, user_id: int) -> dict[str, Json]:
    """The context of CALL_CARD: all strings; keys without a value are absent, as the contract says."""
    line = portal.book.line(call.app, call.line) if call.line else None
    options: dict[str, Json] = {
        "CALL_ID": call.id,
        "LINE_NUMBER": call.line,
        "LINE_NAME": line.name if line else "",
        "CRM_ENTITY_TYPE": call.crm_type,
        "CRM_ENTITY_ID": str(call.crm_id or 0),
        "CRM_ACTIVITY_ID": str(call.activity_id) if call.activity_id else "undefined",
        "CALL_DIRECTION": DIRECTIONS.get(call.type, "outgoing"),
        "CALL_STATE": "connected" if call.live else "idle",
        "CALL_LIST_MODE": "false",
        "URI": f"/company/personal/user/{user_id}/",
    }
    if call.phone:
        options["PHONE_NUMBER"] = call.phone
    if call.crm_type:
        options["CRM_BINDINGS"] = [{"ENTITY_TYPE": call.crm_type, "ENTITY_ID": str(call.crm_id)}]
    return options
