"""`perezvon serve` as a process of its own, as systemd would run it: started, asked for its status, stopped, killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import aiohttp

from perezvon.settings.load import merged, parse
from perezvon.settings.place import database_place
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage.database import Database

Json = Any


class Running(Protocol):
    """What is needed of asyncio.subprocess.Process."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def send_signal(self, signal: int) -> None: ...

    def kill(self) -> None: ...

    async def wait(self) -> int: ...


Starter = Callable[[Sequence[str], Mapping[str, str], Path], Awaitable[Running]]
"""Starts `perezvon` with these arguments, this environment, a session of its own; what it says is added to the file."""

START = 30.0
STOP = 20.0
GLANCE = 0.05


class ServiceTrouble(Exception):
    """The service did not do what it should have; the message ends with the last lines of its log."""


class ServiceProcess:
    """`data_dir` keeps over restarts; the log of all runs is in `data_dir/service.log`. `first`: Python that it runs before
    anything else, to shorten what lasts too long for a test. `starter`: another way to start it (without `first`)."""

    starter: ClassVar[Starter | None] = None

    def __init__(self, data_dir: Path, *, environment: Mapping[str, str] | None = None, first: str = "") -> None:
        self.data_dir = data_dir
        self.log = data_dir / "service.log"
        self.bind = f"127.0.0.1:{_free_port()}"
        self._own_environment = bool(environment)
        self._environment = {**os.environ, **(environment or {})}
        self._command = (sys.executable, "-c", f"{first}\nfrom perezvon.cli import main\nmain()")
        self._first = bool(first)
        self._process: Running | None = None

    @property
    def url(self) -> str:
        return f"http://{self.bind}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    async def configure(self, toml: str) -> None:
        """What `perezvon config apply` saves, without a process of its own: its start takes longer than all the rest. Where
        it does more (another database, fields of the portal's CRM) it is asked. Raises SettingsError, ServiceTrouble."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        file = self.data_dir / "settings.toml"
        file.write_text(toml, encoding="utf-8")
        named = parse(toml, file.name)
        if self._own_environment or "database" in named or "crm" in named:
            await self.command("config", "apply", str(file), "--data-dir", str(self.data_dir))
            return
        box = SecretBox.open(self.data_dir)
        async with await Database.open(database_place(self.data_dir, box), own=False) as database:
            store = SettingsStore(database, box)
            current = (await store.load()).settings
            await store.apply(merged(current, named, text=toml, source=file.name), "sandbox", "configure")

    async def command(self, *arguments: str) -> str:
        """Runs a command of ours and returns what it prints. Raises ServiceTrouble when it fails."""
        process = await asyncio.create_subprocess_exec(
            *self._command, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment
        )
        out, err = await process.communicate()
        if process.returncode:
            raise ServiceTrouble(
                f"perezvon {' '.join(arguments)} ended with {process.returncode}: {err.decode()}{out.decode()}"
            )
        return out.decode()

    async def start(self) -> None:
        """Returns when it answers on its port. Raises ServiceTrouble."""
        arguments = ("serve", "--data-dir", str(self.data_dir), "--bind", self.bind)
        start = self._from_anew if self._first or ServiceProcess.starter is None else ServiceProcess.starter
        self._process = await start(arguments, self._environment, self.log)
        await self.until(lambda _: True, "answers", START)

    async def _from_anew(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
        with log.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *self._command, *arguments,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True,
            )  # fmt: skip

    async def stop(self) -> int:
        """SIGTERM, and its exit code. Raises ServiceTrouble when it does not end in time."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL: it cannot prepare for that."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with asyncio.timeout(STOP):
                return await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ServiceTrouble(f"the service did not end within {STOP:g} s of {how.name}\n{self.tail()}") from None

    async def status(self) -> dict[str, Json]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/status") as answer:
            return await answer.json()

    async def until(self, happened: Callable[[dict[str, Json]], bool], what: str, within: float = START) -> dict[str, Json]:
        """Looks at /status until `happened`. Raises ServiceTrouble when the service ends or the time is over."""
        try:
            async with asyncio.timeout(within):
                while True:
                    if self._process is not None and self._process.returncode is not None:
                        raise ServiceTrouble(f"the service ended with {self._process.returncode}\n{self.tail()}")
                    with contextlib.suppress(aiohttp.ClientError):
                        status = await self.status()
                        if happened(status):
                            return status
                    await asyncio.sleep(GLANCE)
        except TimeoutError:
            raise ServiceTrouble(f"waited {within:g} s in vain until the service {what}\n{self.tail()}") from None

    def tail(self, lines: int = 25) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return "(no log)"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
