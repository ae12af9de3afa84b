"""Events that a portal sends: read, checked, typed. Knows no web framework: the handler gives bytes and gets an event.

EventError
├── BadEvent     not an event of a portal at all: answer 400
└── Forged       an event without the proof that it comes from our portal: answer 403

Delivered at most once; both the handler and the offline queue may bring the same event: `key` tells (within some minutes).
Source: contract.json "events".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

from perezvon.bitrix24 import forms
from perezvon.bitrix24.values import Json, flag, mapping, moment, number, real, rows, text

CALL_START = "ONEXTERNALCALLSTART"
CALLBACK_START = "ONEXTERNALCALLBACKSTART"
INSTALL = "ONAPPINSTALL"
UPDATE = "ONAPPUPDATE"
UNINSTALL = "ONAPPUNINSTALL"
TELEPHONY = (CALL_START, CALLBACK_START)

_NAME = re.compile(r"^[A-Z][A-Z0-9_:\\.]{1,99}$")
_FORM = "application/x-www-form-urlencoded"


class EventError(Exception):
    """No message quotes a token or the body."""


class BadEvent(EventError):
    pass


class Forged(EventError):
    pass


@dataclass(frozen=True, slots=True)
class EventAuth:
    """The `auth` block. Tokens may be missing. `domain`: the portal's host; `expires_in`: seconds, 0 when not told."""

    domain: str = ""
    member_id: str = ""
    client_endpoint: str = ""
    server_endpoint: str = ""
    user_id: str = ""
    scope: str = ""
    expires_in: float = 0.0
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    application_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PortalEvent:
    """`name` in capitals. `at`: POSIX seconds, UTC, by the portal's clock; `received`: by ours. `source`: online | offline.

    `proven`: it bears our application token, or we fetched it ourselves. Only ONAPPINSTALL and ONAPPUPDATE, which bring a
    new token, come unproven: installation.py proves those.
    """

    name: str
    data: Mapping[str, Json] = field(repr=False)
    at: float
    received: float
    source: str
    proven: bool
    auth: EventAuth = EventAuth()

    @property
    def member_id(self) -> str:
        return self.auth.member_id

    @property
    def key(self) -> str:
        """The same for the same event, whichever way it came: the name and CALL_ID, or else a digest of the data (then two
        equal keys are the same event only when they are minutes, not hours, apart)."""
        call_id = text(self.data.get("CALL_ID"))
        if call_id:
            return f"{self.name}:{call_id}"
        canonical = json.dumps(_stringly(self.data), sort_keys=True, ensure_ascii=True)
        return f"{self.name}:{hashlib.sha256(canonical.encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class CallStartClick:
    """Somebody clicked a number. The portal has registered `portal_call` already: dial, then finish that one.

    `number` as in CRM; `international`: E.164, "" when the portal could not tell. `line`: "" when the application itself is
    the line. `call_list_id` is set for calls out of a call list.
    """

    portal_call: str
    user_id: str
    number: str
    international: str
    extension: str
    line: str
    entity_type: str
    entity_id: str
    call_list_id: str
    is_mobile: bool
    at: float
    received: float
    key: str


@dataclass(frozen=True, slots=True)
class CallbackRequested:
    """A visitor asked to be called. No call is registered: register with TYPE 4. `text`: what to say to the employee."""

    number: str
    text: str
    voice: str
    entity_type: str
    entity_id: str
    line: str
    at: float
    received: float
    key: str


@dataclass(frozen=True, slots=True)
class ApplicationChanged:
    """`what`: ONAPPINSTALL, ONAPPUPDATE or ONAPPUNINSTALL. After an update every event has to be bound again."""

    what: str
    version: str
    auth: EventAuth


