"""Which way a call goes, told by the first phone that rings, and in which role a dialled channel stands in it."""

from __future__ import annotations

from perezvon.calls.beginning import Placed, begin, begin_incoming, begin_placed, caller_of, leads_out, somebody_behind
from perezvon.calls.board import Board
from perezvon.calls.call import Direction, Party
from perezvon.calls.channels import Channel
from perezvon.calls.live import LiveCall
from perezvon.calls.parties import Who


def begin_by_first_ring(board: Board, call: LiveCall, channel: Channel, who: Who) -> None:
    """The first phone rings: now the direction is known."""
    caller = caller_of(board, call)
    origin = board.switch.get(call.origin)
    match caller.placed:
        case Placed.CLIENT if origin is not None and leads_out(board, call, who):
            note_outside(board, call, channel, who)
            begin_placed(board, call, origin, somebody_behind(board, call, origin), Direction.OUTGOING)
        case Placed.CLIENT:
            begin_incoming(board, call)
        case Placed.EMPLOYEE if _own_phone(call, channel, who, caller.who):
            call.own_phone = True
        case Placed.EMPLOYEE if origin is not None:
            forwarded = board.numbering.is_extension(call.dialled) and who.number != call.dialled
            internal = who.employee or forwarded
            if not internal:
                note_outside(board, call, channel, who)
            elif not call.dialled.isdecimal():
                call.client_raw = who.number
            begin_placed(board, call, origin, caller.who, Direction.INTERNAL if internal else Direction.OUTGOING)
        case _:
            _begin_originated(board, call, channel, who)


def _own_phone(call: LiveCall, channel: Channel, who: Who, caller: Who) -> bool:
    """A program's call in an employee's name rings his own phone first."""
    return call.pair and channel.side == "A" and who.employee and who.number == caller.number


def _begin_originated(board: Board, call: LiveCall, channel: Channel, who: Who) -> None:
    """A program's call: nothing is told while the first party's phone rings, unless that party is the client."""
    if channel.side == "A":
        if not who.employee:
            call.client_raw = who.number
            call.trunk = channel.peer if not channel.local else ""
            begin(board, call, Direction.OUTGOING)
        return
    first = next((leg for leg in call.legs.values() if leg.party is Party.EMPLOYEE), None)
    if first is None:
        origin = board.switch.get(call.origin)
        if origin is not None:
            begin_placed(
                board, call, origin, Who(True, origin.peer), Direction.INTERNAL if who.employee else Direction.OUTGOING
            )
        return
    call.placed_by = first.extension
    if who.employee:
        call.client_raw = who.number
        call.origin = first.uid
    else:
        note_outside(board, call, channel, who)
    begin(board, call, Direction.INTERNAL if who.employee else Direction.OUTGOING)


def turn_round(board: Board, call: LiveCall, target: Channel, who: Who) -> None:
    """What looked like a client calling in (an originated pair with an outside caller id) dials on from its other end: it
    was a program that rang the employee first. It is his outgoing call; he talks when the other end answers."""
    first = next((leg for leg in call.legs.values() if leg.party is Party.EMPLOYEE and leg.up is not None), None)
    for uid in call.clients:
        call.legs.pop(uid, None)
    call.clients.clear()
    call.connected.clear()
    call.talkers.clear()
    call.last_talker = ""
    call.answered = None
    call.direction = Direction.INTERNAL if who.employee else Direction.OUTGOING
    call.client_raw = call.line_raw = call.client_name = ""
    if first is not None:
        call.placed_by = first.extension
        first.talked = None
    if who.employee:
        call.client_raw = who.number
    else:
        note_outside(board, call, target, who)


def note_outside(board: Board, call: LiveCall, channel: Channel, who: Who) -> None:
    """Whom an outgoing call is for, and the number of ours that it shows."""
    call.client_raw = call.client_raw or who.number
    call.trunk = channel.peer if not channel.local else ""
    source = board.switch.get(channel.source)
    shown = source.number if source is not None else ""
    if shown and not board.numbering.is_extension(shown) and shown not in {who.number, source.peer if source else ""}:
        call.line_raw = shown


def role_of(board: Board, call: LiveCall, channel: Channel, who: Who, number: str, consulted: bool) -> Party:
    """Whom a dialled channel stands for. Somebody outside is the client of an outgoing call until that one has come to the
    phone; else an employee's mobile when the dialplan rings it, a third party when an employee does. In a conference
    everybody is a third party who is not rung for the client himself."""
    if call.room:
        return Party.EMPLOYEE if channel.source in call.clients else Party.THIRD_PARTY
    if who.employee:
        return Party.EMPLOYEE
    source = call.legs.get(channel.source)
    by_employee = consulted or (source is not None and source.party is Party.EMPLOYEE)
    sent = call.transfers[-1].to if call.transfers else ""
    if call.direction is Direction.OUTGOING or (not call.begun and channel.side == "A"):
        met = any((leg := call.legs.get(uid)) is not None and leg.up is not None for uid in call.clients)
        return Party.THIRD_PARTY if met or sent else Party.CLIENT
    if call.direction is Direction.INTERNAL:
        by_employee = consulted
    if by_employee or (sent and not board.numbering.is_extension(sent)):
        return Party.THIRD_PARTY
    return Party.EMPLOYEE


def for_consultation(board: Board, call: LiveCall, channel: Channel) -> bool:
    """Whether the dial comes out of a Local channel that a feature code or an AMI transfer has made (nobody dialled it)."""
    source = board.switch.get(channel.source)
    seen: set[str] = set()
    while source is not None and source.half == 2 and source.uid not in seen:
        seen.add(source.uid)
        outer = board.switch.twin(source)
        if outer is None:
            return False
        if not outer.dialled:
            return outer.uid != call.origin
        source = board.switch.get(outer.source)
    return False
