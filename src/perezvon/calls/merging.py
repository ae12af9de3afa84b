"""One call becomes part of another: a consultation joins the client's call, a picker or a conference guest his.

The client's call goes on; the other one ends with `absorbed_into` set, so that nobody counts it as a call of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from perezvon.calls.board import Board
from perezvon.calls.call import Direction, LegOutcome, Party
from perezvon.calls.facts import CallEnded, Recorded
from perezvon.calls.legs import ring_leg, stop_ringing
from perezvon.calls.live import LiveCall
from perezvon.calls.record import record


def has_client(call: LiveCall) -> bool:
    return call.begun and call.direction is not Direction.INTERNAL


def main_of(calls: Iterable[LiveCall]) -> LiveCall:
    """The call that goes on when these are joined: a client's before an internal one, the older before the younger."""
    return min(calls, key=lambda call: (not has_client(call), not call.begun, call.started, call.id))


def is_part_of(main: LiveCall, other: LiveCall) -> bool:
    """Whether `other`, now joined to `main`, was but a consultation: an internal call, or a call out placed during `main`.
    A client who called in, or whom an older call had reached, keeps his own call: each is the other's third party."""
    if not has_client(other):
        return True
    return other.direction is Direction.OUTGOING and other.started > main.started


def absorb(board: Board, main: LiveCall, other: LiveCall, at: float) -> None:
    """`other` is a part of `main` from now on."""
    if other is main:
        return
    final = None
    if other.begun and not other.over:
        other.ended = at
        other.absorbed_into = main.id
        final = record(other, board.numbering, board.peers.relabel)
    for uid in list(other.members):
        channel = board.switch.get(uid)
        if channel is not None:
            channel.call = main.id
            channel.guest_of = tuple(guest for guest in channel.guest_of if guest != main.id)
            main.members.add(uid)
    other.members.clear()
    _move_legs(board, main, other, at)
    for path in other.recordings:
        if path not in main.recordings:
            main.recordings.append(path)
            board.tell(main, Recorded(main.id, at, path))
    main.queue = main.queue or other.queue
    for link in other.links:
        if board.by_link.get(link) == other.id:
            board.by_link[link] = main.id
            main.links.append(link)
    board.calls.pop(other.id, None)
    if final is not None:
        board.facts.append(CallEnded(other.id, at, final))


def _move_legs(board: Board, main: LiveCall, other: LiveCall, at: float) -> None:
    relabel = board.peers.relabel
    extensions = {relabel(leg.extension) for leg in main.legs.values()}
    for uid, leg in other.legs.items():
        own = uid == other.origin and leg.party is Party.EMPLOYEE
        if uid in main.legs or (own and relabel(leg.extension) in extensions):
            continue
        if leg.party is Party.CLIENT:
            leg.party = Party.THIRD_PARTY
            leg.extension = board.numbering.international(other.client_raw) or other.client_raw
        leg.talked = None
        leg.consulted = True
        main.legs[uid] = leg
        if leg.party is Party.EMPLOYEE and leg.rang is not None:
            main.rung.setdefault(leg.extension, at)
            if leg.ringing:
                stop_ringing(board, other, leg, LegOutcome.ANSWERED_ELSEWHERE, at)
                ring_leg(board, main, leg, at)