@dataclass(frozen=True, slots=True)
class RobotCall:
    """Our robot on a stage of a funnel wants a client to be called. `document`: LEAD_5, DEAL_7, "" when it was not told;
    `number`, `user` (the user's id), `text`: as the robot was filled in. `token`: with which it waits for our answer, ""
    for one that does not. `key`: the same for the same run of the robot; of one without a token for some minutes only."""

    code: str
    document: str
    number: str
    user: str
    text: str
    token: str
    key: str
    received: float

    @property
    def entity(self) -> tuple[str, str]:
        """Type and id."""
        type_, _, id_ = self.document.rpartition("_")
        return (type_, id_) if type_ and id_.isdecimal() else ("", "")


Typed = CallStartClick | CallbackRequested | ApplicationChanged


def accept(
    body: bytes, content_type: str, expected: Collection[str], *, now: float, member_id: str = "", source: str = "online"
) -> PortalEvent:
    """An event that came to our handler. `expected`: the application tokens that we know (none before the installation);
    `member_id`: our portal's, when known. Raises BadEvent or Forged."""
    media = content_type.partition(";")[0].strip().lower()
    if media not in (_FORM, ""):
        raise BadEvent(f"an event comes as {_FORM}, not as {_shown(media)}")
    try:
        form = forms.decode(body)
    except forms.BadForm as error:
        raise BadEvent(str(error)) from None
    name = text(form.get("event")).upper()
    if not _NAME.match(name):
        raise BadEvent("the form has no name of an event in the field 'event'")
    auth = read_auth(form.get("auth"))
    proven = verify(auth.application_token, expected)
    if not proven and name not in (INSTALL, UPDATE):
        why = "no application token" if not auth.application_token else "another application token than ours"
        raise Forged(f"{name} from {_shown(auth.domain) or 'an unknown portal'} bears {why}")
    if member_id and auth.member_id and auth.member_id != member_id:
        raise Forged(f"{name} is of another portal ({_shown(auth.domain)}) than ours")
    at = real(form.get("ts"))
    return PortalEvent(name, mapping(form.get("data")), now if at is None else at, now, source, proven, auth)


