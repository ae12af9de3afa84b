"""The address under which a call's recording can be heard, for texts that name it. Pure.

A recording that stays here has the address that was given to the portal; of one that was uploaded the portal's statistics
tell it. Source: contract.json, voximplant.statistic.get (CALL_RECORD_URL).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perezvon.bitrix24 import methods
from perezvon.bitrix24.values import Json, mapping, rows, text
from perezvon.delivery.after import Ask, Later, awaits_recording
from perezvon.delivery.kinds import HEARD_AT
from perezvon.rules.templates import late
from perezvon.rules.vocabulary import Kind
from perezvon.storage.steps import State, Step

STAGE = "recording"


def wanted(texts: Iterable[Json], step: Step, steps: Sequence[Step], finish_key: str, now: float) -> Ask | Later | None:
    """What is to be done before the address is known; None when it is, or there is none, or none of the texts (in parts)
    names it."""
    if "url" in mapping(step.result) or not any("recording" in late(rows(parts)) for parts in texts):
        return None
    if (later := awaits_recording(step, steps, now)) is not None:
        return later
    return None if given(steps) else ask(steps, finish_key)


def given(steps: Sequence[Step]) -> str:
    """The address that the portal was told, with the recording or in the activity's text."""
    told = (text(one.params.get(HEARD_AT) or one.params.get("RECORD_URL")) for one in reversed(steps))
    return next(filter(None, told), "")


def ask(steps: Sequence[Step], finish_key: str) -> Ask | None:
    """None where there is none to be asked for."""
    if not any(one.kind is Kind.ATTACH_RECORD and one.state is State.DONE for one in steps):
        return None
    finish = next((one for one in steps if one.kind is Kind.FINISH and one.key == finish_key), None)
    call = text(mapping(finish.result).get("CALL_ID")) if finish is not None else ""
    return Ask(STAGE, methods.STATISTIC, methods.statistic_filter(call_id=call)) if call else None


def read(asked: Ask, result: Json) -> str:
    """The portal drops a filter that it does not know: a foreign row is never ours."""
    wanted = text(mapping(asked.params.get("FILTER")).get("CALL_ID"))
    for row in map(mapping, rows(result)):
        if text(row.get("CALL_ID")) == wanted:
            return text(row.get("CALL_RECORD_URL"))
    return ""
