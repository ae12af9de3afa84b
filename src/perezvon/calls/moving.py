"""Calls change hands: transfers, pick-ups, masquerades."""

from __future__ import annotations

from perezvon.calls.board import Board
from perezvon.calls.call import Direction, LegOutcome, Party, Transfer, TransferKind
from perezvon.calls.channels import UP, Channel
from perezvon.calls.conferring import called_in, is_conference
from perezvon.calls.events import Event
from perezvon.calls.facts import Answered, Transferred
from perezvon.calls.legs import stop_ringing
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.merging import absorb, is_part_of, main_of
from perezvon.calls.talking import refresh, refresh_around

MASQUERADE = "<MASQ>"


def on_blind_transfer(board: Board, event: Event) -> None:
    transferer = board.see(event, "transferer")
    transferee = board.see(event, "transferee")
    call = board.call_of(transferee) or board.call_of(transferer)
    if event["result"] != "Success" or transferer is None or call is None or not call.begun or call.over:
        return
    employee = extension_at(board, call, transferer)
    if is_conference(board, event["extension"], event["context"]):
        called_in(board, call, employee)
    else:
        _transferred(board, call, TransferKind.BLIND, employee, event["extension"], event.at)
    if call.origin == transferer.uid and transferee is not None:
        call.origin = transferee.uid


def on_attended_transfer(board: Board, event: Event) -> None:
    """The consultation joins the call. `DestType`: Bridge or Link (both talk), App (the consulted one still rings, or is a
    queue), Threeway (all three go on talking: nobody is transferred yet), Fail."""
    if event["result"] != "Success" or event["desttype"] == "Fail":
        return
    first = board.see(event, "origtransferer")
    second = board.see(event, "secondtransferer")
    transferee = board.see(event, "transferee")
    target = board.see(event, "transfertarget")
    calls = {
        call.id: call
        for channel in (first, second, transferee, target)
        if (call := board.call_of(channel)) is not None and not call.over
    }
    if not calls:
        return
    main = main_of(calls.values())
    giver = first if first is not None else second
    from_ = extension_at(board, main, giver) if giver is not None else ""
    consultation = board.call_of(second)
    ringing = event["desttype"] == "App"
    to = _being_rung(main, consultation, second) if ringing else ""
    to = to or _transfer_target(board, main, consultation, transferee, target)
    joined = [channel for channel in (transferee, target) if channel is not None]
    if second is not None and transferee is not None and ringing:
        _hand_over_dials(board, consultation, second, transferee)
    others = [other for other in calls.values() if other is not main and not is_part_of(main, other)]
    for other in calls.values():
        if other not in others:
            absorb(board, main, other, event.at)
    if main.origin in {channel.uid for channel in (first, second) if channel is not None} and joined:
        main.origin = joined[0].uid
    if not to:  # the event may leave out who was consulted
        refresh(board, main, event.at)
        to = _who_hears(main, from_) or _being_rung(main, consultation, second)
    if main.begun and ringing and second is not None and is_conference(board, to, second.context):
        called_in(board, main, from_)
    elif main.begun and event["desttype"] != "Threeway":
        _transferred(board, main, TransferKind.ATTENDED, from_, to, event.at)
        for other in others:
            _transferred(board, other, TransferKind.ATTENDED, from_, main.client_raw, event.at)
    refresh(board, main, event.at)
    for channel in joined:
        refresh_around(board, channel, event.at)


def _who_hears(call: LiveCall, but: str) -> str:
    heard = [leg.extension for uid in call.connected if (leg := call.legs[uid]).extension != but]
    return heard[-1] if heard else ""


def _transferred(board: Board, call: LiveCall, kind: TransferKind, from_: str, to: str, at: float) -> None:
    if not board.numbering.is_extension(to):
        to = board.numbering.international(to) or to
    transfer = Transfer(kind, from_, to, at)
    if transfer not in call.transfers[-1:]:
        call.transfers.append(transfer)
        board.tell(call, Transferred(call.id, at, kind, from_, to))


