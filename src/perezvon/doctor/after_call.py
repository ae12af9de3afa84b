"""Checks of what calls leave in the CRM and tell in the chat: the fields, the users and the chats of the settings.

Touches the portal (reading only, and only for what is set: a batch for the fields, one request for each user and chat).
"""

from __future__ import annotations

from collections.abc import Iterator

from perezvon.bitrix24 import Portal, methods
from perezvon.bitrix24.crm_fields import known_crm
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.methods import USERS, read_user
from perezvon.bitrix24.values import rows
from perezvon.doctor.check import Check, State
from perezvon.rules.field_check import CrmKnown, wrong_fields
from perezvon.rules.vocabulary import Reason
from perezvon.settings.crm import field_rules
from perezvon.settings.model import Settings


async def examine_after_call(settings: Settings, portal: Portal, subject: str) -> list[Check]:
    """Never raises for what the portal does."""
    checks = await _fields(settings, portal, subject)
    for setting, user in _users(settings):
        checks.append(await _user(setting, user, portal, subject))
    told = [("chat.leads", settings.chat.leads), ("chat.missed", settings.chat.missed)]
    tells = settings.alerts.portal or next((one.name for one in settings.portal), "")
    if settings.alerts.enabled and subject == f"portal {tells}":
        told.append(("alerts.to", settings.alerts.to))
    for setting, dialog in told:
        if dialog.startswith("chat"):
            checks.append(await _chat(setting, dialog, portal, subject))
        elif dialog:
            checks.append(await _user(setting, dialog, portal, subject))
    return checks


def _users(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.crm.lead_responsible == "fixed":
        yield "crm.lead_user", settings.crm.lead_user
    for line in settings.line:
        if line.lead_user:
            yield f"line[{line.number}].lead_user", line.lead_user


async def _fields(settings: Settings, portal: Portal, subject: str) -> list[Check]:
    rules = field_rules(settings.crm, CrmKnown())
    if not rules:
        return []
    try:
        known = await known_crm(portal, [rule.of for rule in rules])
    except PortalError as error:
        seen = Reason("the fields of [[crm.field]] cannot be checked: {why}", {"why": error.why})
        return [Check("portal.crm_fields", subject, State.WARNING, seen, Reason("look at it in the portal"))]
    wrong = [
        Check("portal.crm_fields", subject, State.PROBLEM, why, Reason("correct crm.field[{place}]", {"place": str(place)}))
        for place, why in wrong_fields(rules, known)
    ]
    well = Reason("{count} fields of the CRM can be filled", {"count": str(len(rules))})
    return wrong or [Check("portal.crm_fields", subject, State.OK, well)]


async def _user(setting: str, user: str, portal: Portal, subject: str) -> Check:
    told = {"setting": setting, "user": user}
    try:
        found = rows((await portal.call(USERS, {"FILTER": {"ID": user}})).result)
    except PortalError as error:
        seen = Reason("the user {user} ({setting}) cannot be looked up: {why}", {**told, "why": error.why})
        return Check("portal.user", subject, State.WARNING, seen, Reason("look at it in the portal"))
    known = read_user(found[0]) if found else None
    if known is not None and known.active:
        return Check("portal.user", subject, State.OK, Reason("{setting}: {name}", {**told, "name": known.name or user}))
    seen = Reason("{setting}: the portal has no active user {user}", told)
    return Check(
        "portal.user", subject, State.PROBLEM, seen, Reason("put the id of an active employee into {setting}", told)
    )


async def _chat(setting: str, dialog: str, portal: Portal, subject: str) -> Check:
    told = {"setting": setting, "chat": dialog}
    try:
        await portal.call(methods.DIALOG, {"DIALOG_ID": dialog})
    except PortalError as error:
        seen = Reason("{setting}: nothing can be told in {chat}: {why}", {**told, "why": error.why})
        fix = Reason("add the user in whose name we speak to the chat, and the permission im to the webhook or application")
        return Check("portal.chat", subject, State.PROBLEM, seen, fix)
    return Check("portal.chat", subject, State.OK, Reason("{setting}: the chat {chat} is there", told))
