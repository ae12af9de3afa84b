"""Keeps one PBX connected for as long as it runs: connect, boot, read the state, follow the events, and again after a loss.

Nothing is replayed by Asterisk after a reconnect, so every connection begins with a new snapshot. While a callback works,
the session goes on reading; when that takes too long the session drops itself (`Overflow`) and all begins anew.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

import structlog

from perezvon.asterisk.address import AmiAddress
from perezvon.asterisk.connection import Limits
from perezvon.asterisk.errors import AmiError, LoginRefused, NotConnected, Overflow
from perezvon.asterisk.message import Headers, Message
from perezvon.asterisk.originate import Originate, Originated, place_call
from perezvon.asterisk.session import Session
from perezvon.asterisk.snapshot import take_snapshot
from perezvon.calls import Event, Snapshot
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES
from perezvon.rules.vocabulary import Reason

log = structlog.get_logger(__name__)


class State(StrEnum):
    WAITING = "waiting"
    CONNECTING = "connecting"
    BOOTING = "booting"
    SYNCHRONISING = "synchronising"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Status:
    """For the status page. `since` is POSIX seconds; `error`: the last failure, kept while live too; "" for none.
    The counters go on over reconnects; `connected` counts how often the state LIVE was reached."""

    name: str
    address: str
    state: State
    since: float
    error: str | Reason
    asterisk: str
    messages: int
    events: int
    bytes: int
    connected: int
    overflows: int


@dataclass(frozen=True, slots=True)
class BackOff:
    """Seconds between two attempts: doubled from `first` to `longest`, each with a random part of up to a half.

    A refused login waits `longest` at once: it does not get better, and fail2ban counts.
    """

    first: float = 0.5
    longest: float = 30.0

    def delay(self, failures: int, error: AmiError) -> float:
        whole = self.longest if isinstance(error, LoginRefused) else min(self.longest, self.first * 2 ** min(failures, 16))
        return whole * secrets.SystemRandom().uniform(0.5, 1.0)


class Supervisor:
    """`run()` belongs to a task of the caller; cancelling that task disconnects.

    `on_snapshot` is awaited first after every (re)connect, then `on_events` with the events that arrived since the login,
    in order, a list at a time. An exception out of a callback is a defect and ends `run()`.
    `startup`: what `Supervisor.startup` was when the service last ran, so that a PBX restart in between is noticed.
    """

    def __init__(
        self,
        address: AmiAddress,
        on_snapshot: Callable[[Snapshot], Awaitable[None]],
        on_events: Callable[[list[Event]], Awaitable[None]],
        *,
        name: str = "",
        startup: str = "",
        wanted: Set[str] | None = WANTED,
        variables: Set[str] | None = WANTED_VARIABLES,
        fallback: str = "cp1251",
        limits: Limits | None = None,
        back_off: BackOff | None = None,
        timeout: float = 10.0,
        boot_timeout: float = 120.0,
    ) -> None:
        self.address = address
        self.name = name or address.host
        self.startup = startup
        self.raw_tap: Callable[[bytes], None] | None = None
        self._on_snapshot = on_snapshot
        self._on_events = on_events
        self._wanted = wanted
        self._variables = variables
        self._fallback = fallback
        self._limits = limits
        self._back_off = back_off or BackOff()
        self._timeout = timeout
        self._boot_timeout = boot_timeout
        self._state = State.WAITING
        self._since = time.time()
        self._error: str | Reason = ""
        self._asterisk = ""
        self._session: Session | None = None
        self._live = asyncio.Event()
        self._messages = self._events = self._bytes = 0
        self._connected = self._overflows = self._failures = 0

    async def run(self) -> NoReturn:
        while True:
            try:
                await self._follow()
            except AmiError as error:
                self._error = error.why
                self._overflows += isinstance(error, Overflow)
                delay = self._back_off.delay(self._failures, error)
                self._failures += 1
                self._turn(State.WAITING, f"{type(error).__name__}: {error}", retry_in=round(delay, 1))
                await asyncio.sleep(delay)

    async def _follow(self) -> NoReturn:
        self._turn(State.CONNECTING, "time to connect")
        session = await Session.open(
            self.address,
            wanted=self._wanted,
            variables=self._variables,
            fallback=self._fallback,
            timeout=self._timeout,
            boot_timeout=None,
            limits=self._limits,
            raw_tap=self.raw_tap,
        )
        async with session:
            self._session = session
            try:
                self._turn(State.BOOTING, "logged in")
                await session.wait_for_boot(self._boot_timeout)
                self._turn(State.SYNCHRONISING, "fully booted")
                dump = await take_snapshot(session, startup=self.startup)
                self._asterisk = dump.asterisk
                self.startup = dump.startup
                await self._on_snapshot(dump.snapshot)
                self._connected += 1
                self._failures = 0
                self._turn(State.LIVE, "snapshot applied", channels=len(dump.snapshot.channels), asterisk=dump.asterisk)
                async for batch in session.events():
                    await self._on_events(batch)
                raise NotConnected(f"{self.address}: the session was closed by us")
            finally:
                self._session = None
                self._messages += session.seen
                self._events += session.taken
                self._bytes += session.received

    def _turn(self, state: State, why: str, **more: object) -> None:
        log.info(f"AMI {self._state} -> {why} -> {state}", pbx=self.name, address=str(self.address), **more)
        self._state = state
        self._since = time.time()
        if state is State.LIVE:
            self._live.set()
        else:
            self._live.clear()

    # ---- for the rest of the house

    @property
    def status(self) -> Status:
        session = self._session
        lost = session.lost if session else None  # while a callback works on what came before
        return Status(
            name=self.name,
            address=str(self.address),
            state=State.WAITING if lost else self._state,
            since=self._since,
            error=lost.why if lost else self._error,
            asterisk=self._asterisk,
            messages=self._messages + (session.seen if session else 0),
            events=self._events + (session.taken if session else 0),
            bytes=self._bytes + (session.received if session else 0),
            connected=self._connected,
            overflows=self._overflows,
        )

    async def until_live(self) -> None:
        await self._live.wait()

    async def action(self, name: str, headers: Headers = (), *, timeout: float = 10.0) -> Message:
        """As `Session.action`; raises NotConnected at once while the PBX is not live: nothing was sent then."""
        return await self._connection().action(name, headers, timeout=timeout)

    async def collect(self, name: str, headers: Headers = (), *, timeout: float = 30.0) -> list[Message]:
        """As `Session.collect`; raises NotConnected at once while the PBX is not live."""
        return await self._connection().collect(name, headers, timeout=timeout)

    async def originate(self, call: Originate) -> Originated:
        """As `place_call`; raises NotConnected at once while the PBX is not live: nothing was dialled then."""
        return await place_call(self._connection(), call)

    def _connection(self) -> Session:
        if self._session is None or self._state is not State.LIVE:
            told = {"name": self.name, "state": Reason(self._state.value), "why": self._error}
            raise NotConnected(
                Reason("the PBX {name} is not live but {state} ({why}): nothing was sent", told)
                if self._error
                else Reason("the PBX {name} is not live but {state}: nothing was sent", told)
            )
        return self._session
