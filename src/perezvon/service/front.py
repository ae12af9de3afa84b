"""The pages' own life: the socket that they listen at, what they are made of, their server, the link of the first start."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perezvon.bitrix24 import Portal
from perezvon.doctor.check import Check
from perezvon.doctor.examination import Patient, examine
from perezvon.service.clock import Clock
from perezvon.service.conferences import Conferences
from perezvon.service.folders import RECORDINGS
from perezvon.service.portal_door import PortalRooms
from perezvon.service.settings_desk import SettingsOffice
from perezvon.service.setup import Setup
from perezvon.service.shelf import RecordingShelf, links_of
from perezvon.service.status import Reporter
from perezvon.service.switchroom import Switchroom
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage.database import Database
from perezvon.web.badges import Badges
from perezvon.web.first_link import first_link

if TYPE_CHECKING:
    import uvicorn

    from perezvon.web.app import Doctor

MOST_REQUESTS = 200
"""Requests to our pages and from the portals at once; more are refused (503)."""

DEAD = 60.0
"""Seconds after which a connection is cut whose other side takes nothing and confirms nothing."""

_GARBAGE = 10_000
"""Objects made before the collector looks for cycles among them; Python's own 700 is every few milliseconds under load."""


class CannotBind(Exception):
    """The address of `--bind` cannot be had."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages are made of. `reporter` knows the house of the moment."""

    data_dir: Path
    box: SecretBox
    store: SettingsStore
    database: Database
    reporter: Reporter
    conferences: Conferences
    switchroom: Switchroom
    clock: Clock

    async def serve(self, sock: socket.socket, stopping: asyncio.Event) -> None:
        """Until `stopping` is set. Their server is large: loaded in a thread, once the PBX is being connected to."""
        told_to = asyncio.create_task(stopping.wait(), name="pages are closed")
        try:
            tried = asyncio.create_task(self.reporter.house_tried(), name="house tried")
            await asyncio.wait([tried, told_to], return_when=asyncio.FIRST_COMPLETED)
            tried.cancel()
            if stopping.is_set():
                sock.close()
                return
            server = await asyncio.to_thread(self._server)
            _spare_collector()
            serving = asyncio.create_task(server.serve(sockets=[sock]), name="uvicorn")
            await asyncio.wait([serving, told_to], return_when=asyncio.FIRST_COMPLETED)
            self.conferences.close()  # streams would never end by themselves
            self.switchroom.close()
            server.should_exit = True
            await serving
        finally:
            told_to.cancel()

    def _server(self) -> uvicorn.Server:
        import uvicorn  # noqa: PLC0415  see serve

        from perezvon.web.app import create_app  # noqa: PLC0415
        from perezvon.web.inside_sessions import InsideSessions  # noqa: PLC0415
        from perezvon.web.peers import Proxied  # noqa: PLC0415
        from perezvon.web.people import People  # noqa: PLC0415

        house = lambda: self.reporter.house  # noqa: E731
        app = create_app(
            self.reporter,
            self.reporter,
            desk=self.conferences,
            switchroom=self.switchroom,
            badges=Badges(self.box, self.clock),
            people=People(self.database, self.box, self.clock),
            database=self.database,
            doctor=self._doctor(),
            shelf=RecordingShelf(
                self.database, links_of(self.box, self._now, self.clock), self._now, self.data_dir / RECORDINGS
            ),
            settings=SettingsOffice(self.data_dir, self.box, self.store, self.database, house),
            setup=Setup(self.database, self.box, self.store, self.reporter, house, clock=self.clock),
            portals=(PortalRooms(self.database, house), InsideSessions(self.box, self.clock)),
            password=self._password,
            language=lambda: self._now().web.language,
            second_factor=lambda: self._now().web.second_factor,
        )
        config = uvicorn.Config(
            Proxied(app, lambda: self._now().web.trusted_proxies),
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            limit_concurrency=MOST_REQUESTS,
            lifespan="off",
        )
        return uvicorn.Server(config)

    def _now(self) -> Settings:
        return self.store.current.settings

    def _password(self) -> str:
        secret = self._now().web.password
        return "" if secret is None else secret.reveal()

    def _doctor(self) -> Doctor:
        """The examination that the page's button starts: with the very connections that the service uses."""

        @contextlib.asynccontextmanager
        async def open_portal(settings: PortalSettings) -> AsyncGenerator[Portal | None]:
            link = self.reporter.house.portals.get(settings.name) if self.reporter.house else None
            yield link.client if link is not None and link.installed else None

        async def work() -> Sequence[Check]:
            return await examine(Patient(self._now(), self.data_dir, self.database, open_portal))

        return work


def _spare_collector() -> None:
    """All code is loaded now. The garbage collector looks through it no more: each time would hold up a call by 0.1 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 10, 10)


async def welcome(database: Database, clock: Clock, bind: str) -> None:
    """While nobody can sign in: prints the one-time link with which the first administrator sets a password. It is no line
    of the log, which may go anywhere."""
    if (link := await first_link(database, clock())) is not None:
        host, _, port = bind.rpartition(":")
        shown = "127.0.0.1" if host in ("", "0.0.0.0", "[::]") else host  # noqa: S104
        sys.stderr.write(f"\nBecome the administrator: http://{shown}:{port}/welcome/{link}\n(once, within a day)\n\n")
        sys.stderr.flush()


def listen(bind: str) -> socket.socket:
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
