"""telephony.externalLine.*: numbers that belong to the calling application."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.calls import Line
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any


@method("telephony.externalLine.add")
async def add(portal: PortalState, who: Caller, params: Params) -> Json:
    number = params.text("NUMBER")
    if portal.book.line(who.app, number):
        raise RestError("ERROR_CORE", "Line already exists")
    line = portal.book.add_line(who.app, number, params.text("NAME"), params.flag("CRM_AUTO_CREATE", default=True))
    portal.publish("line", number=number, name=line.name)
    return {"ID": line.id}


@method("telephony.externalLine.update", checks_itself=("NAME", "CRM_AUTO_CREATE"))
async def update(portal: PortalState, who: Caller, params: Params) -> Json:
    line = _mine(portal, who, params)
    if "NAME" not in params and "CRM_AUTO_CREATE" not in params:
        raise RestError("ERROR_CORE", "There are no fields to update")
    line.name = params.text("NAME", line.name)
    line.crm_auto_create = params.flag("CRM_AUTO_CREATE", line.crm_auto_create)
    portal.publish("line", number=line.number, name=line.name)
    return {"ID": str(line.id)}


@method("telephony.externalLine.get")
async def get(portal: PortalState, who: Caller, params: Params) -> Json:
    del params
    return [
        {"NUMBER": line.number, "NAME": line.name, "CRM_AUTO_CREATE": "Y" if line.crm_auto_create else "N"}
        for line in portal.book.lines
        if line.app == who.app
    ]


@method("telephony.externalLine.delete")
async def delete(portal: PortalState, who: Caller, params: Params) -> Json:
    portal.book.lines.remove(_mine(portal, who, params))
    return []


def _mine(portal: PortalState, who: Caller, params: Params) -> Line:
    number = params.text("NUMBER")
    line = portal.book.line(who.app, number)
    if line is None:
        raise RestError("ERROR_CORE", f"Could not find line with number {number}")
    return line
