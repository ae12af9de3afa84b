"""What the pages show of the running service, as plain values that the service fills in. No I/O.

Times are POSIX seconds, UTC. `as_json` is the answer of `GET /status`: times as ISO 8601 there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, Protocol, cast

from perezvon.calls.call import iso
from perezvon.customisation import CustomisationStatus
from perezvon.rules.vocabulary import Reason

TIMES = frozenset(
    {
        "now",
        "started",
        "since",
        "held_since",
        "last_event",
        "last_error_at",
        "last_success",
        "forgotten_last",
        "oldest",
        "paused_until",
        "polled",
        "received",
        "refreshed",
        "loaded",
        "last",
        "ended",
        "until",
    }
)
"""Names of fields that hold moments."""


@dataclass(frozen=True, slots=True)
class PbxStatus:
    """`state`: waiting | connecting | booting | synchronising | live (asterisk.State). `address`: without the secret."""

    name: str
    state: str
    since: float
    address: str = ""
    version: str = ""
    live_calls: int = 0
    reconnects: int = 0
    last_event: float | None = None
    last_error: str | Reason = ""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Steps that wait, of one priority (`cards`, `finish`, `crm`, `records`, `directories`)."""

    priority: str
    waiting: int


@dataclass(frozen=True, slots=True)
class PausedMethod:
    """The portal takes nothing of this method; it is asked again then. `limited`: the method's working time is used up (429
    OPERATION_TIME_LIMIT), which passes; else a human has to do what `fix` says."""

    method: str
    until: float
    why: str | Reason = ""
    fix: Reason | None = None
    limited: bool = True


@dataclass(frozen=True, slots=True)
class EventsStatus:
    """How clicks on numbers come. `mode` as set: offline | handler | both | off. `bound`: the portal was told to send them;
    `polled`: when the offline queue was asked last; `received`: when the last event came; `error`: why one of the ways does
    not work."""

    mode: str
    bound: bool = False
    polled: float | None = None
    received: float | None = None
    error: str | Reason = ""


@dataclass(frozen=True, slots=True)
class MissedStatus:
    """Clients who wait for a call back since the last week, `oldest`: since when the first of them. `called_back`: how many
    were talked to after a missed call in the last day; `after`: seconds, on average."""

    waiting: int = 0
    oldest: float | None = None
    called_back: int = 0
    after: float | None = None


@dataclass(frozen=True, slots=True)
class PortalStatus:
    """`state`: ready | waiting for installation | paused | blocked | unreachable. `way`: webhook | application. `tokens`:
    requests that may leave now, of `burst`. `dead`: steps that the portal refused for good. `fix`: what a human is to do
    about the state. `moved_from`: the host that the settings name, when the portal is at another one. `forgotten`: calls
    that the portal did not know any more and that were registered anew. `lines_problem`: why the company's numbers are not
    lines of the portal, or not as the settings name them. `fields_problems`: what is wrong with the fields of the CRM that
    the settings fill, or why that is not known. `automation`: why triggers or the robot are not registered.
    `pages_problems`: why a page of ours is not to be found inside the portal. `held_by`: who has paused the deliveries, and
    when."""

    name: str
    state: str
    since: float
    host: str = ""
    way: str = ""
    queue: tuple[QueueStatus, ...] = ()
    oldest: float | None = None
    dead: int = 0
    tokens: float = 0.0
    burst: float = 0.0
    per_second: float = 0.0
    paused_until: float | None = None
    paused_methods: tuple[PausedMethod, ...] = ()
    last_success: float | None = None
    last_error: str | Reason = ""
    last_error_at: float | None = None
    events: EventsStatus = EventsStatus("off")
    employees: int = 0
    refreshed: float | None = None
    directory_problem: str | Reason = ""
    requests: int = 0
    fix: Reason | None = None
    moved_from: str = ""
    forgotten: int = 0
    forgotten_last: float | None = None
    lines_problem: str | Reason = ""
    fields_problems: tuple[Reason, ...] = ()
    missed: MissedStatus = MissedStatus()
    automation: tuple[Reason, ...] = ()
    held_by: str = ""
    held_since: float | None = None
    pages_problems: tuple[Reason, ...] = ()

    @property
    def waiting(self) -> int:
        return sum(queue.waiting for queue in self.queue)


