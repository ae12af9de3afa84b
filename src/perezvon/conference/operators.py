"""Who wants something done with a call, what he may, and what can be wanted. Values.

The administrator may do everything. An employee of the portal acts on calls in which he himself talks: his extension is on
one of its legs; or, where the PBX cannot tell the portal's employees apart (they all talk through the portal's own SIP
line), on the one call for which the portal has shown him a card.
"""

from __future__ import annotations

from dataclasses import dataclass

from perezvon.conference.consultation import Consultation


@dataclass(frozen=True, slots=True)
class Employee:
    """Of a portal. `extension`: on this PBX, "" for none of his own. `call`: the id of one call that is his besides."""

    portal: str
    user: str
    pbx: str
    extension: str = ""
    call: str = ""

    def talks_in(self, seen: Consultation) -> bool:
        if seen.pbx != self.pbx:
            return False
        return bool(self.call and self.call == seen.call) or bool(self.extension and self.extension in seen.employees)


@dataclass(frozen=True, slots=True)
class Operator:
    """`name`: for the log. `employee`: None for the administrator."""

    name: str
    employee: Employee | None = None

    def may(self, seen: Consultation) -> bool:
        return self.employee is None or self.employee.talks_in(seen)

    def may_know_of(self, pbx: str) -> bool:
        return self.employee is None or self.employee.pbx == pbx


@dataclass(frozen=True, slots=True)
class Consult:
    """The client hears music, the manager is asked for a code."""


@dataclass(frozen=True, slots=True)
class Add:
    """The manager rings somebody, and talks with him alone first. One of the two is empty."""

    number: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Invite:
    """Somebody is rung straight into the room. One of the two is empty."""

    number: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """The private talk is over: everybody hears everybody."""


@dataclass(frozen=True, slots=True)
class Back:
    """The manager returns to the client."""


@dataclass(frozen=True, slots=True)
class Drop:
    """This third person goes. Named, so that two who press at once do not send two away."""

    channel: str


@dataclass(frozen=True, slots=True)
class Mute:
    """Whoever is at this channel is heard by nobody in the room; or again, with `on` False."""

    channel: str
    on: bool = True


Order = Consult | Add | Invite | Join | Back | Drop | Mute
