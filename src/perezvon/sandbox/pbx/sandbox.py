"""Both Asterisks together: the office that Perezvon is joined to, and the world outside."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import quote

from perezvon.sandbox.pbx.layout import AMI_SECRET, AMI_USER, SANDBOX_USER, lay_out
from perezvon.sandbox.pbx.loopback import AGI_PORT, AMI_PORT, AMI_TLS_PORT, HTTP_PORT, Addresses, free_addresses
from perezvon.sandbox.pbx.rootfs import Installation, Progress, find_or_build, silent
from perezvon.sandbox.pbx.switch import Switch
from perezvon.sandbox.pbx.world import World


class PbxSandbox:
    """`async with await PbxSandbox.start(folder) as sandbox: …`"""

    def __init__(self, folder: Path, installation: Installation, addresses: Addresses, stack: AsyncExitStack) -> None:
        """Use `start`."""
        self.folder = folder
        self.installation = installation
        self.addresses = addresses
        self.office = Switch("office", addresses.office, installation, folder / "office")
        self.world = World(Switch("world", addresses.carrier, installation, folder / "world"), self.office, addresses)
        self._stack = stack

    @classmethod
    async def start(
        cls,
        folder: Path,
        *,
        asterisk: Path | None = None,
        cache: Path | None = None,
        release: int | None = None,
        progress: Progress = silent,
        verbose: int = 0,
    ) -> Self:
        """`folder` takes configuration, logs and recordings; it may be empty or absent. `asterisk`, `cache`,
        `release`: see `rootfs.find_or_build`. `verbose`: how much the logs tell.

        Raises NoAsterisk, NoFreeAddress, AsteriskDied.
        """
        folder = await asyncio.to_thread(folder.absolute)
        installation = await find_or_build(asterisk, cache, progress, release)
        async with AsyncExitStack() as stack:
            addresses = stack.enter_context(free_addresses())
            sandbox = cls(folder, installation, addresses, stack)
            for kind in ("office", "world"):
                lay_out(kind, folder / kind, installation, addresses, verbose=verbose)
            stack.push_async_callback(sandbox.office.stop)
            await sandbox.office.start()
            stack.push_async_callback(sandbox.world.stop)
            await sandbox.world.start()
            sandbox._stack = stack.pop_all()
            return sandbox

    async def stop(self) -> None:
        """Ends both; nothing is left running. May be called twice."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def failure(self) -> NoReturn:
        """Waits until one of the two has died by itself, and raises AsteriskDied."""
        watchers = [
            asyncio.create_task(switch.failure(), name=f"watch-{switch.name}")
            for switch in (self.office, self.world.switch)
        ]
        try:
            ended, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
            return ended.pop().result()
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def restart_office(self, *, crash: bool = False) -> None:
        """The office PBX goes down (by `kill -9` when `crash`) and comes up again; all calls are cut."""
        await (self.office.crash() if crash else self.office.stop())
        await self.office.start()
        await self.world.register()

    # ---- for settings

    @property
    def office_ami(self) -> str:
        """With the rights that Perezvon needs, and no others."""
        return f"tcp://{AMI_USER}:{AMI_SECRET}@{self.addresses.office}:{AMI_PORT}"

    @property
    def office_ami_tls(self) -> str:
        """The same over TLS, with the office's own certificate."""
        ca = quote(str(self.office.folder / "etc/ami.pem"))
        return f"tls://{AMI_USER}:{AMI_SECRET}@{self.addresses.office}:{AMI_TLS_PORT}?ca={ca}"

    @property
    def office_ami_all(self) -> str:
        """With all rights."""
        return f"tcp://{SANDBOX_USER}:{AMI_SECRET}@{self.addresses.office}:{AMI_PORT}"

    @property
    def office_ari(self) -> str:
        return f"http://{AMI_USER}:{AMI_SECRET}@{self.addresses.office}:{HTTP_PORT}"

    @property
    def agi_bind(self) -> str:
        """Where the office's dialplan asks Perezvon: for `bind` of the settings' `[agi]`."""
        return f"{self.addresses.service}:{AGI_PORT}"

    @property
    def world_ami(self) -> str:
        return f"tcp://{SANDBOX_USER}:{AMI_SECRET}@{self.addresses.carrier}:{AMI_PORT}"

    @property
    def recordings(self) -> Path:
        """`YYYY/MM/DD/….wav`."""
        return self.office.folder / "spool/monitor"

    @property
    def cdr(self) -> Path:
        """CSV, times in UTC."""
        return self.office.folder / "log/cdr-csv/Master.csv"

    @property
    def cel(self) -> Path:
        """CSV, the columns of FreePBX's table `cel` (see `config/office/cel_custom.conf`)."""
        return self.office.folder / "log/cel-custom/Master.csv"

    @property
    def cel_database(self) -> Path:
        """The same in SQLite, once `cel_sqlite3_custom.so` is loaded (see `config/office/cel_sqlite3_custom.conf`)."""
        return self.office.folder / "log/master.db"
