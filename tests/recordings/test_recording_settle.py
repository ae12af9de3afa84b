from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from sounds import unclose, write_wav

from perezvon.recordings import NotComplete, NotThere, Patience, settle

QUICK = Patience(deadline=0.3, quiet=0.1, quiet_closed=0.02, poll=0.01)


def long_ago(path: Path) -> Path:
    os.utime(path, (time.time() - 3600,) * 2)
    return path


def size(path: Path) -> int:
    return path.stat().st_size


def age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


async def timed(path: Path, patience: Patience) -> float:
    start = time.monotonic()
    assert await settle(path, patience) == size(path)
    return time.monotonic() - start


async def age_when_settled(path: Path) -> float:
    """Seconds since it was written: some of them passed before anybody looked."""
    assert await settle(path, QUICK) == size(path)
    return age(path)


async def test_a_file_from_long_ago_is_complete_at_once(tmp_path: Path) -> None:
    path = long_ago(unclose(write_wav(tmp_path / "a.wav")))
    assert await timed(path, Patience()) < 0.2


async def test_a_closed_wave_file_needs_little_waiting(tmp_path: Path) -> None:
    assert await timed(write_wav(tmp_path / "a.wav"), Patience(quiet=60, quiet_closed=0.02, poll=0.01)) < 5


async def test_an_unclosed_wave_file_must_stand_still_for_longer(tmp_path: Path) -> None:
    assert await age_when_settled(unclose(write_wav(tmp_path / "a.wav"))) >= 0.1


async def test_a_file_without_header_must_stand_still_for_longer(tmp_path: Path) -> None:
    path = tmp_path / "a.gsm"
    path.write_bytes(bytes(33 * 50))
    assert await age_when_settled(path) >= 0.1


async def test_a_growing_file_is_waited_for(tmp_path: Path) -> None:
    path = unclose(write_wav(tmp_path / "a.wav"))
    patience = Patience(deadline=30, quiet=2.0, quiet_closed=0.02, poll=0.01)
    waiting = asyncio.ensure_future(settle(path, patience))
    for _ in range(5):
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        with path.open("ab") as file:
            file.write(bytes(320))
    write_wav(path, 3.0)
    assert await waiting == size(path)


async def test_patience_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.ulaw"
    path.write_bytes(bytes(160))
    with pytest.raises(NotComplete, match=r"a\.ulaw was still being written after 0\.05 s \(160 bytes"):
        await settle(path, Patience(deadline=0.05, quiet=10, poll=0.01))


async def test_a_file_that_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "a.ulaw"
    path.write_bytes(bytes(160))
    waiting = asyncio.ensure_future(settle(path, Patience(quiet=60, poll=0.01)))
    await asyncio.wait([waiting], timeout=0.05)
    path.unlink()
    with pytest.raises(NotThere, match="went away"):
        await waiting


async def test_a_clock_that_is_behind_does_not_make_a_new_file_old(tmp_path: Path) -> None:
    path = tmp_path / "a.ulaw"
    path.write_bytes(bytes(160))
    os.utime(path, (time.time() + 3600,) * 2)
    assert await timed(path, QUICK) >= 0.1
