"""Starting in the middle: the whole state of the PBX, after a (re)connect, put over what is known.

Nothing is replayed for the time in between. Channels that are gone hang up now; channels that are new are taken in, and who
dialled them is inferred from linkedid, application (`AppDial` under a `Dial`, `AppQueue` under a `Queue`) and bridge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perezvon.calls.beginning import begin_if_incoming
from perezvon.calls.board import Board
from perezvon.calls.channels import HOLDING, RINGING, UP, Channel, Switchboard, known, number_of
from perezvon.calls.conferring import find_rooms, note_waiting
from perezvon.calls.ending import end_emptied, finish, hang_up, wake_up
from perezvon.calls.events import Snapshot
from perezvon.calls.live import LiveCall
from perezvon.calls.noting import LINE, STORY, on_story
from perezvon.calls.recording import FILE, recorded
from perezvon.calls.ringing import members, picked_up, ring, rings_by_itself
from perezvon.calls.talking import refresh

OUTGOING_APPS = frozenset({"appdial", "appqueue", "appdial2"})
DIAL_APPS = frozenset({"dial", "followme", "page"})
WAITING_APPS = frozenset({"park", "parkedcall", "parkandannounce", "bridgewait"})
Entry = Mapping[str, str]


def resync(board: Board, snapshot: Snapshot) -> None:
    board.resyncing = True
    try:
        if snapshot.restarted:
            _start_again(board, snapshot.at)
        _compare(board, snapshot)
    finally:
        board.resyncing = False


def _start_again(board: Board, at: float) -> None:
    """The PBX has been restarted: nothing of what was known lives."""
    for call in list(board.calls.values()):
        finish(board, call, at)
    board.switch = Switchboard()
    board.by_link.clear()
    board.rooms.clear()
    board.retired.clear()
    board.masquerading.clear()
    board.wakes.clear()
    board.expected.clear()


def _compare(board: Board, snapshot: Snapshot) -> None:
    at = snapshot.at
    wake_up(board, at)
    entries = {entry["uniqueid"]: entry for entry in snapshot.channels if entry.get("uniqueid") and entry.get("channel")}
    fresh = [entry for uid, entry in entries.items() if uid not in board.switch]
    _take_in(board, fresh, at)
    for uid in [uid for uid in board.switch.channels if uid not in entries]:
        _unplug(board, uid)
    _connect(board, snapshot, entries)
    new = [channel for entry in fresh if (channel := board.switch.get(entry["uniqueid"])) is not None]
    new += _dialled_meanwhile(board, entries)
    _find_diallers(board, new, entries)
    find_rooms(board, entries, at)
    _menus(board, entries)
    _ring_found(board, new, at)
    _update(board, entries, at)
    _queues(board, snapshot)
    for uid in [uid for uid in board.switch.channels if uid not in entries]:
        hang_up(board, uid, at)
    for call in list(board.calls.values()):
        if not call.begun and _answered(board, call):
            begin_if_incoming(board, call)
    _menus(board, entries)
    for call in list(board.calls.values()):
        refresh(board, call, at)
        if call.room and not call.over:
            note_waiting(board, call, at)
    end_emptied(board, at)


def _take_in(board: Board, fresh: Iterable[Entry], at: float) -> None:
    """The channels that place calls first: they found the calls which the dialled ones join."""
    ordered = sorted(fresh, key=lambda entry: (entry["uniqueid"] != entry.get("linkedid"), _dialled(entry), -_age(entry)))
    for entry in ordered:
        channel = board.switch.add(entry, "", at - _age(entry))
        if channel is None:
            continue
        channel.dialled = _dialled(entry)
        channel.app = entry.get("application", "")
        board.admit(channel)
        board.peers.watch_caller(channel)
        call = board.call_of(channel)
        if call is not None and call.origin == channel.uid and not call.begun:
            call.line_raw = entry.get(f"variable.{LINE}", "") or call.line_raw
        if call is not None and call.origin == channel.uid and channel.dialled:
            call.originated = True
            channel.side = "A"


def _dialled(entry: Entry) -> bool:
    return entry.get("application", "").lower() in OUTGOING_APPS


def _age(entry: Entry) -> float:
    """`Duration` of CoreShowChannel, `HH:MM:SS`; or the seconds of Status."""
    parts = entry.get("duration", "").split(":")
    if len(parts) == 3 and all(part.isdecimal() for part in parts):
        return int(parts[0]) * 3600.0 + int(parts[1]) * 60.0 + int(parts[2])
    seconds = entry.get("seconds", "")
    return float(seconds) if seconds.isdecimal() else 0.0


def _dialled_meanwhile(board: Board, entries: Mapping[str, Entry]) -> list[Channel]:
    """Channels that are known, but not that somebody dials them."""
    found: list[Channel] = []
    for uid, entry in entries.items():
        channel = board.switch.get(uid)
        call = board.call_of(channel)
        if channel is None or call is None or channel.dialled or not _dialled(entry) or call.origin == uid:
            continue
        channel.dialled = True
        channel.app = entry.get("application", "")
        found.append(channel)
    return found


def _unplug(board: Board, uid: str) -> None:
    channel = board.switch.channels[uid]
    board.switch.leave(channel)


def _connect(board: Board, snapshot: Snapshot, entries: Mapping[str, Entry]) -> None:
    """Bridges as they are now, in place of those that were known."""
    places: dict[str, str] = {uid: entry.get("bridgeid", "") for uid, entry in entries.items()}
    for bridge, names in snapshot.bridges.items():
        for name in names:
            channel = board.switch.by_name(name)
            if channel is not None:
                places[channel.uid] = bridge
    for uid, bridge in places.items():
        channel = board.switch.get(uid)
        if channel is None or channel.bridge == bridge:
            continue
        board.switch.leave(channel)
        if bridge:
            waiting = entries.get(uid, {}).get("application", "").lower() in WAITING_APPS
            board.switch.enter(channel, bridge, HOLDING if waiting else "")


def _find_diallers(board: Board, new: Iterable[Channel], entries: Mapping[str, Entry]) -> None:
    for channel in new:
        if not channel.dialled or channel.helper:
            continue
        call = board.call_of(channel)
        candidates = [
            other
            for other in (members(board, call) if call is not None else ())
            if other.uid in entries and other.uid not in {channel.uid, channel.other} and _may_dial(other, channel, entries)
        ]
        dialler = max(candidates, key=lambda other: _likeness(board, other, channel, entries), default=None)
        if dialler is None:
            continue
        channel.source = dialler.uid
        channel.dial_string = channel.dial_string or _dial_string(entries[dialler.uid], channel)
        dialler.dials = True
        origin = board.switch.get(call.origin) if call is not None else None
        if origin is not None:
            channel.side = "B" if dialler is origin else "A" if dialler.uid == origin.other else dialler.side


def _likeness(board: Board, dialler: Channel, channel: Channel, entries: Mapping[str, Entry]) -> tuple[bool, ...]:
    """How well a channel that dials fits one that is being dialled; the first difference decides."""
    dial_string = _dial_string(entries[dialler.uid], channel)
    exten = entries.get(channel.uid, {}).get("exten", "")
    return (
        bool(dialler.bridge) and dialler.bridge == channel.bridge,
        bool(dial_string),
        bool(exten) and exten == entries[dialler.uid].get("exten"),
        not any(other.source == dialler.uid for other in members(board, board.calls[channel.call])),
    )


def _may_dial(dialler: Channel, channel: Channel, entries: Mapping[str, Entry]) -> bool:
    """By its application; or because the two talk (a feature code may be running on the dialler just now)."""
    app = entries[dialler.uid].get("application", "").lower()
    apps = {"queue"} if channel.app.lower() == "appqueue" else DIAL_APPS
    return app in apps or (bool(channel.bridge) and dialler.bridge == channel.bridge)


def _dial_string(dialler: Entry, channel: Channel) -> str:
    """The part of `Dial(PJSIP/101&PJSIP/7916@multifon,30)` that made this channel."""
    if dialler.get("application", "").lower() not in DIAL_APPS:
        return ""
    data = dialler.get("applicationdata", "") or dialler.get("data", "")
    for target in data.partition(",")[0].split("&"):
        tech, _, rest = target.partition("/")
        if tech == channel.tech and channel.peer and channel.peer in rest:
            return rest
    return ""


def _ring_found(board: Board, new: Iterable[Channel], at: float) -> None:
    for channel in new:
        call = board.call_of(channel)
        if call is None or call.over or channel.helper or channel.uid in call.legs:
            continue
        if channel.local and channel.state == RINGING:
            rings_by_itself(board, call, channel, at)
        elif (
            not channel.local and channel.dialled and (channel.source or channel.state != UP)
        ):  # else who hears whom will tell what it is
            ring(board, call, channel, board.peers.callee(channel, members(board, call)), at)


def _update(board: Board, entries: Mapping[str, Entry], at: float) -> None:
    """What is known already has gone on in the meantime."""
    for uid, entry in entries.items():
        channel = board.switch.get(uid)
        if channel is None or channel.helper:
            continue
        if entry["channel"] != channel.name:
            board.switch.rename(channel, entry["channel"])
        channel.number = known(entry.get("calleridnum", channel.number))
        recording = entry.get(f"variable.{FILE}", "")
        if recording and (call := board.call_of(channel)) is not None:
            recorded(board, call, recording, at)
        channel.app = entry.get("application", channel.app)
        state = number_of(entry.get("channelstate", "")) or channel.state
        if state == channel.state:
            continue
        channel.state = state
        call = board.call_of(channel)
        if state == UP and call is not None:
            picked_up(board, call, channel, at)


def _queues(board: Board, snapshot: Snapshot) -> None:
    for queue, names in snapshot.waiting.items():
        for name in names:
            call = board.call_of(board.switch.by_name(name))
            if call is not None and (call.answered is None or not call.queue):
                call.queue = queue
                begin_if_incoming(board, call)


def _menus(board: Board, entries: Mapping[str, Entry]) -> None:
    """What callers have done in our voice menu meanwhile."""
    for uid, entry in entries.items():
        call = board.call_of(board.switch.get(uid))
        if call is not None and not call.over and (story := entry.get(f"variable.{STORY}", "")):
            on_story(board, call, story)


def _answered(board: Board, call: LiveCall) -> bool:
    return any(channel.state == UP for channel in members(board, call))
