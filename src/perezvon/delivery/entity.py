"""How a hook changes the CRM object of a call: it is read, the hook sees it, and what the hook wants is written. Pure.

read (crm.item.get) -> held, until the hook was asked (customising.py) -> write (crm.item.update)

Which object it is, the portal says in its answer to the finish. Writing the same twice has the effect of once.
Source: contract.json, methods crm.item.get, crm.item.update, telephony.externalCall.finish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.bitrix24 import methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.values import Json, mapping, number, rows, text
from perezvon.delivery.activity import refused
from perezvon.rules.vocabulary import Kind, Reason
from perezvon.storage.steps import Settled, State, Step

NO_ENTITY = Reason("not sent: the call has no object in the CRM")
GONE = Reason("not sent: the CRM object has been deleted in the portal")

TYPES = {"LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4}


@dataclass(frozen=True, slots=True)
class ReadEntity:
    """Asks for the object as it is."""

    type: str
    id: int

    method = methods.GET_ITEM

    @property
    def params(self) -> dict[str, Any]:
        return {"entityTypeId": TYPES[self.type], "id": self.id, "useOriginalUfNames": "Y"}


def entity_of(step: Step, finish: Step | None) -> ReadEntity | str | None:
    """The call's object; None while the call is not finished, "" where it has none."""
    told = mapping(step.result)
    if told.get("type") in TYPES:
        return ReadEntity(text(told["type"]), int(told["id"]))
    if finish is None or finish.state is not State.DONE:
        return None
    answer = mapping(finish.result)
    type_, id_ = text(answer.get("CRM_ENTITY_TYPE")), number(answer.get("CRM_ENTITY_ID"))
    return ReadEntity(type_, int(id_)) if type_ in TYPES and id_ not in ("", "0") else ""


def known(step: Step) -> bool:
    """Whether the hook has said what is to be written."""
    return "fields" in mapping(step.result)


def params_of(step: Step) -> dict[str, Json]:
    told = mapping(step.result)
    type_ = text(told.get("type"))
    return {
        "entityTypeId": TYPES[type_],
        "id": told.get("id"),
        "fields": dict(mapping(told.get("fields"))),
        "useOriginalUfNames": "Y",
    }


def size_of(step: Step) -> int:
    """Characters, about."""
    return sum(len(str(value)) for value in mapping(mapping(step.result).get("fields")).values())


def was_read(step: Step, asked: ReadEntity, outcome: Answer | PortalError, lane: Sequence[Step]) -> Settled:
    if isinstance(outcome, PortalError):
        return refused(step, outcome, step.result, GONE)
    found = mapping(mapping(outcome.result).get("item"))
    told = {"type": asked.type, "id": asked.id, "is_new": _is_new(asked, lane), "found": dict(found)}
    return Settled(step.id, State.HELD, told, note=step.note)


def was_written(step: Step, outcome: Answer | PortalError) -> Settled:
    if isinstance(outcome, PortalError):
        return refused(step, outcome, step.result, GONE)
    told = {name: value for name, value in mapping(step.result).items() if name != "found"}
    return Settled(step.id, State.DONE, told, note=step.note)


def _is_new(asked: ReadEntity, lane: Sequence[Step]) -> bool:
    """Whether the call's registration has made it."""
    for step in lane:
        if step.kind is Kind.REGISTER and step.state is State.DONE:
            told = mapping(step.result)
            if asked.type == "LEAD" and number(told.get("CRM_CREATED_LEAD")) == str(asked.id):
                return True
            for row in map(mapping, rows(told.get("CRM_CREATED_ENTITIES"))):
                if text(row.get("ENTITY_TYPE")) == asked.type and number(row.get("ENTITY_ID")) == str(asked.id):
                    return True
    return False
