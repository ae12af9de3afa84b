"""Room on the disk, file handles: short of them is told once, and once that it is over."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from perezvon.service.clock import Clock
from perezvon.service.machine import NO_ROOM, Machine, open_handles
from perezvon.service.run import _LoopTrouble  # pyright: ignore[reportPrivateUsage]
from perezvon.storage.reserve import Reserve

MB = 1024 * 1024


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def events(lines: list[Any]) -> list[str]:
    return [line["event"] for line in lines]


def test_a_full_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[Any]) -> None:
    free = [900 * MB]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free[0]))
    reserve = Reserve(tmp_path, MB)
    machine = Machine(tmp_path, Clock(), reserve)
    machine.look()
    assert (machine.status.full, machine.status.folder) == (False, str(tmp_path))
    free[0] = NO_ROOM - 1
    machine.look()
    assert (machine.status.full, machine.status.on_reserve, machine.status.free) == (True, False, NO_ROOM - 1)
    assert reserve.give_up()
    free[0] = 3 * MB
    for _ in range(3):
        machine.look()
        assert (machine.status.full, machine.status.on_reserve) == (True, True)
    free[0] = 900 * MB
    machine.look()
    assert not machine.status.full
    assert [event for event in events(lines) if event.startswith("disk")] == [
        "disk: room left -> disk: full",
        "disk: full -> disk: room left",
    ]


def test_without_free_handles_all_are_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_use, limit = open_handles()
    assert 3 <= in_use < limit

    def none(_: object) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "listdir", none)
    machine = Machine(tmp_path, Clock(), None)
    machine.look()
    assert machine.status.short_of_handles
    assert machine.status.handles == machine.status.handle_limit


async def test_the_event_loop_complains_once_a_minute(lines: list[Any]) -> None:
    complain = _LoopTrouble()
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        complain(loop, {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "many")})
    complain(loop, {"message": "a task failed", "exception": ValueError("x")})
    assert events(lines) == [
        "out of file handles: new connections wait until some are free",
        "event loop: something went wrong",
    ]
    assert json.dumps(lines[0]["error"])
