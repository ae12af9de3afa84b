"""The settings as the plain values that the pure floors want: numbering, policy, people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from perezvon.bitrix24.directory import Directory
from perezvon.calls import Numbering
from perezvon.rules import Line, MissedTasks, People, Policy, Telling
from perezvon.settings.model import LineSettings, Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.portal import PortalSettings
from perezvon.web.translations import catalog


@dataclass(frozen=True, slots=True)
class PortalRules:
    """What the planner goes by for the calls of one portal."""

    portal: str
    policy: Policy
    people: People


def numbering(settings: Settings, pbx: AsteriskSettings) -> Numbering:
    """How the numbers of one PBX are read."""
    plain = Numbering(extension_pattern=settings.calls.extension_pattern, region=settings.calls.region)
    lines = {plain.international(number) for line in settings.line for number in _names(line)}
    return Numbering(
        extension_pattern=settings.calls.extension_pattern,
        trunks=frozenset(pbx.trunks),
        region=settings.calls.region,
        lines=frozenset(lines - {""}),
        ignored_peers=frozenset(pbx.ignored_peers),
        portals=pbx.ways_to_portal,
        conference=settings.conference.extension,
    )


def policy(settings: Settings, portal: PortalSettings, installation: str, own_user: str) -> Policy:
    """`own_user`: the user in whose name we speak to the portal, the last resort for calls of nobody."""
    calls = settings.calls
    plain = Numbering(extension_pattern=calls.extension_pattern, region=calls.region)
    lines: dict[str, Line] = {}
    for entry in settings.line:
        line = Line(plain.international(entry.number) or entry.number, entry.source, entry.name, entry.missed_user)
        for name in _names(entry):
            lines[name] = line
            lines.setdefault(plain.international(name), line)
    return Policy(
        installation=installation,
        fallback_user=portal.fallback_user or own_user or "1",
        missed_user=portal.missed_user,
        internal_calls=calls.internal,
        lead_for_incoming=calls.create_lead_incoming,
        lead_for_outgoing=calls.create_lead_outgoing,
        show_card=calls.show_card,
        card_lifetime=calls.card_expires,
        anonymous_number=calls.anonymous_number,
        responsible=calls.responsible,
        transfers=calls.transfers,
        portal_peers=frozenset(
            peer for pbx in settings.asterisk if settings.portal_of(pbx.name) == portal for peer in pbx.ways_to_portal
        ),
        own_line=portal.own_line,
        telling=_telling(portal) if calls.describe else None,
        missed_chain=settings.missed.responsible,
        missed=_missed(settings, portal) if settings.missed.task else None,
        lines=lines,
        trunk_lines={entry.trunk: lines[entry.number] for entry in reversed(settings.line) if entry.trunk},
    )


def people(directory: Directory) -> People:
    """Extensions of the active employees; a doubled extension belongs to whom the directory says. Their own phones too (the
    mobile, work and personal numbers of their profiles), but none that several have: the office's number is nobody's."""
    active = [employee for employee in directory.employees if employee.active]
    having = Counter(phone for employee in active for phone in set(employee.phones))
    users = {phone: employee.user_id for employee in active for phone in employee.phones if having[phone] == 1}
    for employee in active:
        if employee.extension and (owner := directory.by_extension(employee.extension)):
            users[employee.extension] = owner.user_id
    names = {employee.user_id: employee.name for employee in active if employee.name}
    return People(users, {number: names[user] for number, user in users.items() if user in names})


def _telling(portal: PortalSettings) -> Telling:
    return Telling(catalog(portal.language).gettext, ZoneInfo(portal.time_zone) if portal.time_zone else None)


def _missed(settings: Settings, portal: PortalSettings) -> MissedTasks:
    wanted = settings.missed
    return MissedTasks(
        telling=_telling(portal),
        title=wanted.title,
        description=wanted.description,
        comment=wanted.comment,
        deadline=wanted.deadline * 60,
        important=wanted.important,
        raise_after=wanted.raise_after,
        tags=wanted.tags,
        group=wanted.group,
        observers=wanted.observers,
        close=wanted.close,
        again=wanted.again,
        reopen_within=wanted.reopen_within * 3600,
        remind_after=wanted.remind_after * 60,
        remind_user=wanted.remind_user,
    )


def _names(line: LineSettings) -> tuple[str, ...]:
    return (line.number, *line.aliases)
