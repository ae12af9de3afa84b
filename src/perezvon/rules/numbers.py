"""Number rules: how a number is written for the portal, and how it is dialled by the PBX. Pure.

In both directions a rule sees the same: the number as E.164 (`+74951234567`) where it is understood, else its digits as
they came. The rules are tried in their order, each on the whole number; the first that matches decides, and no other is
tried. What it makes is looked at before it goes anywhere: what the portal would not take, or what is no row of keys (a dial
string must hold nothing else), is refused, and the number goes as it would without rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from perezvon.rules.patterns import LONGEST_NUMBER, UnfitRule, compiled
from perezvon.rules.vocabulary import Reason

PHONE = re.compile(r"\+?[0-9]{1,20}", re.ASCII)
"""The portal refuses to register anything else ("Unsupported phone number format", contract.json)."""

_KEYS = re.compile(r"[0-9*#+]{1,40}", re.ASCII)
_PLACE = re.compile(r"\\(?:(?P<number>[0-9]{1,2})|g<(?P<name>\w{1,50})>)", re.ASCII)

_TOLD = Reason("number rule {rule}: the portal is told {made} instead of {number}")
_NOT_TOLD = Reason("number rule {rule} makes {made} of {number}, which the portal takes for no number: not applied")
_DIALLED = Reason("number rule {rule}: {made} is dialled instead of {number}")
_NOT_DIALLED = Reason("number rule {rule} makes {made} of {number}, which cannot be dialled: not applied")
_TOO_LONG = Reason("{number}… is longer than any number: number rules are not tried on it")

_NO_GROUP = Reason(
    "there is no group {group} (at character {position}), match has {there}; before a digit write a group as \\g<1>"
)
_STRAY_BACKSLASH = Reason("the backslash at character {position} must begin a group, like \\1 or \\g<1>")
_NO_SIGN = Reason("{sign} at character {position} cannot be in such a number: only {signs} and groups like \\1 can")


class Towards(StrEnum):
    """Whom the number goes to. The names are those of the settings."""

    CRM = "to_crm"
    PBX = "to_pbx"


@dataclass(frozen=True, slots=True)
class NumberRule:
    """`match`: a regular expression for the whole number. `replace`: what it becomes, with groups as `\\1` or `\\g<name>`.
    `lines`: all names of the company number whose calls it is for; empty: of any. `name` is for people."""

    match: str
    replace: str
    name: str = ""
    lines: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        return self.name or self.match

    def is_for(self, line: str) -> bool:
        return not self.lines or line in self.lines

    def applied(self, number: str) -> str | None:
        """What it makes of the number; None when it does not match."""
        found = _compiled(self.match).fullmatch(number)
        if found is None:
            return None
        return _PLACE.sub(lambda place: found[_group(place)] or "", self.replace)


@dataclass(frozen=True, slots=True)
class Formatted:
    """`number`: what goes out, E.164 (towards the PBX without its +) unless a rule has changed it. `rule`: the index of the
    rule that matched; `refused`: what it made goes nowhere. `reason`: why the number is another one than without rules, or
    why it is not in spite of one; None when there is nothing to say."""

    number: str
    rule: int | None = None
    refused: bool = False
    reason: Reason | None = None


def formatted(number: str, line: str, rules: Sequence[NumberRule], towards: Towards) -> Formatted:
    """The number, E.164 or as it came, by the rules. `line`: the company's number that the call is of, "" when of none."""
    plain = _without_rules(number, towards)
    if not rules or not number:
        return Formatted(plain)
    if len(number) > LONGEST_NUMBER:
        return Formatted(plain, reason=Reason(_TOO_LONG.text, {"number": number[:LONGEST_NUMBER]}))
    for index, rule in enumerate(rules):
        made = rule.applied(number) if rule.is_for(line) else None
        if made is not None:
            return _checked(number, index, rule, made, towards)
    return Formatted(plain)


def _without_rules(number: str, towards: Towards) -> str:
    """Most dialplans do not know the plus."""
    return number if towards is Towards.CRM else number.removeprefix("+")


def _checked(number: str, index: int, rule: NumberRule, made: str, towards: Towards) -> Formatted:
    fits, changed, refused = (PHONE, _TOLD, _NOT_TOLD) if towards is Towards.CRM else (_KEYS, _DIALLED, _NOT_DIALLED)
    plain = _without_rules(number, towards)
    args = {"rule": rule.label, "number": number, "made": made[:80] or "—"}
    if fits.fullmatch(made) is None:
        return Formatted(plain, index, refused=True, reason=Reason(refused.text, args))
    return Formatted(made, index, reason=Reason(changed.text, args) if made != plain else None)


def check_rule(match: str, replace: str, towards: Towards) -> None:
    """Raises UnfitRule, with the character at which it is wrong, counted from 1."""
    pattern = compiled(match)
    signs = "0123456789+" if towards is Towards.CRM else "0123456789*#+"
    at = 0
    while at < len(replace):
        position = {"position": str(at + 1)}
        if place := _PLACE.match(replace, at):
            group = _group(place)
            known = group <= pattern.groups if isinstance(group, int) else group in pattern.groupindex
            if not known:
                args = {"group": str(group), "there": str(pattern.groups), **position}
                raise UnfitRule(Reason(_NO_GROUP.text, args), "replace")
            at = place.end()
        elif replace[at] == "\\":
            raise UnfitRule(Reason(_STRAY_BACKSLASH.text, position), "replace")
        elif replace[at] not in signs:
            raise UnfitRule(Reason(_NO_SIGN.text, {"sign": replace[at], "signs": signs, **position}), "replace")
        else:
            at += 1


def _group(place: re.Match[str]) -> int | str:
    name = place["number"] or place["name"]
    return int(name) if name.isdecimal() else name


@lru_cache(maxsize=256)
def _compiled(match: str) -> re.Pattern[str]:
    return compiled(match)
