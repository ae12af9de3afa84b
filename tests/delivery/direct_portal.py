"""The pretend portal without the wire: the sender's requests go straight to its dispatcher, with faults on demand.

What the portal does with a request is the sandbox's own; what is replaced is only the transport.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perezvon.bitrix24.answers import Answer, read_answer, read_batch
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import Ambiguous, PortalError
from perezvon.bitrix24.limits import Bucket
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.config import ALL_SCOPES, PortalConfig
from perezvon.sandbox.portal.dispatch import Dispatcher
from perezvon.sandbox.portal.php import encode
from perezvon.sandbox.portal.registry import Caller
from perezvon.sandbox.portal.server import PortalServer

Fault = Callable[[], PortalError]


def KILL() -> PortalError:  # noqa: N802
    raise AssertionError("nobody is there to be told")


class DirectPortal:
    """`before` and `after`: errors for the next requests, raised without and with the work done; None lets one pass, KILL
    holds it for ever and sets `killed`. `inside`: the same for single commands, which are then not done. `holes`: whether
    a batch's answer leaves out the next command, which is done.

    `hold`: when set, requests wait for it after their work. `requests`: what came, as lists of (method, parameters).
    """

    def __init__(self, **config: Any) -> None:
        plain: dict[str, Any] = {"rate": None, "operating": None, "one_card_per_user": False}
        self.server = PortalServer(PortalConfig(**(plain | config)))
        self.state = self.server.state
        self.dispatcher = Dispatcher(self.state)
        self.bucket = Bucket(10_000, 100_000)
        self.before: deque[Fault | None] = deque()
        self.after: deque[Fault | None] = deque()
        self.inside: deque[Fault | None] = deque()
        self.holes: deque[bool] = deque()
        self.killed = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.requests: list[list[tuple[str, Mapping[str, Any]]]] = []
        app = self.server.app
        self.caller = Caller(1, "oauth", ALL_SCOPES, app.client_id, app.id, app.name, rest_url="http://portal/rest/")

    async def call(self, method: str, params: Mapping[str, Any]) -> Answer:
        told = read_answer(await self._ask(method, dict(params), [(method, params)]), 200, "application/json", method)
        if isinstance(told, PortalError):
            raise told
        return told

    async def batch(self, commands: Sequence[Command]) -> list[Answer | PortalError]:
        faults = {command.key: fault() for command in commands if self.inside and (fault := self.inside.popleft())}
        values = {"halt": 0, "cmd": {command.key: str(command) for command in commands if command.key not in faults}}
        body = await self._ask("batch", values, [(command.method, command.params) for command in commands])
        told = read_answer(body, 200, "application/json", "batch")
        if isinstance(told, PortalError):
            raise told
        read = read_batch(told, commands, halt=False)
        told = [faults.get(command.key, outcome) for command, outcome in zip(commands, read, strict=True)]
        return [Ambiguous("a hole in the answer") if self.holes and self.holes.popleft() else one for one in told]

    async def upload(self, url: str, field: str, filename: str, content: bytes | Path) -> Answer:
        raise AssertionError("uploads need the portal's server")

    async def _ask(self, method: str, values: dict[str, Any], commands: list[tuple[str, Mapping[str, Any]]]) -> bytes:
        self.bucket.take()
        self.requests.append(commands)
        self.arrived.set()
        fault = self.before.popleft() if self.before else None
        if fault is not None:
            raise await self._struck(fault)
        # As over the wire: JSON, and the portal's work begins a moment later.
        values = json.loads(json.dumps(values))
        await asyncio.sleep(0)
        entry = self.state.journal.open(self.state.now(), self.state.monotonic(), method, values, "test", "127.0.0.1")
        answer = await self.dispatcher.call(method, values, self.caller, entry)
        fault = self.after.popleft() if self.after else None
        if self.hold is not None:
            await self.hold.wait()
        if fault is not None:
            raise await self._struck(fault)
        return encode(answer.body())

    async def _struck(self, fault: Fault) -> PortalError:
        if fault is KILL:
            self.killed.set()
            await asyncio.Event().wait()
        return fault()

    # ---- what tests ask

    def calls(self) -> list[PortalCall]:
        return self.state.calls()

    @property
    def statistics(self) -> list[dict[str, Any]]:
        return self.state.book.statistics

    def commands(self) -> list[str]:
        """Names of all commands that came, in order, without their common beginning."""
        return [method.rpartition(".")[2] for request in self.requests for method, _ in request]

    def executed(self) -> Counter[str]:
        """How often each method was run without an error."""
        return Counter(entry.method.rpartition(".")[2] for entry in self.state.journal if not entry.error)

    def visible(self) -> set[tuple[str, int]]:
        """(CALL_ID, user) of the cards that are up."""
        return {(call.id, user) for call in self.calls() for user in call.visible_to()}
