"""What the doctor asks a portal: is it there, are we let in, may we do what calls need, do the clocks and extensions fit?

Nothing is changed in the portal. Whether calls may be registered is found out by finishing a call that cannot exist: a
portal that wants an application says so (WRONG_AUTH_TYPE) before it looks for the call; any other says "no such call".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from perezvon.bitrix24 import directory, methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import (
    AppContextRequired,
    CallNotFound,
    PortalError,
    UserNotFound,
)
from perezvon.bitrix24.remedy import remedy
from perezvon.bitrix24.values import flag, mapping, moment, rows, text
from perezvon.rules.vocabulary import Reason

NO_CALL = "externalCall.00000000000000000000000000000000.0"
NEEDED = ("telephony", "user_brief", "crm")
WANTED = ("task", "im", "placement")
CLOCK_WARNING = 5.0
CLOCK_FAILURE = 60.0
_STANDS_FOR = {"user_brief": ("user_brief", "user_basic", "user")}


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: a lasting name (`auth`, `scope`, `register`, `clock`, …). `text`: what is; `fix`: what to do, or None."""

    check: str
    level: Level
    text: Reason
    fix: Reason | None = None


async def examine(
    portal: Portal,
    *,
    needed: Iterable[str] = NEEDED,
    wanted: Iterable[str] = WANTED,
    clock: Callable[[], float] = time.time,
    normalise: Callable[[str], str] = str.strip,
) -> list[Finding]:
    """All findings, the good ones too. No PortalError is raised: it becomes a finding."""
    try:
        me = await methods.profile(portal)
    except PortalError as error:
        return [_unreachable(error, application=portal.is_application)]
    findings = [
        _ok("auth", "the portal {host} answers and knows us as {name}", host=portal.address.host, name=me.name or me.id)
    ]
    findings.append(
        _ok("administrator", "the user is an administrator")
        if me.admin
        else _warn(
            "administrator",
            "the user is no administrator of the portal",
            "let an administrator make the webhook, or install the application",
        )
    )
    before = clock()
    try:
        parts = await portal.batch(_questions(me.id, application=portal.is_application))
    except PortalError as error:
        return [*findings, _unreachable(error, application=portal.is_application)]
    asked = dict(zip(_KEYS, parts, strict=False))
    now = (before + clock()) / 2
    findings += _scopes(asked["scope"], needed, wanted)
    findings.append(_register(asked["finish"], application=portal.is_application))
    findings.append(_clock(asked["time"], now))
    if portal.is_application:
        findings += _application(asked["app"], asked["feature"])
    fresh = await directory.refresh(portal, Directory(), now=now, normalise=normalise, reserve=0.0)
    return findings + _employees(fresh)


_KEYS = ("scope", "time", "finish", "feature", "app")


def _questions(user_id: str, *, application: bool) -> list[Command]:
    never = methods.finish(NO_CALL, user_id=user_id or 1, duration=0, status_code="304")
    questions = [
        Command("scope", "scope", {}),
        Command("time", "server.time", {}),
        Command("finish", methods.FINISH, never),
        Command("feature", "feature.get", {"CODE": "rest_offline_extended"}),
    ]
    return [*questions, Command("app", "app.info", {})] if application else questions


def _unreachable(error: PortalError, *, application: bool) -> Finding:
    told = Reason("the portal cannot be used: {error}", {"error": error.why})
    return Finding("auth", Level.FAILURE, told, remedy(error, application=application))


def _scopes(answer: Answer | PortalError, needed: Iterable[str], wanted: Iterable[str]) -> list[Finding]:
    if isinstance(answer, PortalError):
        return [_warn("scope", "the permissions cannot be read: {error}", None, error=answer.why)]
    have = {text(row) for row in rows(answer.result)}

    def missing(names: Iterable[str]) -> str:
        return ", ".join(name for name in names if not have.intersection(_STANDS_FOR.get(name, (name,))))

    findings: list[Finding] = []
    fix = "add them to the webhook or the application in the portal"
    if lacking := missing(needed):
        findings.append(_fail("scope", "these permissions are missing: {scopes}", fix, scopes=lacking))
    if lacking := missing(wanted):
        findings.append(_warn("scope", "some functions need these permissions too: {scopes}", fix, scopes=lacking))
    return findings or [_ok("scope", "all permissions are there")]