def _transfer_target(
    board: Board, main: LiveCall, consultation: LiveCall | None, transferee: Channel | None, target: Channel | None
) -> str:
    """Whom the client gets: of the two parties that are joined the one who is not the client."""
    for channel in (target, transferee):
        if channel is not None and not _is_client(board, main, channel):
            return extension_at(board, consultation or main, channel)
    return ""


def _being_rung(main: LiveCall, consultation: LiveCall | None, second: Channel | None) -> str:
    """Whom the transferer was ringing when he left: the one phone, or what he had dialled."""
    if consultation is None:
        return second.exten if second is not None else ""
    rung = {
        leg.extension
        for leg in consultation.legs.values()
        if leg.ringing and leg.party is not Party.CLIENT and (consultation is not main or leg.consulted)
    }
    if len(rung) == 1:
        return rung.pop()
    return consultation.dialled if consultation is not main else ""


def _is_client(board: Board, call: LiveCall, channel: Channel) -> bool:
    if channel.uid in call.clients:
        return True
    if call.direction is Direction.INTERNAL:
        return channel.uid == call.origin
    twin = board.switch.twin(channel)  # a Local channel is the client where its other half leads to him
    return twin is not None and any(
        far.uid in call.clients for far in board.switch.reach((twin.uid,), stops=(channel.uid,))
    )


def extension_at(board: Board, call: LiveCall, channel: Channel) -> str:
    """The extension (or outside number) of whoever is at a channel, also at the far end of a Local chain."""
    leg = call.legs.get(channel.uid) or call.legs.get(channel.other)
    if leg is not None and leg.party is not Party.CLIENT:
        return leg.extension
    if channel.local:
        twin = board.switch.twin(channel)
        for far in board.switch.reach((twin.uid,), stops=(channel.uid,)) if twin is not None else ():
            leg = call.legs.get(far.uid)
            if leg is not None and leg.party is not Party.CLIENT:
                return leg.extension
        return board.peers.local_extension(channel.peer) or channel.number
    own = board.call_of(channel)
    if own is not None and channel.uid in own.clients:
        return board.numbering.international(own.client_raw) or own.client_raw
    if own is not None and own is not call and (leg := own.legs.get(channel.uid)) is not None:
        return leg.extension
    who = board.peers.callee(channel, ()) if channel.dialled else board.peers.caller(channel)
    return who.number if who.employee else (board.numbering.international(who.number) or who.number)


def _hand_over_dials(board: Board, call: LiveCall | None, old: Channel, new: Channel) -> None:
    """What the transferer was dialling is dialled by the transferee from now on."""
    if call is None:
        return
    for uid in call.members:
        channel = board.switch.get(uid)
        if channel is not None and channel.source == old.uid:
            channel.source = new.uid
    for leg in call.legs.values():
        if leg.source == old.uid:
            leg.source = new.uid


def take_over(board: Board, call: LiveCall, source: Channel, target: Channel, at: float) -> None:
    """A DialBegin for a channel that somebody else was dialling: `source` has taken his place."""
    other = board.call_of(target)
    if other is not None and other is not call:
        absorb(board, main_of((call, other)), other if main_of((call, other)) is call else call, at)
    target.source = source.uid
    current = board.call_of(target)
    leg = current.legs.get(target.uid) if current is not None else None
    if leg is not None:
        leg.source = source.uid


def on_pickup(board: Board, event: Event) -> None:
    picker = board.see(event)
    target = board.see(event, "target")
    call = board.call_of(target)
    if picker is not None and target is not None and call is not None and not call.over:
        pick_up(board, call, picker, target, event.at)


