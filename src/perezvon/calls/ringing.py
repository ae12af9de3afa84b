"""Dials: who is rung, in which role, and how it ended before anybody talked. From Newstate, DialBegin and DialEnd."""

from __future__ import annotations

from perezvon.calls.beginning import Placed, begin, begin_incoming, begin_placed, caller_of, leads_out, somebody_behind
from perezvon.calls.board import LOOK_AGAIN, Board
from perezvon.calls.call import Direction, LegOutcome, Party
from perezvon.calls.channels import RING, RINGING, UP, Channel
from perezvon.calls.events import Event
from perezvon.calls.legs import close_leg, ring_leg, stop_ringing
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.moving import pick_up, take_over
from perezvon.calls.parties import Who
from perezvon.calls.talking import PHONE_APPS, refresh_around

INBOUND_STATES = frozenset({RING, UP})
NOT_A_PHONE = frozenset(
    {
        "voicemail",
        "voicemailmain",
        "queue",
        "confbridge",
        "meetme",
        "park",
        "record",
        "directory",
        "minivmgreet",
        "congestion",
    }
)
"""Applications of a Local channel's dialplan that ring nobody, however the channel may be named."""


def on_newchannel(board: Board, event: Event) -> None:
    channel = board.see(event)
    call = board.call_of(channel)
    if channel is None or call is None:
        return
    if call.expected and not call.begun:
        begin(board, call, Direction.OUTGOING)


def on_newstate(board: Board, event: Event) -> None:
    channel = board.see(event)
    if channel is None:
        return
    channel.state = board.state(event) or channel.state
    call = board.call_of(channel)
    if call is None or call.over:
        return
    _late_exten(call, channel, event)
    if channel.state == RINGING:
        rings_by_itself(board, call, channel, event.at)
    elif channel.state == UP:
        picked_up(board, call, channel, event.at)


def _late_exten(call: LiveCall, channel: Channel, event: Event) -> None:
    """An analogue phone dials digit by digit: the number is known when the dialplan begins."""
    if not call.begun and not call.dialled.strip("s") and channel.uid == call.origin:
        call.dialled = event["exten"]


def picked_up(board: Board, call: LiveCall, channel: Channel, at: float) -> None:
    leg = call.legs.get(channel.uid)
    if leg is not None and leg.up is None:
        leg.up = at
    if not call.begun and call.up_at is None and call.origin in {channel.uid, channel.other}:
        call.up_at = at
        board.wake(at + LOOK_AGAIN, call)
    if leg is not None and leg.party is Party.CLIENT and call.direction is Direction.OUTGOING and not call.placed_by:
        call.answered = call.answered if call.answered is not None else at  # a dialler rings the client first
        leg.talked = leg.talked if leg.talked is not None else at
    refresh_around(board, channel, at)


def rings_by_itself(board: Board, call: LiveCall, channel: Channel, at: float) -> None:
    """A Local channel rings though its dialplan has dialled nobody: it plays the phone itself. (A phone's own Newstate may
    come before its DialBegin, so that one is waited for.)"""
    twin = board.switch.twin(channel)
    if channel.half != 1 or channel.uid in call.legs or twin is None or twin.dials:
        return
    if twin.app.lower() in NOT_A_PHONE:
        return
    who = board.peers.behind_local(channel.peer)
    if channel.uid == call.origin:
        if caller_of(board, call).placed is not Placed.ORIGINATE:
            return
        who = Who(True, call.placed_by) if call.placed_by else who
    if who is not None:
        ring(board, call, channel, who, at, terminal=True, consulted=not channel.dialled)


def silent_phone(board: Board, call: LiveCall, channel: Channel) -> None:
    """A Local channel is given up whose dialplan waited, dialled nobody and did not even say that it rings: a phone all the
    same, and it was rung, though only now this is known."""
    twin = board.switch.twin(channel)
    who = board.peers.behind_local(channel.peer)
    if (
        not call.begun
        or channel.half != 1
        or not channel.dialled
        or channel.uid in call.legs
        or channel.uid in call.clients
    ):
        return
    if twin is None or twin.dials or twin.app.lower() not in PHONE_APPS or who is None or not who.employee:
        return
    leg = LiveLeg(channel.uid, channel.name, Party.EMPLOYEE, who.number, source=channel.source, terminal=True)
    leg.rang = channel.dialled_at
    call.legs[channel.uid] = leg
    call.rung.setdefault(leg.extension, leg.rang)


