"""The settings that decide what goes to the portal, and who is who there: plain values, made by the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Literal

from perezvon.calls.names import parse
from perezvon.rules.numbers import NumberRule

OwnLine = Literal["portal", "perezvon"]
Responsible = Literal["first", "last", "longest"]
Transfers = Literal["one", "each"]


@dataclass(frozen=True, slots=True)
class Line:
    """One of the company's numbers as the portal shall see it. `source` is a STATUS_ID of the portal's SOURCE directory."""

    number: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """How a call's activity tells of the voice menu and the conference: `translate` is gettext's, `zone` that of the times
    (None: this machine's)."""

    translate: Callable[[str], str] = str
    zone: tzinfo | None = None


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
    `register`: False for a call that shall not be registered, or not yet.
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
    lines: Mapping[str, Line] = field(default_factory=dict[str, Line])
    trunk_lines: Mapping[str, Line] = field(default_factory=dict[str, Line])
    to_crm: tuple[NumberRule, ...] = ()
    register: bool = True

    def at_portal(self, channel: str) -> bool:
        """Whether this channel leads to the portal's own SIP line."""
        return bool(self.portal_peers) and parse(channel).peer in self.portal_peers

    def line(self, number: str, raw: str, trunk: str) -> Line:
        """The line of a dialled number by the settings; of a call without one, the line of its trunk; else the number."""
        if number or raw:
            return self.lines.get(number) or self.lines.get(raw) or Line(number or raw)
        return self.trunk_lines.get(trunk) or Line("")


@dataclass(frozen=True, slots=True)
class People:
    """Extension, or an employee's own phone in E.164 -> the portal's user id (active employees only), or his name."""

    users: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def user(self, extension: str) -> str:
        """The user id, or "" for an extension that the portal does not know."""
        return self.users.get(extension, "")
