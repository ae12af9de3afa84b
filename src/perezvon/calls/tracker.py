"""The reducer: `feed(event) -> list[Fact]`. What each event means is in the rooms beside; this is the front door.

names, channels: which channels and bridges there are, who hears whom. parties, numbering: who is an employee, who is not.
beginning, roles, ringing, talking, moving, merging, conferring, noting, recording, ending: what the events say of a call.
live, legs, board: the state that these share. record: the final record.
resync, state: starting in the middle, from a dump of the PBX, from our own saved state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from perezvon.calls import conferring, ending, moving, noting, recording, ringing, talking
from perezvon.calls.board import Board
from perezvon.calls.call import Call
from perezvon.calls.events import Event, ExpectedCall, Snapshot
from perezvon.calls.facts import Fact
from perezvon.calls.numbering import Numbering
from perezvon.calls.record import record
from perezvon.calls.resync import resync
from perezvon.calls.state import export_call, export_loose, restore
from perezvon.calls.watching import Watched, watched

Handler = Callable[[Board, Event], None]


def _caller_id(board: Board, event: Event) -> None:
    board.see(event)


HANDLERS: Mapping[str, Handler] = {
    "Newchannel": ringing.on_newchannel,
    "Newstate": ringing.on_newstate,
    "NewCallerid": _caller_id,
    "Newexten": noting.on_newexten,
    "Rename": moving.on_rename,
    "DialBegin": ringing.on_dial_begin,
    "DialEnd": ringing.on_dial_end,
    "LocalBridge": talking.on_local_bridge,
    "BridgeEnter": talking.on_bridge_enter,
    "BridgeLeave": talking.on_bridge_leave,
    "BridgeDestroy": talking.on_bridge_destroy,
    "BlindTransfer": moving.on_blind_transfer,
    "AttendedTransfer": moving.on_attended_transfer,
    "Pickup": moving.on_pickup,
    "Hold": talking.on_hold,
    "Unhold": talking.on_hold,
    "QueueCallerJoin": noting.on_queue_join,
    "DTMFEnd": noting.on_dtmf,
    "VarSet": noting.on_varset,
    "MixMonitorStart": recording.on_mixmonitor_start,
    "ConfbridgeJoin": conferring.on_confbridge_join,
    "UserEvent": noting.on_user_event,
    "HangupRequest": ending.on_hangup_request,
    "Hangup": ending.on_hangup,
}
"""Every event that means something. Bridges merge by events of their own channels, optimised Local channels likewise."""


class Tracker:
    """Calls of one PBX. Fed with the same events it gives the same facts.

    Events may be missing, doubled, late or nonsense: that never raises, and a call whose channels have hung up is over.
    """

    def __init__(self, pbx: str, numbering: Numbering) -> None:
        self.pbx = pbx
        self.numbering = numbering
        self._board = Board(pbx, numbering)

    def feed(self, event: Event) -> list[Fact]:
        board = self._board
        if board.wakes and board.wakes[0][0] <= event.at:
            ending.wake_up(board, event.at)
        handler = HANDLERS.get(event.name)
        if handler is not None:
            handler(board, event)
            if board.emptied:
                ending.end_emptied(board, event.at)
        return self._told()

    def expect(self, expected: ExpectedCall) -> list[Fact]:
        """Before our Originate is sent: the channel with this uniqueid is the first leg of an employee's outgoing call."""
        self._board.expected[expected.uniqueid] = expected
        return self._told()

    def forget(self, uniqueid: str) -> None:
        """The Originate has failed before there was a channel."""
        self._board.expected.pop(uniqueid, None)

    def resync(self, snapshot: Snapshot) -> list[Fact]:
        """Bring the calls in line with the whole state of the PBX. Doing it twice tells nothing new."""
        resync(self._board, snapshot)
        return self._told()

    def channels(self) -> frozenset[str]:
        """The unique ids of the channels that are thought to live."""
        return frozenset(self._board.switch.channels)

    def call_of(self, linkedid: str) -> str:
        """The id of the running call (told of or not) to which channels of this linkedid belong; "" when there is none."""
        call = self._board.calls.get(self._board.by_link.get(linkedid, ""))
        return call.id if call is not None and not call.over else ""

    def live(self) -> list[Call]:
        """The calls that have been told of and go on, as they are now."""
        board = self._board
        return [record(call, board.numbering, board.peers.relabel) for call in board.calls.values() if call.begun]

    def watched(self) -> list[Watched]:
        """The same for somebody who looks on: who rings, who talks, who waits."""
        return watched(self._board)

    def call(self, call_id: str) -> Call | None:
        """One of these; None when it is not among them (any more)."""
        board = self._board
        call = board.calls.get(call_id)
        return record(call, board.numbering, board.peers.relabel) if call is not None and call.begun else None

    def export(self, call_id: str) -> dict[str, Any]:
        """The state of a live call as JSON values, for `restore`. Raises KeyError when there is no such call."""
        return export_call(self._board, call_id)

    def export_loose(self) -> dict[str, Any]:
        """What belongs to no call that has been told of: calls about to begin, what was learned of peers, expectations."""
        return export_loose(self._board)

    def restore(self, states: Iterable[dict[str, Any]]) -> None:
        """Put exported calls (and the loose state) back, before the first event. Raises StateError for a foreign form."""
        restore(self._board, states)

    def _told(self) -> list[Fact]:
        facts = self._board.facts
        if not facts:
            return []
        self._board.facts = []
        return facts
