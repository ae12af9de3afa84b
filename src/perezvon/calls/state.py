"""The tracker's state as JSON values, out and in again: what the journal keeps of a live call between two facts.

Small on purpose: only what differs from the default is written. `VERSION` rises with every change of form.

    StateError(ValueError)   the saved state is of another version, or none of ours
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from enum import Enum
from typing import Any, cast

from perezvon.calls.board import GONE_FOR_GOOD, LOOK_AGAIN, Board
from perezvon.calls.call import Direction, LegOutcome, Party, Transfer, TransferKind
from perezvon.calls.channels import HOLDING, Channel
from perezvon.calls.events import ExpectedCall
from perezvon.calls.facts import Recorded
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.parties import Peer

VERSION = 1
State = dict[str, Any]


class StateError(ValueError):
    """A saved state that this version cannot read."""


def export_call(board: Board, call_id: str) -> State:
    call = board.calls[call_id]
    channels = [channel for uid in sorted(call.members) if (channel := board.switch.get(uid)) is not None]
    return {
        "version": VERSION,
        "call": _pack_call(call),
        "channels": [_pack(channel) for channel in channels],
        "holding": sorted({channel.bridge for channel in channels} & board.switch.holding),
    }


def export_loose(board: Board) -> State:
    return {
        "version": VERSION,
        "waiting": [export_call(board, call.id) for call in board.calls.values() if not call.begun],
        "channels": [_pack(channel) for channel in board.switch.channels.values() if channel.call not in board.calls],
        "gone": list(board.switch.gone)[-256:],
        "masquerading": dict(board.masquerading),
        "peers": {name: _pack(peer) for name, peer in board.peers.known.items()},
        "expected": [[e.at, e.uniqueid, e.extension, e.client] for e in board.expected.values()],
    }


def restore(board: Board, states: Iterable[State]) -> None:
    for state in states:
        if state.get("version") != VERSION:
            raise StateError(
                f"saved state of version {state.get('version')!r}, this program reads version {VERSION}: "
                "start without it, the dump of the PBX will bring the running calls back"
            )
        try:
            _restore_one(board, state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(f"saved state that cannot be read ({error!r}): start without it") from error


def _restore_one(board: Board, state: State) -> None:
    for packed in state["channels"]:
        board.switch.put(_channel(board, packed, frozenset(state.get("holding", ()))))
    if "call" in state:
        _put_call(board, state["call"])
        return
    for uid in state["gone"]:
        board.switch.gone[uid] = None
    board.masquerading.update(state["masquerading"])
    for name, packed in state["peers"].items():
        board.peers.known[name] = Peer(**packed)
    for at, uniqueid, extension, client in state["expected"]:
        board.expected[uniqueid] = ExpectedCall(at, uniqueid, extension, client)
    for waiting in state["waiting"]:
        _restore_one(board, waiting)


def _channel(board: Board, packed: State, holding: frozenset[str]) -> Channel:
    values = dict(packed, guest_of=tuple(packed.get("guest_of", ())))
    bridge = values.pop("bridge", "")
    channel = Channel(**values)
    if bridge:
        board.switch.enter(channel, bridge, HOLDING if bridge in holding else "")
    return channel


def _pack_call(call: LiveCall) -> State:
    packed = _pack(call)
    packed["legs"] = [_pack_leg(leg) for leg in call.legs.values()]
    packed["transfers"] = [[t.kind.value, t.from_, t.to, t.at] for t in call.transfers]
    packed["early"] = [[fact.at, fact.path] for fact in call.early if isinstance(fact, Recorded)]
    return packed


def _put_call(board: Board, packed: State) -> None:
    values = dict(packed)
    legs = [_leg(leg) for leg in values.pop("legs")]
    transfers = [Transfer(TransferKind(kind), from_, to, at) for kind, from_, to, at in values.pop("transfers")]
    early = [Recorded(values["id"], at, path) for at, path in values.pop("early")]
    direction = values.pop("direction", None)
    members = set(values.pop("members", ()))
    call = LiveCall(**values)
    call.direction = Direction(direction) if direction is not None else None
    call.members = {uid for uid in members if uid in board.switch}
    call.legs = {leg.uid: leg for leg in legs}
    call.transfers = transfers
    call.early = list(early)
    board.calls[call.id] = call
    for link in call.links:
        board.by_link[link] = call.id
    if call.room:
        board.rooms[call.room] = call.id
    for since in call.leaving.values():
        board.wake(since + GONE_FOR_GOOD, call)
    if not call.begun and call.up_at is not None:
        board.wake(call.up_at + LOOK_AGAIN, call)


LEG = tuple(one.name for one in fields(LiveLeg))


def _pack_leg(leg: LiveLeg) -> list[Any]:
    """The values alone, in the order of the fields, as far as they differ from the defaults: a queue makes many legs."""
    values = [_plain(getattr(leg, name)) for name in LEG]
    defaults = [_plain(_default(one)) for one in fields(LiveLeg)]
    while values[-1] == defaults[len(values) - 1]:
        values.pop()
    return [int(value) if isinstance(value, bool) else value for value in values]


def _leg(packed: list[Any]) -> LiveLeg:
    values: State = dict(zip(LEG, packed, strict=False))
    values["party"] = Party(values["party"])
    if values.get("outcome") is not None:
        values["outcome"] = LegOutcome(values["outcome"])
    for flag in ("ringing", "terminal", "consulted", "outside", "own"):
        if flag in values:
            values[flag] = bool(values[flag])
    return LiveLeg(**values)


def _pack(value: Channel | LiveCall | LiveLeg | Peer) -> State:
    packed: State = {}
    for one in fields(value):
        content = getattr(value, one.name)
        if content != _default(one):
            packed[one.name] = _plain(content)
    return packed


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else MISSING


def _plain(content: Any) -> Any:
    if isinstance(content, Enum):
        return content.value
    if isinstance(content, set):
        return sorted(cast("set[str]", content))
    if isinstance(content, Mapping):
        return dict(cast("Mapping[str, Any]", content))
    if isinstance(content, list | tuple):
        return list(cast("Iterable[Any]", content))
    return content
