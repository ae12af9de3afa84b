"""One logged-in AMI connection: actions and answers, lists, events. It does not reconnect (see `supervisor`)."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Set
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from perezvon.asterisk.address import AmiAddress
from perezvon.asterisk.connection import Connection, Limits, Taker, Watcher
from perezvon.asterisk.errors import (
    NO_REASON,
    ActionRefused,
    ActionTimeout,
    CannotConnect,
    ConnectionLost,
    LoginRefused,
    NotBooted,
    ProtocolBroken,
)
from perezvon.asterisk.message import Headers, Message, encode
from perezvon.asterisk.wire import Sieve
from perezvon.calls import Event
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES
from perezvon.rules.vocabulary import Reason

T = TypeVar("T")

LIST_BYTES = 64 * 1024 * 1024
_GRANTED = frozenset({"success", "follows", "pong", "goodbye"})


class Session:
    """`async with await Session.open(address) as session: …`; leaving the block closes the connection.

    `protocol` is what the greeting says ("11.0.0"): the version of AMI, not of Asterisk.
    """

    def __init__(self, address: AmiAddress, connection: Connection, prefix: str) -> None:
        """Use `open`."""
        self.address = address
        self.protocol = ""
        self._connection = connection
        self._prefix = prefix
        self._number = 0
        self._closing = False

    # ---- opening and closing

    @classmethod
    async def open(
        cls,
        address: AmiAddress,
        *,
        wanted: Set[str] | None = WANTED,
        variables: Set[str] | None = WANTED_VARIABLES,
        fallback: str = "cp1251",
        timeout: float = 10.0,
        boot_timeout: float | None = 60.0,
        limits: Limits | None = None,
        raw_tap: Callable[[bytes], None] | None = None,
    ) -> Self:
        """Connects, logs in and waits for `FullyBooted`.

        `wanted`: names of the events that `events()` gives, None for all; `variables`: the `VarSet` events that are wanted,
        None for all (always all when `wanted` is None). `fallback`: the encoding of what is not UTF-8.
        `timeout`: seconds for connecting and logging in. `boot_timeout`: seconds after the login in which Asterisk must say
        that it is fully booted; None does not wait (call `wait_for_boot`). `raw_tap` is given the messages as they came,
        blank lines included.
        Raises CannotConnect, LoginRefused, NotBooted, ConnectionLost.
        """
        prefix = f"perezvon-{secrets.token_hex(4)}-"
        sieve = Sieve(wanted, None if wanted is None else variables, fallback=fallback)
        connection = Connection(str(address), sieve, limits or Limits(), fallback=fallback, prefix=prefix)
        connection.raw_tap = raw_tap
        session = cls(address, connection, prefix)
        try:
            await session._begin(timeout)
            if boot_timeout is not None:
                await session.wait_for_boot(boot_timeout)
        except BaseException:
            await connection.close()
            raise
        return session

    async def _begin(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._connect()
                self.protocol = await self._connection.result(self._connection.greeting)
                await self._log_in()
        except TimeoutError:
            raise CannotConnect(
                Reason(
                    "{address} did not complete the login within {seconds} s: is this the AMI port, and is there a "
                    "firewall between?",
                    {"address": str(self.address), "seconds": f"{timeout:g}"},
                )
            ) from None

    async def _connect(self) -> None:
        address = self.address
        try:
            context = address.ssl_context()
        except OSError as error:
            raise CannotConnect(
                Reason(
                    "the certificates of {file} (for {address}) cannot be read: {why}",
                    {"file": repr(address.ca_file), "address": str(address), "why": str(error)},
                )
            ) from error
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self._connection,
                address.host,
                address.port,
                ssl=context,
                server_hostname=address.host if context else None,
            )
        except ssl.SSLError as error:
            raise CannotConnect(
                Reason(
                    "TLS with {address} failed: {why}. A self-made certificate needs ?ca=FILE in the address (or "
                    "?verify=no, which trusts anybody)",
                    {"address": str(address), "why": str(error)},
                )
            ) from error
        except OSError as error:
            raise CannotConnect(
                Reason(
                    "cannot connect to {address}: {why}. Is Asterisk running, and AMI switched on (manager.conf: enabled, "
                    "bindaddr, port)?",
                    {"address": str(address), "why": error.strerror or str(error)},
                )
            ) from error

    async def _log_in(self) -> None:
        address = self.address
        answer = await self._ask("Challenge", [("AuthType", "MD5")])
        if challenge := answer["Challenge"]:
            key = hashlib.md5((challenge + address.secret).encode(), usedforsecurity=False).hexdigest()
            login = [("AuthType", "MD5"), ("Username", address.user), ("Key", key)]
        else:
            login = [("Username", address.user), ("Secret", address.secret)]
        try:
            answer = await self._ask("Login", [*login, ("Events", "on")])
        except ConnectionLost as error:
            told = {"user": repr(address.user), "why": error.why}
            raise LoginRefused(Reason("the connection ended during the login as {user}: {why}", told)) from error
        if answer["Response"].lower() != "success":
            raise LoginRefused(
                Reason(
                    "{address} refused the login: {why}. Compare user and secret with manager.conf, and its permit= lines "
                    "with the address that we come from",
                    {"address": str(address), "why": answer["Message"] or NO_REASON},
                )
            )

    async def wait_for_boot(self, boot_timeout: float) -> None:
        """Until Asterisk says `FullyBooted`, at most so many seconds. Raises NotBooted, ConnectionLost."""
        try:
            async with asyncio.timeout(boot_timeout):
                await self._connection.result(self._connection.booted)
        except TimeoutError:
            raise NotBooted(
                Reason(
                    "logged in at {address}, but Asterisk did not say FullyBooted within {seconds} s: it is still loading, "
                    "or the user {user} lacks `system` in its `read =` line of manager.conf",
                    {
                        "address": str(self.address),
                        "seconds": f"{boot_timeout:g}",
                        "user": repr(self.address.user),
                    },
                )
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Logs off and closes: `events()` ends, actions under way raise ConnectionLost. May be called twice."""
        self._closing = True
        if self._connection.lost is None:
            self._connection.send(encode("Logoff"))
        await self._connection.close()

    # ---- state

    @property
    def lost(self) -> ConnectionLost | None:
        """Why the connection is gone, or None while it lives."""
        return self._connection.lost

    @property
    def seen(self) -> int:
        """Messages received."""
        return self._connection.seen

    @property
    def taken(self) -> int:
        """Wanted events received."""
        return self._connection.taken

    @property
    def received(self) -> int:
        """Bytes received."""
        return self._connection.received

    @property
    def raw_tap(self) -> Callable[[bytes], None] | None:
        """Set it at any time to record the raw messages; a tap that raises is taken off, with a line in the log."""
        return self._connection.raw_tap

    @raw_tap.setter
    def raw_tap(self, tap: Callable[[bytes], None] | None) -> None:
        self._connection.raw_tap = tap

    # ---- events

    async def events(self) -> AsyncIterator[list[Event]]:
        """Everything that has arrived, a list at a time; for one consumer.

        Ends after `close()`. Raises ConnectionLost when the connection is lost otherwise, after the last events that came;
        Overflow at once.
        """
        while True:
            try:
                batch = await self._connection.events()
            except ConnectionLost:
                if self._closing:
                    return
                raise
            yield batch

    # ---- actions

    async def action(self, name: str, headers: Headers = (), *, timeout: float = 10.0, action_id: str = "") -> Message:
        """Sends the action, once, and returns its answer: a `Response` that is not an error.

        `action_id`: one of `new_action_id()`, for use with `watch`. Raises ActionRefused, InjectionRefused; ActionTimeout
        and ConnectionLost, after which it may have been done all the same.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._granted(name, headers, action_id or self.new_action_id())
        except TimeoutError:
            told = {"address": str(self.address), "action": name, "seconds": f"{timeout:g}"}
            raise ActionTimeout(Reason("{address} did not answer the action {action} within {seconds} s", told)) from None

    async def collect(self, name: str, headers: Headers = (), *, timeout: float = 30.0) -> list[Message]:
        """The events with which Asterisk answers a list action, without the one that tells that the list is complete.

        `timeout`: seconds for the whole list. Raises what `action` raises.
        """
        action_id = self.new_action_id()
        entries: list[Message] = []
        complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        size = 0

        def take(message: Message, length: int) -> None:
            nonlocal size
            size += length
            if complete.done():
                return
            if size > LIST_BYTES:
                self._connection.drop(ProtocolBroken(f"the list {name} of {self.address} has more than {LIST_BYTES} bytes"))
            elif message["EventList"].lower() in {"complete", "cancelled"} or message["Event"].endswith("Complete"):
                complete.set_result(None)
            else:
                entries.append(message)

        with self.watch("ActionID", action_id, take):
            try:
                async with asyncio.timeout(timeout):
                    await self._granted(name, headers, action_id)
                    await self._connection.result(complete)
            except TimeoutError:
                told = {"address": str(self.address), "action": name, "seconds": f"{timeout:g}"}
                raise ActionTimeout(
                    Reason("{address} did not complete the list {action} within {seconds} s", told)
                ) from None
        return entries

    @contextmanager
    def watch(self, header: str, value: str, take: Taker) -> Generator[None]:
        """While inside, `take(message, bytes on the wire)` is called with every event (wanted or not) with `header: value`.

        `header` is spelled as Asterisk does. `take` is called while bytes are being read: it only notes things down.
        """
        watcher = Watcher.of(header, value, take)
        self._connection.watchers.add(watcher)
        try:
            yield
        finally:
            self._connection.watchers.discard(watcher)

    async def result(self, future: asyncio.Future[T]) -> T:
        """Awaits a future that a `watch` will resolve; raises ConnectionLost when the connection goes first."""
        return await self._connection.result(future)

    def new_action_id(self) -> str:
        self._number += 1
        return f"{self._prefix}{self._number}"

    async def _granted(self, name: str, headers: Headers, action_id: str) -> Message:
        answer = await self._ask(name, headers, action_id)
        if answer["Response"].lower() not in _GRANTED:
            raise ActionRefused(name, answer["Message"])
        return answer

    async def _ask(self, name: str, headers: Headers, action_id: str = "") -> Message:
        action_id = action_id or self.new_action_id()
        data = encode(name, headers, action_id=action_id)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._connection.answers[action_id] = answer
        try:
            self._connection.send(data)
            return await self._connection.result(answer)
        finally:
            del self._connection.answers[action_id]
