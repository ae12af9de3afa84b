"""`perezvon serve`: the life of the process. Opens the database, builds the house, serves the pages, tells systemd.

Settings that change while running are taken over in place; when parts have to be built anew, the house is stopped and built
again inside the process, and calls in progress go on as after any restart. So it is when the machine's clock was set.

Told to stop, it is over after `LAST_MOMENT` whatever hangs: what was under way is looked up at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sdnotify  # pyright: ignore[reportMissingTypeStubs]
import structlog

from perezvon import log as logging_setup
from perezvon.bitrix24 import Portal
from perezvon.doctor.check import Check
from perezvon.doctor.examination import Patient, examine
from perezvon.service.alerts import Alerts
from perezvon.service.clock import Clock
from perezvon.service.conferences import Conferences
from perezvon.service.folders import RECORDINGS
from perezvon.service.house import House
from perezvon.service.machine import Machine, raise_handle_limit
from perezvon.service.portal_door import PortalRooms
from perezvon.service.settings_desk import SettingsOffice
from perezvon.service.setup import Setup
from perezvon.service.shelf import RecordingShelf, links_of
from perezvon.service.status import Reporter
from perezvon.service.switchroom import Switchroom
from perezvon.settings.model import Settings
from perezvon.settings.place import database_place
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import installation
from perezvon.storage.database import Database
from perezvon.storage.reserve import Reserve
from perezvon.web.badges import Badges
from perezvon.web.first_link import first_link

if TYPE_CHECKING:
    import uvicorn

    from perezvon.web.app import Doctor

log = structlog.get_logger(__name__)

REBUILD_PAUSE = 5.0
"""Seconds before a house that could not be built is tried again (a secret's file may be there by then)."""

LAST_MOMENT = 9.0
"""Seconds from the signal to the end."""

CLOCK_LOOK = 2.0
PATIENCE_WITH_CALLS = 3600.0
"""Seconds for which calls under way keep us from taking a clock over that was set: they would get wrong durations."""

MOST_REQUESTS = 200
"""Requests to our pages and from the portals at once; more are refused (503)."""

QUIET = 60.0
"""Seconds between two log lines about the same trouble of the event loop."""

DEAD = 60.0
"""Seconds after which a connection is cut whose other side takes nothing and confirms nothing."""

_GARBAGE = 10_000
"""Objects made before the collector looks for cycles among them; Python's own 700 is every few milliseconds under load."""


class CannotBind(Exception):
    """The address of `--bind` cannot be had."""


async def serve(data_dir: Path, bind: str, *, clock: Clock | None = None) -> None:
    """Runs until SIGTERM or SIGINT. Raises CannotOpen, SettingsError, CannotBind; an ExceptionGroup when a part died."""
    clock = clock or Clock()
    box = SecretBox.open(data_dir)
    stopping = asyncio.Event()
    raise_handle_limit()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_LoopTrouble())
    async with _signals(stopping), await Database.open(database_place(data_dir, box)) as database:
        if database.url.get_backend_name() == "sqlite":
            database.reserve = Reserve(data_dir)
        store = SettingsStore(database, box, clock=clock)
        await store.load()
        loop.add_signal_handler(signal.SIGHUP, store.wake)
        logging_setup.configure(store.current.settings)
        identity = await database.write(lambda conn: installation.identity(conn, clock()))
        machine = Machine(data_dir, clock, database.reserve)
        reporter = Reporter(database, store, lambda: machine.status, clock=clock)
        conferences = Conferences(clock=clock)
        switchroom = Switchroom(database, clock=clock)
        sock = _listen(bind)
        async with asyncio.TaskGroup() as tasks:
            doctor = _doctor(store, data_dir, database, reporter)
            badges = Badges(box, clock)
            shelf = RecordingShelf(
                database,
                links_of(box, lambda: store.current.settings, clock),
                lambda: store.current.settings,
                data_dir / RECORDINGS,
            )
            alerts = Alerts(reporter, lambda: store.current.settings, database, reporter.queued, identity.id, clock=clock)
            office = SettingsOffice(data_dir, box, store, database, lambda: reporter.house)
            pages = partial(
                _web, reporter, conferences, switchroom, badges, store, doctor, shelf, office, database, box, clock
            )
            web = tasks.create_task(_pages(reporter, (conferences, switchroom), pages, sock, stopping), name="web")
            others = [
                tasks.create_task(store.follow(), name="settings"),
                tasks.create_task(_tell_systemd(), name="systemd"),
                tasks.create_task(machine.watch(), name="machine"),
                tasks.create_task(conferences.run(), name="conferences"),
                tasks.create_task(switchroom.run(), name="switchroom"),
                tasks.create_task(alerts.run(), name="alerts"),
            ]
            log.info("service starting -> up", bind=bind, data_dir=str(data_dir), settings=store.current.id)
            await _welcome(database, clock, bind)
            tenants = (conferences, switchroom)
            await _keep_house(store, database, box, identity.id, data_dir, reporter, tenants, stopping, clock)
            for task in others:
                task.cancel()
            await asyncio.wait([web])
            await reporter.close()
    log.info("service up -> stopped")


