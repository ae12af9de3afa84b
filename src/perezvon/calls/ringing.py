"""Dials: who is rung, in which role, and how it ended before anybody talked. From Newstate, DialBegin and DialEnd."""

from __future__ import annotations

from perezvon.calls.beginning import Placed, begin, caller_of, own_line
from perezvon.calls.board import LOOK_AGAIN, Board
from perezvon.calls.call import Direction, LegOutcome, Party
from perezvon.calls.channels import RING, RINGING, UP, Channel
from perezvon.calls.conferring import third_answered, third_rings
from perezvon.calls.events import Event
from perezvon.calls.legs import close_leg, ring_leg, stop_ringing
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.moving import pick_up, take_over
from perezvon.calls.parties import Who
from perezvon.calls.roles import begin_by_first_ring, for_consultation, note_outside, role_of, turn_round
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
        if call.room and leg.party is Party.THIRD_PARTY:
            third_answered(board, call, leg, at)
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
    if board.numbering.is_extension(event["exten"]):
        target.meant = event["exten"]
    _replace_terminal(board, call, source, event.at)
    _attach(board, call, source, target, event.at)
    if target.local or target.uid in call.legs:
        return
    who = board.peers.callee(target, members(board, call))
    if call.pair and call.direction is Direction.INCOMING and target.side == "B":
        turn_round(board, call, target, who)
    ring(board, call, target, who, event.at)
    if target.bridge:
        refresh_around(board, target, event.at)


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
        begin_by_first_ring(board, call, channel, who)
    number = who.number if who.employee else (board.numbering.international(who.number) or who.number)
    consulted = (consulted or for_consultation(board, call, channel)) and call.begun and not call.expected
    party = role_of(board, call, channel, who, number, consulted)
    own_number = party is Party.EMPLOYEE and not who.employee and _handed_on(board, call, number)
    leg = LiveLeg(
        channel.uid,
        channel.name,
        party,
        number if number and not own_number else channel.peer,
        source=channel.source,
        rang=channel.dialled_at or at,
        terminal=terminal,
        consulted=consulted or bool(call.room and party is Party.THIRD_PARTY),
        own=who.own and not own_number,
        outside=not who.employee and not own_number and not board.numbering.is_extension(number),
    )
    if call.returning and party is Party.EMPLOYEE:
        leg.extension, leg.outside = call.returning, False
    if leg.outside:
        leg.meant = _meant(board, channel)
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
    elif call.room:
        third_rings(board, call, leg, at)
        if leg.up is not None:
            third_answered(board, call, leg, at)


def _handed_on(board: Board, call: LiveCall, number: str) -> bool:
    """The company's own number is dialled on another trunk: employees are behind it (the portal, another office)."""
    return own_line(board, number) or number == board.numbering.international(call.line_raw or call.dialled) != ""


def _meant(board: Board, channel: Channel) -> str:
    """The nearest extension in whose dialplan this dial came about, up the chain of Local channels: who is forwarded."""
    at: Channel | None = channel
    seen: set[str] = set()
    while at is not None and not at.meant and at.uid not in seen:
        seen.add(at.uid)
        source = board.switch.get(at.source)
        at = board.switch.twin(source) if source is not None and source.half == 2 else None
    return at.meant if at is not None else ""


def _ring_client(board: Board, call: LiveCall, channel: Channel, who: Who, leg: LiveLeg) -> None:
    call.clients.append(channel.uid)
    if call.answered is None and not call.expected:
        call.client_raw = who.number or call.client_raw
    note_outside(board, call, channel, who)
    leg.ringing = True


def _phone_rings(call: LiveCall, but: LiveLeg) -> bool:
    return any(leg.ringing and leg is not but and leg.party is Party.EMPLOYEE for leg in call.legs.values())


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
