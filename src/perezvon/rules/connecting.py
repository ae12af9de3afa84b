"""Whom a caller is connected with before anybody else is rung, and why. Pure: what is known in, a choice out.

The chain of the settings names whose turn it is: the responsible in the CRM (of all objects that have the number, in the
order of the settings), whoever talked with the client last, the first employee of the line. The first of them who may be
rung now is; for one who may not, his deputies are tried in their order, and theirs. When nobody is left the call goes its
usual way. Every step is told as one line, so that the page of the call reads like this:

    the contact Мария Клиентова belongs to Петрова Анна (102)
    Петрова Анна (102) is out of working hours
    Иванов Иван (101) is rung for 20 s: he deputises for Петрова Анна (102)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from string import Formatter
from typing import Any, Literal, cast

from perezvon.calls import facts
from perezvon.rules.account import plain
from perezvon.rules.vocabulary import Reason
from perezvon.rules.working_time import Hours, Week, WorkingTime

Whose = Literal["responsible", "last_talked", "line"]
Kind = Literal["contact", "company", "lead", "deal"]
Check = Literal["schedule", "workday", "absence", "device"]
Status = Literal["closed", "paused", "expired"]

EXTENSION = re.compile(r"[0-9]{1,10}", re.ASCII)
"""What the dialplan may be told to ring: employees' extensions come from the portal, where anything can be written."""

MOST_CANDIDATES = 12
LONGEST_ACCOUNT = 1400
"""Of an account on its way through the PBX: bytes, as they are written there."""
MEANINGFUL = re.compile(r'[\\",()]')
"""What is written with backslashes there, up to three of them."""


class Device(StrEnum):
    FREE = "free"
    BUSY = "busy"
    DND = "dnd"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CrmObject:
    """`user`: the portal user it belongs to."""

    kind: Kind
    id: str
    user: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """An active employee. `extension`: "" where his profile has none that can be dialled."""

    user: str
    extension: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.extension})" if self.name and self.extension else self.name or self.extension


@dataclass(frozen=True, slots=True)
class Asked:
    """`at`: POSIX seconds, UTC. `objects`: all that have the client's number. `talked`: the extension (or own phone) that
    talked with him last, `talked_at` when. `line`: how the number that he called is named, `first`: its first employee,
    `hours`: its own week. `colleague`: the caller is an employee."""

    at: float
    objects: tuple[CrmObject, ...] = ()
    talked: str = ""
    talked_at: float = 0.0
    line: str = ""
    first: str = ""
    hours: Week = ()
    colleague: bool = False


@dataclass(frozen=True, slots=True)
class Office:
    """What is known of the employees now. `extensions`: also employees' own phones, E.164. `workday`: TIMEMAN_STATUS by
    user; `absent`: until when (POSIX seconds) by user; `devices`: by extension. What is not known speaks against nobody."""

    users: Mapping[str, Person] = field(default_factory=dict[str, Person])
    extensions: Mapping[str, Person] = field(default_factory=dict[str, Person])
    workday: Mapping[str, str] = field(default_factory=dict[str, str])
    absent: Mapping[str, float] = field(default_factory=dict[str, float])
    devices: Mapping[str, Device] = field(default_factory=dict[str, Device])

    def of_extension(self, number: str) -> Person:
        """Who is not in the portal can be rung all the same."""
        return self.extensions.get(number) or Person("", number)


@dataclass(frozen=True, slots=True)
class Connecting:
    """The settings. `sticky`: seconds for which whoever talked last is remembered, 0: for ever. `not_working`: the workday
    states that count as away. `ring_busy`: also ring who is talking. `deputies`: by extension."""

    chain: tuple[Whose, ...] = ("responsible", "last_talked", "line")
    objects: tuple[Kind, ...] = ("contact", "company", "lead")
    sticky: float = 30 * 86400.0
    ring: int = 20
    checks: frozenset[Check] = frozenset({"schedule", "workday", "absence", "device"})
    not_working: frozenset[Status] = frozenset({"closed", "paused", "expired"})
    ring_busy: bool = False
    deputies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    working_time: WorkingTime = field(default_factory=WorkingTime)


@dataclass(frozen=True, slots=True)
class Choice:
    """`extension`: "" for the usual way. `reasons`: the account, in order; `told`: the same for the way through the PBX.
    `responsible`: the first employee to whom the client belongs, rung or not."""

    extension: str
    ring: int
    told: tuple[tuple[str, Mapping[str, str]], ...]
    responsible: str = ""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(_reason(code, args) for code, args in self.told)


