"""Channels hang up, employees leave, calls end. Also what only time tells (`wake_up`)."""

from __future__ import annotations

import heapq

from perezvon.calls.beginning import Placed, begin_if_incoming, begin_placed, caller_of
from perezvon.calls.board import GONE_FOR_GOOD, Board
from perezvon.calls.call import Direction, LegOutcome, Outcome, Party
from perezvon.calls.channels import UP, Channel
from perezvon.calls.conferring import still_there
from perezvon.calls.events import Event
from perezvon.calls.facts import CallEnded, LeftTalk
from perezvon.calls.legs import close_leg
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.record import ELSEWHERE_CAUSE, leg_outcome, outcome, record
from perezvon.calls.recording import note_variables
from perezvon.calls.ringing import silent_phone
from perezvon.calls.talking import refresh_around

FOR_CALLER = {
    Outcome.ANSWERED: LegOutcome.ANSWERED,
    Outcome.MISSED: LegOutcome.NO_ANSWER,
    Outcome.NO_ANSWER: LegOutcome.NO_ANSWER,
    Outcome.BUSY: LegOutcome.BUSY,
    Outcome.CANCELLED: LegOutcome.CANCELLED,
    Outcome.FAILED: LegOutcome.FAILED,
}


def on_hangup_request(board: Board, event: Event) -> None:
    """The other end has hung up. The channel itself follows when the dialplan's hangup handlers are through."""
    channel = board.switch.get(event["uniqueid"])
    if channel is not None and not channel.hung_up:
        channel.hung_up = event.at


def on_hangup(board: Board, event: Event) -> None:
    cause = event["cause"]
    channel = board.switch.get(event["uniqueid"])
    if channel is not None and event.variables:
        note_variables(board, channel, event)
    hang_up(board, event["uniqueid"], event.at, int(cause) if cause.isdecimal() else 0)


def hang_up(board: Board, uid: str, at: float, cause: int = 0) -> None:
    if not uid:
        return
    channel = board.switch.get(uid)
    if board.retired:
        board.forget_retired(uid)
    if channel is None:
        board.switch.remove(uid)
        return
    neighbours = [other for other in board.switch.bridges.get(channel.bridge, ()) if other != uid][:1]
    board.switch.leave(channel)
    for call_id in (channel.call, *channel.guest_of):
        call = board.calls.get(call_id)
        if call is not None:
            _leaves(board, call, channel, at, cause)
    board.switch.remove(uid)
    twin = board.switch.twin(channel)
    for neighbour in (*neighbours, twin.uid if twin is not None else ""):
        other = board.switch.get(neighbour)
        if other is not None:
            refresh_around(board, other, at)


def _leaves(board: Board, call: LiveCall, channel: Channel, at: float, cause: int) -> None:
    call.members.discard(channel.uid)
    if channel.uid == call.origin:
        call.cause = cause
    left = channel.hung_up or at
    leg = call.legs.get(channel.uid)
    if leg is not None:
        _close(board, call, leg, left, cause)
    _end_if_over(board, call, channel, at)
    if leg is not None and not call.over and leg.party is Party.EMPLOYEE and leg.talked is not None:
        if channel.uid in call.connected:
            call.connected.remove(channel.uid)
        if not call.talks(leg.extension):
            _leave(board, call, leg.extension, at)


def _close(board: Board, call: LiveCall, leg: LiveLeg, at: float, cause: int) -> None:
    leg.cause = leg.cause or cause
    if leg.ended is None:
        close_leg(board, call, leg, at)
    elif cause and leg.outcome in {LegOutcome.CANCELLED, LegOutcome.NO_ANSWER}:
        elsewhere = cause == ELSEWHERE_CAUSE  # the dial ended a moment ago; why, only the hangup tells
        leg.outcome = leg_outcome(leg, someone_answered=elsewhere)


def _leave(board: Board, call: LiveCall, extension: str, at: float) -> None:
    """An employee who talked has hung up. When a transfer took him out he has left at once; else the whole call may be
    about to end, so wait and see."""
    if still_there(board, call, extension):
        return
    if call.has_left(extension):
        board.tell(call, LeftTalk(call.id, at, extension))
    else:
        call.leaving[extension] = at
        board.wake(at + GONE_FOR_GOOD, call)


