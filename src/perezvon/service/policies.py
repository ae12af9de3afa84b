"""The settings as the plain values that the pure floors want: numbering, policy, people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from perezvon.autoconnect.presence import Wanted as Attended
from perezvon.bitrix24.automation import Robot, Wanted
from perezvon.bitrix24.directory import Directory, Employee
from perezvon.bitrix24.methods import Line as ExternalLine
from perezvon.calls import Numbering
from perezvon.rules import (
    Filters,
    Line,
    MissedTasks,
    NumberList,
    NumberRule,
    People,
    Policy,
    Telling,
    Towards,
    Triggers,
)
from perezvon.rules.call_words import PLACES
from perezvon.rules.connecting import Connecting, Person
from perezvon.rules.field_check import CrmKnown
from perezvon.rules.filters import Filter
from perezvon.rules.number_lists import Pattern, client_pattern, extension_pattern, number_pattern
from perezvon.rules.policy import ChatRules, CrmRules
from perezvon.rules.templates import parse
from perezvon.rules.triggers import LATE, MISSED, menu_code
from perezvon.settings.crm import field_rules
from perezvon.settings.errors import SecretMissing
from perezvon.settings.filters import Chosen
from perezvon.settings.model import LineSettings, Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.portal import PortalSettings, robot_handler_of
from perezvon.settings.urls import WebhookUrl
from perezvon.storage import employees
from perezvon.web.translations import catalog


@dataclass(frozen=True, slots=True)
class PortalRules:
    """What the planner goes by for the calls of one portal."""

    portal: str
    policy: Policy
    people: People

    def knows_line(self, number: str) -> bool:
        """Whether a number of the company is (by now) in the settings."""
        return self.policy.line(number, number, "").known

    def leaves_out(self, extension: str) -> bool:
        """Whether the settings want to hear nothing of an extension."""
        return self.policy.filters.employee(extension, self.people.users) is not None


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


def policy(
    settings: Settings, portal: PortalSettings, installation: str, own_user: str, known: CrmKnown | None = None
) -> Policy:
    """`own_user`: the user in whose name we speak to the portal, the last resort for calls of nobody. `known`: what the
    portal has told of its CRM."""
    calls = settings.calls
    plain = Numbering(extension_pattern=calls.extension_pattern, region=calls.region)
    lines: dict[str, Line] = {}
    for entry in settings.line:
        line = Line(
            plain.international(entry.number) or entry.number,
            entry.source,
            entry.name,
            entry.missed_user,
            lead_for_incoming=entry.create_lead_incoming,
            lead_for_outgoing=entry.create_lead_outgoing,
            lead_user=entry.lead_user,
            recordings=entry.recordings,
        )
        for name in _names(entry):
            lines[name] = line
            lines.setdefault(plain.international(name), line)
    portal_peers = frozenset(
        peer for pbx in settings.asterisk if settings.portal_of(pbx.name) == portal for peer in pbx.ways_to_portal
    )
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
        portal_peers=portal_peers,
        own_line=portal.own_line,
        telling=telling_of(portal) if calls.describe else None,
        missed_chain=settings.missed.responsible,
        missed=_missed(settings, portal) if settings.missed.task else None,
        lines=lines,
        trunk_lines={entry.trunk: lines[entry.number] for entry in reversed(settings.line) if entry.trunk},
        to_crm=number_rules(settings, Towards.CRM),
        unknown_lines=portal.unknown_lines == "sent",
        crm=_crm(settings, portal, known or CrmKnown()),
        chat=_chat(settings, portal),
        filters=_filters(settings, plain, portal_peers),
        triggers=_triggers(portal),
        recordings=settings.recordings.mode,
    )


def external_lines(settings: Settings) -> list[ExternalLine]:
    """The company's numbers as lines of the portal, by the numbers with which calls are told."""
    calls = settings.calls
    plain = Numbering(extension_pattern=calls.extension_pattern, region=calls.region)
    everywhere = calls.create_lead_outgoing
    return [
        ExternalLine(
            plain.international(entry.number) or entry.number,
            entry.name,
            everywhere if entry.create_lead_outgoing is None else entry.create_lead_outgoing,
        )
        for entry in settings.line
    ]


def _filters(settings: Settings, numbering: Numbering, portal_peers: frozenset[str]) -> Filters:
    wanted = settings.filters

    def filtered(name: str, chosen: Chosen, read: Callable[[str], Pattern], numbering: Numbering | None) -> Filter:
        only, never = (NumberList.of(map(read, texts), numbering) for texts in (chosen.only, chosen.never))
        return Filter(name, only, never)

    return Filters(
        extensions=filtered("extensions", wanted.extensions, extension_pattern, None),
        lines=filtered("lines", wanted.lines, number_pattern, numbering),
        clients=filtered("clients", wanted.clients, client_pattern, numbering),
        staff=NumberList.of(map(number_pattern, wanted.staff), numbering),
        region=numbering.region,
        elsewhere=portal_peers,
    )


def number_rules(settings: Settings, towards: Towards) -> tuple[NumberRule, ...]:
    """A rule for one line knows all names of that line, as they are set and in international form."""
    plain = Numbering(region=settings.calls.region)
    made: list[NumberRule] = []
    for rule in settings.numbers.rules(towards):
        lines = [entry for entry in settings.line if rule.line and rule.line in _names(entry)]
        named = [name for entry in lines for name in _names(entry)]
        names = frozenset({*named, *map(plain.international, named)}) - {""}
        made.append(NumberRule(rule.match, rule.replace, rule.name, names))
    return tuple(made)


