"""What a portal would be asked for a decision, as JSON: for `perezvon replay`, and for the page of a call. Pure.

What depends on the portal's answers has a name in its place (`$task`, `$object`, `$result[…]`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perezvon.bitrix24 import methods
from perezvon.delivery.kinds import KINDS
from perezvon.rules import Decision, Kind, Ref, StepDraft
from perezvon.rules.templates import LATE, finished

TASK = "$task"
"""In place of the number of the client's task."""

OBJECT = "$object"
"""In place of the number of an object of the CRM, and of an address that is known only when the portal has answered."""


def foretold(decision: Decision) -> dict[str, Any]:
    """The reason, and the requests."""
    return {
        "reason": str(decision.reason),
        "requests": [asked for step in decision.steps for asked in (_of_task(step) or _after(step) or [request(step)])],
    }


def _of_task(step: StepDraft) -> list[dict[str, Any]]:
    """The requests for a client's task, as far as they do not depend on what is found there; empty for other steps."""
    params: Mapping[str, Any] = step.params
    asked: list[tuple[str, dict[str, Any]]] = []
    if step.kind is Kind.MISSED_TASK and not params["change"]:
        asked = [(methods.ADD_TASK, {"fields": {**params["task"], "RESPONSIBLE_ID": params["chain"][0]}})]
    elif step.kind in (Kind.MISSED_TASK, Kind.CLOSE_TASK):
        fields = {"POST_MESSAGE": params["comment"]}
        asked = [(methods.UPDATE_TASK, {"taskId": TASK, "fields": params["change"]})] if params.get("change") else []
        asked.append((methods.ADD_COMMENT, {"TASKID": TASK, "FIELDS": fields}))
        asked += [(methods.COMPLETE_TASK, {"taskId": TASK})] if params.get("close") else []
    common = {"priority": step.priority.name.lower(), "reason": str(step.reason)}
    return [{"method": method, "params": with_, **common} for method, with_ in asked]


def _after(step: StepDraft) -> list[dict[str, Any]]:
    """What is written into the CRM or told after the call, as far as that does not depend on what is found there."""
    params: Mapping[str, Any] = step.params
    late: dict[str, str] = dict.fromkeys(LATE, OBJECT)
    if step.kind is Kind.FILL:
        of = params["object"]
        method = methods.UPDATE_ACTIVITY if of == "activity" else f"{methods.OBJECT[of]}.update"
        fields = {one["name"]: one.get("value") or finished(one["parts"], late) for one in params["fields"]}
        asked = [(method, {"id": OBJECT, "fields": fields})]
    elif step.kind is Kind.ANNOUNCE:
        to, message = params["to"], finished(params["parts"], late)
        chat = to.startswith("chat")
        named = {"DIALOG_ID": to} if chat else {"USER_ID": to}
        asked = [(methods.ADD_MESSAGE if chat else methods.NOTIFY, {**named, "MESSAGE": message})]
    elif step.kind is Kind.BIND:
        asked = [(methods.BIND_ACTIVITY, {"activityId": OBJECT, "deals": params["deals"], "leads": params["leads"]})]
    elif step.kind is Kind.TRIGGER:
        asked = [(methods.EXECUTE_TRIGGER, {"CODE": params["CODE"], "OWNER_TYPE_ID": OBJECT, "OWNER_ID": OBJECT})]
    else:
        return []
    common = {"priority": step.priority.name.lower(), "reason": str(step.reason)}
    return [{"method": method, "params": with_, **common} for method, with_ in asked]


def request(step: StepDraft) -> dict[str, Any]:
    """What the portal would be asked, as JSON."""
    return {
        "method": KINDS[step.kind].method,
        "params": {name: _value(value) for name, value in step.params.items()},
        "priority": step.priority.name.lower(),
        "reason": str(step.reason),
    }


def _value(value: Any) -> Any:
    return f"$result[{value.key or value.kind.value}][{value.field}]" if isinstance(value, Ref) else value
