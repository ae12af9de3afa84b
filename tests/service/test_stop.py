"""`perezvon serve` is told to stop and something in it never ends: it is over in time all the same, as if it had stopped."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from perezvon.sandbox.service_process import ServiceProcess
from perezvon.service.machine import MOST_HANDLES

pytestmark = pytest.mark.slow

NEVER_ENDS = """
import asyncio, threading, time
import perezvon.service.run as run
run.LAST_MOMENT = 1.5
threading.Thread(target=time.sleep, args=(600,)).start()
"""
"""As a thread that reads from a file system which does not answer: nothing can end it."""

CANNOT_STOP = """
import asyncio
import perezvon.service.house as house, perezvon.service.run as run
run.LAST_MOMENT = 1.5
async def close(self):
    await asyncio.sleep(600)
house.House._close = close
"""


@pytest.mark.parametrize("first", [NEVER_ENDS, CANNOT_STOP], ids=["a thread", "a part"])
async def test_it_ends_at_the_last_moment(tmp_path: Path, first: str) -> None:
    service = ServiceProcess(tmp_path / "data", first=first)
    service.data_dir.mkdir()
    await service.start()
    soft, hard = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    assert soft >= (MOST_HANDLES if hard == resource.RLIM_INFINITY else min(hard, MOST_HANDLES))
    await service.until(lambda status: status["started"], "is up")
    began = time.monotonic()
    assert await service.stop() == 0
    assert 1.0 < time.monotonic() - began < 5.0
    assert "not everything could be ended in time" in service.tail()
