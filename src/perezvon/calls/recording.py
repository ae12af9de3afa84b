"""The names of the recordings that the PBX writes of a call.

`MIXMONITOR_FILENAME` is set by MixMonitor itself, whoever started it (dialplan, queue, feature code). Where it is not told
(no VarSet for this AMI user), the application's own argument, or FreePBX's `CALLFILENAME`, has to do.
"""

from __future__ import annotations

from perezvon.calls.board import Board
from perezvon.calls.channels import Channel
from perezvon.calls.events import Event
from perezvon.calls.facts import Recorded, RecordingPaused
from perezvon.calls.live import LiveCall

FILE = "MIXMONITOR_FILENAME"
NAME = "CALLFILENAME"

PRIVATE = "private-"
"""How our dialplan begins the name of a recording of the manager's talk with the third person, which the client does not
hear: it stays on the PBX, and is no part of the client's recording."""


def note_variables(board: Board, channel: Channel, event: Event) -> None:
    """`channelvars` of manager.conf put the wanted variables on every event of the channel."""
    path = event.variables.get(FILE, "")
    call = board.call_of(channel)
    if path and call is not None:
        recorded(board, call, path, event.at)


def recorded(board: Board, call: LiveCall, path: str, at: float) -> None:
    if path and path not in call.recordings and not call.over and not is_private(path):
        call.recordings.append(path)
        call.promised = ""
        board.tell(call, Recorded(call.id, at, path))


def is_private(path: str) -> bool:
    return path.rpartition("/")[2].startswith(PRIVATE)


def on_variable(board: Board, call: LiveCall, name: str, value: str, at: float) -> None:
    if name == FILE:
        recorded(board, call, value, at)
    elif name == NAME and value and not call.recordings:
        call.promised = call.promised or value
        _keep_promise(board, call, at)


def on_application(call: LiveCall, app: str, data: str) -> None:
    """MixMonitor(file[,options]) or Monitor([format,[base]]) is being run."""
    if app == "MixMonitor":
        call.promised = data.partition(",")[0]
    elif app == "Monitor":
        kind, _, base = data.partition(",")
        name = base.partition(",")[0]
        call.promised = f"{name}.{kind or 'wav'}" if name else call.promised


def on_mixmonitor_start(board: Board, event: Event) -> None:
    channel = board.see(event)
    call = board.call_of(channel)
    if call is not None:
        call.recording_started = True
        _keep_promise(board, call, event.at)


def on_pause(board: Board, event: Event) -> None:
    """`UserEvent PerezvonRecording`: Step paused or resumed, told by the leg that is recorded."""
    channel = board.see(event)
    call = board.call_of(channel)
    step = event["step"]
    if call is None or call.over or not call.begun or step not in ("paused", "resumed"):
        return
    on = step == "paused"
    if call.paused is not on:
        call.paused = on
        board.tell(call, RecordingPaused(call.id, event.at, on, call.last_talker))


def _keep_promise(board: Board, call: LiveCall, at: float) -> None:
    if call.recording_started and call.promised and not call.recordings:
        recorded(board, call, call.promised, at)
