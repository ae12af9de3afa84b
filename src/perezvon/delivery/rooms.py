"""Which room asks for which kind of step that takes several requests beside the lane (after.py). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.values import text
from perezvon.delivery import announcing, binding, filling
from perezvon.delivery.after import Ask, Next, Room, Told
from perezvon.rules.vocabulary import Kind, Reason
from perezvon.storage.lanes import NEEDS_FAILED
from perezvon.storage.steps import State, Step

ROOMS: Mapping[Kind, Room] = {
    Kind.FILL: Room(filling.next_of, filling.told),
    Kind.BIND: Room(binding.next_of, binding.told),
    Kind.ANNOUNCE: Room(announcing.next_of, announcing.told),
}


def next_of(step: Step, steps: Sequence[Step], now: float) -> Next:
    if step.kind is Kind.ANNOUNCE and "finish" not in step.params:
        return ROOMS[step.kind].next(step, steps, now)
    finish = next((one for one in steps if one.kind is Kind.FINISH and one.key == text(step.params.get("finish"))), None)
    if finish is None or finish.state in (State.DEAD, State.SKIPPED):
        return Reason(NEEDS_FAILED.text, {"kind": Kind.FINISH.value})
    return ROOMS[step.kind].next(step, steps, now)


def told(step: Step, asked: Ask, answer: Answer | PortalError, steps: Sequence[Step]) -> Told:
    return ROOMS[step.kind].told(step, asked, answer, steps)
