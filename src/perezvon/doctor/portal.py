"""Checks of one portal: what bitrix24.probe finds, the users named in the settings, extensions that nobody has.

Touches the portal (reading only, about five requests).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perezvon.bitrix24 import OAuthGrant, Portal, placements
from perezvon.bitrix24.binding import bound
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.events import TELEPHONY
from perezvon.bitrix24.methods import USERS, read_user
from perezvon.bitrix24.probe import Finding, Level, examine
from perezvon.bitrix24.remedy import remedy
from perezvon.bitrix24.values import rows
from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings.portal import PortalSettings, handler_of, inside_pages
from perezvon.storage.counters import Counter

_STATES = {Level.OK: State.OK, Level.WARNING: State.WARNING, Level.FAILURE: State.PROBLEM}
_LOOK = Reason("look at it in the portal")

PLACES = {"card": placements.CARD, "analytics": placements.ANALYTICS, "app": placements.MENU}


async def examine_portal(settings: PortalSettings, portal: Portal) -> list[Check]:
    """Never raises for what the portal does."""
    subject = f"portal {settings.name}"
    checks = [_check(finding, subject) for finding in await examine(portal)]
    checks += _moved(portal, subject)
    if any(check.name == "portal.auth" and check.state is State.PROBLEM for check in checks):
        return checks
    checks += await _users(settings, portal, subject)
    checks += await _events(settings, portal, subject)
    checks += await _pages(settings, portal, subject)
    return checks


def not_installed(settings: PortalSettings) -> Check:
    """The application has no tokens: there is nobody to ask."""
    at = f"{settings.public_url or 'https://…'}/bitrix24/{settings.name}/install"
    return Check(
        "portal.installation",
        f"portal {settings.name}",
        State.PROBLEM,
        Reason("the application is not installed yet: the portal has given us no access"),
        Reason(
            "in the portal, open the local application and save it with the initial installation path {address}",
            {"address": at},
        ),
    )


def unmapped(portal: str, counted: Iterable[Counter]) -> Iterator[Check]:
    """Extensions that were seen in calls and that no employee has. `counted`: the counters `unmapped:PORTAL:EXTENSION`."""
    for case in counted:
        extension = case.name.rpartition(":")[2]
        told = {"extension": extension, "count": str(case.value)}
        yield Check(
            "portal.unmapped",
            f"portal {portal}",
            State.WARNING,
            Reason("no employee of the portal has the extension {extension}: {count} calls went without a card", told),
            Reason("write {extension} into the profile of the employee (portal: telephony, telephony users)", told),
        )


def _check(finding: Finding, subject: str) -> Check:
    state = _STATES[finding.level]
    fix = finding.fix or (None if state is State.OK else _LOOK)
    return Check(f"portal.{finding.check}", subject, state, finding.text, fix)


async def _users(settings: PortalSettings, portal: Portal, subject: str) -> list[Check]:
    checks: list[Check] = []
    for setting, user in (("fallback_user", settings.fallback_user), ("missed_user", settings.missed_user)):
        told = {"setting": setting, "user": user}
        if not user:
            if setting == "fallback_user":
                checks.append(
                    Check(
                        "portal.fallback_user",
                        subject,
                        State.WARNING,
                        Reason(
                            "no fall-back user is set: calls of unknown extensions go to the user in whose name we speak"
                        ),
                        Reason("put the id of an employee into fallback_user (it stands in the address of his profile)"),
                    )
                )
            continue
        try:
            found = rows((await portal.call(USERS, {"FILTER": {"ID": user}})).result)
        except PortalError as error:
            seen = Reason("the user {user} ({setting}) cannot be looked up: {why}", {**told, "why": error.why})
            checks.append(Check(f"portal.{setting}", subject, State.WARNING, seen, _LOOK))
            continue
        known = read_user(found[0]) if found else None
        if known is not None and known.active:
            seen = Reason("{setting}: {name}", {**told, "name": known.name or user})
            checks.append(Check(f"portal.{setting}", subject, State.OK, seen))
        else:
            seen = Reason("{setting}: the portal has no active user {user}", told)
            fix = Reason("put the id of an active employee into {setting}", told)
            checks.append(Check(f"portal.{setting}", subject, State.PROBLEM, seen, fix))
    return checks


def _moved(portal: Portal, subject: str) -> Iterator[Check]:
    if isinstance(portal.address, OAuthGrant) and (old := portal.address.moved_from):
        told = {"settings": old, "host": portal.address.host}
        seen = Reason("the portal has moved from {settings} to {host}; it was followed, nothing is lost", told)
        fix = Reason("put {host} into the settings as its domain", told)
        yield Check("portal.moved", subject, State.WARNING, seen, fix)


async def _events(settings: PortalSettings, portal: Portal, subject: str) -> list[Check]:
    """Whether the portal would tell us of a click: a reinstallation or a backup loses what was bound, without a word."""
    if settings.events == "off":
        return []
    if not portal.is_application:
        seen = Reason("clicks on numbers need a local application; this portal is set to a webhook")
        fix = Reason('make a local application, or set events = "off" to say that clicks are not wanted')
        return [Check("portal.events", subject, State.WARNING, seen, fix)]
    try:
        now = await bound(portal, handler_of(settings))
    except PortalError as error:
        seen = Reason("clicks on numbers may not arrive: {why}", {"why": error.why})
        return [Check("portal.events", subject, State.WARNING, seen, remedy(error, application=True))]
    ways = [now.offline] * (settings.events != "handler") + [now.online] * (settings.events != "offline")
    missing = sorted({event for way in ways for event in TELEPHONY if event not in way})
    if not missing:
        return [Check("portal.events", subject, State.OK, Reason("the portal tells of clicks on numbers"))]
    seen = Reason("the portal does not tell us of clicks on numbers: {events} is not bound", {"events": ", ".join(missing)})
    fix = Reason("nothing needs to be done while perezvon serve runs: it binds them within ten minutes, or says why not")
    return [Check("portal.events", subject, State.WARNING, seen, fix)]


async def _pages(settings: PortalSettings, portal: Portal, subject: str) -> list[Check]:
    """Whether what the settings want to be seen inside the portal is there."""
    handlers = inside_pages(settings)
    if not portal.is_application or not handlers:
        return []
    try:
        there = {handler for _, handler in await placements.bound(portal)}
    except PortalError as error:
        seen = Reason("whether our pages are in the portal cannot be seen: {why}", {"why": error.why})
        return [Check("portal.pages", subject, State.WARNING, seen, remedy(error, application=True))]
    missing = [PLACES[page] for page, handler in handlers.items() if handler not in there]
    if not missing:
        return [Check("portal.pages", subject, State.OK, Reason("our pages are in the portal"))]
    seen = Reason("these pages of ours are not in the portal: {places}", {"places": ", ".join(missing)})
    fix = Reason(
        "give the application the permissions placement and telephony; perezvon serve binds them within ten minutes, or "
        "says why not"
    )
    return [Check("portal.pages", subject, State.WARNING, seen, fix)]
