"""The points at which hooks are asked: when, for how long, what they are given, what may come back. Pure.

Each hook takes one dictionary and returns what stands below as its answer. What comes back is checked (checks.py); nonsense
is refused, and the default stands. At a point that `cancels`, `None` (or an empty dictionary or list) cancels the request
that would follow; elsewhere it is nonsense, so that a forgotten `return` changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NotRequired, TypedDict

from perezvon.customisation import checks
from perezvon.customisation.samples import CALL

Stage = Literal["conversation_requested", "conversation_accepted", "conversation_ended", "call_ended"]


class Leg(TypedDict):
    channel: str
    party: str
    extension: str
    rang: str | None
    answered: str | None
    ended: str | None
    outcome: str | None


class CallData(TypedDict):
    """The call as far as it is known: the record of `perezvon replay`, and how the PBX itself names client and line. Times
    are ISO 8601, UTC; `duration` seconds of talk; numbers E.164."""

    id: str
    pbx: str
    direction: Literal["incoming", "outgoing", "internal"]
    client: str
    client_raw: str
    client_name: str
    line: str
    line_raw: str
    trunk: str
    started: str
    answered: str | None
    ended: str | None
    outcome: str | None
    duration: float
    rung: list[str]
    talkers: list[str]
    last_talker: str | None
    transfers: list[Any]
    picked_up_by: str | None
    forwarded_to: str | None
    queue: str | None
    menu: list[str]
    third_parties: list[str]
    recordings: list[str]
    legs: list[Leg]


class OfCall(TypedDict):
    call: CallData
    stage: Stage


class Phone(OfCall):
    phone: str


class Request(OfCall):
    """`params`: of the portal's method, in its words; CALL_ID is ours to put in."""

    params: dict[str, Any]


class Registration(TypedDict):
    """What the portal answered to telephony.externalCall.register."""

    CALL_ID: str
    CRM_CREATED_LEAD: NotRequired[Any]
    CRM_ENTITY_TYPE: NotRequired[Any]
    CRM_ENTITY_ID: NotRequired[Any]


class Registered(TypedDict):
    call: CallData
    params: dict[str, Any]
    registration: Registration


class Distribution(TypedDict):
    """Whom a caller is to be connected with. `entity`: what the CRM knows of him."""

    call: CallData
    found: dict[str, Any]


class Click(TypedDict):
    user_id: str
    extension: str
    number: str
    line: str


class Originated(TypedDict):
    """`params`: channel, context, extension (whom the dialplan dials), priority, caller_id, timeout, variables."""

    click: Click
    params: dict[str, Any]


class RecordFile(TypedDict):
    call: CallData
    pbx: str
    path: str


class Attached(TypedDict):
    call: CallData
    params: dict[str, Any]


class Activity(OfCall):
    fields: dict[str, Any]


class Entity(TypedDict):
    """`fields`: as crm.item.get tells them (user fields by their own names, UF_CRM_…)."""

    type: Literal["lead", "deal", "contact", "company"]
    id: int
    is_new: bool
    fields: dict[str, Any]


class EntityOfCall(TypedDict):
    call: CallData
    entity: Entity


class Task(TypedDict):
    call: CallData
    fields: dict[str, Any]


class MenuOfLine(TypedDict):
    """`scenario`: {"intro": name, "buttons": [{"key", "prompt", "to"}]}; None for straight to Bitrix24."""

    line: str
    caller: str
    scenario: dict[str, Any] | None


class Code(TypedDict):
    """`number`: what the tables say, as the PBX dials it; "" for a code that they do not know."""

    code: str
    number: str


