"""One portal: who we are there, who its employees are, what it tells us, what is sent to it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from perezvon.bitrix24 import Bucket, Exchange, GrantKeeper, OAuthGrant, Portal, Webhook, Wire, forms
from perezvon.bitrix24 import methods as rest
from perezvon.bitrix24.binding import Bindings, bind
from perezvon.bitrix24.directory import Directory, refresh
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.events import (
    INSTALL,
    UPDATE,
    ApplicationChanged,
    BadEvent,
    CallbackRequested,
    CallStartClick,
    EventAuth,
    PortalEvent,
    accept,
    accept_robot,
    typed,
)
from perezvon.bitrix24.installation import offered_by_event, offered_by_page, proven_grant
from perezvon.bitrix24.offline import GET, OfflineQueue
from perezvon.calls import Numbering
from perezvon.delivery.weather import METHOD_WIDE, Sky, sky_of
from perezvon.rules.vocabulary import Reason
from perezvon.service import policies
from perezvon.service.automation import AutomationKeeper
from perezvon.service.clicks import Clicks
from perezvon.service.crm_knowledge import CrmKnowledge
from perezvon.service.grants import keeper_of
from perezvon.service.orders import Orders
from perezvon.service.placements import PlacementKeeper
from perezvon.service.policies import PortalRules
from perezvon.service.portal_lines import LineKeeper
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings, handler_of
from perezvon.settings.secrets import SecretBox
from perezvon.storage import employees
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable

log = structlog.get_logger(__name__)

DIRECTORY_INTERVAL = 300.0
DIRECTORY_RETRY = 20.0
BIND_RETRY = 60.0
BIND_CHECK = 600.0
"""Seconds between two looks whether events are bound: an update of the application, a reinstallation and a portal restored
from a backup lose them without a word."""
GRANT_CHECK = 600.0
LOST = 3600.0
"""Seconds without any answer from the portal after which we ask the authorization server where it is, once."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Nothing has come from the portal but errors of the whole of it. `since`: POSIX seconds; `error`: the last one."""

    since: float
    error: PortalError