def portal_or_nobodys(settings: Settings, pbx: str) -> PortalSettings:
    """The portal of a PBX; where it has none, one that is nowhere: to show what would be decided."""
    nobodys = PortalSettings(name="portal", webhook=WebhookUrl("https://portal/rest/1/none/"))
    return settings.portal_of(pbx) or nobodys


def directory(kept: Iterable[employees.Employee], refreshed: float | None) -> Directory:
    """Of the employees as they are stored, and when (None: never)."""
    known = (Employee(one.user_id, one.name, one.extension, one.active, one.phones) for one in kept)
    return Directory.of(known, refreshed or 0.0)


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


def telling_of(portal: PortalSettings) -> Telling:
    """In the portal's language and time zone."""
    return Telling(catalog(portal.language).gettext, ZoneInfo(portal.time_zone) if portal.time_zone else None)


def _missed(settings: Settings, portal: PortalSettings) -> MissedTasks:
    wanted = settings.missed
    return MissedTasks(
        telling=telling_of(portal),
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


def _crm(settings: Settings, portal: PortalSettings, known: CrmKnown) -> CrmRules:
    wanted = settings.crm
    return CrmRules(
        telling=telling_of(portal),
        lead_owner=wanted.lead_responsible,
        lead_user=wanted.lead_user,
        hand_over=wanted.hand_over,
        bind_deals=wanted.bind_deals,
        bind_leads=wanted.bind_leads,
        fields=field_rules(wanted, known),
        mode=known.mode,
        wait=wanted.wait_for_recording,
        portal=_address(portal),
    )


def _chat(settings: Settings, portal: PortalSettings) -> ChatRules:
    wanted, translate = settings.chat, telling_of(portal).translate
    leads = wanted.leads_text or translate(
        "[B]{object}[/B]: {client} {client_name}\n{direction}, {line}\nTalked: {talked|default:nobody}\nMenu: {menu}\n"
        "{link}\nRecording: {recording}"
    )
    missed = wanted.missed_text or translate(
        "[B]Missed call[/B]: {client} {client_name}\nLine: {line}\nTime: {time}, waited {waited_for}\nRung: {rung}\n{link}"
    )
    return ChatRules(wanted.leads, parse(leads, PLACES), wanted.missed, parse(missed, PLACES), wanted.report)


def _address(portal: PortalSettings) -> str:
    """Of the portal, for links; "" where its webhook leads nowhere."""
    if portal.webhook is None:
        return portal.domain if "://" in portal.domain else f"https://{portal.domain}"
    try:
        parts = urlsplit(portal.webhook.reveal())
    except SecretMissing:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def _triggers(portal: PortalSettings) -> Triggers:
    """None for a webhook: the portal would refuse them."""
    wanted = portal.automation
    if portal.webhook is not None:
        return Triggers()
    return Triggers(wanted.missed, wanted.late, frozenset(wanted.menu))


def automation(portal: PortalSettings) -> Wanted:
    """What the portal shall have of us."""
    wanted = portal.automation
    translate = catalog(portal.language).gettext
    menu = wanted.menu_name or translate("Perezvon: the caller pressed {key}")
    triggers: dict[str, str] = {}
    if wanted.missed:
        triggers[MISSED] = wanted.missed_name or translate("Perezvon: missed call")
    triggers |= {menu_code(key): menu.format(key=key) for key in wanted.menu}
    if wanted.late:
        triggers[LATE] = wanted.late_name or translate("Perezvon: the client was not called back in time")
    handler = robot_handler_of(portal)
    name = wanted.robot_name or translate("Perezvon: call the client")
    return Wanted(triggers, Robot(name, handler, translate) if wanted.robot and handler else None)


def connecting(settings: Settings, portal: PortalSettings | None) -> Connecting:
    """Whom callers are connected with."""
    wanted = settings.autoconnect
    return Connecting(
        chain=wanted.chain,
        objects=wanted.objects,
        sticky=wanted.sticky_days * 86400,
        ring=wanted.ring,
        checks=frozenset(wanted.checks),
        not_working=frozenset(wanted.workday),
        ring_busy=wanted.busy == "ring",
        deputies={one.employee: one.deputies for one in wanted.deputy},
        working_time=settings.working_time.working_time(portal.time_zone if portal is not None else ""),
    )


def attended(settings: Settings, portal: PortalSettings) -> Attended:
    """What the portal is asked of its employees' attendance."""
    checks = settings.autoconnect.checks if settings.autoconnects_somebody else ()
    zone = portal.time_zone or settings.working_time.time_zone
    return Attended("workday" in checks, "absence" in checks, ZoneInfo(zone) if zone else None)


def staff(directory: Directory) -> tuple[dict[str, Person], dict[str, Person]]:
    """The active employees by user, and by extension or own phone, with the rules of `people`."""
    active = {one.user_id: one for one in directory.employees if one.active}
    numbers = people(directory).users
    of_user = {user: Person(user, one.extension, one.name) for user, one in active.items()}
    return of_user, {number: of_user[user] for number, user in numbers.items() if user in of_user}


def _names(line: LineSettings) -> tuple[str, ...]:
    return (line.number, *line.aliases)
