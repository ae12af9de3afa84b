"""An employee brings a third person into the call: our own dialplan tells of every step (`UserEvent PerezvonRoom`).

The call stays one call. The client waits with music (`Held`) or talks in the room; the employee stays its talker while he
keys in a code, rings and talks with the third person alone; whom he rings there is a third party, never a call of its own.
What is told: asterisk/wiring (the dialplan). The room bears the unique id of the call's first channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perezvon.calls.beginning import begin, begin_if_incoming, begin_incoming, begin_placed
from perezvon.calls.board import Board
from perezvon.calls.call import Direction, Party
from perezvon.calls.channels import Channel
from perezvon.calls.events import Event
from perezvon.calls.facts import Answered, Held, JoinedConference, LeftTalk, ThirdParty, ThirdStep
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.merging import absorb
from perezvon.calls.parties import Who

ROOM = "PEREZVON_ROOM"
"""The channel variable that names the room; all channels of a call inherit it."""

OURS = "perezvon-"
"""How the names of our own dialplan's contexts begin."""

CALLBACK = "perezvon-callback"

ROLES = {
    CALLBACK: Party.CLIENT,
    "perezvon-room-client": Party.CLIENT,
    "perezvon-room-manager": Party.EMPLOYEE,
    "perezvon-room-third": Party.THIRD_PARTY,
}
"""Who is in which context, for a stream that is joined half-way."""

BY_MANAGER = frozenset({"code", "lookup", "rings", "busy", "noanswer", "badcode", "merge", "joined", "back"})
BY_THIRD = frozenset({"private", "joined"})
"""Steps of which a channel tells itself in the role that the event names. (`dropped` is told of somebody else.)"""

Entry = Mapping[str, str]


def on_room(board: Board, event: Event) -> None:
    """`UserEvent PerezvonRoom`: Step, Room, Role."""
    channel = board.see(event)
    if channel is None:
        return
    step, role = event["step"], event["role"]
    own = board.call_of(channel)
    call = board.call_of_room(event["room"]) or (own if own is not None and own.begun else None)
    if call is None or call.over:
        _of_nobody(board, own, channel, step, role)
        return
    if call is not own:
        _adopt(board, call, own, channel, event.at)
    if not call.begun:
        return
    open_room(board, call, event["room"])
    if role == "manager" and step in BY_MANAGER:
        enrol_manager(board, call, channel, event.at)
    elif role == "third" and step in BY_THIRD:
        enrol_third(board, call, channel, event.at)
    elif step == "over" and call.returning:
        _stays_away(board, call, event.at)
    note_waiting(board, call, event.at)


def on_room_variable(board: Board, channel: Channel, room: str, at: float) -> None:
    """The channel belongs to this room: a second call of the employee, or somebody whom a button of the card has rung."""
    call = board.call_of_room(room)
    own = board.call_of(channel)
    if call is not None and call is not own and call.begun and not call.over:
        _adopt(board, call, own, channel, at)


def _adopt(board: Board, call: LiveCall, own: LiveCall | None, channel: Channel, at: float) -> None:
    if own is not None and own is not call and not (own.begun and channel.uid not in {own.origin, *own.clients}):
        absorb(board, call, own, at)
    else:
        board.join(channel, call)


def _of_nobody(board: Board, own: LiveCall | None, channel: Channel, step: str, role: str) -> None:
    """Told by a channel whose client has left meanwhile: what follows there is no call."""
    if role not in {"manager", "third"} or step == "dropped" or own is None or own.begun:
        return
    if own.origin == channel.uid:
        board.retire_members(own)
        board.drop(own)


def open_room(board: Board, call: LiveCall, room: str) -> None:
    call.room = call.room or room or call.origin
    board.rooms[call.room] = call.id
    call.manager = call.manager or call.last_talker or call.placed_by


def called_in(board: Board, call: LiveCall, employee: str) -> None:
    """The employee has transferred the client to the conference's number: he is about to be rung back there."""
    open_room(board, call, call.room)
    call.manager = ""
    call.returning = employee


