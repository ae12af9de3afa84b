"""`perezvon serve` as a process: it starts without settings, takes new ones while running, and ends when told to."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from perezvon.cli import app
from perezvon.cli.exits import Exit

COMMAND = [sys.executable, "-c", "from perezvon.cli import main; main()"]


class Service:
    def __init__(self, process: asyncio.subprocess.Process, url: str, data_dir: Path) -> None:
        self.process = process
        self.url = url
        self.data_dir = data_dir

    async def status(self) -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/status") as answer:
            return await answer.json()

    async def answers(self) -> None:
        """Nothing but trying tells when it listens."""
        while True:
            try:
                await self.status()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
            else:
                return

    async def until(self, wanted: str) -> None:
        """Reads the log until a line has `wanted`."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            if wanted in line.decode():
                return
        pytest.fail(f"the log ended without {wanted!r}")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data_dir = tmp_path / "data"
    await apply(data_dir, "[[portal]]\nname = 'main'\nwebhook = 'http://127.0.0.1:9/rest/1/hunter2/'\n")
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", "--data-dir", data_dir, "--bind", f"127.0.0.1:{port}", stderr=asyncio.subprocess.PIPE
    )
    service = Service(process, f"http://127.0.0.1:{port}", data_dir)
    try:
        async with asyncio.timeout(30):
            await service.until("starting -> up")
            await service.answers()
        yield service
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def apply(data_dir: Path, settings: str) -> int:
    runner = CliRunner(env={"LC_ALL": "C.UTF-8"})
    arguments = ["config", "apply", "-", "--json", "--data-dir", str(data_dir)]
    done = await asyncio.to_thread(runner.invoke, app, arguments, input=settings)
    assert done.exit_code == Exit.OK, done.stderr
    return json.loads(done.stdout)["version"]


@pytest.mark.slow
async def test_settings_are_taken_while_running_and_a_second_service_is_refused(service: Service) -> None:
    assert (await service.status())["settings"] == 1
    assert await apply(service.data_dir, "[calls]\ninternal = true\n") == 2
    service.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(15):
        await service.until("settings: changed")
    assert (await service.status())["settings"] == 2

    second = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", "--data-dir", service.data_dir, "--bind", "127.0.0.1:0", stderr=asyncio.subprocess.PIPE
    )
    _, told = await second.communicate()
    assert second.returncode == Exit.IN_USE
    assert b"Traceback" not in told

    service.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(15):
        assert service.process.stderr is not None
        rest = await service.process.stderr.read()
        assert await service.process.wait() == Exit.OK
    assert b"hunter2" not in rest