def on_dial_begin(board: Board, event: Event) -> None:
    target = board.see(event, "dest")
    source = board.see(event)
    if target is None or (source is None and event["uniqueid"]):
        return
    target.dial_string = event["dialstring"] or target.dial_string
    if source is None:
        _dialled_by_nobody(board, target, event.at)
        return
    call = board.call_of(source) or board.open(source)
    if call.over:
        return
    if target.dialled and target.source != source.uid:
        take_over(board, call, source, target, event.at)
        return
    if not target.dialled and target.state in INBOUND_STATES and _places_own_call(board, target):
        pick_up(board, call, target, None, event.at)
        return
    source.dials = True
    _replace_terminal(board, call, source, event.at)
    _attach(board, call, source, target, event.at)
    if target.local or target.uid in call.legs:
        return
    who = board.peers.callee(target, members(board, call))
    if call.pair and call.direction is Direction.INCOMING and target.side == "B":
        _turn_round(board, call, target, who)
    ring(board, call, target, who, event.at)
    if target.bridge:
        refresh_around(board, target, event.at)


def _turn_round(board: Board, call: LiveCall, target: Channel, who: Who) -> None:
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
        _outside(board, call, target, who)


def _places_own_call(board: Board, channel: Channel) -> bool:
    call = board.call_of(channel)
    return call is not None and call.origin in {channel.uid, channel.other} and not call.originated


def _dialled_by_nobody(board: Board, target: Channel, at: float) -> None:
    """An Originate (its first dial has no source channel), or a leg that a program or FollowMe adds to a call."""
    if target.dialled:
        return
    target.dialled = True
    call = board.call_of(target) or board.open(target)
    if call.over:
        return
    if call.origin != target.uid:
        if not target.local:
            ring(board, call, target, board.peers.callee(target, members(board, call)), at)
        return
    call.originated = True
    target.side = "A"
    if target.local:
        return
    who = board.peers.callee(target, ())
    if call.expected:
        who = Who(True, call.placed_by)
    ring(board, call, target, who, at)


def _attach(board: Board, call: LiveCall, source: Channel, target: Channel, at: float) -> None:
    """The dialled channel, and its other half, belong to the call of the one who dials."""
    origin = board.switch.get(call.origin)
    if source.uid == call.origin:
        side = "B"
    elif origin is not None and source.uid == origin.other:
        side = "A"
    else:
        side = source.side
    for channel in (target, board.switch.twin(target)):
        if channel is not None:
            channel.side = side
            board.join(channel, call)
    target.dialled = True
    target.dialled_at = at
    target.source = source.uid


def members(board: Board, call: LiveCall) -> list[Channel]:
    return [channel for uid in call.members if (channel := board.switch.get(uid)) is not None]


def _replace_terminal(board: Board, call: LiveCall, source: Channel, at: float) -> None:
    """A Local channel that seemed to be a phone dials on: the phone is further away."""
    leg = call.legs.get(source.other) if source.half == 2 else None
    if leg is None or not leg.terminal or leg.talked is not None:
        return
    del call.legs[leg.uid]
    call.clients = [uid for uid in call.clients if uid != leg.uid]
    stop_ringing(board, call, leg, LegOutcome.CANCELLED, at)
    if leg.extension in call.rung and not any(other.extension == leg.extension for other in call.legs.values()):
        del call.rung[leg.extension]


def ring(
    board: Board,
    call: LiveCall,
    channel: Channel,
    who: Who,
    at: float,
    *,
    terminal: bool = False,
    consulted: bool = False,
) -> None:
    """A phone, or somebody outside, begins to be rung."""
    if not call.begun:
        _begin(board, call, channel, who)
    number = who.number if who.employee else (board.numbering.international(who.number) or who.number)
    consulted = (consulted or _for_consultation(board, call, channel)) and call.begun and not call.expected
    party = _role(board, call, channel, who, number, consulted)
    leg = LiveLeg(
        channel.uid,
        channel.name,
        party,
        number or channel.peer,
        source=channel.source,
        rang=channel.dialled_at or at,
        terminal=terminal,
        consulted=consulted,
        own=who.own,
        outside=not who.employee and not board.numbering.is_extension(number),
    )
    if channel.state == UP:
        leg.up = at
    call.legs[channel.uid] = leg
    call.forget_old_legs()
    if party is Party.CLIENT:
        _ring_client(board, call, channel, who, leg)
    elif party is Party.EMPLOYEE:
        if leg.outside and not _phone_rings(call, leg):
            call.forwarded_to = leg.extension
        ring_leg(board, call, leg, at)


