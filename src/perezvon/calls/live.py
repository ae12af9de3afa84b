"""A call while it lives: the mutable state that the rooms of the tracker share. No behaviour beyond asking it questions."""

from __future__ import annotations

from dataclasses import dataclass, field

from perezvon.calls.call import Direction, LegOutcome, Party, Transfer
from perezvon.calls.facts import Fact

FINISHED_LEGS_KEPT = 32
"""A queue may ring the same phones for an hour; beyond so many legs only the last unanswered one of a phone is kept."""


@dataclass(slots=True)
class LiveLeg:
    """One party's channel. Times are POSIX seconds.

    `up`: picked up; `talked`: heard the client for the first time (not the same where an answer must be confirmed, or in a
    consultation). `status`: the last DialStatus, `cause`: the Q.850 cause of the hangup. `terminal`: a Local pair behind
    which there is no further channel: its dialplan is the phone. `consulted`: rung by an employee on the client's behalf.
    `outside`: the phone has an outside number (an employee's mobile); `meant`: the extension in whose place it is rung.
    """

    uid: str
    channel: str
    party: Party
    extension: str
    source: str = ""
    rang: float | None = None
    up: float | None = None
    talked: float | None = None
    ended: float | None = None
    outcome: LegOutcome | None = None
    status: str = ""
    cause: int = 0
    ringing: bool = False
    terminal: bool = False
    consulted: bool = False
    outside: bool = False
    own: bool = True
    meant: str = ""


@dataclass(slots=True)
class LiveCall:
    """The fields that the final record has too mean the same here; the others:

    `begun`: CallStarted has been told. `early`: facts that wait for it.
    `origin`: the channel that placed the call; `pair`: it is an originated Local pair (then its `;1`); `originated`: placed
    by an Originate, not by a phone; `own_phone`: in an employee's name, ringing his own phone first.
    `clients`: the channels that are the client (both halves of a Local pair). `connected`: who hears the client now, in
    order of joining. `leaving`: extension -> since when he does not hear the client any more.
    `carried`: a pick-up took the place of the client's own channel. `links`: the linkedids that lead to this call.
    `tried`: whom the dialplan has tried to dial, in case that there is never a channel. `up_at`: when it answered.
    `keys`: pressed since the last jump of the menu; `reading`: the variable of Read.
    `room`: the conference room that it has become, if any; `manager`: the extension of whoever brings others in there;
    `returning`: his extension while he has transferred himself out in order to be rung back in the room.
    `scripted`: our own voice menu tells of the keys; `story`: what it has told.
    `rung`: extension -> when it was first rung. `promised`: a recording's name, in case that no better one comes.
    """

    id: str
    origin: str
    started: float
    links: list[str] = field(default_factory=list[str])
    direction: Direction | None = None
    begun: bool = False
    ended: float | None = None
    pair: bool = False
    originated: bool = False
    own_phone: bool = False
    carried: bool = False
    expected: str = ""
    placed_by: str = ""
    dialled: str = ""
    tried: str = ""
    clients: list[str] = field(default_factory=list[str])
    client_raw: str = ""
    client_first: str = ""
    client_name: str = ""
    line_raw: str = ""
    trunk: str = ""
    answered: float | None = None
    up_at: float | None = None
    status: str = ""
    cause: int = 0
    members: set[str] = field(default_factory=set[str])
    legs: dict[str, LiveLeg] = field(default_factory=dict[str, LiveLeg])
    rung: dict[str, float] = field(default_factory=dict[str, float])
    talkers: list[str] = field(default_factory=list[str])
    connected: list[str] = field(default_factory=list[str])
    last_talker: str = ""
    leaving: dict[str, float] = field(default_factory=dict[str, float])
    transfers: list[Transfer] = field(default_factory=list[Transfer])
    picked_up_by: str = ""
    forwarded_to: str = ""
    queue: str = ""
    holder: str = ""
    keys: str = ""
    reading: str = ""
    menu: list[str] = field(default_factory=list[str])
    third_parties: list[str] = field(default_factory=list[str])
    recordings: list[str] = field(default_factory=list[str])
    promised: str = ""
    recording_started: bool = False
    end_seen: bool = True
    absorbed_into: str = ""
    early: list[Fact] = field(default_factory=list[Fact])
    room: str = ""
    manager: str = ""
    returning: str = ""
    scripted: bool = False
    story: str = ""
    paused: bool = False

    @property
    def over(self) -> bool:
        return self.ended is not None

    def leg_of(self, uid: str) -> LiveLeg | None:
        return self.legs.get(uid)

    def talks(self, extension: str) -> bool:
        """Whether a phone of this extension hears the client now."""
        return any((leg := self.legs.get(uid)) is not None and leg.extension == extension for uid in self.connected)

    def has_left(self, extension: str) -> bool:
        """Whether a completed transfer has taken this extension out of the call."""
        return bool(self.transfers) and self.transfers[-1].from_ == extension

    def forget_old_legs(self) -> None:
        """Keep the state of an endless call small: of a phone's unanswered legs the last one is enough."""
        if len(self.legs) <= FINISHED_LEGS_KEPT:
            return
        latest: dict[tuple[Party, str], str] = {}
        for uid in list(self.legs):
            leg = self.legs[uid]
            if leg.ended is None or leg.up is not None or uid in self.members:
                continue
            key = (leg.party, leg.extension)
            if key in latest:
                del self.legs[latest[key]]
            latest[key] = uid
