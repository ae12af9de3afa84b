"""Who has opened one of our pages inside the portal: the token that came with the request, held against the portal.

Anybody could have sent that request. The portal itself says whose the token is (`profile`, `user.admin`) and of which
application (`app.info`): one of another application in the same portal is worth nothing here. Source: contract.json
"placements.handler_post", methods app.info, profile, user.admin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perezvon.bitrix24.address import OAuthGrant
from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import AuthRefused, PortalError
from perezvon.bitrix24.events import Forged
from perezvon.bitrix24.values import flag, mapping, number, text

LONGEST_TOKEN = 200


@dataclass(frozen=True, slots=True)
class Opened:
    """What a portal posts when it opens a page of ours, as far as we use it. `options`: PLACEMENT_OPTIONS."""

    access_token: str = field(repr=False)
    member_id: str
    application_token: str = field(repr=False, default="")
    placement: str = ""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    language: str = ""


@dataclass(frozen=True, slots=True)
class PortalUser:
    user: str
    name: str
    admin: bool


async def behind(portal: Portal, opened: Opened) -> PortalUser:
    """Asks the portal of the settings, wherever the request says that it comes from. One request of the portal's limit.

    Raises Forged when it is not for us, AuthRefused when the token is not good, another PortalError when that cannot be
    found out now.
    """
    ours = portal.address
    if not isinstance(ours, OAuthGrant) or not ours.access_token:
        raise Forged("there is no application installed in this portal")
    if not opened.member_id or opened.member_id != ours.member_id:
        raise Forged("the request is for another portal")
    token = opened.access_token
    if not token or len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        raise Forged("the request brings no token")
    asked = [Command("app", "app.info", {}), Command("who", "profile", {}), Command("admin", "user.admin", {})]
    app, who, admin = await portal.ask_as(token, asked)
    for part in (app, who, admin):
        if isinstance(part, PortalError):
            raise part
    assert not isinstance(app, PortalError)
    assert not isinstance(who, PortalError)
    assert not isinstance(admin, PortalError)
    if text(mapping(app.result).get("CODE")) != ours.client_id:
        raise Forged("the token belongs to another application")
    told = mapping(who.result)
    user = number(told.get("ID"))
    if not user or user == "0":
        raise AuthRefused("the portal does not say whose the token is")
    name = " ".join(part for part in (text(told.get("NAME")), text(told.get("LAST_NAME"))) if part)
    return PortalUser(user, name, flag(admin.result))
