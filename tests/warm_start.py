"""`perezvon serve` of the end-to-end tests: forked off a process that has imported everything already.

To import it all takes over a second of a core, several hundred times in a whole run: time that others need who listen to
calls at the same moment. What is forked is a process of its own, which can be stopped and killed like any other. The demo,
the benchmarks and the tests of the start itself start it as people do.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
IMPORTED = (
    *("perezvon.cli", "perezvon.service.run", "perezvon.service.front", "perezvon.storage.upgrade"),
    *(
        "alembic.command",
        "alembic.autogenerate",
        "sqlalchemy.dialects.sqlite.aiosqlite",
        "sqlalchemy.dialects.postgresql.asyncpg",
    ),
    *("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "uvicorn.lifespan.off", "uvicorn.logging"),
    *("pygments.lexers", "pytest", "warm_start"),
)
"""pytest: whatever is forked is told what the program is that wants it."""


class Warm:
    """As asyncio.subprocess.Process, as far as ServiceProcess needs it."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError."""
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        code = self.returncode
        assert code is not None
        return code


def make_ready() -> None:
    """Returns once everything is imported."""
    CONTEXT.set_forkserver_preload(list(IMPORTED))
    process = CONTEXT.Process(target=time.time)
    process.start()
    process.join()


async def start(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Warm:
    process = CONTEXT.Process(target=_run, args=(tuple(arguments), dict(environment), str(log)), daemon=True)
    process.start()
    return Warm(process)


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["perezvon", *arguments]
    from perezvon.cli import main  # (imported already)

    main()
