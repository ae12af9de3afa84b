from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sounds import listen, write_wav

from perezvon.recordings import (
    Converter,
    ConverterBroken,
    EmptyRecording,
    Folder,
    Mp3,
    NoSpace,
    NotThere,
    Patience,
    Recordings,
    TooSlow,
)

pytestmark = pytest.mark.slow

WORKER = (sys.executable, "-P", "-m", "perezvon.recordings.worker")


def script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
async def converter() -> AsyncIterator[Converter]:
    async with Converter(workers=2) as converter:
        yield converter


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "a.wav", 2.0, 8000, 440)


async def test_several_recordings_at_once(converter: Converter, tmp_path: Path) -> None:
    sources = {hertz: write_wav(tmp_path / f"{hertz}.wav", 1.5, 8000, hertz) for hertz in (300, 440, 600, 800, 1000)}
    done = await asyncio.gather(*[converter.convert(path, path.with_suffix(".mp3")) for path in sources.values()])
    for hertz, converted in zip(sources, done, strict=True):
        assert converted.duration == 1.5
        assert listen(converted.path)[1] == pytest.approx(hertz, rel=0.02)
    assert len(converter.processes) == 2


async def test_the_processes_have_low_priority_and_end_with_the_converter(wav: Path) -> None:
    async with Converter() as converter:
        await converter.convert(wav, wav.with_suffix(".mp3"))
        [pid] = converter.processes
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_errors_keep_their_class_and_message(converter: Converter, tmp_path: Path) -> None:
    (tmp_path / "a.gsm").write_bytes(b"")
    with pytest.raises(EmptyRecording, match=r"a\.gsm is empty"):
        await converter.convert(tmp_path / "a.gsm", tmp_path / "a.mp3")
    good = await converter.convert(write_wav(tmp_path / "b.wav"), tmp_path / "b.mp3")
    assert good.duration == 2.0


async def test_a_process_is_replaced_after_its_share_of_work(wav: Path) -> None:
    seen: list[tuple[int, ...]] = []
    async with Converter(jobs_each=2) as converter:
        for _ in range(3):
            await converter.convert(wav, wav.with_suffix(".mp3"))
            seen.append(converter.processes)
    assert len(seen[0]) == 1
    assert seen[1] == ()
    assert len(seen[2]) == 1
    assert seen[2] != seen[0]


async def test_a_hung_conversion_is_killed_and_the_next_one_works(tmp_path: Path, wav: Path) -> None:
    os.mkfifo(tmp_path / "hung.gsm")
    async with Converter(deadline=2.5) as converter:
        await converter.convert(wav, tmp_path / "warm.mp3")
        [pid] = converter.processes
        with pytest.raises(TooSlow, match=r"hung\.gsm was not converted within 2\.5 s"):
            await converter.convert(tmp_path / "hung.gsm", tmp_path / "hung.mp3")
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert (await converter.convert(wav, tmp_path / "a.mp3")).duration == 2.0


@pytest.mark.parametrize(("seconds", "granted"), [(1.0, 0.7), (30.0, 5.3), (3000.0, 20.0)])
async def test_a_long_recording_may_take_longer(tmp_path: Path, seconds: float, granted: float) -> None:
    """A short one that hangs holds up the others for as short as possible."""
    source = tmp_path / "a.wav"
    with source.open("wb") as file:
        file.truncate(int(seconds * 16000))
    async with Converter(
        command=script("import time; time.sleep(600)"), deadline=0.5, slowest=1e5, longest=20.0
    ) as converter:
        assert converter.deadline_for([source]) == granted


