"""`perezvon serve`: the life of the process. Opens the database, builds the house, serves the pages, tells systemd.

Settings that change while running are taken over in place; when parts have to be built anew, the house is stopped and built
again inside the process, and calls in progress go on as after any restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sdnotify  # pyright: ignore[reportMissingTypeStubs]
import structlog

from perezvon import log as logging_setup
from perezvon.bitrix24 import Portal
from perezvon.doctor.check import Check
from perezvon.doctor.examination import Patient, examine
from perezvon.service.house import House
from perezvon.service.status import Reporter
from perezvon.settings.model import Settings
from perezvon.settings.place import database_place
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import installation
from perezvon.storage.database import Database

if TYPE_CHECKING:
    import uvicorn

    from perezvon.web.app import Doctor

log = structlog.get_logger(__name__)

REBUILD_PAUSE = 5.0
"""Seconds before a house that could not be built is tried again (a secret's file may be there by then)."""

_GARBAGE = 10_000
"""Objects made before the collector looks for cycles among them; Python's own 700 is every few milliseconds under load."""


class CannotBind(Exception):
    """The address of `--bind` cannot be had."""


async def serve(data_dir: Path, bind: str, *, clock: Callable[[], float] = time.time) -> None:
    """Runs until SIGTERM or SIGINT. Raises CannotOpen, SettingsError, CannotBind; an ExceptionGroup when a part died."""
    box = SecretBox.open(data_dir)
    async with await Database.open(database_place(data_dir, box)) as database:
        store = SettingsStore(database, box, clock=clock)
        await store.load()
        logging_setup.configure(store.current.settings)
        identity = await database.write(lambda conn: installation.identity(conn, clock()))
        reporter = Reporter(database, store, clock=clock)
        sock = _listen(bind)
        stopping = asyncio.Event()
        async with _signals(stopping, store), asyncio.TaskGroup() as tasks:
            doctor = _doctor(store, data_dir, database, reporter)
            closing = asyncio.Event()
            web = tasks.create_task(_pages(reporter, store, doctor, sock, closing), name="web")
            following = tasks.create_task(store.follow(), name="settings")
            watchdog = tasks.create_task(_tell_systemd(), name="systemd")
            log.info("service starting -> up", bind=bind, data_dir=str(data_dir), settings=store.current.id)
            await _keep_house(store, database, box, identity.id, data_dir, reporter, stopping, clock)
            following.cancel()
            watchdog.cancel()
            closing.set()
            await asyncio.wait([web])
    log.info("service up -> stopped")


async def _keep_house(
    store: SettingsStore,
    database: Database,
    box: SecretBox,
    identity: str,
    data_dir: Path,
    reporter: Reporter,
    stopping: asyncio.Event,
    clock: Callable[[], float],
) -> None:
    """One house after another, as the settings want, until the service stops."""
    changed = asyncio.Event()
    current: list[House] = []

    async def on_change(_before: Settings, after: Settings) -> None:
        logging_setup.configure(after)
        if not current or not current[0].take_over(after):
            changed.set()

    store.listen(on_change)
    while not stopping.is_set():
        changed.clear()
        house = House(store.current.settings, database, box, identity, data_dir, clock=clock)
        try:
            await house.open()
        except Exception as error:
            reporter.moved_in(None, str(error))
            log.exception("house could not be built", error=str(error))
            await _first(stopping, changed, timeout=REBUILD_PAUSE)
            continue
        current[:] = [house]
        reporter.moved_in(house)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(house.run(stop), name="house")
            waiting = tasks.create_task(_first(stopping, changed), name="reason to stop")
            await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            waiting.cancel()
        current.clear()


async def _first(*events: asyncio.Event, timeout: float | None = None) -> None:
    """Returns when one of the events is set, or after `timeout` seconds."""
    waits = [asyncio.create_task(event.wait(), name="wait") for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _pages(
    reporter: Reporter, store: SettingsStore, doctor: Doctor, sock: socket.socket, closing: asyncio.Event
) -> None:
    """Serves the pages until `closing` is set. Their server is large: it is loaded in a thread, once the PBX is being
    connected to."""
    await reporter.house_tried()
    server = await asyncio.to_thread(_web, reporter, store, doctor)
    _spare_collector()
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="uvicorn")
    told_to = asyncio.create_task(closing.wait(), name="pages are closed")
    try:
        await asyncio.wait([serving, told_to], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        told_to.cancel()


def _spare_collector() -> None:
    """All code is loaded now. The garbage collector looks through it no more: each time would hold up a call by 0.1 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 10, 10)


def _web(reporter: Reporter, store: SettingsStore, doctor: Doctor) -> uvicorn.Server:
    import uvicorn  # noqa: PLC0415  see _pages

    from perezvon.web.app import create_app  # noqa: PLC0415

    config = uvicorn.Config(
        create_app(
            reporter,
            reporter,
            doctor=doctor,
            password=lambda: _password(store),
            language=lambda: store.current.settings.web.language,
        ),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
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
        sock.bind((host.strip("[]"), int(port)))
        sock.listen(128)
    except (OSError, ValueError) as error:
        raise CannotBind(
            f"cannot listen at {bind!r}: {error}. Give a free address as HOST:PORT, e.g. 127.0.0.1:8077"
        ) from error
    sock.set_inheritable(False)
    return sock


@contextlib.asynccontextmanager
async def _signals(stopping: asyncio.Event, store: SettingsStore) -> AsyncGenerator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, store.wake)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _tell_systemd() -> None:
    """READY once, then a sign of life twice as often as the watchdog wants (nothing without systemd)."""
    systemd: Any = sdnotify.SystemdNotifier()
    systemd.notify("READY=1")
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    while interval:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(interval)
