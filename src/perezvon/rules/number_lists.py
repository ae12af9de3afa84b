"""NumberList of numbers as people list them in the settings, and which of them a number fits. Pure.

A pattern is a number in any of its written forms, or the beginning of one with `*` behind it; for extensions a range
`100-199` too. Nothing is a regular expression: whatever is listed, a look takes time in proportion to the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import phonenumbers

from perezvon.calls.numbering import HIDDEN, Numbering
from perezvon.rules.vocabulary import Reason

HIDDEN_CALLER = "hidden"
"""The pattern of callers who hide their number. (What PBXs write instead of it counts as the same.)"""

LONGEST = 64
_PUNCTUATION = re.compile(r"[\s().\-/\u2010-\u2015]")
_RANGE = re.compile(r"([0-9]{1,10})\s*[-\u2010-\u2015]\s*([0-9]{1,10})")
_SHORT = 5
"""Digits: a range of numbers as short as these was meant for extensions."""
_FOREIGN = re.compile(r"[^\w\s().\-/\u2010-\u2015+@]")


class BadPattern(ValueError):
    """`reason` says what is wrong with the pattern and what would be right."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Pattern:
    """`text`: as it was written. `plain`: without punctuation and `*`. `ends`: those of a range."""

    text: str
    plain: str
    begins: bool = False
    ends: tuple[int, int] | None = None


def number_pattern(text: str) -> Pattern:
    """Of a client's or a line's number. Raises BadPattern."""
    whole = _checked(text)
    if (ends := _RANGE.fullmatch(whole)) and len(ends[1]) == len(ends[2]) <= _SHORT:
        told = {"pattern": text}
        raise BadPattern(Reason("{pattern}: ranges are for extensions; write the beginning of the numbers and *", told))
    return _beginning_or_whole(text, whole)


def client_pattern(text: str) -> Pattern:
    """The same, or the word `hidden`. Raises BadPattern."""
    if text.strip().lower() in HIDDEN | {HIDDEN_CALLER} and text.strip():
        return Pattern(text, HIDDEN_CALLER)
    return number_pattern(text)


def extension_pattern(text: str) -> Pattern:
    """Of an extension. Raises BadPattern."""
    whole = _checked(text)
    ends = _RANGE.fullmatch(whole)
    if ends is None:
        return _beginning_or_whole(text, whole)
    first, last = ends[1], ends[2]
    told = {"pattern": text}
    if len(first) != len(last):
        raise BadPattern(Reason("the two ends of the range {pattern} must have the same number of digits", told))
    if int(first) > int(last):
        told["right"] = f"{last}-{first}"
        raise BadPattern(Reason("the range {pattern} runs backwards: write {right}", told))
    return Pattern(text, first, ends=(int(first), int(last)))


def _checked(text: str) -> str:
    whole = text.strip()
    if not whole:
        raise BadPattern(Reason("is empty: write a number, or the beginning of one and *"))
    if len(whole) > LONGEST:
        raise BadPattern(Reason("is longer than {most} characters", {"most": str(LONGEST)}))
    told = {"pattern": text}
    if whole.startswith("_"):
        raise BadPattern(
            Reason(
                "{pattern} is a pattern of the dialplan, which has no meaning here: write a beginning and *, as 1*", told
            )
        )
    if "*" in whole.rstrip("*") or whole.endswith("**"):
        raise BadPattern(Reason("{pattern}: one * stands at the very end, for any further digits", told))
    if whole == "*":
        raise BadPattern(Reason("* alone would be every number: leave the list empty instead"))
    if foreign := "".join(dict.fromkeys(_FOREIGN.findall(whole.removesuffix("*")))):
        told["characters"] = foreign
        raise BadPattern(
            Reason("{pattern} has what no number has: {characters} (regular expressions have no meaning here)", told)
        )
    return whole


def _beginning_or_whole(text: str, whole: str) -> Pattern:
    plain = spelled(whole.removesuffix("*"))
    if not plain.lstrip("+") or "+" in plain[1:]:
        raise BadPattern(Reason("{pattern} is no number: write it like +74951234567, or +7495*", {"pattern": text}))
    return Pattern(text, plain, begins=whole.endswith("*"))


def spelled(number: str) -> str:
    """A number without punctuation; a name (it has letters) as it is, but in small letters."""
    return number.strip().lower() if any(char.isalpha() for char in number) else _PUNCTUATION.sub("", number)


@lru_cache(maxsize=16384)
def forms(number: str, raw: str, region: str) -> tuple[str, ...]:
    """All that a number is written as: `number` (E.164, as far as it was understood), `raw` as the PBX has it, and, of a
    number of `region`'s country, without the plus and in its national forms (+7495… is 7495…, 8495… and 495… in Russia)."""
    found = {spelled(number), spelled(raw)}
    if number.startswith("+") and number[1:].isdecimal():
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            pass
        else:
            if parsed.country_code == phonenumbers.country_code_for_region(region):
                national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
                found |= {number[1:], spelled(national), phonenumbers.national_significant_number(parsed)}
    return tuple(sorted(found - {""}))


@dataclass(frozen=True, slots=True)
class NumberList:
    """A list of them, made ready to be asked: plain text -> as it was written. False while it is empty. `lengths`: of the
    beginnings, each once, so that a look does not go through all of them."""

    whole: dict[str, str] = field(default_factory=dict[str, str])
    beginnings: dict[str, str] = field(default_factory=dict[str, str])
    lengths: tuple[int, ...] = ()
    ranges: tuple[tuple[int, int, int, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.whole or self.beginnings or self.ranges)

    @classmethod
    def of(cls, patterns: Iterable[Pattern], numbering: Numbering | None = None) -> NumberList:
        """`numbering`: how whole numbers are read, where these are no extensions."""
        whole: dict[str, str] = {}
        beginnings: dict[str, str] = {}
        ranges: list[tuple[int, int, int, str]] = []
        for one in patterns:
            if one.ends is not None:
                ranges.append((len(one.plain), *one.ends, one.text))
            elif one.begins:
                beginnings.setdefault(one.plain, one.text)
            else:
                whole.setdefault(one.plain, one.text)
                if numbering is not None and one.plain != HIDDEN_CALLER:
                    whole.setdefault(numbering.international(one.plain), one.text)
        return cls(whole, beginnings, tuple(sorted(set(map(len, beginnings)))), tuple(ranges))

    def find(self, written: Iterable[str]) -> str:
        """The pattern that one of the forms fits, as it was written; "" for none."""
        for form in written:
            if found := self.whole.get(form):
                return found
            for length in self.lengths:
                if found := self.beginnings.get(form[:length]):
                    return found
            if self.ranges and form.isascii() and form.isdecimal():
                for digits, first, last, text in self.ranges:
                    if len(form) == digits and first <= int(form) <= last:
                        return text
        return ""