def _register(answer: Answer | PortalError, *, application: bool) -> Finding:
    fix = "make a local application in the portal and put its client_id and client_secret into the settings"
    match answer:
        case CallNotFound() | UserNotFound() | Answer():
            if application:
                return _ok("register", "calls can be registered")
            return _warn(
                "register",
                "calls can be registered through this webhook, but numbers cannot be clicked and lines cannot be named",
                fix,
            )
        case AppContextRequired():
            return _fail("register", "this portal registers calls only for an application, not for a webhook", fix)
        case PortalError():
            told = Reason("calls cannot be registered: {error}", {"error": answer.why})
            return Finding("register", Level.FAILURE, told, remedy(answer, application=application))


def _clock(answer: Answer | PortalError, now: float) -> Finding:
    theirs = None if isinstance(answer, PortalError) else moment(answer.result)
    if theirs is None:
        return _warn("clock", "the portal's clock cannot be read", None)
    offset = now - (theirs + 0.5)  # told in whole seconds
    if abs(offset) <= CLOCK_WARNING:
        return _ok("clock", "our clock and the portal's agree within {seconds} s", seconds=f"{CLOCK_WARNING:g}")
    told = (
        "our clock is {seconds} s ahead of the portal's" if offset > 0 else "our clock is {seconds} s behind the portal's"
    )
    sort = _fail if abs(offset) > CLOCK_FAILURE else _warn
    return sort("clock", told, "switch on time synchronisation (NTP) on this machine", seconds=f"{abs(offset):.0f}")


def _application(app: Answer | PortalError, feature: Answer | PortalError) -> list[Finding]:
    findings: list[Finding] = []
    if isinstance(app, PortalError):
        findings.append(_warn("application", "the application's state cannot be read: {error}", None, error=app.why))
    elif flag(mapping(app.result).get("INSTALLED")):
        findings.append(_ok("application", "the application is installed"))
    else:
        findings.append(
            _fail(
                "application",
                "the application is not fully installed: the portal sends no events",
                "set 'uses API only' in the application's settings, or open its page once",
            )
        )
    confirmed = isinstance(feature, Answer) and flag(mapping(feature.result).get("value"))
    findings.append(
        _ok("offline", "offline events can be confirmed")
        if confirmed
        else _warn("offline", "this plan deletes offline events at reading: a crash in that moment loses a click", None)
    )
    return findings


def _employees(found: Directory) -> list[Finding]:
    if found.problem:
        return [_fail("employees", "{problem}", None, problem=found.problem)]
    if not any(e.extension for e in found.employees):
        return [
            _fail(
                "employees",
                "no employee has an extension, so that no call finds its employee",
                "write the extensions into the employees' profiles (telephony users in the portal)",
            )
        ]
    mapped = str(sum(1 for e in found.employees if e.extension))
    findings = [_ok("employees", "{count} employees have an extension", count=mapped)]
    findings += [
        _warn(
            "doubles",
            "the extension {extension} belongs to several employees ({users}); calls go to {first}",
            "give each employee an extension of his own",
            extension=double.extension,
            users=", ".join(double.user_ids),
            first=double.user_ids[0],
        )
        for double in found.doubles
    ]
    if found.without_extension:
        names = ", ".join(e.name or e.user_id for e in found.without_extension[:10])
        more = len(found.without_extension) - 10
        told = f"{names} (+{more})" if more > 0 else names
        findings.append(_ok("without_extension", "employees without an extension: {names}", names=told))
    return findings


def _ok(check: str, told: str, **args: str | Reason) -> Finding:
    return Finding(check, Level.OK, Reason(told, args))


def _warn(check: str, told: str, fix: str | None, **args: str | Reason) -> Finding:
    return Finding(check, Level.WARNING, Reason(told, args), Reason(fix) if fix else None)


def _fail(check: str, told: str, fix: str | None, **args: str | Reason) -> Finding:
    return Finding(check, Level.FAILURE, Reason(told, args), Reason(fix) if fix else None)