def accept_robot(
    body: bytes, content_type: str, expected: Collection[str], *, now: float, member_id: str = ""
) -> RobotCall:
    """What came to the robot's handler; proven as an event is. Raises BadEvent or Forged.

    Source: contract.json, bizproc.robot.add: the tutorial shows `properties`, `document_id` and `auth`; the rest is not
    documented and may be missing.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media not in (_FORM, ""):
        raise BadEvent(f"a robot's call comes as {_FORM}, not as {_shown(media)}")
    try:
        form = forms.decode(body)
    except forms.BadForm as error:
        raise BadEvent(str(error)) from None
    auth = read_auth(form.get("auth"))
    if not verify(auth.application_token, expected):
        why = "no application token" if not auth.application_token else "another application token than ours"
        raise Forged(f"a robot's call from {_shown(auth.domain) or 'an unknown portal'} bears {why}")
    if member_id and auth.member_id and auth.member_id != member_id:
        raise Forged(f"a robot's call is of another portal ({_shown(auth.domain)}) than ours")
    given = mapping(form.get("properties"))
    if not given:
        raise BadEvent("a robot's call has no properties")
    documents = [text(part) for part in rows(form.get("document_id"))]
    document = next((part for part in reversed(documents) if re.fullmatch(r"[A-Z_0-9]{1,40}_[0-9]{1,15}", part)), "")
    waits = text(form.get("use_subscription")).upper() != "N"
    token = text(form.get("event_token"))[:500]
    said = {"code": text(form.get("code")), "workflow": text(form.get("workflow_id")), "document": document}
    digest = _digest({**said, "properties": _stringly(given)})
    return RobotCall(
        code=said["code"],
        document=document,
        number=re.split(r"[,;]\s*(?=[+78])", _first(given.get("phone")))[0][:100],
        user=_first(given.get("responsible")).removeprefix("user_"),
        text=_first(given.get("text")),
        token=token if waits else "",
        key=f"robot:{hashlib.sha256(token.encode()).hexdigest()[:32]}" if token else f"robot:{digest}",
        received=now,
    )


def _first(value: Json) -> str:
    """Of a property with several values the first that says something."""
    if isinstance(value, (dict, list)):
        return next((found for found in map(_first, rows(value)) if found), "")
    return text(value).strip()


def _digest(value: Json) -> str:
    canonical = json.dumps(_stringly(value), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def verify(given: str, expected: Collection[str]) -> bool:
    """Constant time for each expected token; an empty one never matches."""
    shown = given.encode("utf-8", "replace")
    matches = [hmac.compare_digest(shown, token.encode("utf-8", "replace")) for token in expected if token]
    return bool(given) and any(matches)


def offline_event(row: Mapping[str, Json], *, now: float) -> PortalEvent | None:
    """A row of event.offline.get or event.offline.list; None when it is no event."""
    name = text(row.get("EVENT_NAME")).upper()
    if not _NAME.match(name):
        return None
    at = moment(row.get("TIMESTAMP_X"))
    data = mapping(row.get("EVENT_DATA"))
    additional = mapping(row.get("EVENT_ADDITIONAL"))
    return PortalEvent(name, data, now if at is None else at, now, "offline", True, read_auth(additional.get("auth")))


def read_auth(block: Json) -> EventAuth:
    data = mapping(block)
    return EventAuth(
        domain=text(data.get("domain")),
        member_id=text(data.get("member_id")),
        client_endpoint=text(data.get("client_endpoint")),
        server_endpoint=text(data.get("server_endpoint")),
        user_id=text(data.get("user_id")),
        scope=text(data.get("scope")),
        expires_in=real(data.get("expires_in")) or 0.0,
        access_token=text(data.get("access_token")),
        refresh_token=text(data.get("refresh_token")),
        application_token=text(data.get("application_token")),
    )


def typed(event: PortalEvent) -> Typed | None:
    """The event's meaning, None for events that we have no use for. Raises BadEvent when what matters is missing."""
    data = event.data
    match event.name:
        case "ONEXTERNALCALLSTART":
            call, user = text(data.get("CALL_ID")), number(data.get("USER_ID"))
            if not call or not user:
                raise BadEvent(f"{event.name} has no {'USER_ID' if call else 'CALL_ID'}")
            return CallStartClick(
                portal_call=call,
                user_id=user,
                number=text(data.get("PHONE_NUMBER")),
                international=text(data.get("PHONE_NUMBER_INTERNATIONAL")),
                extension=text(data.get("EXTENSION")),
                line=text(data.get("LINE_NUMBER")),
                entity_type=text(data.get("CRM_ENTITY_TYPE")),
                entity_id=number(data.get("CRM_ENTITY_ID")),
                call_list_id=number(data.get("CALL_LIST_ID")),
                is_mobile=flag(data.get("IS_MOBILE")),
                at=event.at,
                received=event.received,
                key=event.key,
            )
        case "ONEXTERNALCALLBACKSTART":
            if not text(data.get("PHONE_NUMBER")):
                raise BadEvent(f"{event.name} has no PHONE_NUMBER")
            return CallbackRequested(
                number=text(data.get("PHONE_NUMBER")),
                text=text(data.get("TEXT")),
                voice=text(data.get("VOICE")),
                entity_type=text(data.get("CRM_ENTITY_TYPE")),
                entity_id=number(data.get("CRM_ENTITY_ID")),
                line=text(data.get("LINE_NUMBER")),
                at=event.at,
                received=event.received,
                key=event.key,
            )
        case "ONAPPINSTALL" | "ONAPPUPDATE" | "ONAPPUNINSTALL":
            return ApplicationChanged(event.name, text(data.get("VERSION")), event.auth)
        case _:
            return None


def _stringly(value: Json) -> Json:
    """Online values are all strings, offline ones are not: made equal for the digest."""
    if isinstance(value, dict):
        return {str(key): _stringly(inner) for key, inner in mapping(value).items()}
    if isinstance(value, list):
        return [_stringly(inner) for inner in cast("list[Json]", value)]
    return text(value) if not isinstance(value, bool) else str(int(value))


def _shown(given: str) -> str:
    """Foreign text, fit for a log line."""
    return re.sub(r"[^A-Za-z0-9.:/_-]", "?", given)[:100]
