"""What number rules make of a number, rule by rule, as the command and the pages tell it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.rules.numbers import Formatted, NumberRule
from perezvon.rules.vocabulary import Reason

MATCHES = Reason("matches")
REFUSED = Reason("matches, but its result is refused")
NO_MATCH = Reason("does not match")
OTHER_LINE = Reason("is for another line")
NOT_TRIED = Reason("not tried any more")


@dataclass(frozen=True, slots=True)
class Tried:
    """In one direction. `told`: what goes out, whatever `outcome` says; "" where nothing can be dialled. `reasons`: why it
    is not E.164."""

    rules: Sequence[NumberRule]
    line: str
    outcome: Formatted
    told: str
    reasons: tuple[Reason, ...]

    def verdict(self, index: int) -> Reason:
        matched = self.outcome.rule
        if matched == index:
            return REFUSED if self.outcome.refused else MATCHES
        if matched is not None and index > matched:
            return NOT_TRIED
        return NO_MATCH if self.rules[index].is_for(self.line) else OTHER_LINE

    def as_json(self) -> dict[str, Any]:
        rules = [
            {"match": rule.match, "replace": rule.replace, "name": rule.name, "verdict": str(self.verdict(index))}
            for index, rule in enumerate(self.rules)
        ]
        reasons = [str(reason) for reason in self.reasons]
        return {"result": self.told, "rule": self.outcome.rule, "reasons": reasons, "rules": rules}


@dataclass(frozen=True, slots=True)
class NumberTrial:
    """`understood`: as E.164, else its digits; "" for none. `line_known`: whether the settings name the line."""

    number: str
    line: str
    line_known: bool
    understood: str
    to_crm: Tried
    to_pbx: Tried

    @property
    def refused(self) -> bool:
        return self.to_crm.outcome.refused or self.to_pbx.outcome.refused

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "line": self.line,
            "understood": self.understood,
            "to_crm": self.to_crm.as_json(),
            "to_pbx": self.to_pbx.as_json(),
        }
