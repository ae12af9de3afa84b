"""One Asterisk of the sandbox: its process, its AMI, the channels it has now, and waiting for what happens there.

Nobody polls: whoever waits gives a predicate over the channels, which is tried after each batch of events.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from perezvon.asterisk import ActionRefused, AmiAddress, AmiError, CannotConnect, ConnectionLost, Message, Session
from perezvon.calls import Event
from perezvon.sandbox.pbx.errors import AsteriskDied, NotInTime, SandboxError
from perezvon.sandbox.pbx.layout import AMI_SECRET, WATCH_USER
from perezvon.sandbox.pbx.loopback import AMI_PORT
from perezvon.sandbox.pbx.process import AsteriskProcess
from perezvon.sandbox.pbx.rootfs import Installation

START_SECONDS = 20.0
WITHIN = 10.0
"""Seconds that one waits by default for something to happen."""

UP = "Up"
TOLD = ("channel", "channelstatedesc", "exten", "calleridnum", "cause", "destchannel", "dialstring", "aor", "contactstatus")
"""What of an event is shown in error messages."""


@dataclass(slots=True)
class Channel:
    """A channel as told by the events so far. Times are POSIX seconds, by the clock of that Asterisk. `rings`: somebody of
    the world is called by it, and may pick up."""

    uniqueid: str
    name: str
    linkedid: str
    caller: str
    caller_name: str
    context: str
    exten: str
    created: float
    state: str = "Down"
    rings: bool = False
    answered: float | None = None
    ended: float | None = None
    cause: int = 0
    held: bool = False
    bridge: str | None = None
    call_id: str | None = field(default=None, compare=False)

    @property
    def endpoint(self) -> str:
        """`PJSIP/desk-101-0000002a` -> `desk-101`."""
        return self.name.partition("/")[2].rpartition("-")[0]


class Switch:
    """`host`: where its AMI listens. `on_new` is called with every channel that appears."""

    def __init__(self, name: str, host: str, installation: Installation, folder: Path) -> None:
        self.name = name
        self.host = host
        self.folder = folder
        self.channels: dict[str, Channel] = {}
        self.registered: set[str] = set()
        self.on_new: Callable[[Channel], None] | None = None
        self._installation = installation
        self._process: AsteriskProcess | None = None
        self._session: Session | None = None
        self._follower: asyncio.Task[None] | None = None
        self._waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._last: deque[Event] = deque(maxlen=30)
        self._failure: SandboxError | None = None

    # ---- life

    async def start(self) -> None:
        """Returns when it is fully booted. Raises AsteriskDied."""
        self._failure = None
        self.channels.clear()
        self.registered.clear()
        self._process = await AsteriskProcess.start(self.name, self._installation, self.folder)
        try:
            self._session = await self._open(self._process)
            self.registered |= await _contacts(self._session)
        except BaseException:
            await self._process.kill()
            raise
        self._follower = asyncio.create_task(self._follow(self._session, self._process), name=f"sandbox-{self.name}")

    async def _open(self, process: AsteriskProcess) -> Session:
        address = AmiAddress(self.host, AMI_PORT, WATCH_USER, AMI_SECRET)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return await Session.open(address, wanted=None)
            except CannotConnect:  # it does not listen yet
                if not process.running:
                    raise process.death() from None
                if time.monotonic() > deadline:
                    raise AsteriskDied(
                        f"the {self.name} Asterisk did not open its AMI port within {START_SECONDS:g} s. "
                        f"The end of its log:\n{process.log_tail()}"
                    ) from None
                await asyncio.sleep(0.02)
            except AmiError as error:
                raise AsteriskDied(f"the {self.name} Asterisk: {error}. Its log:\n{process.log_tail()}") from error

    async def stop(self) -> None:
        """Hangs up everything and ends the process. May be called twice."""
        process = self._process
        if self._session is not None:
            await self._session.close()
        if process is not None:
            await process.stop()
        await self._leave()

    async def crash(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            await self._process.kill()
        await self._leave()

    async def _leave(self) -> None:
        self._fail(SandboxError(f"the {self.name} Asterisk was stopped"))
        if self._session is not None:
            await self._session.close()
        if self._follower is not None:
            await self._follower
        self._session = self._process = self._follower = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    # ---- asking

    @property
    def session(self) -> Session:
        """Its AMI, with all rights. Raises AsteriskDied, or SandboxError when it is stopped."""
        if self._failure is not None or self._session is None:
            raise self._failure or SandboxError(f"the {self.name} Asterisk is not running")
        return self._session

    async def ask(self, action: str, *headers: tuple[str, str]) -> Message:
        return await self.session.action(action, headers)

    async def variable(self, channel: Channel, name: str) -> str:
        """A channel variable or a dialplan function; empty when the channel is gone."""
        try:
            return (await self.ask("Getvar", ("Channel", channel.name), ("Variable", name)))["Value"]
        except AmiError:
            return ""

    async def call_id(self, channel: Channel, within: float = WITHIN) -> str:
        """The Call-ID of its SIP dialog; empty when the channel was gone before it could be asked."""
        deadline = time.monotonic() + within
        while channel.call_id is None and channel.ended is None:
            if call_id := await self.variable(channel, "CHANNEL(pjsip,call-id)"):
                channel.call_id = call_id
            elif time.monotonic() > deadline:
                raise NotInTime(f"{channel.name} has no Call-ID within {within} s. {self.tell()}")
            else:  # a channel is announced a moment before it gets its dialog
                await asyncio.sleep(0.02)
        return channel.call_id or ""

    async def command(self, line: str) -> list[str]:
        """What the command line (`asterisk -rx`) would print."""
        return (await self.ask("Command", ("Command", line))).all("Output")

    async def recount(self) -> None:
        """Forgets channels whose end was not told: a caller can cut an event in two by line breaks in his number."""
        there = {entry["Uniqueid"] for entry in await self.session.collect("CoreShowChannels")}
        for uniqueid in self.channels.keys() - there:
            del self.channels[uniqueid]

    async def until(self, happened: Callable[[], bool], what: str, within: float | None = WITHIN) -> None:
        """Returns as soon as `happened()` is true. Raises NotInTime (never, with `within=None`), AsteriskDied."""
        if happened():
            return
        if self._failure is not None:
            raise self._failure
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = happened
        try:
            async with asyncio.timeout(within):
                await waiter
        except TimeoutError:
            raise NotInTime(f"{what}: not within {within} s. {self.tell()}") from None
        finally:
            self._waiters.pop(waiter, None)

    async def failure(self) -> NoReturn:
        """Waits until it has died, and raises AsteriskDied (or SandboxError when it was stopped)."""
        await self.until(lambda: False, "", None)
        raise AssertionError("unreachable")

    async def silence(self, within: float = WITHIN) -> None:
        """Returns when it has no channel left."""
        await self.until(lambda: not self.channels, f"the {self.name} has no more calls", within)

    def tell(self) -> str:
        """What is going on: for error messages."""
        lines = [f"Channels of the {self.name} now:"]
        lines += [f"  {c.name} {c.state} bridge={c.bridge} {c.caller} -> {c.exten}" for c in self.channels.values()]
        lines.append("The last events there:")
        for event in self._last:
            lines.append(f"  {event.name} " + " ".join(f"{key}={event[key]}" for key in TOLD if event[key]))
        return "\n".join(lines)

    # ---- following

    async def _follow(self, session: Session, process: AsteriskProcess) -> None:
        try:
            async for events in session.events():
                for event in events:
                    self._last.append(event)
                    self._apply(event)
                self._wake()
        except ConnectionLost as error:
            await asyncio.wait([process.ended], timeout=2)
            if process.running:
                self._fail(SandboxError(f"lost the AMI connection to the {self.name}: {error}"))
            else:
                self._fail(process.death())

    def _wake(self) -> None:
        for waiter, happened in list(self._waiters.items()):
            if waiter.done():
                continue
            try:
                if happened():
                    waiter.set_result(None)
            except Exception as error:  # it belongs to the one who waits
                waiter.set_exception(error)

    def _fail(self, error: SandboxError) -> None:
        self._failure = self._failure or error
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._failure)

    def _apply(self, event: Event) -> None:
        if event.name == "ContactStatus":
            self._apply_contact(event)
            return
        uniqueid = event["uniqueid"]
        if event.name == "Newchannel":
            channel = Channel(
                uniqueid=uniqueid,
                name=event["channel"],
                linkedid=event["linkedid"],
                caller=event["calleridnum"],
                caller_name=event["calleridname"],
                context=event["context"],
                exten=event["exten"],
                created=event.at,
                state=event["channelstatedesc"],
            )
            self.channels[uniqueid] = channel
            if self.on_new is not None:
                self.on_new(channel)
            return
        channel = self.channels.get(uniqueid)
        if channel is None:
            return
        channel.name = event["channel"] or channel.name
        match event.name:
            case "Newstate":
                channel.state = event["channelstatedesc"]
                if channel.state == UP and channel.answered is None:
                    channel.answered = event.at
            case "UserEvent":
                channel.rings = channel.rings or event["userevent"] == "Rings"
            case "BridgeEnter":
                channel.bridge = event["bridgeuniqueid"]
            case "BridgeLeave":
                channel.bridge = None
            case "Hold" | "Unhold":
                channel.held = event.name == "Hold"
            case "Hangup":
                channel.ended = event.at
                channel.bridge = None
                channel.cause = int(event["cause"] or 0)
                del self.channels[uniqueid]
            case _:
                pass

    def _apply_contact(self, event: Event) -> None:
        if event["contactstatus"] == "Removed":
            self.registered.discard(event["aor"])
        else:
            self.registered.add(event["aor"])

    def together(self, channel: Channel) -> Iterable[Channel]:
        """The channels that are in one bridge with this one, without it."""
        return [
            other
            for other in self.channels.values()
            if channel.bridge is not None and other.bridge == channel.bridge and other is not channel
        ]


async def _contacts(session: Session) -> set[str]:
    """The AORs that have a contact: those who were registered before Asterisk was restarted."""
    try:
        contacts = await session.collect("PJSIPShowContacts")
    except ActionRefused:  # that is how it says that there are none
        return set()
    return {contact["Aor"] or contact["ObjectName"].partition(";")[0] for contact in contacts}
