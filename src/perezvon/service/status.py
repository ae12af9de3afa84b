"""What the pages are told of the running house, and what the portals send to it: the web's two ports, implemented."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version as installed_version

import structlog

from perezvon import __version__
from perezvon.bitrix24.errors import OperationLimited, PortalError
from perezvon.bitrix24.events import BadEvent, Forged
from perezvon.bitrix24.remedy import remedy
from perezvon.customisation import CustomisationStatus
from perezvon.delivery.status import SenderStatus
from perezvon.delivery.weather import sky_of
from perezvon.rules import Priority
from perezvon.rules.vocabulary import Reason
from perezvon.service.dialling import Exchange
from perezvon.service.house import House
from perezvon.service.portals import PortalLink
from perezvon.settings.store import SettingsStore
from perezvon.storage import calls, counters, lanes, recordings
from perezvon.storage.calls import Search, StoredCall
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable
from perezvon.storage.recordings import RecordingState
from perezvon.storage.steps import Step
from perezvon.web.sink import Received
from perezvon.web.status import (
    CallRow,
    DatabaseStatus,
    DialplanStatus,
    EventsStatus,
    LeftOut,
    MachineStatus,
    MissedStatus,
    PausedMethod,
    PbxStatus,
    PortalStatus,
    QueueStatus,
    RecordingsStatus,
    SentStep,
    Status,
    UnknownLine,
    Unmapped,
)

log = structlog.get_logger(__name__)

LAST_CALLS = 20
PATIENCE = 3.0
"""Seconds for which a page waits for the database."""

BUILDING = 5.0
"""Seconds that an event from a portal waits for the house that is being built when it comes."""
SILENT = 60.0
"""Seconds of nothing but errors after which a portal that has answered, and for which nothing waits, counts as failing."""
QUEUES = {
    Priority.CARD: "cards",
    Priority.FINISH: "finish",
    Priority.CRM: "crm",
    Priority.RECORD: "records",
    Priority.DIRECTORY: "directories",
}
SKIES = {"clear": "ready", "trouble": "unreachable", "limited": "paused", "refused": "blocked", "blocked": "blocked"}


@dataclass(frozen=True, slots=True)
class _Stored:
    """What only the database can tell. `sending`: by portal."""

    calls: tuple[CallRow, ...] = ()
    unmapped: tuple[Unmapped, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    unknown_lines: tuple[UnknownLine, ...] = ()
    recordings: RecordingsStatus = field(default_factory=RecordingsStatus)
    sending: Mapping[str, SenderStatus] = field(default_factory=dict[str, SenderStatus])


class Reporter:
    """`house` is None while none could be built; `problem` says why."""

    def __init__(
        self,
        database: Database,
        store: SettingsStore,
        machine: Callable[[], MachineStatus] = MachineStatus,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._store = store
        self._machine = machine
        self._clock = clock
        self._started = clock()
        self.house: House | None = None
        self.problem = ""
        self._stored = _Stored()
        self._reading: asyncio.Task[_Stored] | None = None
        self._tried = asyncio.Event()

    def moved_in(self, house: House | None, problem: str = "") -> None:
        self.house, self.problem = house, problem
        self._tried.set()

    def queued(self, portal: str) -> None:
        """Something waits to be sent to the portal."""
        if self.house is not None and portal in self.house.senders:
            self.house.senders[portal].notify()

    async def house_tried(self) -> None:
        """Returns when the first house has been built, or could not be."""
        await self._tried.wait()

    # ---- web.StatusSource

    async def status(self) -> Status:
        """While the database cannot be read, what is stored is told as it was before."""
        trouble = await self._look()
        stored = self._stored
        house = self.house
        return Status(
            version=__version__,
            now=self._clock(),
            started=self._started,
            settings=self._store.current.id,
            pbxs=tuple(_pbx(exchange) for exchange in house.exchanges.values()) if house else (),
            portals=tuple(self._portal(link, stored.sending[name]) for name, link in house.portals.items())
            if house and house.portals.keys() <= stored.sending.keys()
            else (),
            recordings=stored.recordings,
            calls=stored.calls,
            unmapped=tuple(one for one in stored.unmapped if not self._meant(one)),
            left_out=stored.left_out,
            unknown_lines=tuple(one for one in stored.unknown_lines if self._unknown(one)),
            database=DatabaseStatus(self._database.url.get_backend_name(), trouble),
            machine=self._machine(),
            dialplan=_dialplan(house) if house else DialplanStatus(),
            customisation=house.customiser.status() if house else CustomisationStatus(),
            problem=self.problem,
            versions={"python": platform.python_version(), "sqlalchemy": installed_version("sqlalchemy")},
        )

    async def _look(self) -> str:
        """Reads what is stored, or waits with those who do. Gives the database's trouble, "" for none."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="status")
        reading = self._reading
        if not (await asyncio.wait([reading], timeout=PATIENCE))[0]:
            return f"the database has not answered for {PATIENCE:g} s"
        try:
            self._stored = reading.result()
        except Unavailable as error:
            return str(error)
        return str(self._database.writer.trouble or "")

    async def _read(self) -> _Stored:
        async with self._database.read() as conn:
            rows = await calls.search(conn, Search(), LAST_CALLS)
            steps = await lanes.load(conn, [row.id for row in rows])
            untold = await calls.left_out_among(conn, [row.id for row in rows if not row.portal])
            unmapped = await counters.read(conn, "unmapped:")
            left_out = await counters.read(conn, "left_out:")
            lines = await counters.read(conn, "line:")
            counts = await recordings.count(conn)
            trouble = await recordings.troubled(conn, 1)
        senders = self.house.senders if self.house else {}
        return _Stored(
            calls=tuple(_call(row, steps.get(row.id, []), untold.get(row.id, "")) for row in rows),
            unmapped=tuple(
                Unmapped(portal, extension, counter.value, counter.last)
                for counter in unmapped
                for _, portal, extension in [counter.name.split(":", 2)]
            ),
            left_out=tuple(
                LeftOut(portal, setting, counter.value, counter.last)
                for counter in left_out
                for _, portal, setting in [counter.name.split(":", 2)]
            ),
            unknown_lines=tuple(
                UnknownLine(portal, number, counter.value, counter.last)
                for counter in lines
                for _, portal, number in [counter.name.split(":", 2)]
            ),
            recordings=RecordingsStatus(
                waiting=sum(counts.get(state, 0) for state in (RecordingState.NEW, RecordingState.PART)),
                done=sum(
                    counts.get(state, 0) for state in (RecordingState.JOINED, RecordingState.READY, RecordingState.SPARE)
                ),
                missing=counts.get(RecordingState.MISSING, 0),
                failed=counts.get(RecordingState.FAILED, 0),
                last_error=trouble[0].error if trouble else "",
            ),
            sending={name: await sender.status() for name, sender in senders.items()},
        )

    def _meant(self, case: Unmapped) -> bool:
        """Whether the settings want to know nothing of the extension (any more)."""
        link = self.house.portals.get(case.portal) if self.house else None
        return link is not None and link.rules().leaves_out(case.extension)

    def _unknown(self, line: UnknownLine) -> bool:
        """Whether the settings still know nothing of it."""
        link = self.house.portals.get(line.portal) if self.house else None
        return link is not None and not link.rules().knows_line(line.number)

    async def close(self) -> None:
        """A database that does not answer is not waited for."""
        if self._reading is not None and not self._reading.done():
            self._reading.cancel()
            await asyncio.wait([self._reading], timeout=1.0)

    def _portal(self, link: PortalLink, sending: SenderStatus) -> PortalStatus:
        bucket = link.client.bucket
        application = link.client.is_application
        failure = link.last_failure
        state, since, error = _weather(link, sending, self._clock())
        offline = link.offline
        return PortalStatus(
            name=link.name,
            state=state,
            since=since or self._started,
            host=link.client.address.host,
            way="application" if application else "webhook",
            queue=tuple(
                QueueStatus(name, sending.queued[priority])
                for priority, name in QUEUES.items()
                if sending.queued.get(priority)
            ),
            oldest=None if sending.oldest_age is None else self._clock() - sending.oldest_age,
            dead=sending.dead,
            tokens=round(max(0.0, sending.tokens), 1),
            burst=bucket.burst,
            per_second=bucket.leak_per_second,
            paused_until=sending.paused_until,
            paused_methods=tuple(
                PausedMethod(
                    method, until, why.why, remedy(why, application=application), isinstance(why, OperationLimited)
                )
                for method, (until, why) in sending.paused_methods.items()
            ),
            last_success=link.last_success,
            last_error=error.why
            if error
            else sending.last_error or (failure[1].error.why if failure and failure[1].error else ""),
            last_error_at=sending.last_error_at or (failure[0] if failure else None),
            events=EventsStatus(
                mode=link.settings.events,
                bound=bool(link.bindings.offline or link.bindings.online),
                polled=offline.last_poll or None if offline else None,
                received=link.last_event,
                error=_joined(link.bindings.problems) or (offline.problem if offline else ""),
            ),
            automation=link.automation.problems,
            lines_problem=link.lines.problem,
            pages_problems=link.pages.problems,
            fields_problems=link.crm.wrong,
            employees=sum(1 for employee in link.directory.employees if employee.active and employee.extension),
            refreshed=link.directory.refreshed or None,
            directory_problem=link.directory.problem,
            requests=link.client.requests,
            fix=None if error is None else remedy(error, application=application),
            moved_from=link.moved_from,
            forgotten=sending.forgotten,
            forgotten_last=sending.forgotten_last,
            missed=MissedStatus(
                sending.missed.waiting, sending.missed.oldest, sending.missed.called_back, sending.missed.after
            ),
            held_by=sending.pause.who if sending.pause is not None else "",
            held_since=sending.pause.since if sending.pause is not None else None,
        )

    # ---- web.EventSink

    async def event(self, portal: str, body: bytes, content_type: str) -> Received:
        return await self._take(portal, "event", lambda link: link.receive(body, content_type))

    async def robot(self, portal: str, body: bytes, content_type: str) -> Received:
        return await self._take(portal, "robot", lambda link: link.receive_robot(body, content_type))

    async def install(self, portal: str, query: Mapping[str, str], body: bytes, content_type: str) -> Received:
        return await self._take(portal, "installation", lambda link: link.receive_installation(query, body, content_type))

    async def _take(self, portal: str, what: str, take: Callable[[PortalLink], Awaitable[None]]) -> Received:
        with suppress(TimeoutError):
            async with asyncio.timeout(BUILDING):
                await self.house_tried()
        link = self.house.portals.get(portal) if self.house else None
        if link is None:
            return Received.UNKNOWN_PORTAL
        try:
            await take(link)
        except BadEvent as error:
            log.warning(f"{what} refused: malformed", portal=portal, error=str(error))
            return Received.BAD
        except Forged as error:
            log.warning(f"{what} refused: not from our portal", portal=portal, error=str(error))
            return Received.FORGED
        except PortalError as error:
            log.warning(f"{what} refused: could not be proven", portal=portal, error=str(error))
            return Received.FORGED
        return Received.ACCEPTED