_WORDS: Mapping[str, Reason] = {
    "contact": Reason("the contact {title} belongs to {who}"),
    "company": Reason("the company {title} belongs to {who}"),
    "lead": Reason("the lead {title} belongs to {who}"),
    "deal": Reason("the deal {title} belongs to {who}"),
    "nobodys": Reason("{title} belongs to user {user}, who is no active employee"),
    "talked": Reason("{who} talked with this client last, on {date}"),
    "first": Reason("{who} is the first employee of the line {line}"),
    "no_extension": Reason("{who} has no extension in the portal"),
    "hours": Reason("{who} is out of working hours"),
    "holiday": Reason("{who} has a holiday"),
    "closed": Reason("{who} has closed the working day"),
    "paused": Reason("{who} has a break"),
    "expired": Reason("{who} has not begun the working day"),
    "absent": Reason("{who} is absent until {until}"),
    "dnd": Reason("{who} does not want to be disturbed"),
    "busy": Reason("{who} is talking"),
    "unreachable": Reason("the phone of {who} cannot be reached"),
    "rung": Reason("{who} is rung for {seconds} s"),
    "deputy": Reason("{who} is rung for {seconds} s, deputising for {other}"),
    "line_closed": Reason("the line {line} is out of its working hours: the call goes its usual way"),
    "colleague": Reason("the caller is an employee: the call goes its usual way"),
    "nobody": Reason("nobody is left to be connected with: the call goes its usual way"),
    "slow": Reason("the portal did not answer in time: the client's responsible is not known"),
    "kept": Reason("the portal did not answer in time: what it said last counts"),
    "more": Reason("and more was considered"),
    "custom": Reason("changed by customisation"),
    "not_answered": Reason("{who} did not answer: the call goes its usual way"),
    "not_free": Reason("{who} refused, or was busy: the call goes its usual way"),
    "not_reached": Reason("the phone of {who} could not be rung ({result}): the call goes its usual way"),
    "too_slow": Reason("autoconnect did not answer the PBX in time: the call goes its usual way"),
    "away": Reason("autoconnect did not answer the PBX: the call goes its usual way"),
}

_RESULTS = {
    "NOANSWER": "not_answered",
    "BUSY": "not_free",
    "CHANUNAVAIL": "not_reached",
    "CONGESTION": "not_reached",
    "TIMEOUT": "too_slow",
    "ABSENT": "away",
}
"""What the dialplan tells when the call goes on."""


def choose(asked: Asked, office: Office, rules: Connecting) -> Choice:
    """Whom the caller is connected with."""
    return _Choosing(asked, office, rules).choose()


def candidates(asked: Asked, office: Office, rules: Connecting) -> tuple[str, ...]:
    """Who may be chosen, the likely ones first."""
    found: dict[str, None] = {}
    for person, _, _ in _named(asked, office, rules):
        _with_deputies(person.extension, rules, found)
    return tuple(found)[:MOST_CANDIDATES]


def people_asked(asked: Asked, office: Office, rules: Connecting) -> tuple[str, ...]:
    """The users whose workday and absence the choice may depend on."""
    users = [office.of_extension(extension).user for extension in candidates(asked, office, rules)]
    return tuple(dict.fromkeys(user for user in users if user))


def _with_deputies(extension: str, rules: Connecting, found: dict[str, None]) -> None:
    if extension in found or len(found) >= MOST_CANDIDATES or not EXTENSION.fullmatch(extension):
        return
    found[extension] = None
    for deputy in rules.deputies.get(extension, ()):
        _with_deputies(deputy, rules, found)


Named = tuple[Person, str, Mapping[str, str]]
"""Whose turn it is, the code of why, and its arguments."""


def _named(asked: Asked, office: Office, rules: Connecting) -> Iterator[Named]:
    for whose in rules.chain:
        if whose == "responsible":
            for one in in_order(asked.objects, rules.objects):
                title = one.title or one.id
                person = office.users.get(one.user)
                if person is None:
                    yield Person(one.user, ""), "nobodys", {"title": title, "user": one.user}
                else:
                    yield person, one.kind, {"title": title, "who": str(person)}
        elif whose == "last_talked" and asked.talked and _still(asked, rules):
            person = office.of_extension(asked.talked)
            day = datetime.fromtimestamp(asked.talked_at, UTC).astimezone(rules.working_time.zone).strftime("%d.%m.%Y")
            yield person, "talked", {"who": str(person), "date": day}
        elif whose == "line" and asked.first:
            person = office.of_extension(asked.first)
            yield person, "first", {"who": str(person), "line": asked.line}


def in_order(objects: tuple[CrmObject, ...], kinds: tuple[Kind, ...]) -> list[CrmObject]:
    """Of one kind as the portal has told them; kinds that are not wanted are left out."""
    return [one for kind in kinds for one in objects if one.kind == kind and one.user]


def _still(asked: Asked, rules: Connecting) -> bool:
    return not rules.sticky or asked.at - asked.talked_at <= rules.sticky


