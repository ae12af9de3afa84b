"""The words of decisions: what is to be asked of the portal, in which order, how urgently, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

Json = Any


class Kind(StrEnum):
    """What a step does. Each kind has one REST method and one "was it done?" check (delivery/kinds.py)."""

    REGISTER = "register"
    SHOW = "show"
    HIDE = "hide"
    FINISH = "finish"
    DESCRIBE = "describe"
    ENTITY = "entity"
    ATTACH_RECORD = "attach_record"
    MISSED_TASK = "missed_task"
    CLOSE_TASK = "close_task"
    REMIND_TASK = "remind_task"
    FILL = "fill"
    BIND = "bind"
    ANNOUNCE = "announce"
    TRIGGER = "trigger"
    ROBOT_ANSWER = "robot_answer"


class Priority(IntEnum):
    """Lower goes first when the portal's limit is short."""

    CARD = 0
    FINISH = 10
    CRM = 20
    RECORD = 30
    DIRECTORY = 40


@dataclass(frozen=True, slots=True)
class Reason:
    """Why. `text` is a gettext message id with `{name}` places, `args` fills them: with plain values, or with reasons that
    are translated as well."""

    text: str
    args: Mapping[str, str | Reason] = field(default_factory=dict[str, "str | Reason"])

    @classmethod
    def of(cls, told: str | Reason) -> Reason:
        """A text that nobody translates stands as it is."""
        return told if isinstance(told, Reason) else cls("{why}", {"why": told})

    def __str__(self) -> str:
        return self.text.format_map(self.args)

    def told(self, translate: Callable[[str], str]) -> str:
        """In the language of `translate` (a gettext function)."""
        places = {name: value.told(translate) if isinstance(value, Reason) else value for name, value in self.args.items()}
        return translate(self.text).format_map(places)

    def with_values(self, change: Callable[[str], str]) -> Reason:
        """The same with every plain value changed, however deep it stands."""
        places = {
            name: value.with_values(change) if isinstance(value, Reason) else change(value)
            for name, value in self.args.items()
        }
        return Reason(self.text, places)


@dataclass(frozen=True, slots=True)
class Ref:
    """The field of the result of an earlier step of the same lane: its value when that step is done, `$result[…]` when both
    ride in one batch. `key`: of that step; empty: the last one of that kind."""

    kind: Kind
    field: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class StepDraft:
    """One REST request to be made. `key` is unique in the portal for ever (the idempotency key).

    `expires`: POSIX seconds after which the step is useless and is skipped; only showing a card has one. `held`: not sent
    before a hook was asked about it (delivery/customising.py).
    """

    key: str
    kind: Kind
    params: Mapping[str, Json | Ref]
    priority: Priority
    reason: Reason
    expires: float | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, why, and what the portal is to be asked for. `unmapped`: extensions without a portal user.
    `left_out`: the filter for which the portal never hears of the call, told once. `unknown_line`: a company number that is
    not in the settings, once a call."""

    reason: Reason
    steps: tuple[StepDraft, ...] = ()
    unmapped: tuple[str, ...] = ()
    left_out: str = ""
    unknown_line: str = ""
