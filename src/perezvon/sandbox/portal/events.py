"""Portal events on their way out: form posts to handlers, at most once, and the offline queue that applications poll.

Nothing is retried: a delivery that fails is logged and lost, as documented. The sender task is owned by the server.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import structlog

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.oauth import App, Authority
from perezvon.sandbox.portal.php import build_form

Json = Any
log = structlog.get_logger(__name__)
RESERVED_DAYS = 30
INSTALL_EVENTS = frozenset({"ONAPPINSTALL", "ONAPPUPDATE", "ONOFFLINEEVENT"})


@dataclass(frozen=True, slots=True)
class Binding:
    """event.bind. `auth_type`: the user as whom the handler runs, 0 = the user whose action fired the event. `bound_by`:
    who bound it.
    `connector`: auth_connector of an offline binding."""

    id: int
    app: str
    event: str
    handler: str
    auth_type: int
    bound_by: int
    offline: bool = False
    connector: str = ""


@dataclass(slots=True)
class OfflineRow:
    """`key` is the object the event is about: a later event about it replaces the row while nobody reserved it."""

    id: int
    app: str
    event: str
    key: str
    data: Json
    additional: Json
    message_id: str
    stamp: float
    connector: str
    process_id: str = ""
    reserved_at: float = 0.0
    error: bool = False


@dataclass(slots=True)
class Delivery:
    """One attempt to hand an event to a handler. `status`: HTTP status, 0 while under way or when nobody answered."""

    event: str
    url: str
    form: list[tuple[str, str]]
    at: float
    status: int = 0
    failure: str = ""
    done: bool = False


class EventBus:
    """`client_endpoint` and `server_endpoint` give the addresses that go into the auth block."""

    def __init__(
        self,
        now: Callable[[], float],
        authority: Authority,
        member_id: str,
        addresses: Callable[[], tuple[str, str, str]],
    ) -> None:
        self._now = now
        self._authority = authority
        self._member_id = member_id
        self._addresses = addresses
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._last_binding = 0
        self._last_row = 0
        self._last_message = 0
        self.bindings: list[Binding] = []
        self.rows: list[OfflineRow] = []
        self.outgoing_webhooks: list[tuple[str, frozenset[str], str]] = []
        """(url, events, application_token) of outgoing webhooks made in the portal's pages."""
        self.deliveries: deque[Delivery] = deque(maxlen=10_000)

    def bind(
        self, app: str, event: str, handler: str, auth_type: int, bound_by: int, offline: bool, connector: str
    ) -> None:
        self._last_binding += 1
        self.bindings.append(
            Binding(self._last_binding, app, event.upper(), handler, auth_type, bound_by, offline, connector)
        )

    def emit(self, event: str, data: dict[str, Json], user_id: int = 0, only_app: str | None = None) -> None:
        """`user_id`: whose action it was (0: nobody's). `only_app`: the one application that may hear of it."""
        for binding in self.bindings:
            app = self._authority.apps.get(binding.app)
            if binding.event != event or app is None or app.removed or not app.installed:
                continue
            if only_app is not None and binding.app != only_app:
                continue
            if binding.offline:
                self._enqueue_offline(binding, event, data, user_id)
            else:
                auth = self.auth_block(app, binding.auth_type or user_id, with_refresh=event in INSTALL_EVENTS)
                self.post(binding.handler, event, data, auth, binding.id)
        if only_app is None:
            for url, events, token in self.outgoing_webhooks:
                if event in events:
                    self.post(url, event, data, self._plain_block(token), 0)

    def auth_block(self, app: App, user_id: int, *, with_refresh: bool) -> dict[str, str]:
        domain, client_endpoint, server_endpoint = self._addresses()
        block = {
            "expires_in": str(int(self._authority.access_ttl)),
            "scope": (" " if with_refresh else ",").join(sorted(app.scopes)),
            "domain": domain,
            "server_endpoint": server_endpoint,
            "status": "L",
            "client_endpoint": client_endpoint,
            "member_id": self._member_id,
            "application_token": app.application_token,
        }
        if user_id:
            if with_refresh:
                access, refresh = self._authority.new_pair(app, user_id)
                block |= {"access_token": access, "refresh_token": refresh}
            else:
                block["access_token"] = self._authority.new_access(app, user_id)
            block["user_id"] = str(user_id)
        return block

    def post(self, url: str, event: str, data: dict[str, Json], auth: dict[str, str], handler_id: int) -> None:
        """Put one delivery on the way."""
        form: dict[str, Json] = {"event": event}
        if handler_id:
            form["event_handler_id"] = str(handler_id)
        self.post_form(event, url, form | {"data": data}, auth)

    def post_form(self, event: str, url: str, form: dict[str, Json], auth: dict[str, str]) -> None:
        """The same for a form of any kind; `event`: what it is called in the list of deliveries."""
        form = form | {"ts": str(int(self._now())), "auth": auth}
        delivery = Delivery(event, url, build_form(form), self._now())
        self.deliveries.append(delivery)
        self._queue.put_nowait(delivery)

    async def send(self) -> None:
        """Deliver until cancelled. A slow or dead handler delays nobody but itself."""
        timeout = aiohttp.ClientTimeout(total=30, connect=5)
        async with aiohttp.ClientSession(timeout=timeout) as http, asyncio.TaskGroup() as tasks:
            while True:
                delivery = await self._queue.get()
                tasks.create_task(self._deliver(http, delivery), name=f"portal event {delivery.event}")

    async def _deliver(self, http: aiohttp.ClientSession, delivery: Delivery) -> None:
        try:
            async with http.post(delivery.url, data=delivery.form, allow_redirects=False) as answer:
                delivery.status = answer.status
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            delivery.failure = f"{type(problem).__name__}: {problem}"
            log.info("portal event lost", portal_event=delivery.event, url=delivery.url, problem=delivery.failure)
        finally:
            delivery.done = True

    def _plain_block(self, application_token: str) -> dict[str, str]:
        domain, client_endpoint, server_endpoint = self._addresses()
        return {
            "domain": domain,
            "client_endpoint": client_endpoint,
            "server_endpoint": server_endpoint,
            "member_id": self._member_id,
            "application_token": application_token,
        }

    def _enqueue_offline(self, binding: Binding, event: str, data: dict[str, Json], user_id: int) -> None:
        fields = cast("dict[str, Json]", data.get("FIELDS") or {})
        key = str(fields.get("ID") or data.get("CALL_ID") or secrets.token_hex(8))
        additional: Json = {"user_id": str(user_id)} if user_id else False
        for row in self.rows:
            same = row.app == binding.app and row.event == event and row.key == key and row.connector == binding.connector
            if same and not row.process_id:
                row.data, row.additional, row.stamp = data, additional, self._now()
                return
        self._last_row += 1
        self._last_message += 1
        self.rows.append(
            OfflineRow(
                self._last_row,
                binding.app,
                event,
                key,
                data or False,
                additional,
                str(self._last_message),
                self._now(),
                binding.connector,
            )
        )
        self._ring(binding.app)

    def _ring(self, app: str) -> None:
        """ONOFFLINEEVENT: only a doorbell."""
        for binding in self.bindings:
            owner = self._authority.apps.get(binding.app)
            if binding.app == app and binding.event == "ONOFFLINEEVENT" and owner:
                auth = self.auth_block(owner, binding.auth_type or binding.bound_by, with_refresh=True)
                self.post(binding.handler, "ONOFFLINEEVENT", {}, auth, binding.id)

    def forget_old_reservations(self) -> None:
        oldest = self._now() - RESERVED_DAYS * 86400
        self.rows = [row for row in self.rows if not row.process_id or row.reserved_at >= oldest]


def known_event(name: str) -> bool:
    """Whether event.bind accepts it: the contract's list and the families ONCRM… and ONTASK…"""
    upper = name.upper()
    return upper in contract().events or any(
        upper.startswith(family[:-1]) and upper.endswith(("ADD", "UPDATE", "DELETE"))
        for family in contract().events
        if family.endswith("*")
    )
