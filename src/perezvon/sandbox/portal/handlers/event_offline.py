"""event.offline.*: the queue of events that an application without a public address polls."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.events import OfflineRow
from perezvon.sandbox.portal.listing import check_fields, matching, ordered
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import PAGE, Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.state import PortalState

Json = Any


def _fields(name: str) -> Sequence[str]:
    filter_ = next(p for p in contract().methods[name].raw["params"] if p["name"] == "filter")
    return filter_["filter_fields"]


@method("event.offline.get")
async def get(portal: PortalState, who: Caller, params: Params) -> Json:
    """clear=1 deletes at read; clear=0 reserves the rows under a process_id. Parallel readers get disjoint rows."""
    bus = portal.events
    bus.forget_old_reservations()
    clear = params.flag("clear", default=True)
    if not clear and "rest_offline_extended" not in portal.config.features:
        raise RestError("ACCESS_DENIED", "Access denied!", 403)
    process_id = params.text("process_id")
    erroneous = params.flag("error")
    rows = [
        row
        for row in bus.rows
        if row.app == who.app
        and row.connector == params.text("auth_connector")
        and row.process_id == process_id
        and row.error == erroneous
    ]
    if erroneous and not process_id:
        rows = [row for row in bus.rows if row.app == who.app and row.error]
    chosen = _select(portal, rows, params, "event.offline.get", "TIMESTAMP_X")
    chosen = chosen[: max(1, params.integer("limit", PAGE))]
    found = [row for row in bus.rows if str(row.id) in {each["ID"] for each in chosen}]
    if clear:
        bus.rows = [row for row in bus.rows if row not in found]
        process_id = ""
    elif found:
        process_id = process_id or secrets.token_hex(16)
        for row in found:
            row.process_id, row.reserved_at, row.error = process_id, portal.now(), False
    events = [{k: v for k, v in row.items() if k not in {"PROCESS_ID", "ERROR"}} for row in chosen]
    return {"process_id": process_id or None, "events": events}


@method("event.offline.list")
async def list_(portal: PortalState, who: Caller, params: Params) -> Page:
    portal.events.forget_old_reservations()
    connector = params.text("auth_connector")
    rows = [row for row in portal.events.rows if row.app == who.app and row.connector == connector]
    return page_of(_select(portal, rows, params, "event.offline.list", "ID"), params.integer("start"))


@method("event.offline.clear")
async def clear(portal: PortalState, who: Caller, params: Params) -> Json:
    """The whole reservation, or the rows named by `id` (then `message_id` is ignored) or `message_id`."""
    ids = {str(value) for value in params.items_of("id")}
    messages = {str(value) for value in params.items_of("message_id")}
    portal.events.rows = [
        row
        for row in portal.events.rows
        if not (_reserved(row, who, params) and (str(row.id) in ids if ids else not messages or row.message_id in messages))
    ]
    return True


@method("event.offline.error")
async def error(portal: PortalState, who: Caller, params: Params) -> Json:
    """Rows of a reservation that could not be processed: read again with error=1."""
    messages = {str(value) for value in params.items_of("message_id")}
    for row in portal.events.rows:
        if _reserved(row, who, params) and (not messages or row.message_id in messages):
            row.error = True
    return True


def _reserved(row: OfflineRow, who: Caller, params: Params) -> bool:
    return row.app == who.app and row.process_id == params.text("process_id")


def _select(
    portal: PortalState, rows: Sequence[OfflineRow], params: Params, name: str, order: str
) -> list[Mapping[str, Json]]:
    conditions = params.mapping("filter")
    check_fields(conditions, _fields(name), name, portal.config.strict_params)
    listed: list[Mapping[str, Json]] = [
        {
            "ID": str(row.id),
            "TIMESTAMP_X": portal.iso(row.stamp),
            "EVENT_NAME": row.event,
            "EVENT_DATA": row.data,
            "EVENT_ADDITIONAL": row.additional,
            "MESSAGE_ID": row.message_id,
            "PROCESS_ID": row.process_id,
            "ERROR": "1" if row.error else "0",
        }
        for row in rows
    ]
    chosen = matching(listed, conditions)
    for field, direction in reversed((params.mapping("order") or {order: "ASC"}).items()):
        chosen = ordered(chosen, field, str(direction))
    return chosen
