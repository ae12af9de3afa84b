"""Which calls, and which employees' part in them, the portal is not told of: `[filters]` of the settings. Pure.

A call is left out for its client or its line; for extensions when some of its employees are left out and nobody else takes
part. An employee who is left out has no card and is responsible for nothing, in calls that are told as well. What the
portal knows already (it began the call itself by a click, or the filter came while the call ran) is always finished there.
docs/filters.md tells it in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perezvon.calls.call import Direction
from perezvon.calls.facts import CallStarted
from perezvon.rules.number_lists import HIDDEN_CALLER, NumberList, forms, spelled
from perezvon.rules.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class LeftOut:
    """`setting`: the list that does it (`filters.clients.never`). `pattern`: of that list, "" of an `only`."""

    setting: str
    number: str
    pattern: str = ""

    @property
    def reason(self) -> Reason:
        """Why a whole call is not told."""
        told = {"setting": self.setting, "number": self.number[:80] or "—", "pattern": self.pattern}
        if self.pattern:
            return Reason("the portal is not told: {setting} has {pattern}, and here is {number}", told)
        return Reason("the portal is not told: {number} is not in {setting}", told)

    @property
    def no_card(self) -> Reason:
        told = {"setting": self.setting, "extension": self.number[:80]}
        return Reason("{extension} is left out by {setting}: no card", told)

    @property
    def recording_stays(self) -> Reason:
        told = {"setting": self.setting, "number": self.number[:80] or "—"}
        return Reason("the recording stays here, because {number} is left out by {setting}", told)


@dataclass(frozen=True, slots=True)
class Filter:
    """`name`: of its section. With `only`, whatever is not in it is left out; `never` goes before `only`."""

    name: str
    only: NumberList = field(default_factory=NumberList)
    never: NumberList = field(default_factory=NumberList)

    def __bool__(self) -> bool:
        return bool(self.only or self.never)

    def leaves_out(self, number: str, written: Iterable[str]) -> LeftOut | None:
        """`number`: as it is told of."""
        written = tuple(written)
        if self.never and (pattern := self.never.find(written)):
            return LeftOut(f"filters.{self.name}.never", number, pattern)
        if self.only and not self.only.find(written):
            return LeftOut(f"filters.{self.name}.only", number)
        return None


@dataclass(frozen=True, slots=True)
class Filters:
    """`staff`: colleagues' own phones, of which no lead is made. `region`: whose national forms numbers have. `elsewhere`:
    peers behind which nobody knows who is (the portal's own line): they are no extension, and not judged."""

    extensions: Filter = field(default_factory=lambda: Filter("extensions"))
    lines: Filter = field(default_factory=lambda: Filter("lines"))
    clients: Filter = field(default_factory=lambda: Filter("clients"))
    staff: NumberList = field(default_factory=NumberList)
    region: str = "RU"
    elsewhere: frozenset[str] = frozenset()

    def call(self, started: CallStarted, line: str) -> LeftOut | None:
        """For its client, or its line (`line`: what the settings make of it). Calls between employees have neither."""
        if started.direction is Direction.INTERNAL or not (self.clients or self.lines):
            return None
        if self.clients:
            written = forms(started.client, started.client_raw, self.region) if started.client else (HIDDEN_CALLER,)
            if why := self.clients.leaves_out(started.client or HIDDEN_CALLER, written):
                return why
        if self.lines:
            written = (*forms(line, started.line_raw, self.region), *forms(started.line, "", self.region))
            return self.lines.leaves_out(line, written)
        return None

    def of_staff(self, client: str, raw: str) -> str:
        """The pattern by which this is a colleague's own phone, or ""."""
        return self.staff.find(forms(client, raw, self.region)) if self.staff else ""

    def colleague(self, started: CallStarted) -> Reason | None:
        """Why no lead is made of this client."""
        pattern = self.of_staff(started.client, started.client_raw)
        told = {"client": started.client[:80], "pattern": pattern}
        return Reason("no lead: filters.staff has {pattern}, so that {client} is a colleague", told) if pattern else None

    def employee(self, extension: str, users: Mapping[str, str]) -> LeftOut | None:
        """`users`: who is who at the portal (policy.People). Somebody's own phone is he."""
        if not self.extensions or extension in self.elsewhere:
            return None
        if not _outside(extension):
            return self.extensions.leaves_out(extension, (spelled(extension),))
        if pattern := self.extensions.never.find(forms(extension, "", self.region)):
            return LeftOut("filters.extensions.never", extension, pattern)
        if user := users.get(extension):
            own = next((number for number, one in users.items() if one == user and not _outside(number)), "")
            return self.extensions.leaves_out(own, (spelled(own),)) if own else None
        return None

    def counts(self, extension: str, users: Mapping[str, str]) -> bool:
        """Whether it is known whose it is, so that it can be said whether he is left out."""
        return extension not in self.elsewhere and (not _outside(extension) or extension in users)

    def nobody_heard(self, extensions: Iterable[str], users: Mapping[str, str]) -> LeftOut | None:
        """Why what these employees do is not told: of those who count, all are left out, and somebody is."""
        first: LeftOut | None = None
        for extension in extensions:
            why = self.employee(extension, users)
            if why is None and self.counts(extension, users):
                return None
            first = first or why
        return first

    def heard(self, users: Mapping[str, str]) -> Mapping[str, str]:
        """Without those who are left out, and their own phones."""
        if not self.extensions:
            return users
        out = {number for number in users if not _outside(number) and self.employee(number, users)}
        silent = {users[number] for number in out}
        never = self.extensions.never
        own = {n for n, user in users.items() if _outside(n) and (user in silent or never.find(forms(n, "", self.region)))}
        return {number: user for number, user in users.items() if number not in out | own}


def _outside(extension: str) -> bool:
    """An outside number stands in the place of an extension (calls/facts.py)."""
    return extension.startswith("+")