@dataclass(frozen=True, slots=True)
class RecordingsStatus:
    """Recordings by what is to become of them; `last_error` of the newest trouble."""

    waiting: int = 0
    done: int = 0
    missing: int = 0
    failed: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class SentStep:
    """One request to the portal for a call. `kind`: register, show, …; `state`: new | sending | done | skipped | dead."""

    kind: str
    state: str
    reason: Reason | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CallRow:
    """`outcome` is "" while the call is under way. `duration`: seconds of talk. `responsible`: extension or name.
    `left_out`: the filter for which the portal was not told."""

    id: str
    pbx: str
    started: float
    direction: str
    client: str
    line: str = ""
    ended: float | None = None
    outcome: str = ""
    duration: float = 0.0
    responsible: str = ""
    sent: tuple[SentStep, ...] = ()
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Calls of an extension that no employee of the portal has."""

    portal: str
    extension: str
    count: int
    last: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Calls that the portal was not told of because of `setting`, a filter."""

    portal: str
    setting: str
    count: int
    last: float


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """Calls to a number of the company that is not in the settings."""

    portal: str
    number: str
    count: int
    last: float


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """`kind`: sqlite | postgresql. `trouble`: why it cannot be written at present."""

    kind: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """`folder`: the data directory, with `free` bytes (None: not known). `full`: nothing more can be stored, or only in the
    room that was reserved for that (`on_reserve`). `clock_set`: seconds by which this machine's clock was set forward while
    calls go on, and which are not taken over yet."""

    folder: str = ""
    free: int | None = None
    full: bool = False
    on_reserve: bool = False
    handles: int = 0
    handle_limit: int = 0
    short_of_handles: bool = False
    clock_set: float = 0.0


@dataclass(frozen=True, slots=True)
class DialplanStatus:
    """What the dialplan asks us. `trouble`: why we cannot answer, "" when we can or need not. `databases`: setting of a
    company's database that is in trouble -> what was seen, and what to do. `prompts`: recordings of the company that can be
    played. `calls`: that ask just now; `conferring`: legs in conferences. `outdated`: PBXs with the dialplan of an earlier
    version. `untold`: portal -> what it does not tell autoconnect, where that is on."""

    listens: bool = False
    prompts: int = 0
    calls: int = 0
    conferring: int = 0
    trouble: str = ""
    databases: Mapping[str, tuple[Reason, Reason]] = field(default_factory=dict[str, tuple[Reason, Reason]])
    outdated: tuple[str, ...] = ()
    untold: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Status:
    """`calls`: the newest first. `settings`: the number of the saved version that applies, 0 while nothing is set.
    `problem`: why the parts could not be built from these settings, "" when they were."""

    version: str
    now: float
    started: float
    settings: int = 0
    pbxs: tuple[PbxStatus, ...] = ()
    portals: tuple[PortalStatus, ...] = ()
    recordings: RecordingsStatus = RecordingsStatus()
    calls: tuple[CallRow, ...] = ()
    unmapped: tuple[Unmapped, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    unknown_lines: tuple[UnknownLine, ...] = ()
    database: DatabaseStatus = DatabaseStatus()
    machine: MachineStatus = MachineStatus()
    dialplan: DialplanStatus = field(default_factory=DialplanStatus)
    customisation: CustomisationStatus = field(default_factory=CustomisationStatus)
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        return cast("dict[str, Any]", _plain(self))


class StatusSource(Protocol):
    """Implemented by the service."""

    async def status(self) -> Status:
        """Takes milliseconds, also with 100 000 calls stored. May raise storage.Unavailable."""
        ...


def _plain(value: object, name: str = "") -> object:
    if isinstance(value, Reason):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name), part.name) for part in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in cast("list[object]", value)]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and name in TIMES:
        return iso(value)
    return value