class PortalLink:
    """`settings` may be replaced while running by `change` as long as who we are there stays the same."""

    def __init__(
        self,
        settings: PortalSettings,
        whole: Settings,
        database: Database,
        box: SecretBox,
        installation: str,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self._whole = whole
        self._database = database
        self._box = box
        self._installation = installation
        self._clock = clock
        self.directory = Directory()
        self.bindings = Bindings()
        self.own_user = ""
        self.last_success: float | None = None
        self.last_event: float | None = None
        self.last_failure: tuple[float, Exchange] | None = None
        self.failing: Failing | None = None
        self._searched = 0.0
        self._keeper: GrantKeeper | None = None
        self._rules: PortalRules | None = None
        self._wake_directory = asyncio.Event()
        self._installing = asyncio.Event()
        self.lines = LineKeeper(self.name, lambda: self.client, lambda: self._whole, lambda: self.installed)
        self.automation = AutomationKeeper(
            self.name, database, lambda: self.client, lambda: self.settings, lambda: self.installed, clock=clock
        )
        self.pages = PlacementKeeper(lambda: self.client, lambda: self.settings, lambda: self.installed)
        self.orders: Orders | None = None
        self.crm = CrmKnowledge(
            settings.name, database, lambda: self._whole, lambda: self.installed, self._forget_rules, clock=clock
        )
        self.clicks: Clicks | None = None
        self.on_installed: Callable[[], None] = lambda: None
        self.on_answer: Callable[[], None] = lambda: None
        self.offline: OfflineQueue | None = None
        self.client: Portal

    async def open(self) -> None:
        """Reads what is stored; speaks to nobody yet. Raises SecretMissing, KeyLost, Unavailable."""
        settings = self.settings
        bucket = Bucket(settings.rate_per_second, settings.rate_burst)
        wire = self._wire()
        identity = (
            Webhook.parse(settings.webhook.reveal())
            if settings.webhook
            else await keeper_of(settings, self._database, self._box, self._saved, self._clock)
        )
        self.client = Portal(self.name, identity, bucket=bucket, wire=wire, observer=self._observe)
        if isinstance(identity, GrantKeeper):
            self._keeper = identity
            self.own_user = identity.grant.user_id
        async with self._database.read() as conn:
            rows, refreshed = await employees.load(conn, self.name)
        self.directory = policies.directory(rows, refreshed)
        await self.crm.load()

    async def close(self) -> None:
        await self.client.close()

    def rules(self) -> PortalRules:
        if self._rules is None:
            self._rules = PortalRules(
                self.name,
                policies.policy(self._whole, self.settings, self._installation, self.own_user, self.crm.known),
                policies.people(self.directory),
            )
        return self._rules

    def change(self, settings: PortalSettings, whole: Settings) -> None:
        """New rules; the connection stays."""
        self.settings = settings
        self._whole = whole
        self._forget_rules()
        self.lines.wake()
        self.crm.wake()
        self.automation.wake()
        self.pages.wake()

    def _forget_rules(self) -> None:
        self._rules = None

    @property
    def installed(self) -> bool:
        """Whether we may speak to the portal at all: a webhook always, an application once it has tokens."""
        return self._keeper is None or bool(self._keeper.grant.refresh_token or self._keeper.grant.access_token)

    @property
    def moved_from(self) -> str:
        """The host that the settings name, when the portal is at another one; else empty."""
        address = self.client.address
        return address.moved_from if isinstance(address, OAuthGrant) else ""

    async def run(self) -> None:
        """Employees, events and the upkeep of the grant, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_directory(), name=f"employees of {self.name}")
            tasks.create_task(self._keep_events(tasks), name=f"events of {self.name}")
            tasks.create_task(self.lines.run(), name=f"lines of {self.name}")
            tasks.create_task(self.crm.run(self.client), name=f"CRM of {self.name}")
            tasks.create_task(self.automation.run(), name=f"automation of {self.name}")
            tasks.create_task(self.pages.run(), name=f"pages inside {self.name}")
            if self._keeper is not None:
                tasks.create_task(self._keep_grant(self._keeper), name=f"grant of {self.name}")

    # ---- who we are

    def _wire(self) -> Wire:
        wanted = self.settings
        return Wire(total=wanted.request_timeout, ca_file=wanted.ca or None, verify=wanted.verify_tls)

    def _saved(self, grant: OAuthGrant) -> None:
        self.own_user = grant.user_id or self.own_user

    async def _keep_grant(self, keeper: GrantKeeper) -> None:
        while True:
            await asyncio.sleep(GRANT_CHECK)
            try:
                await keeper.keep_alive()
                await self.search()
            except PortalError as error:
                log.warning("grant not kept alive", portal=self.name, error=str(error))

    async def search(self) -> bool:
        """A portal that has not answered for long may have moved without a word. Asks once in such a time; gives whether it
        is somewhere else. Raises a PortalError."""
        failing = self.failing
        if self._keeper is None or failing is None or self._clock() - failing.since < LOST:
            return False
        if sky_of(failing.error) not in (Sky.TROUBLE, Sky.BLOCKED) or self._searched == failing.since:
            return False
        self._searched = failing.since
        log.info("portal not found -> the authorization server is asked", portal=self.name, error=str(failing.error))
        moved = await self._keeper.ask_where(self._keeper.grant)
        if moved:
            self._wake_directory.set()
            self._installing.set()
            self.on_installed()
        return moved

    def _observe(self, exchange: Exchange) -> None:
        if exchange.outcome == "ok":
            self.last_success = self._clock()
            self.failing = None
            self.on_answer()
        else:
            self.last_failure = (self._clock(), exchange)
            error = exchange.error
            if error is not None and sky_of(error) is not Sky.CLEAR and not isinstance(error, METHOD_WIDE):
                self.failing = Failing(self.failing.since if self.failing else self._clock(), error)
        idle = exchange.outcome == "ok" and exchange.what == GET
        (log.debug if idle else log.info)(
            "portal asked",
            portal=self.name,
            methods=exchange.methods if len(exchange.methods) <= 4 else f"{len(exchange.methods)} commands",
            ms=round(exchange.seconds * 1000),
            outcome=exchange.outcome,
            error=exchange.told or None,
        )

    # ---- who the employees are

    async def _keep_directory(self) -> None:
        while True:
            try:
                problem = await self._refresh_directory() if self.installed else "not installed"
            except Unavailable as error:
                problem = str(error)
                log.warning("employees wait for the database", portal=self.name, error=problem)
            self._wake_directory.clear()
            try:
                async with asyncio.timeout(DIRECTORY_RETRY if problem else DIRECTORY_INTERVAL):
                    await self._wake_directory.wait()
            except TimeoutError:
                pass

    async def look_at_employees(self) -> None:
        """Now, and not when it is time: somebody waits for it on a page."""
        await self._refresh_directory()

    async def _refresh_directory(self) -> str | Reason:
        """Returns what is wrong, "" for nothing."""
        now = self._clock()
        numbers = Numbering(region=self._whole.calls.region)
        fresh = await refresh(self.client, self.directory, now=now, normalise=numbers.international)
        if fresh.problem:
            log.warning("employees not refreshed", portal=self.name, problem=str(fresh.problem))
        elif fresh.employees != self.directory.employees:
            log.info("employees refreshed", portal=self.name, employees=len(fresh.employees), doubles=len(fresh.doubles))
            kept = [employees.Employee(e.user_id, e.extension, e.name, e.active, e.phones) for e in fresh.employees]
            await self._database.write(lambda conn: employees.replace(conn, self.name, kept, now))
        self.directory = fresh
        self._rules = None
        if not self.own_user:
            try:
                self.own_user = (await rest.profile(self.client)).id
            except PortalError as error:
                log.warning("our own user is not known", portal=self.name, error=str(error))
        return fresh.problem

    # ---- what it tells us

    async def _keep_events(self, tasks: asyncio.TaskGroup) -> None:
        """Binds what the settings want, looks now and then whether it still is, and polls the offline queue."""
        wanted = self.settings.events
        if wanted == "off" or not self.client.is_application:
            return
        handler = handler_of(self.settings)
        while True:
            if self.installed:
                try:
                    self.bindings = await bind(self.client, offline=wanted != "handler", handler=handler)
                except PortalError as error:
                    self.bindings = Bindings(problems=(error.why,))
                for problem in self.bindings.problems:
                    log.warning("events not bound", portal=self.name, problem=str(problem))
            bound = self.installed and not self.bindings.problems
            if bound and self.offline is None and wanted != "handler":
                self.offline = OfflineQueue(self.client, self._consume, interval=self.settings.offline_interval)
                tasks.create_task(self.offline.run(), name=f"offline events of {self.name}")
            try:
                async with asyncio.timeout(BIND_CHECK if bound else BIND_RETRY):
                    await self._installing.wait()
            except TimeoutError:
                continue
            self._installing.clear()

    async def receive_robot(self, body: bytes, content_type: str) -> None:
        """What our robot in the portal shall do. Raises BadEvent, Forged, StorageError."""
        call = accept_robot(body, content_type, self._expected(), now=self._clock(), member_id=self._member())
        log.info("portal robot", portal=self.name, order=call.key, document=call.document)
        if self.orders is None or not self.settings.automation.robot:
            raise BadEvent("the robot is switched off in the settings")
        self.last_event = call.received
        await self.orders.accept_robot(call)

    def _expected(self) -> list[str]:
        """The application tokens that prove an event."""
        expected = [self._keeper.grant.application_token] if self._keeper is not None else []
        if self.settings.application_token is not None:
            expected.append(self.settings.application_token.reveal())
        return expected

    def proves(self, application_token: str) -> bool:
        """Whether whoever says this knows what only the portal and we know."""
        return any(hmac.compare_digest(known.encode(), application_token.encode()) for known in self._expected() if known)

    def _member(self) -> str:
        return self._keeper.grant.member_id if self._keeper is not None else ""

    async def receive(self, body: bytes, content_type: str) -> None:
        """An event at our own handler. Raises BadEvent, Forged, StorageError, PortalError (an installation not proven)."""
        event = accept(body, content_type, self._expected(), now=self._clock(), member_id=self._member())
        log.info("portal event", portal=self.name, event_name=event.name, source=event.source)
        if event.name in (INSTALL, UPDATE):
            await self.install(offered_by_event(event))
        else:
            await self._take(event)

    async def receive_installation(self, query: Mapping[str, str], body: bytes, content_type: str) -> None:
        """ONAPPINSTALL, or the page that the portal opens for the installer. Raises what `receive` raises."""
        try:
            form = forms.decode(body)
        except forms.BadForm as error:
            raise BadEvent(str(error)) from None
        if "event" in form:
            await self.receive(body, content_type)
        else:
            await self.install(
                offered_by_page(query, {key: value for key, value in form.items() if isinstance(value, str)})
            )

    async def install(self, offer: EventAuth) -> None:
        """The application was installed: its tokens are proven at the authorization server, stored, then used.

        Raises Forged, PortalError.
        """
        if self._keeper is None:
            raise BadEvent(f"the portal {self.name} is set to a webhook, there is no application to install")
        grant = await proven_grant(self._keeper.grant, offer, self._keeper.server)
        await self._keeper.replace(grant)
        log.info("application -> installed", portal=self.name, member_id=grant.member_id)
        self._wake_directory.set()
        self.lines.wake()
        self.crm.wake()
        self.automation.wake()
        self.pages.wake()
        self._installing.set()
        self.on_installed()

    async def _consume(self, events: list[PortalEvent]) -> None:
        for event in events:
            try:
                await self._take(event)
            except BadEvent as error:
                log.warning("portal event refused", portal=self.name, event_name=event.name, error=str(error))

    async def _take(self, event: PortalEvent) -> None:
        self.last_event = event.received
        match typed(event):
            case CallStartClick() as click if self.clicks is not None:
                await self.clicks.accept(click)
            case CallbackRequested() as form if self.orders is not None:
                await self.orders.accept_callback(form)
            case ApplicationChanged(what=what):
                log.warning("application changed", portal=self.name, what=what)
            case None:
                log.debug("portal event of no use", portal=self.name, event_name=event.name)
            case other:
                log.info("portal event not handled by this version", portal=self.name, kind=type(other).__name__)
