"""Employees and departments of the pretend portal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perezvon.sandbox.portal.numbers import canonical

Json = Any

TIMEMAN_STATUSES = ("OPENED", "CLOSED", "PAUSED", "EXPIRED", "UNAVAILABLE", "NOT_INSTALLED")


@dataclass(slots=True)
class User:
    """One person. `extension` is UF_PHONE_INNER ("" when he has none). `extra` holds any other REST field by its name.

    `permissions`: telephony rights of somebody who is no administrator, e.g. "telephony.statistics.view".
    """

    id: int
    name: str
    last_name: str
    extension: str = ""
    active: bool = True
    admin: bool = False
    second_name: str = ""
    email: str = ""
    position: str = ""
    departments: list[int] = field(default_factory=lambda: [1])
    work_phone: str = ""
    mobile: str = ""
    personal_phone: str = ""
    user_type: str = "employee"
    timeman_status: str = "OPENED"
    online: bool = True
    permissions: set[str] = field(default_factory=set[str])
    extra: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def full_name(self) -> str:
        return f"{self.name} {self.last_name}".strip()


@dataclass(slots=True)
class Department:
    id: int
    name: str
    parent: int | None = None
    head: int | None = None
    sort: int = 500


class People:
    def __init__(self) -> None:
        self.users: dict[int, User] = {}
        self.departments: dict[int, Department] = {}

    def add(self, user: User) -> User:
        self.users[user.id] = user
        return user

    def active(self, user_id: int) -> User | None:
        user = self.users.get(user_id)
        return user if user and user.active else None

    def by_extension(self, extension: str) -> User | None:
        """The active employee with this extension; of doubles the one with the lowest id."""
        owners = [u for u in self.users.values() if u.active and u.extension and u.extension == extension]
        return min(owners, key=lambda u: u.id, default=None)

    def by_phone(self, canonical_number: str, region: str) -> User | None:
        """The active employee one of whose phones is this number (as `numbers.canonical` writes it)."""
        for user in self.users.values():
            phones = (user.work_phone, user.mobile, user.personal_phone)
            if user.active and any(phone and canonical(phone, region) == canonical_number for phone in phones):
                return user
        return None
