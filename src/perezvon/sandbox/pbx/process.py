"""One running Asterisk: started in the foreground, watched, stopped by its process id. Knows nothing of AMI.

It dies with us: `setpriv --pdeathsig` has the kernel kill it when the thread that started it ends, even by `kill -9`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import structlog

from perezvon.sandbox.pbx.errors import AsteriskDied
from perezvon.sandbox.pbx.rootfs import Installation

STOP_SECONDS = 10.0

log = structlog.get_logger(__name__)


class AsteriskProcess:
    """`await AsteriskProcess.start(…)`, then `stop()`. `ended` is done as soon as it has ended, wanted or not."""

    def __init__(self, name: str, folder: Path, process: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self.name = name
        self.folder = folder
        self._process = process
        self._stopping = False
        self.ended = asyncio.create_task(self._watch(), name=f"asterisk-{name}")

    @classmethod
    async def start(cls, name: str, installation: Installation, folder: Path) -> AsteriskProcess:
        """`folder` has been laid out (see `layout`). Returns at once: who needs it ready waits for AMI's FullyBooted."""
        command = [*installation.command, "-f", "-C", str(folder / "etc/asterisk.conf")]
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        else:
            log.warning("sandbox.no_setpriv", consequence="an Asterisk may be left running when this process is killed")
        with (folder / "log/console").open("ab") as console:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=folder,
                env={**os.environ, "LC_ALL": "C.UTF-8", **installation.environment},
                start_new_session=True,  # Ctrl-C is for us, not for it
            )
        log.info("sandbox.asterisk_started", name=name, pid=process.pid, folder=str(folder))
        return cls(name, folder, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def _watch(self) -> None:
        code = await self._process.wait()
        if self._stopping:
            log.info("sandbox.asterisk_stopped", name=self.name, pid=self.pid)
        else:
            log.error("sandbox.asterisk_died", name=self.name, pid=self.pid, code=code)

    def death(self) -> AsteriskDied:
        """What to raise when it has ended by itself."""
        how = f"was killed by signal {-code}" if (code := self._process.returncode or 0) < 0 else f"ended with code {code}"
        return AsteriskDied(f"the {self.name} Asterisk (process {self.pid}) {how}. The end of its log:\n{self.log_tail()}")

    def log_tail(self, lines: int = 25) -> str:
        """The last lines that it wrote, of its log and of its console."""
        kept: list[str] = []
        for name in ("log/full", "log/console"):
            file = self.folder / name
            if file.exists():
                kept += file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join(kept) or "(empty)"

    async def stop(self) -> None:
        """SIGTERM: it hangs up all calls and closes its files, as on `core stop now`. SIGKILL if that takes too long."""
        self._stopping = True
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.shield(self.ended)
        except TimeoutError:
            log.warning("sandbox.asterisk_killed", name=self.name, pid=self.pid, after=STOP_SECONDS)
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL: a crash as seen from outside."""
        self._stopping = True
        if self.running:
            self._process.send_signal(signal.SIGKILL)
        await asyncio.shield(self.ended)
