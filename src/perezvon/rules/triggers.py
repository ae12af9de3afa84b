"""Triggers of the portal's funnels that a call pulls: it was missed, a key was pressed, nobody called back. Pure.

A trigger belongs to a lead or a deal. Which one that is, is known when the portal has finished the call: the step refers to
that finish (delivery/triggers.py).

Source: contract.json, methods crm.automation.trigger.*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perezvon.calls.facts import MenuStep
from perezvon.rules.notes import Notes
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft

PREFIX = "perezvon."
MISSED = f"{PREFIX}missed"
LATE = f"{PREFIX}late"

PULLED_FOR_MISSED = Reason("the portal's trigger for missed calls is pulled")
PULLED_FOR_KEY = Reason("the portal's trigger for the key {key} of the menu is pulled")
PULLED_FOR_LATE = Reason("the portal's trigger for clients who were not called back is pulled")

_SIGNS = {"*": "star", "#": "pound"}


@dataclass(frozen=True, slots=True)
class Triggers:
    """Those that the portal has. `keys`: of the menu."""

    missed: bool = False
    late: bool = False
    keys: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.missed or self.late or bool(self.keys)


def menu_code(key: str) -> str:
    """A code has Latin letters, digits, dots, hyphens and underscores only."""
    return f"{PREFIX}menu.{'.'.join(_SIGNS.get(sign, sign) for sign in key)}"


def pulled(triggers: Triggers, notes: Notes, first: str, missed: str) -> list[StepDraft]:
    """`first`: the key of the finish of the call's first portal call, "" for none; `missed`: of the one that nobody
    answered. `notes`: of the whole call."""
    steps: list[StepDraft] = []
    for key in dict.fromkeys(_pressed(notes)) if first else ():
        if key in triggers.keys:
            reason = Reason(PULLED_FOR_KEY.text, {"key": key})
            steps.append(_step(first, menu_code(key), reason))
    if triggers.missed and missed:
        steps.append(_step(missed, MISSED, PULLED_FOR_MISSED))
    return steps


def late_trigger(finish: str) -> StepDraft:
    """For the objects of the call with this finish."""
    return _step(finish, LATE, PULLED_FOR_LATE)


def late_by_number(key: str, client: str) -> StepDraft:
    """For whatever the portal knows of a client's number (E.164)."""
    return StepDraft(f"{key}:{LATE}", Kind.TRIGGER, {"CODE": LATE, "phone": client}, Priority.CRM, PULLED_FOR_LATE)


def _step(finish: str, code: str, reason: Reason) -> StepDraft:
    params: dict[str, Json | Ref] = {"CODE": code, "of": Ref(Kind.FINISH, "CALL_ID", finish)}
    return StepDraft(f"{finish}:{code}", Kind.TRIGGER, params, Priority.CRM, reason)


def _pressed(notes: Notes) -> Iterable[str]:
    """Each key; of an ordinary menu, whose keys come one by one, also what they make together."""
    keys = [moment.key for moment in notes.menu if moment.step is MenuStep.KEY]
    together = "".join(keys)
    return [*keys, together] if not notes.scripted and re.fullmatch(r"[0-9*#]{2,4}", together) else keys


def codes(triggers: Triggers, keys: Sequence[str]) -> list[str]:
    """Of all of them, in order."""
    return [*([MISSED] if triggers.missed else []), *map(menu_code, keys), *([LATE] if triggers.late else [])]
