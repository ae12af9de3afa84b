"""The FastAGI server: the dialplan asks, a script answers in short, and no caller waits for us longer than a deadline.

A script that hangs, a loop that lags and a peer that says nothing all end in the same way: the socket is closed, and the
dialplan goes on at its next priority (it never looks at AGISTATUS, only at variables that a finished script has set). When
the whole process hangs, Asterisk's own guards must act: AGIEXITONHANGUP and TIMEOUT(absolute).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import structlog

from perezvon.asterisk.agi_watchdog import Watchdog
from perezvon.asterisk.agi_wire import (
    AgiBroken,
    AgiError,
    AgiRefused,
    AgiSilent,
    Answer,
    ChannelGone,
    Wire,
    application_argument,
    command_line,
)

T = TypeVar("T")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PLAIN = re.compile(r"[A-Za-z0-9_.+*#:/-]*")
"""What means nothing to the application MSet."""
MOST_PAIRS = 24
"""Values of one MSet: Asterisk takes no more."""
LONGEST_PAIRS = 1800
"""Bytes of them: a command has a cap (LINE_CAP)."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `greeting`: until a peer has said who calls. `answer`: for a command that Asterisk does at once.
    `thinking`: for which a script may keep a caller waiting between two commands. `lag`: for which the event loop may
    stand still before a watchdog ends the calls that wait for it."""

    greeting: float = 1.5
    answer: float = 3.0
    thinking: float = 1.8
    lag: float = 1.5


class AgiCall:
    """A call whose dialplan waits for our script. `environment` has Asterisk's names without `agi_`: `channel`, `uniqueid`,
    `callerid`, `dnid`, `extension`, `context`…; `pbx` and `script` are the two parts of the URL's path.

    Every method raises ChannelGone, AgiRefused, AgiSilent, AgiBroken, Unsendable.
    """

    def __init__(self, wire: Wire, environment: Mapping[str, str], patience: Patience) -> None:
        self.environment = environment
        pbx, _, script = environment.get("network_script", "").strip("/").rpartition("/")
        self.pbx, self.script = pbx, script
        numbers = range(1, len(environment) + 1)
        self.args = tuple(environment[f"arg_{n}"] for n in numbers if f"arg_{n}" in environment)
        self._wire = wire
        self._patience = patience

    def may_think(self, seconds: float) -> None:
        """From now on the script may keep the caller waiting for so long between two commands."""
        self._wire.thinking = seconds

    async def get(self, name: str) -> str:
        """A channel variable or a dialplan function; empty when there is none."""
        return (await self._ask("GET VARIABLE", name)).value

    async def set(self, name: str, value: str) -> None:
        """A channel variable or a dialplan function."""
        if (await self._ask("SET VARIABLE", name, value)).result == "-1":
            await self._ask("CHANNEL STATUS")  # the channel is gone, or it failed
            raise AgiRefused(200, "SET VARIABLE", "it failed")

    async def end(self, values: Mapping[str, str], event: str = "", **headers: str) -> None:
        """Tells an event (UserEvent), sets variables in this order, and the dialplan goes on: at once, however busy we are.
        Nothing may follow."""
        told = [_user_event(event, headers)] if event else []
        commands = [*told, *_setting(values)]
        asking = self._wire.ask_last([command_line(*command) for command in commands])
        answers = await self._within(self._patience.answer, "the last commands", asking)
        for command, answer in zip(commands, answers, strict=True):
            if command[0] == "EXEC" and answer.result == "-2":
                raise AgiRefused(200, command[0], f"there is no application {command[1]}: load its module")

    async def _ask(self, *words: str) -> Answer:
        return await self._within(self._patience.answer, words[0], self._wire.ask(command_line(*words)))

    async def _within(self, seconds: float, what: str, asking: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except TimeoutError:
            self._wire.close()
            raise AgiSilent(f"Asterisk did not answer {what} within {seconds:g} s") from None
        except AgiBroken:
            self._wire.close()
            raise


def _user_event(name: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    body = (f"{key}: {application_argument(value)}" for key, value in headers.items())
    return "EXEC", "UserEvent", ",".join((name, *body))


def _setting(values: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The commands that set these variables, in this order, as few as may be."""
    commands: list[tuple[str, ...]] = []
    together: list[str] = []
    for name, value in values.items():
        pair = f"{name}={value}"
        plain = _PLAIN.fullmatch(value) is not None
        if together and (not plain or len(together) == MOST_PAIRS or len(",".join((*together, pair))) > LONGEST_PAIRS):
            commands.append(("EXEC", "MSet", ",".join(together)))
            together = []
        if plain:
            together.append(pair)
        else:
            commands.append(("SET VARIABLE", name, value))
    return [*commands, ("EXEC", "MSet", ",".join(together))] if together else commands