def pick_up(board: Board, call: LiveCall, picker: Channel, target: Channel | None, at: float) -> None:
    """`picker` answers in the place of the ringing channel `target` (None: not told which)."""
    own = board.call_of(picker)
    who = board.peers.caller(picker)
    extension = (own.placed_by if own is not None else "") or who.number or picker.peer
    if own is not None and own is not call:
        absorb(board, call, own, at)
    picker.dialled = True
    picker.source = target.source if target is not None else ""
    leg = call.legs.get(picker.uid)
    if leg is None:
        leg = call.legs[picker.uid] = LiveLeg(
            picker.uid, picker.name, Party.EMPLOYEE, extension, up=at if picker.state == UP else None, own=who.own
        )
    call.picked_up_by = extension
    if target is None:
        return
    rung = call.legs.get(target.uid)
    if rung is not None and rung.party is not Party.CLIENT and rung.talked is None:
        rung.ended = at
        rung.outcome = LegOutcome.ANSWERED_ELSEWHERE
        stop_ringing(board, call, rung, LegOutcome.ANSWERED_ELSEWHERE, at)
    if target.uid in call.clients:
        _carry_on(board, call, picker, leg, at)


def _carry_on(board: Board, call: LiveCall, picker: Channel, leg: LiveLeg, at: float) -> None:
    """The picker took the place of the client's own (originated) channel: his channel carries the call from now on."""
    call.carried = True
    call.clients = [uid for uid in (picker.uid, picker.other) if uid]
    leg.up = leg.talked = at
    call.answered = call.answered if call.answered is not None else at
    for rung in call.legs.values():
        if rung.ringing:
            rung.ended = at
            rung.outcome = LegOutcome.ANSWERED_ELSEWHERE
            stop_ringing(board, call, rung, LegOutcome.ANSWERED_ELSEWHERE, at)
    if leg.extension not in call.talkers:
        call.talkers.append(leg.extension)
    call.last_talker = leg.extension
    board.tell(call, Answered(call.id, at, leg.extension, leg.channel))


def on_rename(board: Board, event: Event) -> None:
    """Asterisk 12 and older masquerade in the open: the clone (`X`) becomes `X<MASQ>`, the original takes the name `X` and
    with it the device, and the clone hangs up as a zombie. So the two change their parts in the call."""
    channel = board.switch.get(event["uniqueid"])
    name = event["newname"]
    if channel is None or not name:
        return
    if name.endswith(MASQUERADE):
        board.masquerading[name.removesuffix(MASQUERADE)] = channel.uid
        return
    clone = board.switch.get(board.masquerading.pop(name, ""))
    board.switch.rename(channel, name)
    if clone is not None and clone is not channel:
        _exchange(board, channel, clone)


def _exchange(board: Board, original: Channel, clone: Channel) -> None:
    """The part of `clone` (whose device lives on) goes to `original`, and the other way round."""
    calls = [call for call in (board.call_of(original), board.call_of(clone)) if call is not None]
    part = {original.uid: clone.uid, clone.uid: original.uid}
    legs: dict[str, LiveLeg] = {}
    for call in calls:
        legs.update({uid: leg for uid in part if (leg := call.legs.pop(uid, None)) is not None})
    original.call, clone.call = clone.call, original.call
    original.number, clone.number = clone.number, original.number
    original.dialled, clone.dialled = clone.dialled, original.dialled
    original.source, clone.source = clone.source, original.source
    for channel in (original, clone):
        for call in calls:
            call.members.discard(channel.uid)
    for channel in (original, clone):
        call = board.call_of(channel)
        if call is None:
            continue
        call.members.add(channel.uid)
        leg = legs.pop(part[channel.uid], None)
        if leg is not None:
            leg.uid, leg.channel = channel.uid, channel.name
            call.legs[channel.uid] = leg
    for call in dict.fromkeys(call.id for call in calls):
        live = board.calls[call]
        live.clients = [part.get(uid, uid) for uid in live.clients]
        live.connected = [part.get(uid, uid) for uid in live.connected]
        live.origin = part.get(live.origin, live.origin)
