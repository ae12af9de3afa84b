"""voximplant.sip.*: SIP connections of the portal's own telephony, kept but never really registered."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.handlers.voximplant import BuiltInLines
from perezvon.sandbox.portal.listing import check_fields, matching, ordered
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
MAX_CLOUD = 10
FIELDS = tuple(
    field["name"]
    for field in contract().methods["voximplant.sip.get"].raw["param_groups"]["Available_Fields_for_Filtering"]
)
CHANGEABLE = ("TITLE", "SERVER", "LOGIN", "PASSWORD")


class SipConnections:
    """By CONFIG_ID, with the keys of voximplant.sip.get."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Json]] = {}
        self.last = 0

    def row(self, number: int) -> dict[str, Json]:
        if number not in self.rows:
            raise RestError("ERROR_NOT_FOUND", "Specified CONFIG_ID is not found")
        return self.rows[number]


@method("voximplant.sip.add", checks_itself=("SERVER", "LOGIN"))
async def add(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    sip = portal.part(SipConnections)
    kind = params.text("TYPE", "cloud")
    _check(sip, 0, {name: params.text(name) for name in CHANGEABLE})
    if kind == "cloud" and sum(row["TYPE"] == "cloud" for row in sip.rows.values()) >= MAX_CLOUD:
        raise RestError("MAX_CLOUD_PBX", "You cannot connect more than 10 virtual PBXs.")
    sip.last += 1
    number = sip.last
    row: dict[str, Json] = {
        "ID": str(number),
        "TYPE": kind,
        "CONFIG_ID": str(number),
        "REG_ID": 200000 + number if kind == "cloud" else 0,
        "TITLE": params.text("TITLE") or f"SIP {number}",
        "SERVER": params.text("SERVER"),
        "LOGIN": params.text("LOGIN"),
        "PASSWORD": params.text("PASSWORD"),
        "AUTH_USER": None,
        "OUTBOUND_PROXY": None,
        "DETECT_LINE_NUMBER": "N",
        "LINE_DETECT_HEADER_ORDER": "diversion;to",
        "REGISTRATION_STATUS_CODE": None,
        "REGISTRATION_ERROR_MESSAGE": None,
    }
    if kind == "office":
        incoming = {"SERVER": "ip.portal.invalid", "LOGIN": f"sip{number}", "PASSWORD": f"incoming{number}"}
        row |= {f"INCOMING_{name}": value for name, value in incoming.items()}
    sip.rows[number] = row
    line = f"reg{row['REG_ID']}" if kind == "cloud" else f"sip{number}"
    portal.part(BuiltInLines).lines[line] = row["TITLE"]
    return row


@method("voximplant.sip.get")
async def get(portal: PortalState, who: Caller, params: Params) -> Page:
    del who
    conditions = params.mapping("FILTER")
    check_fields(conditions, FIELDS, "voximplant.sip.get", portal.config.strict_params)
    rows = matching(list(portal.part(SipConnections).rows.values()), conditions)
    if params.text("SORT"):
        rows = ordered(rows, params.text("SORT").upper(), params.text("ORDER", "ASC"))
    return page_of(rows, params.integer("start"))


@method("voximplant.sip.update")
async def update(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    sip = portal.part(SipConnections)
    row = sip.row(params.integer("CONFIG_ID"))
    changed = {name: params.text(name) for name in CHANGEABLE if name in params}
    _check(sip, params.integer("CONFIG_ID"), row | changed)
    row.update(changed)
    return 1


@method("voximplant.sip.delete")
async def delete(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    sip = portal.part(SipConnections)
    row = sip.row(params.integer("CONFIG_ID"))
    del sip.rows[int(row["CONFIG_ID"])]
    lines = portal.part(BuiltInLines).lines
    for name in (f"reg{row['REG_ID']}", f"sip{row['ID']}"):
        if lines.get(name) == row["TITLE"]:
            del lines[name]
    return 1


@method("voximplant.sip.status")
async def status(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    number = params.integer("REG_ID")
    if not any(number and row["REG_ID"] == number for row in portal.part(SipConnections).rows.values()):
        raise RestError("REG_ID_NOT_FOUND", "Settings not found")
    return {
        "REG_ID": number,
        "LAST_UPDATED": portal.iso(),
        "ERROR_MESSAGE": "",
        "STATUS_CODE": 200,
        "STATUS_RESULT": "success",
    }


@method("voximplant.line.outgoing.sip.set")
async def line_outgoing_sip_set(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    row = portal.part(SipConnections).rows.get(params.integer("CONFIG_ID"))
    if row is None:
        raise RestError("ERROR_ARGUMENT", "Specified CONFIG_ID is not found")
    portal.part(BuiltInLines).outgoing = f"reg{row['REG_ID']}" if row["TYPE"] == "cloud" else f"sip{row['ID']}"
    return 1


def _check(sip: SipConnections, number: int, fields: dict[str, Json]) -> None:
    if not fields["SERVER"]:
        raise RestError("CHECK_FIELDS_ERROR", "Server address not specified")
    if not fields["LOGIN"]:
        raise RestError("CHECK_FIELDS_ERROR", "Login for connecting to the server not specified")
    if len(str(fields["PASSWORD"])) > 100:
        raise RestError("CHECK_FIELDS_ERROR", "Password for connecting to the server cannot exceed 100 characters")
    if any(row["TITLE"] == fields["TITLE"] for other, row in sip.rows.items() if other != number):
        raise RestError("TITLE_EXISTS", "The specified connection name is already registered in the system")
