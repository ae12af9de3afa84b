"""The settings that decide what goes to the portal, and who is who there: plain values, made by the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Literal

from perezvon.calls.call import Call
from perezvon.calls.names import parse
from perezvon.rules.field_values import FieldType
from perezvon.rules.filters import Filters
from perezvon.rules.numbers import NumberRule
from perezvon.rules.templates import Template
from perezvon.rules.triggers import Triggers

OwnLine = Literal["portal", "perezvon"]
Responsible = Literal["first", "last", "longest"]
Transfers = Literal["one", "each"]
Who = Literal["owner", "last_rung", "line", "default"]
Close = Literal["anybody", "responsible", "off"]
Again = Literal["new", "reopen"]
LeadOwner = Literal["call", "first", "last", "longest", "fixed"]
Bind = Literal["off", "newest", "all"]
Object = Literal["lead", "contact", "company", "deal", "activity"]
Existing = Literal["keep", "overwrite", "add"]
Objects = Literal["new", "all"]
Recordings = Literal["upload", "link", "off"]


@dataclass(frozen=True, slots=True)
class Line:
    """One of the company's numbers as the portal shall see it. `source` is a STATUS_ID of the portal's SOURCE directory;
    `name`: how people call it; `missed_user`: who is responsible for calls to it that nobody answered.
    `lead_for_incoming`, `lead_for_outgoing`, `recordings`: None where it is as everywhere. `known`: it is one of the
    settings. `lead_user`: who gets its new leads, "" for whom the rules say."""

    number: str
    source: str = ""
    name: str = ""
    missed_user: str = ""
    lead_for_incoming: bool | None = None
    lead_for_outgoing: bool | None = None
    known: bool = True
    lead_user: str = ""
    recordings: Recordings | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Telling:
    """How a call's activity tells of the voice menu and the conference: `translate` is gettext's, `zone` that of the times
    (None: this machine's)."""

    translate: Callable[[str], str] = str
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class MissedTasks:
    """How a client whom nobody answered is made a task of. Texts are templates with the places of missed.py; "" for the
    usual one, in the language of `telling`. Times are seconds, 0 for never; users are ids of the portal.

    `raise_after`: so many missed calls make it important. `close`: after a successful
    call with anybody, with its responsible, or not at all. `again`: what a missed call does to a task that is closed, if
    that was at most `reopen_within` ago; later it gets a new one. `remind_after`: seconds without a call back after which
    the task is brought to mind, and to `remind_user`, who becomes an observer.
    """

    telling: Telling
    title: str = ""
    description: str = ""
    comment: str = ""
    deadline: float = 0.0
    important: bool = False
    raise_after: int = 0
    tags: tuple[str, ...] = ()
    group: str = ""
    observers: tuple[str, ...] = ()
    close: Close = "anybody"
    again: Again = "new"
    reopen_within: float = 86400.0
    remind_after: float = 0.0
    remind_user: str = ""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field of an object of the CRM, and what it is filled with. `existing`: what becomes of a value that is there; of
    a field with several values it always stays. `objects`: those that the call has made, or all of the call. `type`: None
    while the portal has not told it."""

    of: Object
    name: str
    template: Template
    existing: Existing = "keep"
    objects: Objects = "all"
    type: FieldType | None = None


@dataclass(frozen=True, slots=True)
class CrmRules:
    """What is done in the CRM when a call is over. `lead_owner`: who of those who talked gets what the call has made;
    `call`: whom the call is finished for; `fixed`: `lead_user`. `hand_over`: whether objects that were there go to whoever
    talked. `bind_deals`, `bind_leads`: the client's open deals and repeat leads to which the activity is bound too. `mode`:
    1 the portal has leads, 2 it has none, 0 unknown. `wait`: seconds for which a text waits for the recording that it
    names. `portal`: its address.
    """

    telling: Telling
    lead_owner: LeadOwner = "call"
    lead_user: str = ""
    hand_over: bool = False
    bind_deals: Bind = "off"
    bind_leads: Bind = "off"
    fields: tuple[FieldRule, ...] = ()
    mode: int = 0
    wait: float = 0.0
    portal: str = ""


@dataclass(frozen=True, slots=True)
class ChatRules:
    """Who is told of new leads and of missed calls: `chatN`, or the id of a user; "" for nobody. `report`: whether the
    portal's own message about each call goes to the employee's chat."""

    leads: str = ""
    leads_text: Template = ()
    missed: str = ""
    missed_text: Template = ()
    report: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What the planner needs of the settings.

    `installation` goes into every EXTERNAL_CALL_ID. `lines` maps each alias of a company number (as the PBX says it, and as
    E.164) to its line, `trunk_lines` a trunk to the line of calls for which the PBX names no number. `fallback_user` gets
    the calls of employees without a portal user, `missed_user` the missed calls for which nobody was rung (empty:
    `fallback_user`). `card_lifetime`: seconds after which showing a card is useless. `anonymous_number` is sent when the
    caller hides his number: the portal demands one. `responsible`: who of several talkers an answered call belongs to.
    `portal_peers`: the PBX's peers that lead to the portal's own SIP line; `own_line`: whether the portal writes down those
    calls itself, or we do. `transfers`: one portal call whoever talks, or one for each employee to whom the client is
    passed on. `telling`: None where activities tell nothing. `to_crm`: how clients' numbers are told to the portal.
    `filters`: what is not told at all. `unknown_lines`: whether the portal is told of a company number that is not in the
    settings; it makes a line of it. `missed_chain`: whose a missed call is, in order (its owner in the CRM is known to
    tasks only). `missed`: None where missed calls make no tasks. `crm`, `chat`: what is done when the call is over.
    `triggers`: those that the portal has of us. `recordings`: what becomes of them. `register`: False for a call that shall
    not be registered, or not yet.
    """

    installation: str
    fallback_user: str
    missed_user: str = ""
    internal_calls: bool = False
    lead_for_incoming: bool = True
    lead_for_outgoing: bool = True
    show_card: bool = True
    card_lifetime: float = 30.0
    anonymous_number: str = "000000"
    responsible: Responsible = "last"
    transfers: Transfers = "one"
    portal_peers: frozenset[str] = frozenset()
    own_line: OwnLine = "portal"
    telling: Telling | None = None
    missed_chain: tuple[Who, ...] = ("owner", "last_rung", "line", "default")
    missed: MissedTasks | None = None
    lines: Mapping[str, Line] = field(default_factory=dict[str, Line])
    trunk_lines: Mapping[str, Line] = field(default_factory=dict[str, Line])
    to_crm: tuple[NumberRule, ...] = ()
    filters: Filters = field(default_factory=Filters)
    unknown_lines: bool = True
    crm: CrmRules | None = None
    chat: ChatRules = field(default_factory=ChatRules)
    triggers: Triggers = field(default_factory=Triggers)
    recordings: Recordings = field(default="upload", kw_only=True)
    register: bool = True

    def at_portal(self, channel: str) -> bool:
        """Whether this channel leads to the portal's own SIP line."""
        return bool(self.portal_peers) and parse(channel).peer in self.portal_peers

    def lead(self, line: Line, *, incoming: bool) -> bool:
        """Whether a call of an unknown number through this line makes a lead."""
        own, everywhere = (
            (line.lead_for_incoming, self.lead_for_incoming)
            if incoming
            else (line.lead_for_outgoing, self.lead_for_outgoing)
        )
        return everywhere if own is None else own

    def line_of(self, call: Call) -> Line:
        return self.line(call.line, call.line_raw, call.trunk)

    def line(self, number: str, raw: str, trunk: str) -> Line:
        """The line of a dialled number by the settings; of a call without one, the line of its trunk; else the number."""
        if number or raw:
            return self.lines.get(number) or self.lines.get(raw) or Line(number or raw, known=False)
        return self.trunk_lines.get(trunk) or Line("")


@dataclass(frozen=True, slots=True)
class People:
    """Extension, or an employee's own phone in E.164 -> the portal's user id (active employees only), or his name."""

    users: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def user(self, extension: str) -> str:
        """The user id, or "" for an extension that the portal does not know."""
        return self.users.get(extension, "")
