"""Who may do what: the rights, the roles that bundle them, and how a route says which one it wants.

Each route is marked with `needs(right)` or stands in PUBLIC; the gate (gate.py) refuses any other, and a test walks over
all of them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_MARK = "__perezvon_right__"


class Right(StrEnum):
    """ACCOUNT: one's own password, sessions and tokens; everybody who has signed in has it. API: its description, which
    every token has too. DELIVERIES is to look at them, DELIVER to do something about them."""

    ACCOUNT = "account"
    API = "api"
    STATUS = "status"
    DOCTOR = "doctor"
    CALLS = "calls"
    RECORDINGS = "recordings"
    EXPORTS = "exports"
    CONFERENCE = "conference"
    CALL_BACK = "call_back"
    DELIVERIES = "deliveries"
    DELIVER = "deliver"
    SETTINGS = "settings"
    PEOPLE = "people"
    AUDIT = "audit"


class Role(StrEnum):
    """A supervisor sees calls and missed ones, listens to them and calls back, nothing else; an observer looks and changes
    nothing."""

    ADMINISTRATOR = "administrator"
    SUPERVISOR = "supervisor"
    OBSERVER = "observer"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.ADMINISTRATOR: frozenset(Right),
    Role.SUPERVISOR: frozenset({Right.ACCOUNT, Right.API, Right.CALLS, Right.RECORDINGS, Right.EXPORTS, Right.CALL_BACK}),
    Role.OBSERVER: frozenset({Right.ACCOUNT, Right.API, Right.STATUS, Right.CALLS, Right.DELIVERIES}),
}

WITHOUT_A_NAME = frozenset({Right.API, Right.STATUS, Right.DOCTOR, Right.CALLS, Right.CONFERENCE})
"""Of this machine while nobody has been added yet, and of whoever knows `web.password`. What only a person may do is to be
found under a name in the audit log."""

SCOPES = (
    Right.STATUS,
    Right.CALLS,
    Right.RECORDINGS,
    Right.EXPORTS,
    Right.CONFERENCE,
    Right.CALL_BACK,
    Right.DELIVERIES,
    Right.DELIVER,
    Right.SETTINGS,
    Right.AUDIT,
)
"""What a token for programs can be given, besides API."""

EVERYWHERE = frozenset({Right.API, Right.STATUS, Right.CALLS, Right.RECORDINGS, Right.CONFERENCE})
"""What of that counts at addresses of pages too; the rest under /api/ alone. So no program has the forms of the settings,
which can give secrets away and try the integrator's functions."""

PUBLIC = frozenset(
    {
        ("GET", "/health"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("POST", "/login/code"),
        ("GET", "/welcome/{link}"),
        ("POST", "/welcome/{link}"),
        ("GET", "/preferences"),
        ("POST", "/bitrix24/{portal}/events"),
        ("POST", "/bitrix24/{portal}/install"),
        ("POST", "/bitrix24/{portal}/robot"),
        ("POST", "/bitrix24/{portal}/app"),
        ("POST", "/bitrix24/{portal}/card"),
        ("POST", "/bitrix24/{portal}/analytics"),
        ("POST", "/bitrix24/{portal}/session"),
        ("GET", "/bitrix24/{portal}/inside/{part}"),
        ("GET", "/recordings/{token}"),
    }
)
"""Routes (method and path) that want nothing of whoever asks, or see to it themselves: what a portal sends brings its own
proof (intake.py, embed_pages.py). Static files are beside them."""


def needs(right: Right) -> Callable[[Endpoint], Endpoint]:
    """Below the decorator that makes the route."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, right)
        return endpoint

    return mark


def wanted_by(endpoint: object) -> Right | None:
    return getattr(endpoint, _MARK, None)


def rights_of(role: str) -> frozenset[Right]:
    """None for a role of a later version."""
    return RIGHTS[Role(role)] if role in RIGHTS else frozenset()
