"""`perezvon serve`: the life of the process. Opens the database, builds the house, serves the pages, tells systemd.

Settings that change while running are taken over in place; when parts have to be built anew, the house is stopped and built
again inside the process, and calls in progress go on as after any restart. So it is when the machine's clock was set.

Told to stop, it is over after `LAST_MOMENT` whatever hangs: what was under way is looked up at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import sdnotify  # pyright: ignore[reportMissingTypeStubs]
import structlog

from perezvon import log as logging_setup
from perezvon.service.alerts import Alerts
from perezvon.service.clock import Clock
from perezvon.service.conferences import Conferences
from perezvon.service.front import Pages, listen, welcome
from perezvon.service.house import House
from perezvon.service.machine import Machine, raise_handle_limit
from perezvon.service.status import Reporter
from perezvon.service.switchroom import Switchroom
from perezvon.settings.model import Settings
from perezvon.settings.place import database_place
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import installation
from perezvon.storage.database import Database
from perezvon.storage.reserve import Reserve

log = structlog.get_logger(__name__)

REBUILD_PAUSE = 5.0
"""Seconds before a house that could not be built is tried again (a secret's file may be there by then)."""

LAST_MOMENT = 9.0
"""Seconds from the signal to the end."""

CLOCK_LOOK = 2.0
PATIENCE_WITH_CALLS = 3600.0
"""Seconds for which calls under way keep us from taking a clock over that was set: they would get wrong durations."""

QUIET = 60.0
"""Seconds between two log lines about the same trouble of the event loop."""


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
        sock = listen(bind)
        async with asyncio.TaskGroup() as tasks:
            alerts = Alerts(reporter, lambda: store.current.settings, database, reporter.queued, identity.id, clock=clock)
            pages = Pages(data_dir, box, store, database, reporter, conferences, switchroom, clock)
            web = tasks.create_task(pages.serve(sock, stopping), name="web")
            others = [
                tasks.create_task(store.follow(), name="settings"),
                tasks.create_task(_tell_systemd(), name="systemd"),
                tasks.create_task(machine.watch(), name="machine"),
                tasks.create_task(conferences.run(), name="conferences"),
                tasks.create_task(switchroom.run(), name="switchroom"),
                tasks.create_task(alerts.run(), name="alerts"),
            ]
            log.info("service starting -> up", bind=bind, data_dir=str(data_dir), settings=store.current.id)
            await welcome(database, clock, bind)
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