def _weather(link: PortalLink, sending: SenderStatus, now: float) -> tuple[str, float, PortalError | None]:
    """The portal's state, since when, and why: as the queue finds it; while nothing waits, as employees and events do."""
    if not link.installed:
        return "waiting for installation", sending.since, None
    failing = link.failing
    if sending.sky == "clear" and failing is not None and (not link.last_success or now - failing.since > SILENT):
        return SKIES[sky_of(failing.error)], failing.since, failing.error
    if sending.pause is not None and sending.sky == "clear":
        return "paused", sending.pause.since, None
    return SKIES[sending.sky], sending.since, sending.error


def _pbx(exchange: Exchange) -> PbxStatus:
    ami = exchange.supervisor.status
    return PbxStatus(
        name=ami.name,
        state=ami.state.value,
        since=ami.since,
        address=ami.address,
        version=ami.asterisk,
        live_calls=exchange.switchboard.live_calls,
        reconnects=max(0, ami.connected - 1),
        last_event=exchange.switchboard.last_event,
        last_error="" if ami.state == "live" else ami.error,
    )


def _call(row: StoredCall, steps: list[Step], left_out: str) -> CallRow:
    return CallRow(
        id=row.id,
        pbx=row.pbx,
        started=row.started,
        direction=row.direction.value,
        client=row.client,
        line=row.line,
        ended=row.ended,
        outcome=row.outcome.value if row.outcome else "",
        duration=row.duration,
        responsible=row.last_talker,
        sent=tuple(SentStep(str(step.kind), str(step.state), step.reason, step.error or "") for step in steps),
        left_out=left_out,
    )


def _dialplan(house: House) -> DialplanStatus:
    told = house.dialplan.status(sum(len(exchange.rooms.channels()) for exchange in house.exchanges.values()))
    untold = house.receptions.troubles if house.receptions is not None and house.settings.autoconnects_somebody else {}
    return replace(told, untold=untold)


def _joined(problems: Sequence[Reason]) -> str | Reason:
    """One after the other; "" for none."""
    told: str | Reason = ""
    for problem in problems:
        told = Reason("{one} {next}", {"one": told, "next": problem}) if told else problem
    return told
