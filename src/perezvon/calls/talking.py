"""Who hears whom: bridges, Local pairs and holding, turned into who talks with the client from when to when.

Only what is heard counts: an answered phone that still has to confirm, an agent who hears an announcement, a
consultation while the client waits are no talk with the client. Channels may change bridges as they like (optimisation,
merging): as long as client and employee end up hearing each other again, nothing has happened.
"""

from __future__ import annotations

from perezvon.calls.beginning import Placed, begin_if_incoming, begin_placed, caller_of
from perezvon.calls.board import Board
from perezvon.calls.call import Direction, Party
from perezvon.calls.channels import UP, Channel
from perezvon.calls.conferring import note_waiting
from perezvon.calls.events import Event
from perezvon.calls.facts import Answered, Held
from perezvon.calls.legs import stop_ringing
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.merging import absorb, has_client
from perezvon.calls.record import leg_outcome

CROWD = 40
"""In a room with more channels than so many nobody is told who all the others are: that would be their number squared."""

PHONE_APPS = frozenset({"answer", "wait", "echo", "milliwatt", "playtones", "musiconhold", "waitforsilence", "waitexten"})
"""What a Local channel's dialplan may be doing that plays a phone (a test, a door station) rather than a machine."""


def on_bridge_enter(board: Board, event: Event) -> None:
    channel = board.see(event)
    bridge = event["bridgeuniqueid"]
    if channel is None or not bridge:
        return
    channel.state = board.state(event) or channel.state
    board.switch.enter(channel, bridge, event["bridgetechnology"])
    refresh_around(board, channel, event.at)


def on_bridge_leave(board: Board, event: Event) -> None:
    channel = board.switch.get(event["uniqueid"])
    if channel is None or channel.bridge != event["bridgeuniqueid"]:
        return
    others = [uid for uid in board.switch.bridges.get(channel.bridge, ()) if uid != channel.uid]
    board.switch.leave(channel)
    refresh_around(board, channel, event.at)
    for uid in others[:1]:
        refresh_around(board, board.switch.channels[uid], event.at)


def on_bridge_destroy(board: Board, event: Event) -> None:
    for uid in list(board.switch.bridges.get(event["bridgeuniqueid"], ())):
        channel = board.switch.get(uid)
        if channel is not None:
            board.switch.leave(channel)
            refresh_around(board, channel, event.at)


def on_local_bridge(board: Board, event: Event) -> None:
    board.see(event, "localone")
    board.see(event, "localtwo")


def refresh_around(board: Board, channel: Channel, at: float) -> None:
    """See again who hears the client, for every call that this channel's place may concern."""
    own = dict.fromkeys((channel.call, *channel.guest_of))
    calls = dict(own)
    if channel.bridge or channel.other:
        for number, other in enumerate(board.switch.reach((channel.uid,))):
            if number >= CROWD:
                calls = own
                break
            calls[other.call] = None
            calls.update(dict.fromkeys(other.guest_of))
    for call_id in sorted(calls):
        call = board.calls.get(call_id)
        if call is not None:
            refresh(board, call, at)


def anchors(board: Board, call: LiveCall) -> list[str]:
    """The channels whose hearing decides: the client; of an internal call the caller."""
    if call.direction is Direction.INTERNAL:
        origin = board.switch.get(call.origin)
        return [uid for uid in (call.origin, origin.other if origin is not None else "") if uid in board.switch]
    if call.direction is Direction.INCOMING:
        return [uid for uid in call.clients if uid in board.switch]
    return [uid for uid in call.clients if (channel := board.switch.get(uid)) is not None and channel.state == UP]


def refresh(board: Board, call: LiveCall, at: float) -> None:
    if call.over or not (call.begun or _begin_late(board, call)):
        return
    hear: dict[str, None] = {}
    for number, channel in enumerate(list(board.switch.reach(anchors(board, call)))):
        if channel.helper or channel.state != UP or channel.uid in call.clients:
            continue
        if number >= CROWD and channel.call != call.id and channel.uid not in call.legs:
            continue
        leg = _leg_at(board, call, channel, at)
        if leg is not None and leg.party is not Party.CLIENT:
            hear[leg.uid] = None
    if list(hear) == call.connected:
        if call.room:
            note_waiting(board, call, at)
        return
    joined = [uid for uid in hear if uid not in call.connected]
    call.connected = [uid for uid in call.connected if uid in hear] + joined
    for uid in joined:
        _joins(board, call, call.legs[uid], at)
    employees = [leg for uid in call.connected if (leg := call.legs[uid]).party is Party.EMPLOYEE]
    if employees:
        call.last_talker = employees[-1].extension
    if call.room:
        note_waiting(board, call, at)


def _begin_late(board: Board, call: LiveCall) -> bool:
    """A talk of which no ringing told: a client in a conference room, or a stream that was joined half-way."""
    origin = board.switch.get(call.origin)
    if origin is None or not origin.bridge or origin.bridge in board.switch.holding:
        return False
    if begin_if_incoming(board, call):
        return True
    caller = caller_of(board, call)
    if caller.placed is not Placed.EMPLOYEE:
        return False
    for channel in board.switch.reach((origin.uid,)):
        if channel.local or channel.helper or channel.state != UP or channel.call != call.id or channel.uid in call.legs:
            continue
        who = board.peers.callee(channel, ())
        leg = LiveLeg(channel.uid, channel.name, Party.EMPLOYEE, who.number or channel.peer, up=channel.created)
        if not who.employee:
            leg.party = Party.CLIENT
            call.clients.append(channel.uid)
            call.client_raw, call.trunk = who.number, channel.peer
        call.legs[channel.uid] = leg
        begin_placed(board, call, origin, caller.who, Direction.INTERNAL if who.employee else Direction.OUTGOING)
        return True
    return False


