"""What the planner remembers of a call between two rounds, as JSON too: it is stored with the call. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from perezvon.calls.call import Direction
from perezvon.calls.facts import CallStarted
from perezvon.rules.notes import Notes
from perezvon.rules.orders import Order, Ordered
from perezvon.rules.turns import Turn
from perezvon.rules.vocabulary import Json


@dataclass(frozen=True, slots=True)
class PlanState:
    """What the planner remembers of a call. `portal_call`: the CALL_ID that a click on a number brought along; such a call
    is never registered by us. `ringing` pairs a channel with its extension (one employee may have several devices).
    `registered`: the call is, at least in its first turn; `shown`: who sees the card of the present turn's portal call.
    `at_portal`: the portal's own SIP line has it, or had; `desk`: so has an employee with a phone of the PBX. `notes`: what
    the activity of the present turn's portal call will tell; `accounts`: the finish's key of each portal call that is over
    and what its activity shall tell. They are sent when the call is over, so that they hold up no card. `left_out`: the
    filter for which the portal is not told of the call; `passed_over`: an employee whom a filter leaves out takes part, or
    did; `recording_stays`: it is not sent, though the call is told. `lead`: the portal was asked to make a lead of an
    unknown number; `finishes`: key and user of each finish, in order. `order`: what we placed it for, when it was no click;
    `picked_up`: the employee has come to the phone for it. `call_list`: the portal's list that a click belongs to.
    `pressed`: the way through the menu, also when the activity of an earlier turn has told of it; `missed`: the finish that
    told of a missed call."""

    started: CallStarted | None = None
    portal_call: str = ""
    registered: bool = False
    finished: bool = False
    shown: tuple[str, ...] = ()
    ringing: tuple[tuple[str, str], ...] = ()
    talking: tuple[str, ...] = ()
    pushes: int = 0
    at_portal: bool = False
    desk: bool = False
    turn: Turn = field(default_factory=Turn)
    notes: Notes = field(default_factory=Notes)
    accounts: tuple[tuple[str, str], ...] = ()
    left_out: str = ""
    passed_over: bool = False
    recording_stays: bool = False
    lead: bool = False
    finishes: tuple[tuple[str, str], ...] = ()
    order: Order | None = None
    picked_up: bool = False
    call_list: str = ""
    pressed: Notes = field(default_factory=Notes)
    missed: str = ""

    @property
    def told(self) -> bool:
        """Whether the portal knows of the call: it was registered, or began with a click."""
        return self.registered or bool(self.portal_call)

    @property
    def turn_told(self) -> bool:
        """Whether it has a portal call for the present turn."""
        return self.turn.registered if self.turn.later else self.told

    @property
    def held(self) -> bool:
        """A callback form's attempt in which nobody has come to the phone yet: the portal is not told of it."""
        return self.order is not None and self.order.ordered is Ordered.CALLBACK and not self.picked_up

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> PlanState:
        started: dict[str, Any] | None = body.get("started")
        if started is not None:
            started = dict(started, direction=Direction(started["direction"]))
        return cls(
            started=CallStarted(**started) if started is not None else None,
            portal_call=body.get("portal_call", ""),
            registered=body.get("registered", False),
            finished=body.get("finished", False),
            shown=tuple(body.get("shown", ())),
            ringing=tuple((channel, extension) for channel, extension in body.get("ringing", ())),
            talking=tuple(body.get("talking", ())),
            pushes=body.get("pushes", 0),
            at_portal=body.get("at_portal", False),
            desk=body.get("desk", False),
            turn=Turn.from_json(body.get("turn", {})),
            notes=Notes.from_json(body.get("notes", {})),
            accounts=tuple((finish, told) for finish, told in body.get("accounts", ())),
            left_out=body.get("left_out", ""),
            passed_over=body.get("passed_over", False),
            recording_stays=body.get("recording_stays", False),
            lead=body.get("lead", False),
            finishes=tuple((finish, user) for finish, user in body.get("finishes", ())),
            order=Order.from_json(order) if (order := body.get("order")) else None,
            picked_up=body.get("picked_up", False),
            call_list=body.get("call_list", ""),
            pressed=Notes.from_json(body.get("pressed", {})),
            missed=body.get("missed", ""),
        )
