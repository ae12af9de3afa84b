"""All parts made from one version of the settings, and their life: restored, started in order, stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from perezvon.asterisk import AmiError, Supervisor
from perezvon.asterisk.agi import AgiCall
from perezvon.calls import Event, Snapshot, Tracker
from perezvon.conference import Control, Dialling, Matching, RoomBook, members_of
from perezvon.customisation import Customiser
from perezvon.delivery.attach import RecordingWorker
from perezvon.delivery.customising import Customising
from perezvon.delivery.prepare import no_links
from perezvon.delivery.sender import Sender
from perezvon.recordings import Converter
from perezvon.rules import Towards
from perezvon.service import policies
from perezvon.service.absence import Absence
from perezvon.service.backfill import QUEUED
from perezvon.service.clickbook import ClickBook
from perezvon.service.clicks import Clicks
from perezvon.service.conversion import converter_of, recording_worker
from perezvon.service.dialling import Exchange
from perezvon.service.dialplan import Dialplan
from perezvon.service.dialplan_hooks import distribution_notes
from perezvon.service.folders import RECORDINGS, folder_of
from perezvon.service.hooks import CallHooks
from perezvon.service.missed import Reminder
from perezvon.service.orders import Orders
from perezvon.service.policies import PortalRules
from perezvon.service.portals import PortalLink
from perezvon.service.receptions import Receptions
from perezvon.service.retention import Retention
from perezvon.service.shelf import links_of
from perezvon.service.switchboard import Switchboard
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.wiring import dialled_outside
from perezvon.storage import counters, pauses, recordings
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable

log = structlog.get_logger(__name__)

DRAIN = 4.0
"""Seconds that requests under way get when we stop."""

CLOSING = 1.5
"""Seconds for the connections with the portals after that."""

HEED = 1.0
"""Seconds between two looks at what commands have queued."""


class House:
    """Made, `open`ed, then `run` until `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        box: SecretBox,
        installation: str,
        data_dir: Path,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._database = database
        self._box = box
        self._installation = installation
        self._data_dir = data_dir
        self._clock = clock
        self._book = ClickBook()
        self.portals: dict[str, PortalLink] = {}
        self.senders: dict[str, Sender] = {}
        self.exchanges: dict[str, Exchange] = {}
        self.worker: RecordingWorker | None = None
        self.customiser = Customiser(settings.customisation.place(data_dir), settings.customisation.limits(), clock=clock)
        self.customising = Customising(
            database,
            self.customiser,
            [portal.name for portal in settings.portal],
            self._released,
            link=self._address,
            clock=clock,
        )
        self.receptions: Receptions | None = None
        self.dialplan = Dialplan(settings, database, data_dir, self._match, self._connect, self.customiser)
        self._converter: Converter | None = None
        self._links = links_of(box, lambda: self.settings, clock)

    async def open(self) -> None:
        """Builds everything and reads what is stored; no connection is made yet. Raises what the settings' secrets, the
        database and the addresses raise."""
        await self.customiser.open()
        try:
            await self._open()
        except BaseException:
            await self.customiser.close()
            raise

    async def _open(self) -> None:
        async with self._database.read() as conn:
            paused = await pauses.read(conn)
        for portal in self.settings.portal:
            link = PortalLink(portal, self.settings, self._database, self._box, self._installation, clock=self._clock)
            await link.open()
            self.portals[portal.name] = link
            self.senders[portal.name] = Sender(
                portal.name,
                link.client,
                self._database,
                fallback_user=lambda link=link: link.rules().policy.fallback_user,
                inline_limit=self.settings.recordings.inline_limit,
                passenger=lambda link=link: link.offline,
                told=self.customising.told,
                link=self._address,
                clock=self._clock,
            )
            self.senders[portal.name].hold(paused.get(portal.name))
            link.on_installed = self.senders[portal.name].resume
            link.on_answer = self.senders[portal.name].portal_answers
        for pbx in self.settings.asterisk:
            self.exchanges[pbx.name] = self._exchange(pbx)
        self.receptions = Receptions(
            lambda: self.settings, self.portals, self._database, clock=self._clock, customiser=self.customiser
        )
        for name, link in self.portals.items():
            link.clicks = Clicks(
                name,
                self._database,
                self._book,
                directory=lambda link=link: link.directory,
                exchange=lambda name=name: self._exchange_of(name),
                stored=self.senders[name].notify,
                clock=self._clock,
                customiser=self.customiser,
                to_pbx=lambda: policies.number_rules(self.settings, Towards.PBX),
            )
            link.orders = Orders(
                name,
                link.client,
                self._database,
                self._book,
                directory=lambda link=link: link.directory,
                exchange=lambda name=name: self._exchange_of(name),
                rules=link.rules,
                settings=lambda link=link: link.settings.automation,
                stored=self.senders[name].notify,
                clock=self._clock,
                to_pbx=lambda: policies.number_rules(self.settings, Towards.PBX),
            )
        self._converter = converter_of(self.settings.recordings)
        self.worker = recording_worker(
            lambda: self.settings,
            self._converter,
            self._links,
            self._database,
            self._data_dir / RECORDINGS,
            self._queued,
            self.customising,
            clock=self._clock,
        )
        await self._database.write(lambda conn: recordings.recover(conn, self._clock()))
        for exchange in self.exchanges.values():
            await exchange.switchboard.restore()
            exchange.supervisor.startup = exchange.switchboard.startup
        for link in self.portals.values():
            assert link.clicks is not None and link.orders is not None
            await link.clicks.restore()
            await link.orders.restore()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. A part that dies takes the house down: loudly, to be started again."""
        try:
            async with asyncio.TaskGroup() as tasks:
                senders = [
                    tasks.create_task(sender.run(), name=f"sender to {name}") for name, sender in self.senders.items()
                ]
                others = [tasks.create_task(link.run(), name=f"portal {name}") for name, link in self.portals.items()]
                others.append(tasks.create_task(self.customiser.run(), name="hooks' files"))
                others.append(tasks.create_task(self.customising.run(), name="hooks of steps"))
                for name, exchange in self.exchanges.items():
                    others.append(tasks.create_task(exchange.switchboard.held.run(), name=f"hooks of calls of {name}"))
                if self.worker is not None:
                    others.append(tasks.create_task(self.worker.run(), name="recordings"))
                retention = Retention(self._database, lambda: self.settings, self._data_dir / RECORDINGS, self._clock)
                others.append(tasks.create_task(retention.run(), name="retention of recordings"))
                for name, exchange in self.exchanges.items():
                    others.append(tasks.create_task(exchange.supervisor.run(), name=f"PBX {name}"))
                    others.append(tasks.create_task(self._heed_muted(exchange), name=f"who is muted at {name}"))
                for link in self.portals.values():
                    assert link.clicks is not None and link.orders is not None
                    others.append(tasks.create_task(link.clicks.run(), name=f"clicks of {link.name}"))
                    others.append(tasks.create_task(link.orders.run(), name=f"orders of {link.name}"))
                for name, link in self.portals.items():
                    reminder = Reminder(name, self._database, link.rules, self._queued, clock=self._clock)
                    others.append(tasks.create_task(reminder.run(), name=f"reminders of {name}"))
                others.append(tasks.create_task(self._database.watch(), name="database"))
                others.append(tasks.create_task(self._heed_commands(), name="commands beside us"))
                others.append(tasks.create_task(self.dialplan.run(), name="dialplan"))
                assert self.receptions is not None
                others.append(tasks.create_task(self.receptions.run(), name="autoconnect"))
                await stop.wait()
                log.info("house running -> told to stop -> draining")
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)
                await asyncio.gather(*(sender.stop(DRAIN) for sender in self.senders.values()))
                await asyncio.gather(*senders)
        finally:
            await self._close()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSING):
                await asyncio.gather(*(link.close() for link in self.portals.values()))
        except TimeoutError:
            log.warning("connections with portals cut off")
        if self._converter is not None:
            await self._converter.close()
        await self.customiser.close()
        log.info("house draining -> all closed -> stopped")

    @property
    def live_calls(self) -> int:
        return sum(exchange.switchboard.live_calls for exchange in self.exchanges.values())

    def take_over(self, settings: Settings) -> bool:
        """New settings without touching connections and calls in progress; False when parts have to be built anew."""
        if _skeleton(settings) != _skeleton(self.settings):
            return False
        self.settings = settings
        self.customiser.change(settings.customisation.limits())
        self.dialplan.change(settings)
        for portal in settings.portal:
            self.portals[portal.name].change(portal, settings)
        return True

    # ---- how the parts know of each other

    def _exchange(self, pbx: AsteriskSettings) -> Exchange:
        numbering = policies.numbering(self.settings, pbx)
        switchboard = Switchboard(
            pbx.name,
            Tracker(pbx.name, numbering),
            self._database,
            lambda: self.rules_for(pbx.name),
            self._book,
            self._queued,
            self._to_convert,
            Absence(pbx.name, pbx.cel.source() if pbx.cel else None, folder_of(pbx), self._database),
            layouts=pbx.recordings_paths,
            clock=self._clock,
            hooks=CallHooks(pbx.name, self.customiser),
            hold=self.customising.hold,
            before=lambda call: distribution_notes(self.customiser, call),
        )

        rooms = RoomBook(pbx.name)

        async def on_snapshot(snapshot: Snapshot) -> None:
            await switchboard.on_snapshot(snapshot, supervisor.startup)
            rooms.resync(snapshot)

        async def on_events(events: list[Event]) -> None:
            for event in events:
                rooms.feed(event)
            await switchboard.on_events(events)

        supervisor = Supervisor(pbx.ami.ami(), on_snapshot, on_events, name=pbx.name, fallback=pbx.encoding)
        matching = Matching(switchboard.tracker.live, rooms.channels, lambda: numbering)
        control = Control(
            supervisor,
            rooms,
            switchboard.tracker.live,
            self.dialplan.codes.find,
            lambda: numbering,
            lambda: dialling(self.settings, pbx.name),
        )
        return Exchange(pbx, numbering, supervisor, switchboard, rooms, matching, control)

    async def _heed_muted(self, exchange: Exchange) -> None:
        """Asks after each (re)connect: nothing else tells of who was muted while we were away."""
        while True:
            await exchange.rooms.resynced()
            await exchange.supervisor.until_live()
            if not exchange.rooms.rooms:
                continue
            try:
                members = await members_of(exchange.supervisor)
            except AmiError as error:
                log.warning("who is muted is not known", pbx=exchange.settings.name, error=str(error))
            else:
                exchange.rooms.heed_muted(members, self._clock())

    async def _heed_commands(self) -> None:
        """Tells whoever sends and converts that a command has queued something (`perezvon backfill`)."""
        known: dict[str, int] = {}
        while True:
            try:
                async with self._database.glance() as conn:
                    queued = {one.name.removeprefix(QUEUED): one.value for one in await counters.read(conn, QUEUED)}
            except Unavailable:
                queued = known  # those who write say so, loudly
            for portal in (portal for portal, count in queued.items() if known.get(portal) != count):
                log.info("queued by a command", portal=portal)
                self._queued(portal)
                self._to_convert()
            known = queued
            await asyncio.sleep(HEED)

    def _address(self, subject: str) -> str:
        """Of a recording, for the portal. Raises CannotPrepare while there is no public address (any more)."""
        return self._links.address(subject) if self.settings.recordings.public_url else no_links(subject)

    def rules_for(self, pbx: str) -> PortalRules | None:
        """What the calls of a PBX are decided by just now; None where no portal is set for it."""
        portal = self.settings.portal_of(pbx)
        return None if portal is None else self.portals[portal.name].rules()

    def _exchange_of(self, portal: str) -> Exchange | None:
        for name, exchange in self.exchanges.items():
            owner = self.settings.portal_of(name)
            if owner is not None and owner.name == portal:
                return exchange
        return None

    async def _match(self, call: AgiCall) -> None:
        if (exchange := self.exchanges.get(call.pbx)) is not None:
            await exchange.matching.match(call)

    async def _connect(self, call: AgiCall) -> None:
        if self.receptions is not None:
            await self.receptions.connect(call)

    def _to_convert(self) -> None:
        if self.worker is not None:
            self.worker.notify()

    def _queued(self, portal: str) -> None:
        self.customising.notify()
        self._released(portal)

    def _released(self, portal: str) -> None:
        if portal in self.senders:
            self.senders[portal].notify()


def dialling(settings: Settings, pbx: str) -> Dialling:
    """How this PBX dials a third person: as its dialplan does."""
    ours = next(entry.wiring for entry in settings.asterisk if entry.name == pbx)
    return Dialling(
        outside=dialled_outside(ours),
        inside=ours.dial_inside,
        inside_length=ours.extension_length,
        ring=settings.conference.ring,
        shows=settings.conference.callerid_to_third,
    )


_ASKED_EACH_TIME = {
    **{"mode": "off", "public_url": "", "link_in": "record", "link_lifetime": 0.0, "link_format": "mp3"},
    **{"keep_days": 0, "delete_at_pbx": False, "pause_key": ""},
}
"""What of the settings of recordings is read anew for each."""


def _skeleton(settings: Settings) -> object:
    """What parts are built from; the rest is read anew for each decision."""
    portals = [
        portal.model_copy(update={"fallback_user": "", "missed_user": "", "unknown_lines": "listed", "automation": None})
        for portal in settings.portal
    ]
    calls = settings.calls
    lines = [(line.number, line.aliases) for line in settings.line]
    told = (calls.extension_pattern, calls.region, Dialplan.skeleton(settings))
    hooks = (settings.customisation.folder, settings.customisation.memory)
    wanted = settings.recordings.model_copy(update=_ASKED_EACH_TIME)
    return (settings.asterisk, portals, lines, wanted, hooks, *told)