async def _keep_house(
    store: SettingsStore,
    database: Database,
    box: SecretBox,
    identity: str,
    data_dir: Path,
    reporter: Reporter,
    tenants: Sequence[Conferences | Switchroom],
    stopping: asyncio.Event,
    clock: Clock,
) -> None:
    """One house after another, as the settings and the clock want, until the service stops."""
    changed = asyncio.Event()
    current: list[House] = []

    async def on_change(_before: Settings, after: Settings) -> None:
        logging_setup.configure(after)
        if not current or not current[0].take_over(after):
            changed.set()

    store.listen(on_change)
    while not stopping.is_set():
        changed.clear()
        clock.follow()
        house = House(store.current.settings, database, box, identity, data_dir, clock=clock)
        try:
            await house.open()
        except Exception as error:
            reporter.moved_in(None, str(error))
            for tenant in tenants:
                tenant.moved_in(None)
            log.exception("house could not be built", error=str(error))
            await _first(stopping, changed, timeout=REBUILD_PAUSE)
            continue
        current[:] = [house]
        reporter.moved_in(house)
        for tenant in tenants:
            tenant.moved_in(house)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(house.run(stop), name="house")
            reasons = [
                tasks.create_task(_first(stopping, changed), name="reason to stop"),
                tasks.create_task(_clock_to_follow(clock, house), name="clock"),
            ]
            await asyncio.wait([running, *reasons], return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            for reason in reasons:
                reason.cancel()
        current.clear()


async def _clock_to_follow(clock: Clock, house: House) -> None:
    """Returns when the machine's clock has been set, and calls under way do not speak against taking that over."""
    waited = 0.0
    while not (step := clock.look()) or (house.live_calls and waited < PATIENCE_WITH_CALLS):
        waited = waited + CLOCK_LOOK if step else 0.0
        await asyncio.sleep(CLOCK_LOOK)
    log.warning("clock: set -> taken over, the house is built anew", seconds=round(step, 1), live_calls=house.live_calls)


async def _first(*events: asyncio.Event, timeout: float | None = None) -> None:
    """Returns when one of the events is set, or after `timeout` seconds."""
    waits = [asyncio.create_task(event.wait(), name="wait") for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _pages(
    reporter: Reporter,
    streams: Sequence[Conferences | Switchroom],
    load: Callable[[], uvicorn.Server],
    sock: socket.socket,
    stopping: asyncio.Event,
) -> None:
    """Serves the pages until `stopping` is set. Their server is large: `load`ed in a thread, once the PBX is being
    connected to."""
    told_to = asyncio.create_task(stopping.wait(), name="pages are closed")
    try:
        tried = asyncio.create_task(reporter.house_tried(), name="house tried")
        await asyncio.wait([tried, told_to], return_when=asyncio.FIRST_COMPLETED)
        tried.cancel()
        if stopping.is_set():
            sock.close()
            return
        server = await asyncio.to_thread(load)
        _spare_collector()
        serving = asyncio.create_task(server.serve(sockets=[sock]), name="uvicorn")
        await asyncio.wait([serving, told_to], return_when=asyncio.FIRST_COMPLETED)
        for stream in streams:
            stream.close()  # they would never end by themselves
        server.should_exit = True
        await serving
    finally:
        told_to.cancel()


def _spare_collector() -> None:
    """All code is loaded now. The garbage collector looks through it no more: each time would hold up a call by 0.1 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 10, 10)


async def _welcome(database: Database, clock: Clock, bind: str) -> None:
    """While nobody can sign in: prints the one-time link with which the first administrator sets a password. It is no line
    of the log, which may go anywhere."""
    if (link := await first_link(database, clock())) is not None:
        host, _, port = bind.rpartition(":")
        shown = "127.0.0.1" if host in ("", "0.0.0.0", "[::]") else host  # noqa: S104
        sys.stderr.write(f"\nBecome the administrator: http://{shown}:{port}/welcome/{link}\n(once, within a day)\n\n")
        sys.stderr.flush()


def _web(
    reporter: Reporter,
    conferences: Conferences,
    switchroom: Switchroom,
    badges: Badges,
    store: SettingsStore,
    doctor: Doctor,
    shelf: RecordingShelf,
    office: SettingsOffice,
    database: Database,
    box: SecretBox,
    clock: Clock,
) -> uvicorn.Server:
    import uvicorn  # noqa: PLC0415  see _pages

    from perezvon.web.app import create_app  # noqa: PLC0415
    from perezvon.web.inside_sessions import InsideSessions  # noqa: PLC0415
    from perezvon.web.people import People  # noqa: PLC0415

    config = uvicorn.Config(
        create_app(
            reporter,
            reporter,
            desk=conferences,
            switchroom=switchroom,
            badges=badges,
            people=People(database, box, clock),
            database=database,
            doctor=doctor,
            shelf=shelf,
            settings=office,
            setup=Setup(database, box, store, reporter, lambda: reporter.house, clock=clock),
            portals=(PortalRooms(database, lambda: reporter.house), InsideSessions(box, clock)),
            password=lambda: _password(store),
            language=lambda: store.current.settings.web.language,
            second_factor=lambda: store.current.settings.web.second_factor,
        ),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        limit_concurrency=MOST_REQUESTS,
        lifespan="off",
    )
    return uvicorn.Server(config)


def _doctor(store: SettingsStore, data_dir: Path, database: Database, reporter: Reporter) -> Doctor:
    """The examination that the page's button starts: with the very connections that the service uses."""

    @contextlib.asynccontextmanager
    async def open_portal(settings: PortalSettings) -> AsyncGenerator[Portal | None]:
        link = reporter.house.portals.get(settings.name) if reporter.house else None
        yield link.client if link is not None and link.installed else None

    async def work() -> Sequence[Check]:
        return await examine(Patient(store.current.settings, data_dir, database, open_portal))

    return work


def _password(store: SettingsStore) -> str:
    secret = store.current.settings.web.password
    return "" if secret is None else secret.reveal()


def _listen(bind: str) -> socket.socket:
    """Raises CannotBind."""
    host, _, port = bind.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # With IPPROTO_TCP asyncio knows that it may switch off Nagle's delay.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(DEAD * 1000))
        sock.bind((host.strip("[]"), int(port)))
        sock.listen(128)
    except (OSError, ValueError) as error:
        raise CannotBind(
            f"cannot listen at {bind!r}: {error}. Give a free address as HOST:PORT, e.g. 127.0.0.1:8077"
        ) from error
    sock.set_inheritable(False)
    return sock


@contextlib.asynccontextmanager
async def _signals(stopping: asyncio.Event) -> AsyncGenerator[None]:
    loop = asyncio.get_running_loop()
    begun: list[threading.Timer] = []

    def stop() -> None:
        stopping.set()
        if not begun:
            begun.append(threading.Timer(LAST_MOMENT, _end_at_once))
            begun[0].daemon = True
            begun[0].start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            # A second signal must not change the exit code while the interpreter ends.
            signal.signal(number, signal.SIG_IGN) if begun else loop.remove_signal_handler(number)
        loop.remove_signal_handler(signal.SIGHUP)


def _end_at_once() -> None:
    """In a thread of its own: something hangs (a file system that does not answer holds threads that nothing can end).
    Nothing is lost by it that a kill would not lose either, which is nothing."""
    log.warning("not everything could be ended in time: ending at once", seconds=LAST_MOMENT)
    os._exit(0)


class _LoopTrouble:
    """What the event loop has to tell. Out of file handles it would say so for each connection, every second."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = str(context.get("message", ""))
        kind = f"{message} {type(error).__name__}"
        if len(self._quiet_until) > 100:
            self._quiet_until.clear()
        if loop.time() < self._quiet_until.get(kind, 0.0):
            return
        self._quiet_until[kind] = loop.time() + QUIET
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            log.error("out of file handles: new connections wait until some are free", error=str(error))
        else:
            log.error("event loop: something went wrong", what=message, exc_info=error)


async def _tell_systemd() -> None:
    """READY once, then a sign of life twice as often as the watchdog wants (nothing without systemd)."""
    systemd: Any = sdnotify.SystemdNotifier()
    systemd.notify("READY=1")
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    while interval:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(interval)
