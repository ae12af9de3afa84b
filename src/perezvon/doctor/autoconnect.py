"""Checks of autoconnect: does the dialplan have our part, may we ask the portal who is at work, are those whom the settings
name employees of it? Touches the portal (reading only, two requests)."""

from __future__ import annotations

from collections.abc import Iterator

from perezvon.bitrix24 import Portal, methods
from perezvon.bitrix24.directory import Directory, Employee, normal_extension
from perezvon.bitrix24.errors import PortalError
from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings.model import Settings

CONTEXT = "perezvon-connect"

_STANDS_FOR = {"user": ("user", "user_brief", "user_basic")}


def examine_dialplan(subject: str, there: bool | None) -> list[Check]:
    """`there`: whether the PBX has our part of the dialplan; None: it could not be asked."""
    if there is None:
        return []
    if there:
        return [Check("wiring.connect", subject, State.OK, Reason("the dialplan can ask whom to connect a caller with"))]
    seen = Reason("autoconnect is on, but the dialplan has no context {context}", {"context": CONTEXT})
    fix = Reason("perezvon asterisk install --write-includes, on the PBX; then Gosub(perezvon-connect,s,1) in its routes")
    return [Check("wiring.connect", subject, State.WARNING, seen, fix)]


async def examine_connecting(settings: Settings, portal_name: str, portal: Portal) -> list[Check]:
    """Never raises for what the portal does."""
    subject = f"portal {portal_name}"
    try:
        granted = await methods.granted_scopes(portal)
        users = await methods.users(portal)
    except PortalError as error:
        seen = Reason("whether autoconnect may ask the portal is not known: {why}", {"why": error.why})
        return [Check("autoconnect.scope", subject, State.WARNING, seen, Reason("see to what the message says"))]
    employees = [Employee(user.id, user.name, normal_extension(user.extension), user.active) for user in users]
    return [*_scopes(settings, granted, subject), *_employees(settings, Directory.of(employees, 0.0), subject)]


def _scopes(settings: Settings, granted: frozenset[str], subject: str) -> Iterator[Check]:
    wanted = settings.autoconnect
    needed = {
        "telephony": "responsible" in wanted.chain,
        "crm": "deal" in wanted.objects or "{company}" in wanted.caller_name,
        "timeman": "workday" in wanted.checks,
        "calendar": "absence" in wanted.checks,
    }
    missing = [scope for scope, need in needed.items() if need and granted.isdisjoint(_STANDS_FOR.get(scope, (scope,)))]
    if missing:
        seen = Reason(
            "autoconnect lacks these permissions, and does without what they tell: {scopes}", {"scopes": ", ".join(missing)}
        )
        fix = Reason(
            "add them to the webhook or the application in the portal, or take what needs them out of autoconnect.checks"
        )
        yield Check("autoconnect.scope", subject, State.WARNING, seen, fix)
    else:
        yield Check("autoconnect.scope", subject, State.OK, Reason("autoconnect may ask the portal all that it wants to"))


def _employees(settings: Settings, directory: Directory, subject: str) -> Iterator[Check]:
    """An extension without a portal user is rung all the same, whatever his workday says."""
    named = {line.first_employee: "line.first_employee" for line in settings.line if line.first_employee}
    for entry in settings.autoconnect.deputy:
        named |= dict.fromkeys((entry.employee, *entry.deputies), "autoconnect.deputy")
    named |= {one.extension: "working_time.employee" for one in settings.working_time.employee}
    for extension, setting in sorted(named.items()):
        if directory.by_extension(extension) is None:
            told = {"extension": extension, "setting": setting}
            seen = Reason("no employee of the portal has the extension {extension} of {setting}", told)
            fix = Reason("write {extension} into the profile of the employee (portal: telephony, telephony users)", told)
            yield Check("autoconnect.employee", subject, State.WARNING, seen, fix)