def _end_if_over(board: Board, call: LiveCall, gone: Channel, at: float) -> None:
    if call.over:
        return
    if not call.members or _over(board, call, gone):
        finish(board, call, at, ended=gone.hung_up or at)


def _over(board: Board, call: LiveCall, gone: Channel) -> bool:
    of_origin = gone.uid == call.origin
    if not call.begun:
        return of_origin or (call.pair and gone.other == call.origin)
    match call.direction:
        case Direction.INCOMING:
            return gone.uid in call.clients
        case Direction.INTERNAL:
            return of_origin
        case _:
            met = [uid for uid in call.clients if (leg := call.legs.get(uid)) is not None and leg.up is not None]
            if met:
                return gone.uid in call.clients and not any(uid != gone.uid and uid in board.switch for uid in met)
            return of_origin


def finish(board: Board, call: LiveCall, at: float, *, ended: float | None = None) -> None:
    """Tell the end, once, and forget the call. `ended`: when it did, if that was before `at`, the moment of telling. In a
    resync the end is only found out, not seen."""
    if not call.begun and not _begin_at_the_end(board, call):
        board.drop(call)
        return
    for uid in sorted(call.members):
        channel = board.switch.get(uid)
        if channel is not None:
            silent_phone(board, call, channel)
    call.ended = at if ended is None else ended
    call.end_seen = not board.resyncing
    for leg in call.legs.values():
        if leg.party is Party.CLIENT and call.direction is Direction.OUTGOING:
            if leg.outcome is LegOutcome.NO_ANSWER and leg.uid in call.members:
                _close(board, call, leg, call.ended, call.cause)  # its own hangup comes a moment after the caller's
        elif leg.party is Party.CLIENT:
            leg.talked = call.answered
            leg.outcome = LegOutcome.ANSWERED if call.answered is not None else LegOutcome.NO_ANSWER
            leg.ended = leg.ended if leg.ended is not None else call.ended
        close_leg(board, call, leg, call.ended)
    _close_caller(call)
    board.tell(call, CallEnded(call.id, at, record(call, board.numbering, board.peers.relabel)))
    if call.room:
        board.retire_members(call)
    board.drop(call)


def _close_caller(call: LiveCall) -> None:
    """The leg of the employee who placed a call in vain ended as the call did."""
    leg = call.legs.get(call.origin)
    if leg is not None and leg.party is Party.EMPLOYEE and leg.talked is None and leg.rang is None:
        leg.outcome = FOR_CALLER[outcome(call)]


def _begin_at_the_end(board: Board, call: LiveCall) -> bool:
    """A call over before any phone rang: a client who gave up in the menu, an employee whose dial failed at once."""
    if call.originated and not call.pair:
        return False
    if begin_if_incoming(board, call):
        return True
    caller = caller_of(board, call)
    number = call.dialled if call.dialled.lstrip("+").isdecimal() else call.tried
    origin = board.switch.get(call.origin)
    if caller.placed is not Placed.EMPLOYEE or origin is None or not number.lstrip("+").isdecimal():
        return False
    if origin.state == UP or call.up_at is not None:  # a service of the PBX answered: there is no second party
        return False
    call.client_raw = number
    internal = board.numbering.is_extension(number)
    begin_placed(board, call, origin, caller.who, Direction.INTERNAL if internal else Direction.OUTGOING)
    return True


def end_emptied(board: Board, at: float) -> None:
    """The calls whose last channel has gone over to another call."""
    for call_id in board.emptied:
        call = board.calls.get(call_id)
        if call is not None and not call.members:
            finish(board, call, at)
    board.emptied.clear()


def wake_up(board: Board, at: float) -> None:
    """What is due by now: callers whom only a menu has answered, employees who have left for good."""
    while board.wakes and board.wakes[0][0] <= at:
        _, call_id = heapq.heappop(board.wakes)
        call = board.calls.get(call_id)
        if call is None or call.over:
            continue
        if not call.begun and call.up_at is not None:
            begin_if_incoming(board, call)
        for extension, since in list(call.leaving.items()):
            if since + GONE_FOR_GOOD <= at:
                del call.leaving[extension]
                if still_there(board, call, extension):
                    continue
                board.tell(call, LeftTalk(call.id, since, extension))