class Point(StrEnum):
    NEED_REGISTRATION = "need_registration"
    PROCESS_CLIENT_PHONE = "process_client_phone"
    PROCESS_USER_PHONE = "process_user_phone"
    PROCESS_REGISTRATION_PARAMS = "process_registration_params"
    POST_REGISTRATION = "post_registration"
    CUSTOMIZE_SHOW_CALL_CARD = "customize_show_call_card"
    CUSTOMIZE_AUTODISTRIBUTION = "customize_autodistribution"
    PROCESS_ORIGINATE_PARAMS = "process_originate_params"
    PROCESS_FINAL_PARAMS = "process_final_params"
    PROCESS_RECORD_FILE_PATH = "process_record_file_path"
    CUSTOMIZE_ATTACH_RECORD_URL = "customize_attach_record_url"
    CUSTOMIZE_ACTIVITY = "customize_activity"
    CUSTOMIZE_ENTITY = "customize_entity"
    PROCESS_TASK_CREATION_PARAMS = "process_task_creation_params"
    CUSTOMIZE_MENU = "customize_menu"
    CUSTOMIZE_THIRD_PARTY = "customize_third_party"


@dataclass(frozen=True, slots=True)
class PointRules:
    """`title`: when it is asked. `urgent`: somebody waits: a phone rings, a caller hears nothing. `subject`: the key of
    what it is given to change ("" for points that only say something). `cancels`: None cancels the request that would
    follow. `check(answer, given)`: the answer as it is taken; raises Nonsense. `sample`: an example of what it is given."""

    title: str
    takes: type
    subject: str
    check: Callable[[Any, Any], Any]
    sample: Mapping[str, Any]
    urgent: bool = False
    cancels: bool = False

    def default(self, data: Mapping[str, Any]) -> Any:
        """What stands without a hook."""
        return data[self.subject] if self.subject else None


_OF_CALL: dict[str, Any] = {"call": CALL, "stage": "conversation_requested"}
_ENDED: dict[str, Any] = {"call": CALL, "stage": "call_ended"}
_REGISTER = {
    "USER_ID": 11,
    "PHONE_NUMBER": "+79161234567",
    "TYPE": 2,
    "CALL_START_DATE": "2026-11-21T09:00:00.000+00:00",
    "CRM_CREATE": 1,
    "SHOW": 0,
    "ADD_TO_CHAT": 0,
    "EXTERNAL_CALL_ID": "inst-main-1795251052.12",
    "LINE_NUMBER": "+74951234567",
    "CRM_SOURCE": "CALL",
}

