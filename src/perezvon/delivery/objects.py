"""Which objects of the CRM a call has, and which of them it has made: as far as the portal's answers in its lane say. Pure.

Where the answer to the registration was lost, and of a click (which the portal registers itself), nobody has said what was
made: then the object's own moment of creation does (`made_by_call`).

Sources: contract.json, telephony.externalCall.register, finish; crm.lead.get (DATE_CREATE).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perezvon.bitrix24.values import Json, mapping, moment, number, real, rows, text
from perezvon.delivery.kinds import HEARD_AT
from perezvon.rules.vocabulary import Kind
from perezvon.storage.steps import State, Step

SLACK = 60.0
"""Seconds by which an object may be older than the call by the PBX's clock and still be of the call."""

_TOLD = ("CRM_CREATED_ENTITIES", "CRM_CREATED_LEAD")


@dataclass(frozen=True, slots=True)
class CallObjects:
    """`created`: id by type (LEAD, CONTACT, …); `told`: the portal has said what it made. `main`: type and id of the object
    that the call belongs to. `activity`, ids: "" for none."""

    created: Mapping[str, str]
    told: bool
    main: tuple[str, str]
    activity: str

    def of(self, type_: str) -> str:
        """The id of the call's object of that type."""
        return self.created.get(type_) or (self.main[1] if self.main[0] == type_ else "")

    def new(self, type_: str) -> bool | None:
        """Whether the call has made it; None where that has to be looked up."""
        if type_ in self.created:
            return True
        return False if self.told else None


def objects_of(steps: Sequence[Step], finish_key: str) -> CallObjects | None:
    """None while the call is not finished."""
    finish = next((one for one in steps if one.kind is Kind.FINISH and one.key == finish_key), None)
    if finish is None or finish.state is not State.DONE:
        return None
    registers = [mapping(one.result) for one in steps if one.kind is Kind.REGISTER and one.state is State.DONE]
    created: dict[str, str] = {}
    for answer in registers:
        for row in map(mapping, rows(answer.get("CRM_CREATED_ENTITIES"))):
            created.setdefault(text(row.get("ENTITY_TYPE")), number(row.get("ENTITY_ID")))
        if lead := number(answer.get("CRM_CREATED_LEAD")):
            created.setdefault("LEAD", lead)
    answers = [mapping(finish.result), *registers]
    named = ((text(one.get("CRM_ENTITY_TYPE")), number(one.get("CRM_ENTITY_ID"))) for one in answers)
    return CallObjects(
        created={type_: found for type_, found in created.items() if type_ and found},
        told=bool(registers) and all(any(name in answer for name in _TOLD) for answer in registers),
        main=next(((type_, found) for type_, found in named if type_ and found), ("", "")),
        activity=number(mapping(finish.result).get("CRM_ACTIVITY_ID")),
    )


def made_by_call(created: Json, step: Step) -> bool:
    """`created`: the object's DATE_CREATE."""
    at, began = moment(created), real(step.params.get("started"))
    return at is not None and began is not None and at >= began - SLACK


def address(portal: str, type_: str, number_: str) -> str:
    """Of the object's page."""
    return f"{portal}/crm/{type_.lower()}/details/{number_}/" if type_ and number_ else ""


def ended(steps: Sequence[Step]) -> bool:
    """Whether the call's recording has come, or will not: nothing of it is under way."""
    records = [one for one in steps if one.kind is Kind.ATTACH_RECORD or HEARD_AT in one.params]
    return bool(records) and all(one.state in (State.DONE, State.DEAD, State.SKIPPED) for one in records)
