"""What happens to a call inside the portal: registration, cards, the end. Used by the REST methods and by clicks on
numbers.

Each rule is from the contract (`methods.telephony.*.rules`, `events`); where the documentation is silent the self-hosted
edition's reported behaviour is taken, and said so.
"""

from __future__ import annotations

import secrets
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

from perezvon.sandbox.portal.calls import Card, PortalCall
from perezvon.sandbox.portal.crm import TYPE_IDS, Entity
from perezvon.sandbox.portal.numbers import canonical, displayed
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.recording import attach, fetch
from perezvon.sandbox.portal.registry import RestError
from perezvon.sandbox.portal.state import PortalState

Json = Any
log = structlog.get_logger(__name__)
DUPLICATE_WINDOW = 30 * 60
INCOMING = frozenset({2, 3})
LABELS = {
    1: "Исходящий звонок",
    2: "Входящий звонок",
    3: "Входящий звонок",
    4: "Обратный звонок",
    5: "Информационный звонок",
}
MISSED = "304"
SUCCESS = "200"


def employee(portal: PortalState, user_id: int, extension: str, stop: str = "") -> User:
    """The active employee meant by USER_ID (which wins when it is not zero) or USER_PHONE_INNER. `stop`: what ends the
    error's text (register's has a full stop, finish's none)."""
    if user_id:
        user = portal.people.active(user_id)
        if user is None:
            raise RestError("ERROR_CORE", f"User is not found or is not active{stop}")
        return user
    user = portal.people.by_extension(extension)
    if user is None:
        raise RestError("ERROR_CORE", f"USER_ID or USER_PHONE_INNER should be set{stop}")
    return user


def duplicate_of(portal: PortalState, wanted: PortalCall) -> PortalCall | None:
    """The live call that a registration within 30 minutes repeats: same application, number, type and user, and same
    line and EXTERNAL_CALL_ID where given."""
    for call in portal.book.alike(wanted, portal.now() - DUPLICATE_WINDOW):
        same_line = not wanted.line or call.line == wanted.line
        same_id = not wanted.external_id or call.external_id == wanted.external_id
        if same_line and same_id:
            return call
    return None


def open_call(portal: PortalState, call: PortalCall, *, create: bool, crm_type: str = "", crm_id: int = 0) -> PortalCall:
    """Put a new call on the books: line, CRM object, events. `create`: make a CRM object when there is none."""
    if call.line:
        call.line = call.line[:50]
        line = portal.book.line(call.app, call.line) or portal.book.add_line(call.app, call.line)
        if call.type == 1 and not line.crm_auto_create:
            create = False
    portal.book.add(call)
    call.internal = portal.people.by_extension(call.phone) is not None
    if not call.internal:
        _link(portal, call, create, crm_type, crm_id)
    portal.publish("call.registered", call=call.as_json())
    portal.emit(
        "ONVOXIMPLANTCALLINIT",
        {"CALL_ID": call.id, "CALL_TYPE": str(call.type), "CALLER_ID": call.phone, "REST_APP_ID": str(call.app_id)},
    )
    portal.emit("ONVOXIMPLANTCALLSTART", {"CALL_ID": call.id, "USER_ID": str(call.user_id)})
    return call


def new_call_id(portal: PortalState) -> str:
    return f"externalCall.{secrets.token_hex(16)}.{int(portal.now())}"


def show_card(portal: PortalState, call: PortalCall, user_id: int) -> Card:
    card = portal.book.push_card(
        call, user_id, portal.now(), portal.monotonic(), one_a_user=portal.config.one_card_per_user
    )
    if card.visible:
        portal.publish("card.shown", user_id=user_id, call_id=call.id, card=card_face(portal, call))
    else:
        portal.publish("card.dropped", user_id=user_id, call_id=call.id)
    return card


def hide_card(portal: PortalState, call: PortalCall, user_id: int, by: str) -> None:
    if portal.book.pull_card(call, user_id, portal.now(), by):
        portal.publish("card.hidden", user_id=user_id, call_id=call.id, by=by)


def card_face(portal: PortalState, call: PortalCall) -> dict[str, Json]:
    """What an employee sees on the card."""
    line = portal.book.line(call.app, call.line) if call.line else None
    entity = portal.crm.get(call.crm_type, call.crm_id) if call.crm_type else None
    return {
        "call_id": call.id,
        "phone": displayed(call.phone, portal.config.region),
        "direction": {1: "outgoing", 4: "callback", 5: "outgoing"}.get(call.type, "incoming"),
        "line": call.line,
        "line_name": line.name if line else "",
        "crm_type": call.crm_type,
        "crm_id": call.crm_id,
        "crm_title": entity.title if entity else "",
    }