class _Choosing:
    def __init__(self, asked: Asked, office: Office, rules: Connecting) -> None:
        self._asked = asked
        self._office = office
        self._rules = rules
        self._told: list[tuple[str, Mapping[str, str]]] = []
        self._tried: set[str] = set()

    def choose(self) -> Choice:
        asked, rules = self._asked, self._rules
        responsible = ""
        if asked.colleague:
            return self._nobody("colleague")
        if rules.working_time.of_line(asked.hours, asked.at) is not Hours.OPEN:
            return self._nobody("line_closed", line=asked.line)
        for person, code, args in _named(asked, self._office, rules):
            if code in ("contact", "company", "lead", "deal"):
                responsible = responsible or person.name or person.extension
            key = person.extension or f"user {person.user}"
            if key in self._tried:
                continue
            self._tell(code, args)
            if code == "nobodys":
                self._tried.add(key)
            elif chosen := self._try(person, ""):
                return Choice(chosen, rules.ring, tuple(self._told), responsible)
        return self._nobody("nobody", responsible)

    def _nobody(self, code: str, responsible: str = "", **args: str) -> Choice:
        self._tell(code, args)
        return Choice("", self._rules.ring, tuple(self._told), responsible)

    def _tell(self, code: str, args: Mapping[str, str]) -> None:
        self._told.append((code, {name: plain(value) for name, value in args.items()}))

    def _try(self, person: Person, instead_of: str) -> str:
        """Him, or one of his deputies, in their order; "" when none of them may be rung."""
        self._tried.add(person.extension or f"user {person.user}")
        why, args = self._against(person)
        if not why:
            seconds = str(self._rules.ring)
            if instead_of:
                self._tell("deputy", {"who": str(person), "seconds": seconds, "other": instead_of})
            else:
                self._tell("rung", {"who": str(person), "seconds": seconds})
            return person.extension
        self._tell(why, {"who": str(person) or person.user, **args})
        for extension in self._rules.deputies.get(person.extension, ()):
            if extension in self._tried or len(self._tried) > MOST_CANDIDATES:
                continue
            if chosen := self._try(self._office.of_extension(extension), str(person)):
                return chosen
        return ""

    def _against(self, person: Person) -> tuple[str, Mapping[str, str]]:
        """The code of what speaks against ringing him now; "" for nothing."""
        rules, office, at = self._rules, self._office, self._asked.at
        if not EXTENSION.fullmatch(person.extension):
            return "no_extension", {}
        if "schedule" in rules.checks:
            found = rules.working_time.of_employee(person.extension, at)
            if found is not Hours.OPEN:
                return ("holiday" if found is Hours.HOLIDAY else "hours"), {}
        if "absence" in rules.checks and (until := office.absent.get(person.user, 0.0)) > at:
            local = datetime.fromtimestamp(until, UTC).astimezone(rules.working_time.zone)
            return "absent", {"until": local.strftime("%d.%m.%Y %H:%M")}
        status = office.workday.get(person.user, "").lower()
        if "workday" in rules.checks and status in rules.not_working:
            return status, {}
        if "device" in rules.checks:
            device = office.devices.get(person.extension, Device.UNKNOWN)
            if device in (Device.DND, Device.UNREACHABLE) or (device is Device.BUSY and not rules.ring_busy):
                return device.value, {}
        return "", {}


# ---- on the way through the PBX, which tells it to whoever watches the call


def account_of(told: tuple[tuple[str, Mapping[str, str]], ...]) -> str:
    """As one line of text. When it is too long, what follows its beginning is left out: how it ended counts."""
    begin, rest = list(told[:1]), list(told[1:])
    text = _written([*begin, *rest])
    while _cost(text) > LONGEST_ACCOUNT and len(rest) > 1:
        del rest[0]
        text = _written([*begin, ("more", {}), *rest])
    if _cost(text) > LONGEST_ACCOUNT:
        text = _written([("more", {}), *rest])
    return text if _cost(text) <= LONGEST_ACCOUNT else _written([("more", {})])


def _cost(text: str) -> int:
    return len(text.encode()) + 3 * len(MEANINGFUL.findall(text))


def _written(told: list[tuple[str, Mapping[str, str]]]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def reasons_of(account: str) -> tuple[Reason, ...]:
    """What `account_of` wrote; what it did not is left out. Anybody who can tell events to the PBX may have written it."""
    try:
        told: Any = json.loads(account) if len(account) <= 4 * LONGEST_ACCOUNT else []
    except (ValueError, RecursionError):
        return ()
    found: list[Reason] = []
    for row in cast("list[Any]", told) if isinstance(told, list) else ():
        match row:
            case [str(code), dict()] if code in _WORDS:
                args = cast("dict[str, Any]", row[1])
                found.append(_reason(code, {name: plain(str(value)) for name, value in args.items()}))
            case _:
                continue
    return tuple(found[: 2 * MOST_CANDIDATES])


def told_by(fact: facts.Connecting) -> tuple[Reason, ...]:
    """What a call's page tells of it."""
    if fact.why:
        return reasons_of(fact.why)
    code = _RESULTS.get(fact.result, "")
    return (_reason(code, {"who": fact.to, "result": fact.result}),) if code else ()


def _reason(code: str, args: Mapping[str, str]) -> Reason:
    text = _WORDS[code].text
    places = [place for _, place, _, _ in Formatter().parse(text) if place]
    return Reason(text, {place: args.get(place) or "—" for place in places})