Handler = Callable[[AgiCall], Awaitable[None]]


class AgiServer:
    """`handlers`: by the script's name. `allow`: who may ask. `most`: how many calls are served at the same time; whoever
    comes then is sent on at once."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        allow: Iterable[Network | str] = ("127.0.0.0/8", "::1/128"),
        *,
        most: int = 500,
        patience: Patience | None = None,
    ) -> None:
        self._handlers = dict(handlers)
        self._allow = tuple(ipaddress.ip_network(network) for network in allow)
        self._most = most
        self._patience = patience or Patience()
        self._calls: dict[Wire, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._watchdog: Watchdog | None = None

    async def start(self, host: str, port: int) -> None:
        """Listens; port 0 takes any. Raises OSError."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=256)
        listener.setblocking(False)
        self._server = await loop.create_server(lambda: Wire(self._arrived, self._patience.thinking), sock=listener)
        self._watchdog = Watchdog(loop, listener, self._waiting, self._patience.lag)
        self._watchdog.start()
        log.info("agi listens", host=host, port=self.port)

    async def close(self) -> None:
        """Callers who are with us go on in the dialplan at once. May be called twice."""
        if self._server is None or self._watchdog is None:
            return
        self._server.close()
        await asyncio.to_thread(self._watchdog.stop)
        tasks = list(self._calls.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = self._watchdog = None

    @property
    def port(self) -> int:
        assert self._server is not None, "not started"
        return self._server.sockets[0].getsockname()[1]

    @property
    def calls(self) -> int:
        """Connections now."""
        return len(self._calls)

    def _waiting(self) -> list[tuple[Wire, asyncio.Task[None]]]:
        """Called by the watchdog's thread."""
        return list(self._calls.items())

    def _arrived(self, wire: Wire) -> None:
        assert wire.transport is not None
        peer = str((wire.transport.get_extra_info("peername") or ("?",))[0])
        if not self._allowed(peer):
            log.warning("agi request refused", peer=peer, reason="not among the addresses that may ask (agi.allow)")
            wire.transport.abort()
        elif len(self._calls) >= self._most:
            log.warning("agi request refused", peer=peer, reason=f"{self._most} calls are being served already")
            wire.transport.abort()
        else:
            task = asyncio.get_running_loop().create_task(self._serve(wire, peer), name=f"agi-{peer}")
            self._calls[wire] = task
            task.add_done_callback(lambda _: self._calls.pop(wire, None))

    def _allowed(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._allow)

    async def _serve(self, wire: Wire, peer: str) -> None:
        """One line in the log for each request, whatever comes of it."""
        begun = time.monotonic()
        about: dict[str, object] = {"peer": peer}
        outcome, trouble = "failed", ""
        try:
            call = await self._greet(wire)
            environment = call.environment
            about |= {"pbx": call.pbx, "script": call.script, "channel": environment.get("channel", "")}
            about["uniqueid"] = environment.get("uniqueid", "")
            handler = self._handlers.get(call.script)
            if handler is None:
                raise AgiBroken(f"there is no script {call.script!r}: look at the address in the dialplan")
            await handler(call)
            outcome = "done"
        except ChannelGone:
            outcome = "hung up"
        except AgiError as error:
            trouble = str(error)
        except asyncio.CancelledError:
            if not wire.cut:
                outcome = "ended by us"
                raise
        except Exception:
            trouble = "a defect in the script"
            log.exception("agi script broke", **about)
        finally:
            wire.close()
            about |= {"outcome": outcome, "seconds": round(time.monotonic() - begun, 3)}
            if trouble := wire.cut or trouble:
                log.warning("agi request", **about, trouble=trouble)
            else:
                log.info("agi request", **about)

    async def _greet(self, wire: Wire) -> AgiCall:
        try:
            async with asyncio.timeout(self._patience.greeting):
                environment = await wire.environment()
        except TimeoutError:
            raise AgiSilent(f"no AGI environment within {self._patience.greeting:g} s") from None
        wire.ours_since = time.monotonic()
        return AgiCall(wire, environment, self._patience)
