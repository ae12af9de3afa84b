"""voximplant.*: call statistics, lines and users of the built-in telephony. Lines, SIP and info calls only as far as
they are cheap."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.listing import check_fields, matching, ordered
from perezvon.sandbox.portal.params import Params, as_int
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any
STATISTIC_FIELDS = tuple(
    field["name"]
    for field in contract().methods["voximplant.statistic.get"].raw["param_groups"]["Available_Fields_for_Filtering"]
)


class BuiltInLines:
    """Lines of the portal's own telephony: LINE_ID -> name, and the default one for outgoing calls."""

    def __init__(self) -> None:
        self.lines = {"reg100001": "SIP-подключение", "sip1": "Офисная АТС"}
        self.outgoing = "reg100001"


@method("voximplant.statistic.get")
async def statistic_get(portal: PortalState, who: Caller, params: Params) -> Page:
    del who
    conditions = params.mapping("FILTER")
    check_fields(conditions, STATISTIC_FIELDS, "voximplant.statistic.get", portal.config.strict_params)
    rows = matching(portal.book.statistics, conditions)
    sort = params.text("SORT").upper()
    if sort:
        if sort not in STATISTIC_FIELDS or sort == "CALL_TYPE":
            raise RestError("SANDBOX_WRONG_VALUE", f"voximplant.statistic.get does not sort by {sort}", argument="SORT")
        rows = ordered(rows, sort, params.text("ORDER", "ASC"))
    return page_of(rows, params.integer("start"))


@method("voximplant.line.get")
async def line_get(portal: PortalState, who: Caller, params: Params) -> Json:
    del who, params
    return dict(portal.part(BuiltInLines).lines)


@method("voximplant.line.outgoing.get")
async def line_outgoing_get(portal: PortalState, who: Caller, params: Params) -> Json:
    del who, params
    return portal.part(BuiltInLines).outgoing


@method("voximplant.line.outgoing.set")
async def line_outgoing_set(portal: PortalState, who: Caller, params: Params) -> Json:
    """Answers 1 also for an unknown line and then changes nothing."""
    del who
    lines = portal.part(BuiltInLines)
    if params.text("LINE_ID") in lines.lines:
        lines.outgoing = params.text("LINE_ID")
    return 1


@method("voximplant.url.get")
async def url_get(portal: PortalState, who: Caller, params: Params) -> Json:
    del who, params
    base = portal.base_url
    return {
        "detail_statistics": f"{base}/telephony/detail.php",
        "buy_connector": f"{base}/settings/license_phone_sip.php",
        "edit_config": f"{base}/telephony/edit.php?ID=#CONFIG_ID#",
        "lines": f"{base}/telephony/lines.php",
    }


@method("voximplant.sip.connector.status")
async def sip_connector_status(portal: PortalState, who: Caller, params: Params) -> Json:
    del who, params, portal
    return {"FREE_MINUTES": 60, "PAID": False}


@method("voximplant.user.get", checks_itself=("USER_ID",))
async def user_get(portal: PortalState, who: Caller, params: Params) -> Json:
    """For an application an administrator has to approve this very access token first."""
    if not params.items_of("USER_ID"):
        raise RestError("", "Parameter USER_ID is not set")
    if who.kind == "oauth":
        if who.token in portal.authority.denied:
            raise RestError("METHOD_CONFIRM_DENIED", "Method call denied", 401)
        if who.token not in portal.authority.confirmed:
            raise RestError("METHOD_CONFIRM_WAITING", "Waiting for confirmation", 401)
    users = [portal.people.users.get(as_int(user)) for user in params.items_of("USER_ID")]
    return [
        {
            "ID": str(user.id),
            "DEFAULT_LINE": None,
            "PHONE_ENABLED": "N",
            "SIP_SERVER": "ip.portal.invalid",
            "SIP_LOGIN": f"phone{user.id}",
            "SIP_PASSWORD": "",
            "INNER_NUMBER": user.extension or None,
        }
        for user in users
        if user is not None
    ]