def close_call(portal: PortalState, call: PortalCall, user: User, end: dict[str, Json]) -> dict[str, Json]:
    """finish: the statistics row, the activity, the responsible, the card of the finishing user (only his: self-hosted
    edition).

    `end`: duration (seconds), status, reason, vote, cost, currency, add_to_chat. Returns the row.
    """
    call.finished_at = portal.now()
    call.finish |= end | {"user_id": user.id}
    for type_, id_ in call.created:
        entity = portal.crm.get(type_, id_)
        if entity is not None and entity.responsible != user.id:
            portal.crm.update(entity, {"ASSIGNED_BY_ID": str(user.id)})
    activity = _activity(portal, call, user)
    row = _statistics_row(portal, call, user, activity)
    hide_card(portal, call, user.id, "finish")
    _settle_missed(portal, call, activity)
    portal.emit(
        "ONVOXIMPLANTCALLEND",
        {
            "CALL_ID": call.id,
            "CALL_TYPE": str(call.type),
            "PHONE_NUMBER": call.phone,
            "PORTAL_NUMBER": row["PORTAL_NUMBER"],
            "PORTAL_USER_ID": str(user.id),
            "CALL_DURATION": str(end["duration"]),
            "CALL_START_DATE": row["CALL_START_DATE"],
            "COST": str(end["cost"]),
            "COST_CURRENCY": end["currency"],
            "CALL_FAILED_CODE": end["status"],
            "CALL_FAILED_REASON": end["reason"],
            "CRM_ACTIVITY_ID": str(call.activity_id or ""),
        },
    )
    if end["record_url"]:
        portal.later(f"record of {call.id}", lambda: _fetch_legacy(portal, call, end["record_url"]))
    if end["add_to_chat"]:
        text = f"{LABELS[call.type]}: {displayed(call.phone, portal.config.region)}"
        portal.publish("message", user_id=user.id, call_id=call.id, text=text)
        call.chat_message = text
    portal.publish("call.finished", call=call.as_json())
    return row


