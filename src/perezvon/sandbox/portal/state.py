"""Everything one pretend portal remembers, in memory. Handlers read and change it; the server and the tests look at it.

Rooms: `people`, `crm`, `book` (calls, lines, statistics), `files`, `authority` (applications, tokens, webhooks), `events`
(handlers, offline queue), `placements`, `journal`, `feed`, `faults`. What a handler family needs beyond that it keeps in a
value of its own: `portal.part(TaskBoard)`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from perezvon.sandbox.portal.calls import CallBook, PortalCall
from perezvon.sandbox.portal.clock import Clock
from perezvon.sandbox.portal.config import PortalConfig
from perezvon.sandbox.portal.crm import Change, Crm, Entity
from perezvon.sandbox.portal.events import EventBus
from perezvon.sandbox.portal.faults import Faults
from perezvon.sandbox.portal.feed import Feed
from perezvon.sandbox.portal.files import ExpectedUpload, Files
from perezvon.sandbox.portal.journal import Journal
from perezvon.sandbox.portal.limits import LeakyBuckets, OperatingTime
from perezvon.sandbox.portal.oauth import Authority
from perezvon.sandbox.portal.people import People

Json = Any
T = TypeVar("T")
acting_user: ContextVar[int] = ContextVar("acting_user", default=0)
"""Whose request is being served: events that follow from it carry him. 0 outside of requests."""
CRM_EVENT_TYPES = frozenset({"LEAD", "CONTACT", "COMPANY", "DEAL", "ACTIVITY", "TIMELINECOMMENT"})


class PortalState:
    def __init__(self, config: PortalConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.zone = ZoneInfo(config.time_zone)
        self.base_url = "http://portal.invalid"
        """Where the portal is reached (no trailing slash); the server sets it when it listens, a rename changes it."""
        self.people = People()
        self.crm = Crm(config.region, self._crm_changed)
        self.crm.mode = config.crm_mode
        self.book = CallBook()
        self.files = Files()
        self.uploads: dict[str, ExpectedUpload] = {}
        self.feed = Feed(self.now)
        self.journal = Journal(config.journal_limit)
        self.authority = Authority(self.now, config.access_token_ttl, config.refresh_token_ttl)
        self.events = EventBus(self.now, self.authority, config.member_id, self._addresses)
        self.buckets = LeakyBuckets(config.rate)
        self.operating = OperatingTime(config.operating)
        self.faults = Faults(self.now)
        self.placements: list[dict[str, Json]] = []
        self.chores: asyncio.Queue[tuple[str, Callable[[], Awaitable[None]]]] = asyncio.Queue()
        self._parts: dict[type, object] = {}

    def now(self) -> float:
        """POSIX seconds by the portal's clock."""
        return self.clock.time()

    def monotonic(self) -> float:
        """The machine's monotonic clock: for measuring, never moved."""
        return time.monotonic()

    def iso(self, at: float | None = None) -> str:
        """A moment (default now) as the portal writes it: 2026-11-21T10:45:04+03:00."""
        return datetime.fromtimestamp(self.now() if at is None else at, self.zone).isoformat(timespec="seconds")

    def part(self, kind: type[T]) -> T:
        """The one value of this class in this portal, made at first use: state of a handler family (tasks, chats, drive
        …)."""
        if kind not in self._parts:
            self._parts[kind] = kind()
        return self._parts[kind]  # pyright: ignore[reportReturnType]

    def publish(self, kind: str, **data: Json) -> None:
        """News for the face and for waiting tests."""
        self.feed.publish(kind, data)

    def emit(self, event: str, data: dict[str, Json], user_id: int | None = None, only_app: str | None = None) -> None:
        """A portal event, to handlers and the offline queue. `user_id` None: the user whose request is being served."""
        self.events.emit(event, data, acting_user.get() if user_id is None else user_id, only_app)

    def later(self, name: str, chore: Callable[[], Awaitable[None]]) -> None:
        """Something the portal does in its own time, after the request; the server owns the task. It must not raise."""
        self.chores.put_nowait((name, chore))

    def calls(self) -> list[PortalCall]:
        """Every call ever registered, oldest first, with all that happened to it."""
        return list(self.book.calls.values())

    def _crm_changed(self, change: Change, entity: Entity) -> None:
        self.publish(f"crm.{change.lower()}", type=entity.type, id=entity.id, title=entity.title)
        if entity.type in CRM_EVENT_TYPES:
            self.emit(f"ONCRM{entity.type}{change}", {"FIELDS": {"ID": str(entity.id)}})
        elif entity.type.startswith("DYNAMIC_"):
            type_id = entity.type.removeprefix("DYNAMIC_")
            self.emit(f"ONCRMDYNAMICITEM{change}", {"FIELDS": {"ID": str(entity.id), "ENTITY_TYPE_ID": type_id}})

    def _addresses(self) -> tuple[str, str, str]:
        domain = self.base_url.split("://", 1)[1]
        return domain, f"{self.base_url}/rest/", f"{self.base_url}/rest/"
