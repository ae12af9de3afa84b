"""Who is who in the portal: extension -> employee. A snapshot, refreshed now and then, never thrown away for a bad answer.

Rules. Only active employees count. An extension that two employees have goes to the one with the lowest numeric id, and is
reported. A refresh that fails, or comes back much smaller without reason, keeps the last good snapshot and says why; the
same smaller answer once more, some minutes later, is believed. An answer without any extension never is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from perezvon.bitrix24 import methods
from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.errors import PortalError
from perezvon.rules.vocabulary import Reason

BELIEVE_AFTER = 180.0
_SHRINK_SHARE = 0.2
_SHRINK_COUNT = 2
_SPACES = re.compile(r"[\s\u00a0()\-]+")

Normalise = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Employee:
    """`extension`: without spaces, brackets and hyphens, leading zeros kept; "" for none. `phones`: E.164 where the numbers
    could be understood."""

    user_id: str
    name: str
    extension: str
    active: bool = True
    phones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Double:
    """An extension that several employees have; `user_ids[0]` gets the calls."""

    extension: str
    user_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """`refreshed`: POSIX seconds, UTC, of the last answer that was believed; 0 for an empty start.

    `problem`: why a later refresh was not believed, else "". `suspect`, `suspected_at`: that answer and its first time.
    """

    employees: tuple[Employee, ...] = ()
    refreshed: float = 0.0
    problem: str | Reason = ""
    suspect: tuple[Employee, ...] = ()
    suspected_at: float = 0.0
    _by_extension: Mapping[str, Employee] = field(default_factory=dict[str, Employee], repr=False, compare=False)
    _by_user: Mapping[str, Employee] = field(default_factory=dict[str, Employee], repr=False, compare=False)
    _by_phone: Mapping[str, Employee] = field(default_factory=dict[str, Employee], repr=False, compare=False)

    @classmethod
    def of(cls, employees: Iterable[Employee], refreshed: float) -> Directory:
        ordered = tuple(sorted(employees, key=lambda e: _order(e.user_id)))
        active = [e for e in ordered if e.active]
        by_extension: dict[str, Employee] = {}
        by_phone: dict[str, Employee] = {}
        for employee in active:
            if employee.extension:
                by_extension.setdefault(employee.extension, employee)
            for phone in employee.phones:
                by_phone.setdefault(phone, employee)
        return cls(
            employees=ordered,
            refreshed=refreshed,
            _by_extension=by_extension,
            _by_user={e.user_id: e for e in ordered},
            _by_phone=by_phone,
        )

    def by_extension(self, extension: str) -> Employee | None:
        return self._by_extension.get(normal_extension(extension))

    def by_user(self, user_id: str) -> Employee | None:
        return self._by_user.get(user_id)

    def by_phone(self, number: str) -> Employee | None:
        """The employee whose profile has this number (E.164)."""
        return self._by_phone.get(number)

    @property
    def doubles(self) -> tuple[Double, ...]:
        owners: dict[str, list[str]] = {}
        for employee in self.employees:
            if employee.active and employee.extension:
                owners.setdefault(employee.extension, []).append(employee.user_id)
        return tuple(Double(extension, tuple(ids)) for extension, ids in sorted(owners.items()) if len(ids) > 1)

    @property
    def without_extension(self) -> tuple[Employee, ...]:
        return tuple(e for e in self.employees if e.active and not e.extension)

    def as_rows(self) -> list[dict[str, Any]]:
        """One plain row an employee (`phones` is a list): the columns of the table `employee` but for `portal`."""
        return [
            {
                "user_id": e.user_id,
                "extension": e.extension,
                "name": e.name,
                "active": e.active,
                "phones": list(e.phones),
                "refreshed": self.refreshed,
            }
            for e in self.employees
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Directory:
        kept = list(rows)
        employees = [
            Employee(
                user_id=str(row["user_id"]),
                name=str(row["name"]),
                extension=str(row["extension"]),
                active=bool(row["active"]),
                phones=tuple(str(phone) for phone in row["phones"]),
            )
            for row in kept
        ]
        return cls.of(employees, max((float(row["refreshed"]) for row in kept), default=0.0))


def normal_extension(extension: str) -> str:
    return _SPACES.sub("", extension)


async def refresh(
    portal: Portal, last: Directory, *, now: float, normalise: Normalise = str.strip, reserve: float = 10.0
) -> Directory:
    """The next snapshot; `last` with `problem` set when the portal failed or its answer is not to be believed (yet).

    `now`: POSIX seconds, UTC. `normalise`: how a profile's phone becomes E.164. `reserve`: tokens left to calls. No
    PortalError is raised.
    """
    try:
        found = await methods.users(portal, reserve=reserve)
    except PortalError as error:
        return replace(
            last, problem=Reason("the employees could not be read, the list of before stays: {why}", {"why": error.why})
        )
    return judge(last, [_employee(user, normalise) for user in found], now=now)


def judge(last: Directory, found: Iterable[Employee], *, now: float) -> Directory:
    """Whether a new answer is believed."""
    fresh = Directory.of(found, now)
    before, after = _mapped(last), _mapped(fresh)
    lost = before - after
    if not before or (after and (lost <= _SHRINK_COUNT or lost <= before * _SHRINK_SHARE)):
        return fresh
    if fresh.employees == last.suspect and last.suspected_at and after:
        if now - last.suspected_at >= BELIEVE_AFTER:
            return fresh
        return last
    counts = {"after": str(after), "before": str(before), "seconds": f"{BELIEVE_AFTER:g}"}
    told = (
        Reason(
            "the portal names {after} employees with an extension instead of {before}; the list of before stays until the "
            "same answer comes again (at least {seconds} s later)",
            counts,
        )
        if after
        else Reason(
            "the portal names no employee with an extension, before there were {before}: the list of before stays. Check "
            "the permission user_brief and the extensions in the employees' profiles",
            counts,
        )
    )
    return replace(last, problem=told, suspect=fresh.employees, suspected_at=now)


def _mapped(directory: Directory) -> int:
    return sum(1 for e in directory.employees if e.active and e.extension)


def _employee(user: methods.User, normalise: Normalise) -> Employee:
    phones = dict.fromkeys(number for phone in user.phones if (number := normalise(phone)))
    return Employee(user.id, user.name, normal_extension(user.extension), user.active, tuple(phones))


def _order(user_id: str) -> tuple[int, str]:
    return (int(user_id) if user_id.isascii() and user_id.isdigit() else 2**63, user_id)