def is_conference(board: Board, exten: str, context: str) -> bool:
    return bool(exten) and exten == board.numbering.conference and context.startswith(OURS)


def _stays_away(board: Board, call: LiveCall, at: float) -> None:
    """The employee did not come back when he was rung."""
    extension, call.returning = call.returning, ""
    if not call.talks(extension):
        board.tell(call, LeftTalk(call.id, at, extension))


def enrol_manager(board: Board, call: LiveCall, channel: Channel, at: float) -> LiveLeg | None:
    """This channel is the employee's from now on."""
    if channel.uid in call.clients:
        return None
    name = call.returning or call.manager or call.last_talker
    leg = call.legs.get(channel.uid)
    if leg is None:
        who = _who(board, channel)
        name = name or (who.number if who.employee else channel.peer)
        leg = call.legs[channel.uid] = LiveLeg(channel.uid, channel.name, Party.EMPLOYEE, name, own=who.own)
    elif leg.party is not Party.EMPLOYEE:
        leg.party, leg.extension = Party.EMPLOYEE, name or leg.extension
    leg.up = leg.up if leg.up is not None else at
    call.manager, call.returning = leg.extension, ""
    call.leaving.pop(leg.extension, None)
    return leg


def enrol_third(board: Board, call: LiveCall, channel: Channel, at: float) -> LiveLeg | None:
    if channel.uid in call.clients:
        return None
    leg = call.legs.get(channel.uid)
    if leg is None:
        number = _number(board, _who(board, channel))
        leg = call.legs[channel.uid] = LiveLeg(
            channel.uid, channel.name, Party.THIRD_PARTY, number or channel.peer, consulted=True
        )
    elif leg.extension != call.manager:
        leg.party, leg.consulted = Party.THIRD_PARTY, True
    if leg.party is Party.THIRD_PARTY and leg.extension not in call.third_parties:
        leg.up = leg.up if leg.up is not None else at
        third_answered(board, call, leg, at)
    return leg


def _who(board: Board, channel: Channel) -> Who:
    return board.peers.callee(channel, ()) if channel.dialled else board.peers.caller(channel)


def _number(board: Board, who: Who) -> str:
    return who.number if who.employee else (board.numbering.international(who.number) or who.number)


def third_rings(board: Board, call: LiveCall, leg: LiveLeg, at: float) -> None:
    board.tell(call, ThirdParty(call.id, at, leg.extension, leg.channel, ThirdStep.RUNG, by=call.manager))


def third_answered(board: Board, call: LiveCall, leg: LiveLeg, at: float) -> None:
    if leg.extension and leg.extension not in call.third_parties:
        call.third_parties.append(leg.extension)
    board.tell(call, ThirdParty(call.id, at, leg.extension, leg.channel, ThirdStep.ANSWERED, by=call.manager))


def on_confbridge_join(board: Board, event: Event) -> None:
    channel = board.see(event)
    call = board.call_of(channel)
    if channel is None or call is None or call.over:
        return
    if not call.begun and not (channel.uid == call.origin and begin_if_incoming(board, call)):
        return
    leg = call.legs.get(channel.uid) or call.legs.get(channel.other)
    if leg is not None:
        board.tell(call, JoinedConference(call.id, event.at, event["conference"], leg.party, leg.extension, leg.channel))


def note_waiting(board: Board, call: LiveCall, at: float) -> None:
    """In a room, a client whom nobody hears is held, for as long as the employee is about to come (back)."""
    if not call.room or call.answered is None:
        return
    if call.connected:
        if call.holder:
            holder, call.holder = call.holder, ""
            board.tell(call, Held(call.id, at, holder, on=False))
    elif not call.holder and (call.returning or (_client_waits(board, call) and _manager_lives(board, call))):
        call.holder = call.returning or call.manager
        board.tell(call, Held(call.id, at, call.holder, on=True))


def _client_waits(board: Board, call: LiveCall) -> bool:
    return any((channel := board.switch.get(uid)) is not None and channel.bridge for uid in call.clients)


