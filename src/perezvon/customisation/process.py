"""The worker process seen from here: started, given the hooks, asked one thing after the other, killed when it hangs.

Nothing here blocks: a process that hangs costs the time that its question had. What it writes to stdout and stderr is read
all the time, and the end of it kept: it tells why a process died, or where it hung.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import structlog

from perezvon.customisation import worker as program

log = structlog.get_logger(__name__)

MOST_OUTPUT = 256 * 1024
"""Bytes of an answer."""

MOST_NOISE = 16 * 1024
"""Bytes that are kept of what the process writes by itself."""

TELLS_WHERE = 0.8
"""Share of a hook's time after which it is asked where it is, in case that it does not come back."""

DYING = 5.0
"""Seconds that the kernel gets to end a process that was killed."""

PASSED_ON = ("PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
"""Of our environment: it may hold secrets, and these do not."""

_ILLEGIBLE = re.compile("[\0\ud800-\udfff]")
"""No database and no page takes it."""

_STACK = "Stack (most recent call first):"
"""How faulthandler begins."""

_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in ', re.MULTILINE)


class HookTrouble(Exception):
    """The question was not answered.

    HookTrouble
    ├── HookFailed   the function raised something; the process goes on
    ├── TimedOut     it did not come back in time; the process was killed
    ├── Died         the process ended by itself
    └── NotStarted   it could not be started at all
    """


class HookFailed(HookTrouble):
    def __init__(self, why: str, printed: str = "") -> None:
        super().__init__(why)
        self.printed = printed


class TimedOut(HookTrouble):
    pass


class Died(HookTrouble):
    pass


class NotStarted(HookTrouble):
    pass


@dataclass(frozen=True, slots=True)
class Edition:
    """The hooks' files at one moment: name -> source."""

    folder: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """`found`: point -> `hooks.py:12`; `twice`: point and the file that is not taken; `broken`: file -> why."""

    found: Mapping[str, str] = field(default_factory=dict[str, str])
    twice: Sequence[tuple[str, str]] = ()
    broken: Mapping[str, str] = field(default_factory=dict[str, str])


class Process:
    """One process with one edition of the hooks. `ask` is for one caller at a time; `end` is always awaited."""

    def __init__(self, process: asyncio.subprocess.Process, folder: str) -> None:
        self._process = process
        self._folder = folder
        self._noise = bytearray()
        self._listening = asyncio.create_task(self._listen(), name=f"hooks' process {process.pid}: what it says")
        self._gone = asyncio.create_task(process.wait(), name=f"hooks' process {process.pid}: its end")
        self.loaded = Loaded()

    @classmethod
    async def start(cls, edition: Edition, points: Sequence[str], *, memory: int, limit: float) -> Process:
        """`memory`: bytes; `limit`: seconds for the files' own code. Raises NotStarted, TimedOut, Died."""
        pipe = asyncio.subprocess.PIPE
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", str(Path(program.__file__))),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                limit=MOST_OUTPUT + 64 * 1024,
                cwd=edition.folder,
                env={**environment, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
                start_new_session=True,
            )
        except OSError as error:
            raise NotStarted(f"the hooks' process cannot be started: {error.strerror}") from error
        started = cls(process, edition.folder)
        order = {
            "folder": edition.folder,
            "files": dict(edition.files),
            "points": list(points),
            "memory": memory,
            "most": MOST_OUTPUT,
            "limit": limit,
        }
        try:
            told = await started._exchange(order, limit)
        except BaseException:
            await started.end()
            raise
        started.loaded = Loaded(
            {point: f"{file}:{line}" for point, (file, line) in told["found"].items()},
            tuple((point, file) for point, file in told["twice"]),
            {file: _legible(why) for file, why in told["broken"].items()},
        )
        return started

    @property
    def alive(self) -> bool:
        return not self._gone.done()

    async def ask(self, point: str, data: Any, limit: float) -> tuple[Any, str]:
        """The hook's answer, and what it printed. Raises HookFailed; TimedOut and Died, after which the process is over."""
        told = await self._exchange({"point": point, "data": data, "limit": limit}, limit)
        printed = _legible(told.get("printed", ""))
        if "error" in told:
            raise HookFailed(_legible(told["error"]), printed)
        return told.get("value"), printed

    async def end(self) -> None:
        """Kills it with whatever it has started. One that the kernel holds is left to it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(DYING):
                await asyncio.shield(self._gone)
        except TimeoutError:
            log.warning("the hooks' process cannot be killed, the kernel holds it", pid=self._process.pid)
            self._gone.cancel()
        self._listening.cancel()
        await asyncio.gather(self._listening, self._gone, return_exceptions=True)
        if (stdin := self._process.stdin) is not None:
            stdin.close()

    async def _exchange(self, question: Any, limit: float) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        answer = asyncio.create_task(stdout.readline(), name="hooks' process: its answer")
        asking = asyncio.get_running_loop().call_later(limit * TELLS_WHERE, self._ask_where)
        try:
            async with asyncio.timeout(limit):
                stdin.write(json.dumps(question).encode() + b"\n")
                await stdin.drain()
                # A child that a hook has forked may hold the pipe open when the process itself is gone.
                await asyncio.wait([answer, self._gone], return_when=asyncio.FIRST_COMPLETED)
            line = answer.result() if answer.done() else b""
            told: Any = json.loads(line) if line.endswith(b"\n") else None
        except TimeoutError:
            raise TimedOut(f"no answer within {limit:g} s{self._where()}") from None
        except (ConnectionError, ValueError) as error:
            raise Died(await self._end_of_it(f"it said what nobody understands: {type(error).__name__}")) from error
        finally:
            asking.cancel()
            if not answer.done():
                answer.cancel()
                await asyncio.wait([answer])
        if not isinstance(told, dict):
            raise Died(await self._end_of_it("it said what nobody understands"))
        return cast("dict[str, Any]", told)

    async def _end_of_it(self, otherwise: str) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(self._gone)
        code = self._process.returncode
        if code is None:
            return f"the hooks' process: {otherwise}"
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        last = next((row.strip() for row in reversed(self._said().splitlines()) if row.strip()), "")
        return f"the hooks' process ended by itself ({how}){f': {last[:200]}' if last else ''}"

    def _ask_where(self) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(program.ASKS_WHERE)

    def _where(self) -> str:
        """The place in the hooks' files where it hangs, as the process itself wrote it down a moment ago."""
        for found in _FRAME.finditer(self._said().rpartition(_STACK)[2]):
            file = Path(found["file"])
            if str(file.parent) == self._folder:
                return f" ({file.name}:{found['line']})"
        return ""

    def _said(self) -> str:
        return self._noise.decode("utf-8", "replace")

    async def _listen(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        while chunk := await stderr.read(8192):
            self._noise += chunk
            del self._noise[:-MOST_NOISE]


def _legible(said: Any) -> str:
    return _ILLEGIBLE.sub("\ufffd", str(said))
