"""The regular expressions of number rules: what may be in one, and that it cannot take long on any number. Pure.

Python's `re` has no time limit, and some expressions take years on forty characters. So only expressions are taken whose
work has a bound: each choice that matching has (how often to repeat, which alternative) is counted, and all their
combinations together, times the length of the longest way, may not exceed `MOST_STEPS`. That bounds what backtracking can
do, on any text of up to `LONGEST_NUMBER` characters. What cannot be counted so (references back, looking ahead) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from perezvon.rules.vocabulary import Reason

LONGEST_NUMBER = 40
"""Characters: no rule is tried on anything longer."""

LONGEST_PATTERN = 200

MOST_STEPS = 200_000
"""A few milliseconds."""

_ATOM = re.compile(
    r"\\[dDwWsS]|\\[^\w\s]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[\](){}*+?|]",
    re.ASCII,
)
_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))", re.ASCII)
_REPEAT = re.compile(r"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??(?![*+?{])", re.ASCII)


class UnfitRule(ValueError):
    """`reason`: what is wrong with a rule, and where; `part`: whether in its `match` or in its `replace`."""

    def __init__(self, reason: Reason, part: str) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.part = part


@dataclass(frozen=True, slots=True)
class _Cost:
    """`ways`: how many ways through there are at most; `length`: steps of the longest; `empty`: whether it may match
    nothing."""

    ways: int = 1
    length: int = 0
    empty: bool = True

    def then(self, other: _Cost) -> _Cost:
        return _Cost(self.ways * other.ways, self.length + other.length, self.empty and other.empty)

    def or_else(self, other: _Cost) -> _Cost:
        return _Cost(self.ways + other.ways, max(self.length, other.length) + 1, self.empty or other.empty)

    def times(self, least: int, most: int) -> _Cost:
        ways, power = 0, 1
        for count in range(most + 1):
            ways += power if count >= least else 0
            power = min(power * self.ways, MOST_STEPS + 1)
        return _Cost(ways, most * self.length + 1, self.empty or least == 0)


def compiled(pattern: str) -> re.Pattern[str]:
    """Raises UnfitRule for what is no regular expression, what may not be in one here, and what may take too long."""
    if len(pattern) > LONGEST_PATTERN:
        raise _unfit(Reason("has more than {most} characters", {"most": str(LONGEST_PATTERN)}))
    try:
        found = re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        position = getattr(error, "pos", None)
        args = {"why": getattr(error, "msg", str(error)), "position": _shown(position if position is not None else 0)}
        raise _unfit(Reason("is no regular expression: {why}, at character {position}", args)) from None
    _Reader(pattern).read()
    return found


class _Reader:
    """Reads an expression that `re` has found right, and counts. `at`: how far it is."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> None:
        self._alternatives()
        if self._at < len(self._pattern):
            raise self._strange()

    def _alternatives(self) -> _Cost:
        cost = self._sequence()
        while self._pattern.startswith("|", self._at):
            self._at += 1
            cost = self._bounded(cost.or_else(self._sequence()), self._at)
        return cost

    def _sequence(self) -> _Cost:
        cost = _Cost()
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            began = self._at
            cost = self._bounded(cost.then(self._repeated(self._part())), began)
        return cost

    def _part(self) -> _Cost:
        if atom := _ATOM.match(self._pattern, self._at):
            self._at = atom.end()
            return _Cost(1, 1, atom[0] in "^$")
        group = _GROUP.match(self._pattern, self._at)
        if group is None:
            raise self._strange()
        self._at = group.end()
        inside = self._alternatives()
        self._at += 1  # the bracket that closes it: `re` has seen it
        return inside

    def _repeated(self, what: _Cost) -> _Cost:
        repeat = _REPEAT.match(self._pattern, self._at)
        if repeat is None:
            if self._pattern[self._at : self._at + 1] in tuple("*+?{"):
                raise self._strange()
            return what
        began, self._at = self._at, repeat.end()
        least, most = _counts(repeat[0])
        if most > LONGEST_NUMBER or (what.empty and most > 1):
            raise self._too_long(began)
        return self._bounded(what.times(least, most), began)

    def _bounded(self, cost: _Cost, at: int) -> _Cost:
        if cost.ways * max(cost.length, 1) > MOST_STEPS:
            raise self._too_long(at)
        return cost

    def _too_long(self, at: int) -> UnfitRule:
        args = {"position": _shown(at), "most": str(LONGEST_NUMBER)}
        return _unfit(
            Reason(
                "could take too long on some numbers, at character {position}: give repetitions exact counts (of at most "
                "{most}), and put none inside another",
                args,
            )
        )

    def _strange(self) -> UnfitRule:
        args = {"what": self._pattern[self._at : self._at + 4], "position": _shown(self._at)}
        return _unfit(
            Reason(
                "{what} at character {position} has no place in a number rule, which knows digits, \\d, [classes], "
                "(groups), alternatives and repetitions",
                args,
            )
        )


def _counts(repeat: str) -> tuple[int, int]:
    """How often at least and at most. Without a limit: as often as a number has characters."""
    match repeat[0]:
        case "*":
            return 0, LONGEST_NUMBER
        case "+":
            return 1, LONGEST_NUMBER
        case "?":
            return 0, 1
        case _:
            least, comma, most = repeat.rstrip("?")[1:-1].partition(",")
            if not comma:
                return int(least), int(least)
            return int(least), int(most) if most else max(LONGEST_NUMBER, int(least))


def _shown(position: int) -> str:
    """As people count: from 1."""
    return str(position + 1)


def _unfit(reason: Reason) -> UnfitRule:
    return UnfitRule(reason, "match")