async def _fetch_legacy(portal: PortalState, call: PortalCall, url: str) -> None:
    """RECORD_URL of finish: downloaded after the request; nobody is told when it fails."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    try:
        attach(portal, call, name, await fetch(url), "legacy")
    except RestError as problem:
        log.info("portal could not fetch a recording", call=call.id, problem=str(problem))


def portal_number(call: PortalCall) -> str:
    return call.line or f"REST_APP:{call.app_id or ''}"


def _link(portal: PortalState, call: PortalCall, create: bool, crm_type: str, crm_id: int) -> None:
    given = portal.crm.get(crm_type, crm_id) if crm_type and crm_id else None
    found = [given] if given else portal.crm.by_phone(call.phone)
    if found:
        deals = [deal for entity in found for deal in portal.crm.open_deals(entity)]
        call.crm_type, call.crm_id = found[0].type, found[0].id
        call.bindings = [(entity.type, entity.id) for entity in [*found, *deals]]
    elif create:
        owner = portal.people.by_phone(canonical(call.phone, portal.config.region), portal.config.region)
        if owner is not None:
            call.lead_error = f"The number {call.phone} belongs to the employee {owner.full_name}"
            return
        made = _create(portal, call)
        call.crm_type, call.crm_id = made[0].type, made[0].id
        call.created = call.bindings = [(entity.type, entity.id) for entity in made]


def _create(portal: PortalState, call: PortalCall) -> list[Entity]:
    """A lead in classic mode; in simple mode (documentation: "contact, deal etc.") a contact and a deal."""
    source = next((s for s in (call.source, "CALL", "OTHER") if s in portal.crm.sources), "OTHER")
    title = f"{displayed(call.phone, portal.config.region)} - {LABELS[call.type]}"
    now = portal.iso()
    common: dict[str, Json] = {
        "ASSIGNED_BY_ID": str(call.user_id),
        "CREATED_BY_ID": str(call.user_id),
        "MODIFY_BY_ID": str(call.user_id),
        "DATE_CREATE": now,
        "DATE_MODIFY": now,
        "SOURCE_ID": source,
        "OPENED": "Y",
    }
    phone = [portal.crm.phone(call.phone)]
    if portal.crm.mode == 1:
        lead = {"TITLE": title, "STATUS_ID": "NEW", "HAS_PHONE": "Y", "PHONE": phone, "NAME": None, "LAST_NAME": None}
        return [portal.crm.add("LEAD", common | lead)]
    contact = portal.crm.add("CONTACT", common | {"NAME": title, "LAST_NAME": None, "HAS_PHONE": "Y", "PHONE": phone})
    deal = common | {"TITLE": title, "STAGE_ID": "NEW", "CATEGORY_ID": "0", "CONTACT_ID": str(contact.id)}
    return [contact, portal.crm.add("DEAL", deal)]


def _activity(portal: PortalState, call: PortalCall, user: User) -> Entity | None:
    """The CRM record of the call, bound to all its objects; without any there is none."""
    owners = [(type_, id_) for type_, id_ in call.bindings if portal.crm.get(type_, id_)]
    if not owners:
        return None
    missed = call.type in INCOMING and call.finish["status"] == MISSED
    type_, id_ = owners[0]
    ended = call.started + call.finish["duration"]
    activity = portal.crm.add(
        "ACTIVITY",
        {
            "OWNER_TYPE_ID": str(TYPE_IDS[type_]),
            "OWNER_ID": str(id_),
            "TYPE_ID": "2",
            "PROVIDER_ID": "VOXIMPLANT_CALL",
            "PROVIDER_TYPE_ID": "CALLBACK" if call.type == 4 else "CALL",
            "DIRECTION": "1" if call.type in INCOMING else "2",
            "SUBJECT": f"{LABELS[call.type]}: {displayed(call.phone, portal.config.region)}",
            "DESCRIPTION": "",
            "START_TIME": portal.iso(call.started),
            "END_TIME": portal.iso(ended),
            "CREATED": portal.iso(),
            "LAST_UPDATED": portal.iso(),
            "COMPLETED": "N" if missed else "Y",
            "STATUS": "1" if missed else "2",
            "RESPONSIBLE_ID": str(user.id),
            "AUTHOR_ID": str(user.id),
            "ORIGIN_ID": f"VI_{call.id}",
            "COMMUNICATIONS": [
                {"TYPE": "PHONE", "VALUE": call.phone, "ENTITY_ID": str(id_), "ENTITY_TYPE_ID": str(TYPE_IDS[type_])}
            ],
            "BINDINGS": [{"OWNER_TYPE_ID": str(TYPE_IDS[t]), "OWNER_ID": str(i)} for t, i in owners],
            "SETTINGS": {"MISSED_CALL": True} if missed else {},
            "RESULT_MARK": _mark(int(call.finish["vote"] or 0)),
            "FILES": [],
        },
    )
    call.activity_id = activity.id
    return activity


def _mark(vote: int) -> str:
    """Over 3 positive, 3 neutral, 1 and 2 negative; "0" without a vote."""
    return "0" if not vote else "1" if vote > 3 else "2" if vote == 3 else "3"


def _statistics_row(portal: PortalState, call: PortalCall, user: User, activity: Entity | None) -> dict[str, Json]:
    end = call.finish
    call.statistics_id = len(portal.book.statistics) + 1
    row: dict[str, Json] = {
        "ID": str(call.statistics_id),
        "PORTAL_USER_ID": str(user.id),
        "PORTAL_NUMBER": portal_number(call),
        "PHONE_NUMBER": call.phone,
        "CALL_ID": call.id,
        "EXTERNAL_CALL_ID": call.external_id or None,
        "CALL_CATEGORY": "external",
        "CALL_LOG": None,
        "CALL_DURATION": str(end["duration"]),
        "CALL_START_DATE": portal.iso(call.started),
        "CALL_RECORD_URL": None,
        "CALL_VOTE": str(end["vote"]) if end["vote"] else None,
        "COST": f"{end['cost']:.4f}",
        "COST_CURRENCY": end["currency"],
        "CALL_FAILED_CODE": end["status"],
        "CALL_FAILED_REASON": end["reason"],
        "CRM_ENTITY_TYPE": call.crm_type,
        "CRM_ENTITY_ID": str(call.crm_id),
        "CRM_ACTIVITY_ID": str(activity.id if activity else 0),
        "REST_APP_ID": str(call.app_id) if call.app_id else None,
        "REST_APP_NAME": call.app_name or None,
        "TRANSCRIPT_ID": None,
        "TRANSCRIPT_PENDING": "N",
        "SESSION_ID": None,
        "REDIAL_ATTEMPT": None,
        "COMMENT": None,
        "RECORD_DURATION": None,
        "RECORD_FILE_ID": None,
        "CALL_TYPE": str(call.type),
    }
    portal.book.statistics.append(row)
    return row


def _settle_missed(portal: PortalState, call: PortalCall, activity: Entity | None) -> None:
    """A missed call is noted; an outgoing call that succeeds marks the number's missed ones as called back."""
    number = canonical(call.phone, portal.config.region)
    if activity is not None and activity.fields["SETTINGS"]:
        portal.book.missed.setdefault(number, []).append(activity.id)
    elif call.type == 1 and call.finish["status"] == SUCCESS:
        for activity_id in portal.book.missed.pop(number, []):
            missed = portal.crm.get("ACTIVITY", activity_id)
            if missed is not None:
                portal.crm.update(missed, {"SETTINGS": {"MISSED_CALL": True, "CALLED_BACK": True}, "COMPLETED": "Y"})