async def test_a_process_that_cannot_be_killed_holds_nobody(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel keeps a process that waits for a file system, whatever it is sent; here the signal is lost."""
    monkeypatch.setattr("perezvon.recordings.pool.DYING", 0.1)
    kept: list[asyncio.subprocess.Process] = []

    def lost(process: asyncio.subprocess.Process) -> None:
        kept.append(process)

    async with Converter(deadline=0.3, command=script("import time; time.sleep(600)")) as hung:
        with monkeypatch.context() as patch:
            patch.setattr("asyncio.subprocess.Process.kill", lost)
            with pytest.raises(TooSlow):
                async with asyncio.timeout(5):
                    await hung.convert(wav, wav.with_suffix(".mp3"))
        [process] = kept
        process.kill()
        await process.wait()


async def test_a_killed_conversion_leaves_nothing_behind(tmp_path: Path, wav: Path) -> None:
    part = tmp_path / "a.mp3.part"
    hangs = script(f"import sys, time, pathlib; sys.stdin.readline(); pathlib.Path({str(part)!r}).touch(); time.sleep(600)")
    async with Converter(deadline=1.0, command=hangs) as converter:
        with pytest.raises(TooSlow):
            await converter.convert(wav, tmp_path / "a.mp3")
    assert names(tmp_path) == {"a.wav"}


async def test_cancelling_kills_the_conversion(tmp_path: Path, wav: Path) -> None:
    started = tmp_path / "pid"
    os.mkfifo(started)
    hangs = script(
        f"import os, sys, time; sys.stdin.readline(); open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    async with Converter(command=hangs) as converter:
        converting = asyncio.ensure_future(converter.convert(wav, tmp_path / "a.mp3"))
        pid = int(await asyncio.to_thread(started.read_text))
        converting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await converting
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("reaction", ["sys.exit(3)", "print('no json', flush=True); time.sleep(600)"])
async def test_a_process_that_dies_or_babbles_is_told(wav: Path, reaction: str) -> None:
    async with Converter(command=script(f"import sys, time; sys.stdin.readline(); {reaction}")) as converter:
        with pytest.raises(ConverterBroken, match=r"a\.wav died"):
            await converter.convert(wav, wav.with_suffix(".mp3"))
        assert converter.processes == ()


async def test_a_process_that_was_killed_while_idle_is_replaced(converter: Converter, wav: Path) -> None:
    await converter.convert(wav, wav.with_suffix(".mp3"))
    [pid] = converter.processes
    os.kill(pid, signal.SIGKILL)
    assert (await converter.convert(wav, wav.with_suffix(".mp3"))).duration == 2.0
    assert pid not in converter.processes


async def test_a_process_that_cannot_be_started(wav: Path) -> None:
    async with Converter(command=("/absent/python",)) as converter:
        with pytest.raises(ConverterBroken, match="/absent/python cannot be started"):
            await converter.convert(wav, wav.with_suffix(".mp3"))


async def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, wav: Path) -> None:
    command = ("sh", "-c", 'ulimit -f 8; exec "$0" -P -m perezvon.recordings.worker', sys.executable)
    async with Converter(Mp3(bitrate=64), command=command) as converter:
        with pytest.raises(NoSpace, match=r"no room for .*a\.mp3"):
            await converter.convert(wav, tmp_path / "a.mp3")
    assert names(tmp_path) == {"a.wav"}


def test_the_process_ends_with_its_service() -> None:
    with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


async def test_names_in_any_encoding(converter: Converter, tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode("Клиент ".encode() + b"\xca\n.wav")
    assert (await converter.convert(write_wav(source), tmp_path / "a.mp3")).duration == 2.0


async def test_from_the_pbx_s_name_to_an_mp3(converter: Converter, tmp_path: Path) -> None:
    day = tmp_path / "monitor" / "2026" / "11" / "21"
    day.mkdir(parents=True)
    source = write_wav(day / "in-1795230222.1.wav", 2.0, 8000, 440)
    recordings = Recordings(
        Folder(tmp_path / "monitor", "/var/spool/asterisk/monitor"), converter, Patience(quiet_closed=0.01, poll=0.01)
    )
    target = tmp_path / "mp3" / "call.mp3"
    done = await recordings.convert("/var/spool/asterisk/monitor/2026/11/21/in-1795230222.1.wav", target)
    assert (done.path, done.duration, done.closed) == (target, 2.0, source.stat().st_mtime)
    assert listen(target)[1] == pytest.approx(440, rel=0.01)
    with pytest.raises(NotThere):
        await recordings.convert("absent.wav", target)
