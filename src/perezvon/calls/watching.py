"""What goes on in the running calls, as somebody who looks on would tell it: who rings, who talks with whom. Pure.

Times are POSIX seconds, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perezvon.calls.board import Board
from perezvon.calls.call import Direction, Party
from perezvon.calls.live import LiveCall, LiveLeg


class Stage(StrEnum):
    """`WAITING`: in a menu, a queue or the dialplan; nobody is rung. `HOLD`: the client hears music."""

    WAITING = "waiting"
    RINGING = "ringing"
    TALK = "talk"
    HOLD = "hold"
    CONFERENCE = "conference"


@dataclass(frozen=True, slots=True)
class Someone:
    """`number`: an extension, or an outside number. `since`: when he began to ring, or to talk."""

    number: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """A call that goes on. `since`: when its stage began, None where the PBX's events do not say. `holder`: who has put the
    client on hold."""

    id: str
    direction: Direction
    client: str
    client_name: str
    line: str
    trunk: str
    started: float
    stage: Stage
    since: float | None
    ringing: tuple[Someone, ...]
    talking: tuple[Someone, ...]
    holder: str = ""
    queue: str = ""
    menu: tuple[str, ...] = ()
    placed_by: str = ""


def watched(board: Board) -> list[Watched]:
    """The calls that have been told of, in the order in which they began to be seen."""
    return [_watched(board, call) for call in board.calls.values() if call.begun and not call.over]


def _watched(board: Board, call: LiveCall) -> Watched:
    label = board.peers.relabel
    ours = [leg for leg in call.legs.values() if leg.ended is None and leg.party in (Party.EMPLOYEE, Party.THIRD_PARTY)]
    connected = [leg for leg in ours if leg.uid in call.connected]
    if call.room:
        connected = [leg for leg in ours if leg.up is not None or leg.talked is not None]
    ringing = [leg for leg in ours if leg.up is None and leg.talked is None and leg.rang is not None]
    stage, since = _stage(call, connected, ringing)
    placed = call.placed_by
    if not placed and call.direction is not Direction.INCOMING:
        origin = call.legs.get(call.origin)
        placed = origin.extension if origin is not None else ""
    return Watched(
        id=call.id,
        direction=call.direction or Direction.INTERNAL,
        client=board.numbering.international(call.client_raw),
        client_name=call.client_name,
        line=board.numbering.international(call.line_raw),
        trunk=call.trunk,
        started=call.started,
        stage=stage,
        since=since,
        ringing=_people(board, ringing, "rang"),
        talking=_people(board, connected, "talked"),
        holder=label(call.holder) if call.holder else "",
        queue=call.queue,
        menu=tuple(call.menu),
        placed_by=label(placed) if placed else "",
    )


def _stage(call: LiveCall, connected: list[LiveLeg], ringing: list[LiveLeg]) -> tuple[Stage, float | None]:
    if call.room:
        return Stage.CONFERENCE, None
    if call.holder:
        return Stage.HOLD, None
    if connected:
        return Stage.TALK, min((leg.talked for leg in connected if leg.talked is not None), default=call.answered)
    if ringing:
        return Stage.RINGING, min(leg.rang for leg in ringing if leg.rang is not None)
    return (Stage.WAITING if call.direction is Direction.INCOMING else Stage.RINGING), call.started


def _people(board: Board, legs: list[LiveLeg], moment: str) -> tuple[Someone, ...]:
    """Each once: an employee may have several telephones."""
    found: dict[str, float | None] = {}
    for leg in legs:
        number = board.peers.relabel(leg.extension) if leg.party is Party.EMPLOYEE else leg.extension
        found.setdefault(number, getattr(leg, moment))
    return tuple(Someone(number, since) for number, since in found.items())
