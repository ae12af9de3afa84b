"""The facts that the tracker tells of a call. Every fact names its call and its moment (POSIX seconds, UTC).

Order for one call: CallStarted first, CallEnded last and once. `extension` is the employee's, or the outside number where a
desk phone was forwarded to a mobile (empty `extension` never occurs in Ringing).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perezvon.calls.call import Call, Direction, LegOutcome, Party, TransferKind


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A client's call (or an internal one) is known, its direction and client too. `extension`: who placed an outgoing or
    internal call. `expected`: the `uniqueid` of the ExpectedCall that this call is, else empty. `channel`: that of whoever
    placed the call."""

    call: str
    at: float
    direction: Direction
    client: str
    client_raw: str
    client_name: str
    line: str
    line_raw: str
    trunk: str
    extension: str
    expected: str
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Ringing:
    """An employee's phone began to be rung for the client (from DialBegin: before the phone confirms)."""

    call: str
    at: float
    extension: str
    channel: str


@dataclass(frozen=True, slots=True)
class StoppedRinging:
    """The phone rings no more and its owner does not talk (an answer is told by `Answered` instead)."""

    call: str
    at: float
    extension: str
    channel: str
    outcome: LegOutcome


@dataclass(frozen=True, slots=True)
class Answered:
    """From now on the employee and the client talk. Also told when a transfer or a pick-up brings a further employee in.

    For an outgoing call: told when the *client* answers, with the employee who called.
    """

    call: str
    at: float
    extension: str
    channel: str


@dataclass(frozen=True, slots=True)
class LeftTalk:
    """The employee talks with the client no more, while the call goes on."""

    call: str
    at: float
    extension: str


@dataclass(frozen=True, slots=True)
class Held:
    """`on` tells whether the client was put on hold or taken back."""

    call: str
    at: float
    extension: str
    on: bool


@dataclass(frozen=True, slots=True)
class Transferred:
    call: str
    at: float
    kind: TransferKind
    from_: str
    to: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The PBX began to write this file (as the PBX names it)."""

    call: str
    at: float
    path: str


@dataclass(frozen=True, slots=True)
class RecordingPaused:
    """An employee has stopped the recording of the talk with his key (`on`), or lets it go on. `extension`: who talks
    with the client then, "" where that is not known."""

    call: str
    at: float
    on: bool
    extension: str = ""


@dataclass(frozen=True, slots=True)
class MenuChosen:
    """The client pressed a key of the voice menu, right or wrong. `key`: one or more digits."""

    call: str
    at: float
    key: str


class MenuStep(StrEnum):
    """What our own voice menu and its dialplan tell: `RINGS` whom a key leads to; `OVER` once, at last."""

    BEGAN = "began"
    KEY = "key"
    WRONG = "wrong"
    SILENCE = "silence"
    RINGS = "rings"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class InMenu:
    """A caller's way through our own voice menu. `to`: who is rung, E.164 or an extension. `heard`: what was played to him
    since the last step, the greeting as `intro`, announced buttons by their keys. `result`, of `OVER`: DIALSTATUS of
    whoever was rung, else HANGUP, PORTAL or TIMEOUT."""

    call: str
    at: float
    step: MenuStep
    key: str = ""
    to: str = ""
    heard: tuple[str, ...] = ()
    result: str = ""


@dataclass(frozen=True, slots=True)
class Connecting:
    """Before any phone rang, autoconnect said whom this caller shall be connected with. `to`: an extension, "" for nobody.
    `why`: its account, as rules/connecting.py wrote it; "" where this tells what came of it. `result`: DIALSTATUS of
    whoever was rung, TIMEOUT or ABSENT when we did not answer the dialplan."""

    call: str
    at: float
    to: str = ""
    why: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class JoinedConference:
    """Somebody entered a conference room: the client when he begins to wait there, the others when they talk with him.

    `room` is the PBX's name of it; `number` the extension or the outside number of whoever it is.
    """

    call: str
    at: float
    room: str
    party: Party
    number: str
    channel: str


class ThirdStep(StrEnum):
    """`ANSWERED`: talks with the employee alone until `JoinedConference` is told of him."""

    RUNG = "rung"
    ANSWERED = "answered"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class ThirdParty:
    """What becomes of somebody whom an employee brings into the call in a conference. `number`: E.164, or an extension.
    `outcome`: of `LEFT` alone, as far as it is known by then. `by`: the employee's extension, "" where it is not known."""

    call: str
    at: float
    number: str
    channel: str
    step: ThirdStep
    outcome: LegOutcome | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The client's leg is gone (or, for an internal call, the last talker's). `record` is final."""

    call: str
    at: float
    record: Call


Fact = (
    CallStarted
    | Ringing
    | StoppedRinging
    | Answered
    | LeftTalk
    | Held
    | Transferred
    | Recorded
    | RecordingPaused
    | MenuChosen
    | InMenu
    | Connecting
    | JoinedConference
    | ThirdParty
    | CallEnded
)