def _for_consultation(board: Board, call: LiveCall, channel: Channel) -> bool:
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


def _ring_client(board: Board, call: LiveCall, channel: Channel, who: Who, leg: LiveLeg) -> None:
    call.clients.append(channel.uid)
    if call.answered is None and not call.expected:
        call.client_raw = who.number or call.client_raw
    _outside(board, call, channel, who)
    leg.ringing = True


def _phone_rings(call: LiveCall, but: LiveLeg) -> bool:
    return any(leg.ringing and leg is not but and leg.party is Party.EMPLOYEE for leg in call.legs.values())


def _begin(board: Board, call: LiveCall, channel: Channel, who: Who) -> None:
    """The first phone rings: now the direction is known."""
    caller = caller_of(board, call)
    origin = board.switch.get(call.origin)
    match caller.placed:
        case Placed.CLIENT if origin is not None and leads_out(board, call, who):
            _outside(board, call, channel, who)
            begin_placed(board, call, origin, somebody_behind(board, call, origin), Direction.OUTGOING)
        case Placed.CLIENT:
            begin_incoming(board, call)
        case Placed.EMPLOYEE if _own_phone(call, channel, who, caller.who):
            call.own_phone = True
        case Placed.EMPLOYEE if origin is not None:
            forwarded = board.numbering.is_extension(call.dialled) and who.number != call.dialled
            internal = who.employee or forwarded
            if not internal:
                _outside(board, call, channel, who)
            elif not call.dialled.isdecimal():
                call.client_raw = who.number
            begin_placed(board, call, origin, caller.who, Direction.INTERNAL if internal else Direction.OUTGOING)
        case _:
            _begin_originated(board, call, channel, who)


def _own_phone(call: LiveCall, channel: Channel, who: Who, caller: Who) -> bool:
    """A program's call in an employee's name rings his own phone first."""
    return call.pair and channel.side == "A" and who.employee and who.number == caller.number


def _outside(board: Board, call: LiveCall, channel: Channel, who: Who) -> None:
    """Whom an outgoing call is for, and the number of ours that it shows."""
    call.client_raw = call.client_raw or who.number
    call.trunk = channel.peer if not channel.local else ""
    source = board.switch.get(channel.source)
    shown = source.number if source is not None else ""
    if shown and not board.numbering.is_extension(shown) and shown not in {who.number, source.peer if source else ""}:
        call.line_raw = shown


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
        _outside(board, call, channel, who)
    begin(board, call, Direction.INTERNAL if who.employee else Direction.OUTGOING)


def _role(board: Board, call: LiveCall, channel: Channel, who: Who, number: str, consulted: bool) -> Party:
    """Whom a dialled channel stands for. Somebody outside is the client of an outgoing call until that one has come to the
    phone; else an employee's mobile when the dialplan rings it, a third party when an employee does."""
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


def on_dial_end(board: Board, event: Event) -> None:
    target = board.see(event, "dest")
    call = board.call_of(target)
    if target is None or call is None or call.over:
        return
    if target.half == 1 and event["dialstatus"] != "ANSWER":
        silent_phone(board, call, target)
    leg = call.legs.get(target.uid)
    dialler = event["uniqueid"]
    if leg is None or (dialler and leg.source and dialler != leg.source):
        return  # a hop of a Local chain, or the dial has been handed over to another channel meanwhile
    status = event["dialstatus"]
    if status == "ANSWER":
        leg.status = status
        target.state = UP
        picked_up(board, call, target, event.at)
        return
    leg.status = leg.status if leg.ended is not None else status
    if forward := event["forward"]:
        number = forward.partition("@")[0]
        extension = board.numbering.is_extension(number)
        call.forwarded_to = number if extension else (board.numbering.international(number) or number)
    close_leg(board, call, leg, event.at)