POINTS: Mapping[Point, PointRules] = {
    Point.NEED_REGISTRATION: PointRules(
        "before a call is registered in the portal, at each stage until it is: whether it shall be",
        OfCall,
        "",
        checks.boolean,
        _OF_CALL,
        urgent=True,
    ),
    Point.PROCESS_CLIENT_PHONE: PointRules(
        "before a call is registered: the client's number as the CRM shall have it",
        Phone,
        "phone",
        checks.phone,
        {**_OF_CALL, "phone": "+79161234567"},
        urgent=True,
    ),
    Point.PROCESS_USER_PHONE: PointRules(
        "before the employee of an extension is looked for: the extension that the portal knows",
        Phone,
        "phone",
        checks.extension,
        {**_OF_CALL, "phone": "7101"},
        urgent=True,
    ),
    Point.PROCESS_REGISTRATION_PARAMS: PointRules(
        "before telephony.externalCall.register",
        Request,
        "params",
        checks.registration,
        {**_OF_CALL, "params": _REGISTER},
        urgent=True,
        cancels=True,
    ),
    Point.POST_REGISTRATION: PointRules(
        "after telephony.externalCall.register was answered: to do something of your own",
        Registered,
        "",
        checks.anything,
        {"call": CALL, "params": _REGISTER, "registration": {"CALL_ID": "externalCall.abc", "CRM_CREATED_LEAD": 5}},
    ),
    Point.CUSTOMIZE_SHOW_CALL_CARD: PointRules(
        "before telephony.externalCall.show",
        Request,
        "params",
        checks.card,
        {**_OF_CALL, "params": {"USER_ID": [11, 12]}},
        urgent=True,
        cancels=True,
    ),
    Point.CUSTOMIZE_AUTODISTRIBUTION: PointRules(
        "before a caller is connected with the employee responsible: whom to ring",
        Distribution,
        "found",
        checks.distribution,
        {"call": CALL, "found": {"extension": "101", "name": "Иванов / ООО Ромашка", "entity": {"type": "lead", "id": 5}}},
        urgent=True,
        cancels=True,
    ),
    Point.PROCESS_ORIGINATE_PARAMS: PointRules(
        "after a click on a number, before the PBX is told to dial",
        Originated,
        "params",
        checks.originate,
        {
            "click": {"user_id": "11", "extension": "101", "number": "+79161234567", "line": "+74951234567"},
            "params": {
                "channel": "PJSIP/101",
                "context": "from-internal",
                "extension": "79161234567",
                "priority": 1,
                "caller_id": "+79161234567",
                "timeout": 30.0,
                "variables": {},
            },
        },
        cancels=True,
    ),
    Point.PROCESS_FINAL_PARAMS: PointRules(
        "before telephony.externalCall.finish",
        Request,
        "params",
        checks.final,
        {**_ENDED, "params": {"USER_ID": 11, "DURATION": 42, "STATUS_CODE": "200", "ADD_TO_CHAT": 0}},
        cancels=True,
    ),
    Point.PROCESS_RECORD_FILE_PATH: PointRules(
        "before a recording is looked for: its path as the PBX names it",
        RecordFile,
        "path",
        checks.path,
        {"call": CALL, "pbx": "main", "path": "2026/11/21/in-101-1795251052.12.wav"},
        cancels=True,
    ),
    Point.CUSTOMIZE_ATTACH_RECORD_URL: PointRules(
        "before telephony.externalCall.attachRecord",
        Attached,
        "params",
        checks.attached,
        {"call": CALL, "params": {"FILENAME": "main-1795251052.12-1.mp3"}},
        cancels=True,
    ),
    Point.CUSTOMIZE_ACTIVITY: PointRules(
        "at the end of a call: fields of its activity",
        Activity,
        "fields",
        checks.fields,
        {**_ENDED, "fields": {"DESCRIPTION": "Голосовое меню\n09:00:03 нажато 2"}},
        cancels=True,
    ),
    Point.CUSTOMIZE_ENTITY: PointRules(
        "at the end of a call: fields of its lead, contact, company or deal; only what is to be changed",
        EntityOfCall,
        "",
        checks.changes,
        {"call": CALL, "entity": {"type": "lead", "id": 5, "is_new": True, "fields": {"title": "+79161234567"}}},
        cancels=True,
    ),
    Point.PROCESS_TASK_CREATION_PARAMS: PointRules(
        "before the task of a missed call is made",
        Task,
        "fields",
        checks.task,
        {
            "call": CALL,
            "fields": {
                "TITLE": "Перезвонить +79161234567",
                "DESCRIPTION": "",
                "RESPONSIBLE_ID": "11",
                "DEADLINE": "2026-11-21T10:00:00+00:00",
                "PRIORITY": 1,
            },
        },
        cancels=True,
    ),
    Point.CUSTOMIZE_MENU: PointRules(
        "when a caller comes to a line with a voice menu: what he is asked",
        MenuOfLine,
        "scenario",
        checks.scenario,
        {
            "line": "+74951234567",
            "caller": "+79161234567",
            "scenario": {
                "intro": "hello",
                "buttons": [{"key": "1", "prompt": "sales", "to": "101"}, {"key": "2", "prompt": "service", "to": "102"}],
            },
        },
        urgent=True,
        cancels=True,
    ),
    Point.CUSTOMIZE_THIRD_PARTY: PointRules(
        "when a manager has entered a code in the conference: whom it means",
        Code,
        "number",
        checks.dialled,
        {"code": "55", "number": "74957654321"},
        urgent=True,
        cancels=True,
    ),
}
