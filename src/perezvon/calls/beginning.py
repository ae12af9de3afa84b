"""When a call begins to be told of: whose it is, in which direction it goes, who the client is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from perezvon.calls.board import Board
from perezvon.calls.call import Direction, Party
from perezvon.calls.channels import Channel
from perezvon.calls.facts import CallStarted
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.parties import Who

NO_NUMBER = frozenset({"", "s", "i", "t", "h", "fax", "failed"})
"""Extensions of the dialplan that are nobody's number."""


class Placed(Enum):
    """Who placed a call."""

    CLIENT = "a client"
    EMPLOYEE = "an employee"
    ORIGINATE = "a program, for somebody whom it rings first"


@dataclass(frozen=True, slots=True)
class Caller:
    placed: Placed
    who: Who


def caller_of(board: Board, call: LiveCall) -> Caller:
    """As far as is known now: caller ids are still being set while a call is not begun.

    An originated Local pair whose dialplan half bears an outside (or no) caller id stands for a client who calls in, unless
    it was sent to an extension from inside, or bears one of the company's own numbers: then a program rings the employee
    first (click-to-call of somebody else's).
    """
    origin = board.switch.get(call.origin)
    if origin is None:
        return Caller(Placed.EMPLOYEE, Who(True, call.placed_by)) if call.placed_by else _gone(call)
    if not call.pair:
        who = board.peers.callee(origin, ()) if call.originated else board.peers.caller(origin)
        if call.originated:
            return Caller(Placed.ORIGINATE, who)
        return Caller(Placed.EMPLOYEE if who.employee else Placed.CLIENT, who)
    inner = board.switch.twin(origin) or origin
    who = board.peers.caller(inner)
    if call.expected:
        return Caller(Placed.ORIGINATE, Who(True, call.placed_by))
    if who.employee:
        return Caller(Placed.ORIGINATE if call.own_phone else Placed.EMPLOYEE, who)
    inside = board.numbering.is_extension(inner.peer) and not board.peers.from_outside(inner)
    if inside or own_line(board, who.number):
        return Caller(Placed.ORIGINATE, who)
    return Caller(Placed.CLIENT, who)


def _gone(call: LiveCall) -> Caller:
    return Caller(Placed.CLIENT, Who(False, call.client_first))


def leads_out(board: Board, call: LiveCall, who: Who) -> bool:
    """A call that comes in from a trunk and leaves by another to the very number that was dialled, or shows a number of
    ours: somebody behind the first trunk (the portal's SIP connector, another office) calls out. A client dials a number of
    ours."""
    if who.employee or call.pair:
        return False
    origin = board.switch.get(call.origin)
    if (origin is not None and board.peers.from_outside(origin)) or own_line(board, call.dialled):
        return False
    number = board.numbering.international(who.number)
    dialled = board.numbering.international(call.dialled)
    return bool(number) and (number == dialled or (origin is not None and own_line(board, origin.number)))


def somebody_behind(board: Board, call: LiveCall, trunk: Channel) -> Who:
    """An employee whom a trunk leads to: by the number with which he came in, unless that is the company's own."""
    number = call.client_first
    ours = number == call.line_raw or own_line(board, number)
    return Who(True, trunk.peer if not number or ours else number, own=False)


def own_line(board: Board, number: str) -> bool:
    return bool(board.numbering.lines) and board.numbering.international(number) in board.numbering.lines


def begin(board: Board, call: LiveCall, direction: Direction, *, extension: str = "") -> None:
    """Tell of the call. Its moment is the one in which its first channel came up."""
    if call.begun or call.over:
        return
    call.begun = True
    call.direction = direction
    call.placed_by = call.placed_by or extension
    numbering = board.numbering
    board.tell(
        call,
        CallStarted(
            call=call.id,
            at=call.started,
            direction=direction,
            client=numbering.international(call.client_raw),
            client_raw=call.client_raw,
            client_name=call.client_name,
            line=numbering.international(call.line_raw),
            line_raw=call.line_raw,
            trunk=call.trunk,
            extension=call.placed_by,
            expected=call.expected,
            channel=origin.name if (origin := board.switch.get(call.origin)) is not None else "",
        ),
    )
    board.facts.extend(call.early)
    call.early.clear()


def begin_if_incoming(board: Board, call: LiveCall) -> bool:
    """Begin the call when a client placed it; True when it is (or was already) begun."""
    if call.begun:
        return True
    if caller_of(board, call).placed is not Placed.CLIENT:
        return False
    begin_incoming(board, call)
    return True


def begin_incoming(board: Board, call: LiveCall) -> None:
    origin = board.switch.get(call.origin)
    if origin is None:
        begin(board, call, Direction.INCOMING)
        return
    inner = (board.switch.twin(origin) if origin.local else None) or origin
    call.clients = [origin.uid] if inner is origin else [inner.uid, origin.uid]
    call.client_raw = _client_number(board, call, inner)
    call.client_name = inner.caller if inner.caller != inner.number else ""
    call.line_raw = call.line_raw or (call.dialled if call.dialled not in NO_NUMBER else "")
    call.trunk = "" if origin.local else origin.peer
    call.legs[origin.uid] = LiveLeg(
        origin.uid, origin.name, Party.CLIENT, board.numbering.international(call.client_raw) or call.client_raw
    )
    begin(board, call, Direction.INCOMING)


def _client_number(board: Board, call: LiveCall, inner: Channel) -> str:
    """The number as the dialplan has left it (it may have put it right), unless it has put something else there."""
    number = inner.number
    if number and (board.numbering.is_extension(number) or own_line(board, number) or number == call.dialled):
        return call.client_first or number
    return number or call.client_first


def begin_placed(board: Board, call: LiveCall, origin: Channel, caller: Who, direction: Direction) -> None:
    """An employee's own call. His channel is a leg of it."""
    call.placed_by = call.placed_by or caller.number
    leg = call.legs.get(origin.uid)
    if leg is None:
        call.legs[origin.uid] = LiveLeg(
            origin.uid, origin.name, Party.EMPLOYEE, call.placed_by, up=origin.created, own=caller.own
        )
    if direction is Direction.INTERNAL:
        call.client_raw = call.client_raw or call.dialled
    begin(board, call, direction)