def _manager_lives(board: Board, call: LiveCall) -> bool:
    return any(
        leg.party is Party.EMPLOYEE
        and leg.extension == call.manager
        and leg.ended is None
        and (channel := board.switch.get(leg.uid)) is not None
        and not channel.hung_up
        for leg in call.legs.values()
    )


def still_there(board: Board, call: LiveCall, extension: str) -> bool:
    """Whether an employee whose channel hung up is in a conference by another one, or is being rung back there."""
    return bool(call.room) and (call.returning == extension or (call.manager == extension and _manager_lives(board, call)))


# ---- starting in the middle


def find_rooms(board: Board, entries: Mapping[str, Entry], at: float) -> None:
    """Rooms in a dump of the PBX: whose they are, and who is who there."""
    rooms: dict[str, list[Channel]] = {}
    for uid, entry in entries.items():
        channel, room = board.switch.get(uid), entry.get(f"variable.{ROOM}", "")
        if channel is not None and room and not channel.helper and entry.get("context", "") in ROLES:
            rooms.setdefault(room, []).append(channel)
    for room, channels in rooms.items():
        _found(board, room, {channel.uid: (channel, ROLES[entries[channel.uid]["context"]]) for channel in channels}, at)


def _found(board: Board, room: str, people: Mapping[str, tuple[Channel, Party]], at: float) -> None:
    clients = [channel for channel, party in people.values() if party is Party.CLIENT]
    call = board.call_of_room(room) or next((found for one in clients if (found := board.call_of(one))), None)
    gone = not clients and (room in people or room not in board.switch)
    if gone and (call is None or not call.begun):
        _leave_alone(board, [channel for channel, _ in people.values()])
        return
    if call is None or call.over:
        return
    for channel, _ in people.values():
        if board.call_of(channel) is not call:
            _adopt(board, call, board.call_of(channel), channel, at)
    fresh = not call.begun
    if fresh and clients:
        _begin_found(board, call, room, clients[0], [one for one, party in people.values() if party is Party.EMPLOYEE])
    if not call.begun:
        return
    open_room(board, call, room)
    if fresh:  # whoever is conferred about has been talked with
        call.answered = at
    for channel, party in people.values():
        if party is Party.EMPLOYEE and (leg := enrol_manager(board, call, channel, at)) is not None and fresh:
            _talks(board, call, leg, at)
        elif party is Party.THIRD_PARTY:
            enrol_third(board, call, channel, at)


def _leave_alone(board: Board, channels: Iterable[Channel]) -> None:
    """The client has gone, the others talk on."""
    for channel in channels:
        own = board.call_of(channel)
        if own is not None and not own.begun:
            board.retire_members(own)
            board.drop(own)


def _begin_found(board: Board, call: LiveCall, room: str, client: Channel, managers: Iterable[Channel]) -> None:
    """The room bears the id of the channel that placed the call: a client's, or else it was a call out."""
    if client.uid == room:
        call.origin = client.uid
        begin_incoming(board, call)
        return
    call.clients, call.client_raw, call.trunk = [client.uid], client.number, client.peer
    number = board.numbering.international(client.number) or client.number
    call.legs[client.uid] = LiveLeg(client.uid, client.name, Party.CLIENT, number, up=client.created, talked=client.created)
    origin = board.switch.get(room) or next(iter(managers), None)
    if origin is None:
        begin(board, call, Direction.OUTGOING)
        return
    call.origin = origin.uid
    who = _who(board, origin)
    begin_placed(board, call, origin, who if who.employee else Who(True, origin.peer, own=False), Direction.OUTGOING)


def _talks(board: Board, call: LiveCall, leg: LiveLeg, at: float) -> None:
    """Whoever confers with a client has talked with him before."""
    leg.talked = leg.talked if leg.talked is not None else at
    if leg.extension not in call.talkers:
        call.talkers.append(leg.extension)
        board.tell(call, Answered(call.id, at, leg.extension, leg.channel))
    call.last_talker = call.last_talker or leg.extension
