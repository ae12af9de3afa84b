"""Calls that somebody has ordered of us: a robot of the portal's funnels, a visitor by a callback form, or a page. Pure.

Unlike a click such a call is not registered by the portal: we do, once. Of a callback form several employees may be rung
one after another; each is a call on the PBX, and only the one in which somebody has come to the phone is told (`held` until
then). When nobody has, `not_called` tells of it.

Source: contract.json, events.ONEXTERNALCALLBACKSTART, methods bizproc.event.send, telephony.externalCall.register.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perezvon.calls.call import Call, Outcome, Party, iso
from perezvon.rules.triggers import late_trigger
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft

CALLBACK = 4
"""TYPE of a registration."""
SOURCE = "CALLBACK"
"""STATUS_ID of the portal's directory of sources for what a callback form brings, unless the line has its own."""

REGISTRABLE = frozenset({"CONTACT", "COMPANY", "LEAD"})
"""What a registration may name. A deal is found by its contact."""

NOT_CALLED = Reason("callback form: nobody came to the phone, the client was not dialled")
HELD = Reason("callback form: {extension} did not come to the phone, the portal is not told of this attempt")


class Ordered(StrEnum):
    """Who has ordered it. `PAGE`: somebody who looks at the clients that were missed."""

    ROBOT = "robot"
    CALLBACK = "callback"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Order:
    """`key`: of the order, unique in the portal. `user`: who is rung. `entity_type`: LEAD, DEAL, … or ""; `line`: as the
    portal names it. `text`: what the form, or the robot, says. `token`: with which a robot waits for its answer."""

    key: str
    ordered: Ordered
    number: str
    user: str = ""
    entity_type: str = ""
    entity_id: str = ""
    line: str = ""
    text: str = ""
    token: str = ""

    @property
    def lane(self) -> str:
        """Of what is told when no call came of it."""
        return f"order:{self.key}"

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Order:
        return cls(**dict(body, ordered=Ordered(body["ordered"])))


def called(call: Call) -> bool:
    """Whether the employee came to the phone: the client was dialled then."""
    return call.answered is not None or any(leg.party is Party.CLIENT for leg in call.legs)


def registration(order: Order, source: str) -> dict[str, Json]:
    """What is different in the registration of an ordered call. `source`: the line's."""
    params: dict[str, Json] = {}
    if order.ordered is Ordered.CALLBACK:
        params |= {"TYPE": CALLBACK, "CRM_SOURCE": source or SOURCE}
    if order.entity_type in REGISTRABLE and order.entity_id.isdecimal():
        params |= {"CRM_ENTITY_TYPE": order.entity_type, "CRM_ENTITY_ID": int(order.entity_id), "CRM_CREATE": 0}
    return params


def answer(order: Order, result: str, seconds: int, log: str, reason: Reason) -> StepDraft:
    """What the robot is told, once. `result`: answered, no_answer, busy, cancelled, failed, or employee (who did not come
    to the phone) and refused; `seconds`: how long they talked."""
    params: dict[str, Json | Ref] = {
        "EVENT_TOKEN": order.token,
        "RETURN_VALUES": {"result": result, "duration": seconds},
        "LOG_MESSAGE": log,
    }
    return StepDraft(f"{order.lane}:answer", Kind.ROBOT_ANSWER, params, Priority.FINISH, reason)


def answer_of(order: Order, call: Call) -> StepDraft:
    """The same when the call is over."""
    outcome = call.outcome or Outcome.FAILED
    result = str(outcome) if called(call) else "employee"
    reason = Reason("the robot of the portal is told: {result}", {"result": result})
    seconds = max(1, round(call.duration)) if call.answered is not None else 0
    return answer(order, result, seconds, str(reason), reason)


def not_called(
    order: Order, user: str, phone: str, line: str, source: str, at: float, installation: str, *, late: bool, reason: Reason
) -> Sequence[StepDraft]:
    """A callback form for which no client was dialled: the portal gets a call back that did not come about. `phone`,
    `line`: as the portal shall have them; `at`: when the form was sent (POSIX seconds); `late`: the trigger is pulled."""
    params: dict[str, Json | Ref] = {
        "USER_ID": int(user),
        "PHONE_NUMBER": phone,
        "CALL_START_DATE": iso(at),
        "CRM_CREATE": 1,
        "SHOW": 0,
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": f"{installation}-{order.key}"[:100],
        **registration(order, source),
    }
    if line:
        params["LINE_NUMBER"] = line
    finish: dict[str, Json | Ref] = {
        "CALL_ID": Ref(Kind.REGISTER, "CALL_ID"),
        "USER_ID": int(user),
        "DURATION": 0,
        "STATUS_CODE": "304",
        "ADD_TO_CHAT": 0,
    }
    steps = [
        StepDraft(f"{order.lane}:register", Kind.REGISTER, params, Priority.FINISH, reason),
        StepDraft(f"{order.lane}:finish", Kind.FINISH, finish, Priority.FINISH, reason),
    ]
    return [*steps, late_trigger(f"{order.lane}:finish")] if late else steps
