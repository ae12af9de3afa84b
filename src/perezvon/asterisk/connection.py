"""The protocol object under a `Session`: reads whatever comes, sorts it, keeps it within bounds. One socket, no login.

Asterisk closes a connection that is read slowly, so the event loop hands the bytes straight to this object, whatever the
consumer does. What the consumer has not taken waits in a bounded queue, most of it as it came, which takes a quarter of the
memory; when that is full, the connection is dropped on purpose (`Overflow`): a gap that is known is better than one that is
not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import structlog

from perezvon.asterisk.errors import ConnectionLost, NotConnected, Overflow, ProtocolBroken
from perezvon.asterisk.message import Message, encode, moment, parse
from perezvon.asterisk.moments import Moments
from perezvon.asterisk.wire import BLANK, Framer, Sieve
from perezvon.calls import Event
from perezvon.rules.vocabulary import Reason

GREETING = b"Asterisk Call Manager"
GREETING_CAP = 1024
UNSENT_BYTES = 1024 * 1024
AT_ONCE = 2000
"""Events that are given to the consumer at a time, and that wait ready for him."""
DOUBT = 2.0
"""Seconds that the PBX gets to say what time it is."""
QUIET = 60.0
"""Seconds between two log lines about messages that make no sense."""

T = TypeVar("T")
Taker = Callable[[Message, int], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """`events` and `bytes` (on the wire) may wait for the consumer. `keep_alive`: seconds of silence before a Ping is sent;
    after as many again without a single byte the connection counts as lost."""

    events: int = 100_000
    bytes: int = 32 * 1024 * 1024
    keep_alive: float = 15.0


@dataclass(frozen=True, slots=True)
class Watcher:
    """`take(message, bytes on the wire)` is called with every event one of whose headers has this value."""

    header: str
    value: str
    take: Taker
    needle: bytes

    @classmethod
    def of(cls, header: str, value: str, take: Taker) -> Watcher:
        return cls(header, value, take, f"\r\n{header}: {value}".encode())


class Connection(asyncio.Protocol):
    """Counters: `seen` messages, `taken` wanted events, `received` bytes."""

    def __init__(self, where: str, sieve: Sieve, limits: Limits, *, fallback: str, prefix: str) -> None:
        """`where` names the peer in errors. `prefix` begins the ActionID of every action of this connection."""
        self.seen = 0
        self.taken = 0
        self.received = 0
        self.lost: ConnectionLost | None = None
        self.closed = asyncio.Event()
        self.raw_tap: Callable[[bytes], None] | None = None
        loop = asyncio.get_running_loop()
        self.greeting: asyncio.Future[str] = loop.create_future()
        self.booted: asyncio.Future[None] = loop.create_future()
        self.answers: dict[str, asyncio.Future[Message]] = {}
        self.watchers: set[Watcher] = set()
        self._loop = loop
        self._where = where
        self._sieve = sieve
        self._limits = limits
        self._fallback = fallback
        self._ping = encode("Ping", action_id=f"{prefix}ping")
        self._framer = Framer()
        self._greeted = bytearray()
        self._transport: asyncio.Transport | None = None
        self._pending: set[asyncio.Future[object]] = set()
        self._moments = Moments(where)
        self._doubted: int | None = None  # the place in the queue from which on events have doubtful times
        self._time_please = encode("Ping", action_id=f"{prefix}time")
        self._queue: list[Event] = []
        self._later: deque[tuple[bytes, float]] = deque()  # what came after those, and when
        self._queued = 0  # bytes
        self._arrived = asyncio.Event()
        self._heard = 0.0
        self._strange = 0
        self._quiet_until = 0.0
        self._pinged = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._heard = self._loop.time()
        self._timer = self._loop.call_later(self._limits.keep_alive, self._watch_silence)

    def data_received(self, data: bytes) -> None:
        arrived = self._moments.now()
        self.received += len(data)
        self._heard = self._loop.time()
        self._pinged = False
        if self.lost is not None:
            return
        try:
            if not self.greeting.done():
                data = self._greet(data)
            frames = self._framer.feed(data)
        except ProtocolBroken as error:
            self.drop(error)
            return
        if frames:
            self._record(frames)
            for frame in frames:
                self._sort(frame, arrived)
                if self.lost is not None:
                    return
            if self._queue:
                self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        told = {"address": self._where, "why": str(exc)}
        self._end(
            ConnectionLost(
                Reason("{address} closed the connection: {why}", told)
                if exc
                else Reason("{address} closed the connection", told)
            )
        )
        self.closed.set()

    # ---- called by the session

    def send(self, data: bytes) -> None:
        """Raises NotConnected when there is nowhere to send to."""
        if self.lost is not None or self._transport is None:
            raise NotConnected(Reason("{why}; nothing was sent", {"why": self.loss().why}))
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > UNSENT_BYTES:
            self.drop(ConnectionLost(f"{self._where} takes no more actions: {UNSENT_BYTES} bytes wait to be sent"))

    async def result(self, future: asyncio.Future[T]) -> T:
        """What the future brings, or the reason of the loss when the connection goes first."""
        if self.lost is not None and not future.done():
            raise self.loss()
        pending = cast("asyncio.Future[object]", future)
        self._pending.add(pending)
        try:
            return await future
        finally:
            self._pending.discard(pending)

    async def events(self) -> list[Event]:
        """What has arrived: at least one event, `AT_ONCE` at most. Raises the reason of the loss once nothing is left."""
        while not self._queue or (self._doubted is not None and self.lost is None):
            if self._later and self._doubted is None:
                self._prepare()
                continue
            if self.lost is not None:
                raise self.loss()
            self._arrived.clear()
            await self._arrived.wait()
        taken, self._queue = self._queue, []
        self._queued = sum(len(frame) for frame, _ in self._later)
        return taken

    def _prepare(self) -> None:
        while self._later and len(self._queue) < AT_ONCE:
            frame, arrived = self._later.popleft()
            event = self._sieve.event(frame, arrived)
            assert event is not None, "it was wanted when it came"
            self._queue.append(self._at_its_moment(event, arrived))

    def drop(self, reason: ConnectionLost) -> None:
        """Ends the connection at once and tells everybody who waits why."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Ends the connection after what was written has been sent; a peer that takes nothing gets a second for it."""
        self._end(ConnectionLost(Reason("the connection with {address} was closed by us", {"address": self._where})))
        transport = self._transport
        if transport is None:
            return
        transport.close()
        try:
            async with asyncio.timeout(1):
                await self.closed.wait()
        except TimeoutError:
            transport.abort()
        await self.closed.wait()

    def loss(self) -> ConnectionLost:
        """A fresh exception, for everybody who has to be told."""
        if self.lost is not None:
            return type(self.lost)(self.lost.why)
        return NotConnected(Reason("not connected with {address}", {"address": self._where}))

    # ---- inside

    def _end(self, reason: ConnectionLost) -> None:
        if self.lost is not None:
            return
        self.lost = reason
        if isinstance(reason, Overflow):
            self._queue.clear()
            self._later.clear()
        for future in self._pending:
            if not future.done():
                future.set_exception(self.loss())
        self._arrived.set()
        if self._timer is not None:
            self._timer.cancel()

    def _greet(self, data: bytes) -> bytes:
        """The greeting is one line, without a blank line after it. Returns what follows it."""
        self._greeted += data
        line, newline, rest = bytes(self._greeted).partition(b"\r\n")
        if not GREETING.startswith(line[: len(GREETING)]) or len(line) > GREETING_CAP:
            told = {"address": self._where, "greeting": repr(line[:60])}
            raise ProtocolBroken(Reason("{address} is no AMI port: it greets with {greeting}", told))
        if not newline:
            return b""
        self._greeted.clear()
        self.greeting.set_result(line.decode("ascii", "replace").rpartition("/")[2])
        return rest

    def _record(self, frames: list[bytes]) -> None:
        self.seen += len(frames)
        if self.raw_tap is None:
            return
        try:
            self.raw_tap(BLANK.join(frames) + BLANK)
        except Exception:
            self.raw_tap = None
            log.exception("AMI recording stopped: its file cannot be written", pbx=self._where)

    def _sort(self, frame: bytes, arrived: float) -> None:
        if frame.startswith(b"Event: "):
            if not self.booted.done() and frame.startswith(b"Event: FullyBooted"):
                self.booted.set_result(None)
            if self.watchers:
                self._tell_watchers(frame)
        elif not (message := parse(frame, self._fallback)).is_event:
            if "response" in message:
                self._answer(message)
            else:
                self._wonder(message)
            return
        event = self._sieve.event(frame, arrived)
        if event is None:
            return
        self.taken += 1
        self._queued += len(frame)
        if self._later or len(self._queue) >= AT_ONCE:
            self._later.append((frame, arrived))
        else:
            self._queue.append(self._at_its_moment(event, arrived))
        waiting = len(self._queue) + len(self._later)
        if waiting > self._limits.events or self._queued > self._limits.bytes:
            self.drop(
                Overflow(
                    Reason(
                        "{count} events ({bytes} bytes) of {address} waited to be taken: dropped the connection, the state "
                        "will be read anew",
                        {"count": str(waiting), "bytes": str(self._queued), "address": self._where},
                    )
                )
            )

    def _at_its_moment(self, event: Event, arrived: float) -> Event:
        if event.at == arrived:
            return event
        doubtful = self._moments.doubtful
        self._moments.look(event, arrived)
        if self._moments.doubtful and self.lost is not None:  # nobody can be asked any more
            self._moments.unanswered()
        if self._moments.doubtful:
            if not doubtful:
                self._doubted = len(self._queue)
                self.send(self._time_please)
                self._loop.call_later(DOUBT, self._believe)
            return event  # until the PBX has told its time
        return self._moments.placed(event)

    def _believe(self) -> None:
        """What the PBX said of its time counts from the event on that was doubted."""
        if self._doubted is not None:
            self._moments.unanswered()
            self._queue[self._doubted :] = [self._moments.placed(event) for event in self._queue[self._doubted :]]
            self._doubted = None
            self._arrived.set()

    def _answer(self, message: Message) -> None:
        """An answer that nobody waits for any more (its action timed out) is dropped."""
        if message["Ping"] and (told := moment(message.headers, 0.0)):
            self._moments.asked(told)
            self._believe()
        waiting = self.answers.get(message.action_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _wonder(self, message: Message) -> None:
        """The rest of an event that was cut in two: Asterisk passes on line breaks in a caller's number as they came."""
        self._strange += 1
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + QUIET
            log.warning(
                "AMI message is neither event nor answer: is there a caller with line breaks in his number?",
                pbx=self._where,
                headers=[name[:40] for name, _ in message.pairs[:5]],
                so_far=self._strange,
            )

    def _tell_watchers(self, frame: bytes) -> None:
        for watcher in tuple(self.watchers):
            if watcher.needle in frame:
                message = parse(frame, self._fallback)
                if message[watcher.header] == watcher.value:
                    watcher.take(message, len(frame))

    def _watch_silence(self) -> None:
        limit = self._limits.keep_alive
        quiet = self._loop.time() - self._heard
        if quiet < limit:
            self._timer = self._loop.call_later(limit - quiet, self._watch_silence)
        elif self._pinged:
            told = {"address": self._where, "seconds": f"{quiet:.0f}"}
            self.drop(ConnectionLost(Reason("{address} has been silent for {seconds} s, even after a Ping", told)))
        else:
            self._pinged = True
            self._timer = self._loop.call_later(limit, self._watch_silence)
            self.send(self._ping)