def _joins(board: Board, call: LiveCall, leg: LiveLeg, at: float) -> None:
    """Somebody hears the client now."""
    first = leg.talked is None
    leg.up = leg.up if leg.up is not None else at
    leg.talked = leg.talked if leg.talked is not None else at
    leg.ended = None
    if leg.party is Party.THIRD_PARTY:
        stop_ringing(board, call, leg, leg_outcome(leg, someone_answered=False), at)
        if leg.extension and leg.extension not in call.third_parties:
            call.third_parties.append(leg.extension)
        return
    leg.ringing = False
    call.leaving.pop(leg.extension, None)
    if call.answered is None:
        call.answered = at
        for uid in call.clients:
            if uid in call.legs and (call.direction is Direction.INCOMING or call.legs[uid].up is not None):
                call.legs[uid].talked = at
    if call.direction is Direction.INTERNAL:
        caller = call.legs.get(call.origin)
        if caller is not None:
            caller.talked = caller.talked if caller.talked is not None else at
        if call.placed_by and call.placed_by not in call.talkers:
            call.talkers.append(call.placed_by)
    if leg.extension not in call.talkers:
        call.talkers.append(leg.extension)
    if leg.outside:
        call.forwarded_to = leg.extension
    if call.holder and call.holder != leg.extension:
        board.tell(call, Held(call.id, at, call.holder, on=False))
        call.holder = ""
    if first:
        board.tell(call, Answered(call.id, at, leg.extension, leg.channel))


def _leg_at(board: Board, call: LiveCall, channel: Channel, at: float) -> LiveLeg | None:
    """The leg that a channel, which hears the client, stands for; None for what is only on the way."""
    if channel.local:
        return _leg_of_local(board, call, channel, at)
    leg = call.legs.get(channel.uid)
    if leg is not None:
        return leg
    other = board.call_of(channel)
    if other is not None and other is not call:
        if channel.uid == other.origin:
            begin_if_incoming(board, other)
        if channel.uid in other.clients:  # two clients in one conference
            number = board.numbering.international(other.client_raw) or other.client_raw
            return _guest(board, call, channel, Party.THIRD_PARTY, number, at)
        if not other.begun or (has_client(call) and not has_client(other)):
            absorb(board, call, other, at)
            leg = call.legs.get(channel.uid)
            if leg is not None:
                return leg
        elif not has_client(call):
            return None
    who = board.peers.callee(channel, ()) if channel.dialled else board.peers.caller(channel)
    number = who.number if who.employee else (board.numbering.international(who.number) or who.number)
    known = other.legs.get(channel.uid) if other is not None else None
    party = Party.EMPLOYEE if who.employee else Party.THIRD_PARTY
    if known is not None:
        party, number = known.party, known.extension
    return _guest(board, call, channel, party, number or channel.peer, at)


def _guest(board: Board, call: LiveCall, channel: Channel, party: Party, number: str, at: float) -> LiveLeg:
    """A leg for somebody who was not rung for this call."""
    leg = LiveLeg(channel.uid, channel.name, party, number, up=at)
    call.legs[channel.uid] = leg
    if channel.call != call.id and call.id not in channel.guest_of:
        channel.guest_of = (*channel.guest_of, call.id)
    return leg


def _leg_of_local(board: Board, call: LiveCall, channel: Channel, at: float) -> LiveLeg | None:
    """A Local pair is somebody only where its other half is in no bridge: there its dialplan plays a phone."""
    twin = board.switch.twin(channel)
    if twin is None or twin.bridge or not channel.bridge:
        return None
    leg = call.legs.get(channel.uid) or call.legs.get(twin.uid)
    app = twin.app.lower()
    if leg is not None:
        return None if leg.terminal and app in {"voicemail", "voicemailmain", "queue", "confbridge"} else leg
    if twin.dials or channel.half != 1 or app not in PHONE_APPS or channel.call != call.id:
        return None
    who = board.peers.behind_local(channel.peer)
    if who is None:
        return None
    party = Party.EMPLOYEE if who.employee else Party.THIRD_PARTY
    number = who.number if who.employee else (board.numbering.international(who.number) or who.number)
    leg = LiveLeg(channel.uid, channel.name, party, number, source=channel.source, up=at, terminal=True)
    call.legs[channel.uid] = leg
    if channel.dialled and who.employee:
        leg.rang = channel.dialled_at
        call.rung.setdefault(leg.extension, leg.rang)
    return leg


def on_hold(board: Board, event: Event) -> None:
    """An employee puts the client on hold. Some phones (and every REFER) send an Unhold without a Hold before it."""
    channel = board.see(event)
    call = board.call_of(channel)
    if channel is None or call is None or call.over:
        return
    leg = call.legs.get(channel.uid) or call.legs.get(channel.other)
    if leg is None or leg.party is not Party.EMPLOYEE or leg.talked is None or (call.room and not call.connected):
        return
    on = event.name == "Hold"
    if on and not call.holder:
        call.holder = leg.extension
        board.tell(call, Held(call.id, event.at, leg.extension, on=True))
    elif not on and call.holder == leg.extension:
        call.holder = ""
        board.tell(call, Held(call.id, event.at, leg.extension, on=False))
