"""pull.application.*: an application's own pushes to open pages and phones. Published as news; there is no push server."""

from __future__ import annotations

import re
from typing import Any

from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_int
from perezvon.sandbox.portal.registry import Caller, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
NAME = re.compile(r"[A-Za-z0-9_.\-]+")


@method("pull.application.event.add", checks_itself=("COMMAND", "PARAMS", "MODULE_ID"))
async def event_add(portal: PortalState, who: Caller, params: Params) -> Json:
    """To everybody (no USER_ID), or to the users named; only an administrator may name others."""
    name = "pull.application.event.add"
    if not NAME.fullmatch(params.text("COMMAND")):
        raise documented(name, "COMMAND_ERROR")
    if params.text("MODULE_ID") and not NAME.fullmatch(params.text("MODULE_ID")):
        raise documented(name, "MODULE_ID_ERROR")
    if "PARAMS" in params and not isinstance(params["PARAMS"], (dict, list)):
        raise documented(name, "PARAMS_ERROR")
    users = [as_int(one) for one in params.items_of("USER_ID")]
    if any(one != who.user_id for one in users) and not portal.people.users[who.user_id].admin:
        raise documented(name, "USER_ID_ACCESS_ERROR")
    portal.publish("pull", app=who.app, command=params.text("COMMAND"), params=params.mapping("PARAMS"), users=users)
    return True


@method("pull.application.push.add", checks_itself=("TEXT",))
async def push_add(portal: PortalState, who: Caller, params: Params) -> Json:
    if not params.text("TEXT"):
        raise documented("pull.application.push.add", "TEXT_ERROR")
    users = [as_int(one) for one in params.items_of("USER_ID")]
    portal.publish("push", app=who.app, text=params.text("TEXT"), users=users)
    return True
