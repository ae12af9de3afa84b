"""Several recordings become one mp3: all of them are heard, in order, whatever they were recorded as."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import soundfile
from sounds import DATA, heard, tone, write_wav

from perezvon.recordings import (
    Converter,
    EmptyRecording,
    Folder,
    Joined,
    Mp3,
    NotAudio,
    NotThere,
    Recordings,
    TooSlow,
    Unreadable,
)
from perezvon.recordings.convert import convert_file
from perezvon.recordings.join import join_files
from perezvon.recordings.mp3 import duration, form, frames

pytestmark = pytest.mark.slow

PADDING = 0.35
"""Seconds of silence that LAME may put around what one encoder made, at 8 kHz."""


def join(*sources: Path, quality: int = 7) -> Joined:
    target = sources[0].with_name("joined.mp3")
    done = join_files(sources, target, Mp3(quality=quality))
    assert done.path == target
    assert done.size == target.stat().st_size
    assert [path.name for path in target.parent.glob("*.part")] == []
    assert duration(target) == pytest.approx(done.duration, abs=PADDING)
    return done


def tones(done: Joined, channel: int = 0) -> list[int]:
    """What is heard in the middle of each part, rounded to 20 Hz."""
    with soundfile.SoundFile(str(done.path)) as file:
        samples, rate = array("h", heard(file))[channel :: file.channels], file.samplerate
    found: list[int] = []
    for start, end in pairwise([*done.starts, done.duration]):
        middle = samples[round((start + 0.3 * (end - start)) * rate) : round((start + 0.8 * (end - start)) * rate)]
        crossings = sum(1 for one, two in pairwise(middle) if one < 0 <= two)
        found.append(round(crossings * rate / len(middle) / 20) * 20)
    return found


def channels(done: Joined) -> int:
    return soundfile.info(str(done.path)).channels


def rate(done: Joined) -> int:
    return soundfile.info(str(done.path)).samplerate


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def a_wav(folder: Path, hertz: float, seconds: float = 2.0, rate: int = 8000, channels: int = 1) -> Path:
    return write_wav(folder / f"{hertz:g}-{rate}-{channels}.wav", seconds, rate, hertz, channels)


def an_mp3(source: Path, bitrate: int = 32) -> Path:
    return convert_file(source, source.with_suffix(".mp3"), Mp3(bitrate)).path


def test_parts_of_one_kind_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    done = join(a_wav(tmp_path, 300, 1.5), a_wav(tmp_path, 500, 3.0), a_wav(tmp_path, 700, 1.0))
    assert done.starts == (0.0, 1.5, 4.5)
    assert done.duration == 5.5
    assert tones(done) == [300, 500, 700]
    assert (rate(done), channels(done)) == (8000, 1)


@pytest.mark.parametrize(
    ("rates", "common"), [((8000, 16000, 8000), 16000), ((16000, 48000), 24000), ((11025, 8000), 11025)]
)
def test_parts_of_different_rates(tmp_path: Path, rates: tuple[int, ...], common: int) -> None:
    done = join(*(a_wav(tmp_path, 300 + 200 * number, 2.0, rate) for number, rate in enumerate(rates)))
    assert tones(done) == [300 + 200 * number for number in range(len(rates))]
    assert done.duration == pytest.approx(2.0 * len(rates), abs=PADDING * len(rates))
    for number, start in enumerate(done.starts):
        assert start == pytest.approx(2.0 * number, abs=PADDING * number)
    assert rate(done) == common


def test_mono_and_stereo_become_stereo(tmp_path: Path) -> None:
    done = join(a_wav(tmp_path, 300), a_wav(tmp_path, 500, channels=2), a_wav(tmp_path, 700))
    assert channels(done) == 2
    assert done.starts == (0.0, 2.0, 4.0)
    assert tones(done, 0) == [300, 500, 700]
    assert tones(done, 1) == [300, 1000, 700]


def test_other_kinds_of_files(tmp_path: Path) -> None:
    done = join(a_wav(tmp_path, 300), DATA / "asterisk22.gsm", DATA / "asterisk22-killed.wav", DATA / "asterisk22.ulaw")
    assert tones(done) == [300, 1000, 1000, 1000]


def test_mp3_goes_in_unchanged_and_gives_the_form(tmp_path: Path) -> None:
    """Its bit rate too: a player that guesses the length by it is right."""
    second = an_mp3(a_wav(tmp_path, 500, 2.0, 16000), bitrate=48)
    tagged = second.with_name("tagged.mp3")
    tagged.write_bytes(b"ID3\x04\0\0\0\0\x01\x00" + bytes(128) + second.read_bytes() + b"TAG" + bytes(125))
    done = join(a_wav(tmp_path, 300, 2.0), tagged, a_wav(tmp_path, 700, 2.0, channels=2))
    assert tones(done) == [300, 500, 1400]  # of both sides the right one, an octave higher, is counted
    assert second.read_bytes() in done.path.read_bytes()
    assert b"ID3" not in done.path.read_bytes()
    assert {form(frame) for frame, _ in frames(done.path)} == {form(next(frames(second))[0])}
    assert (rate(done), channels(done)) == (16000, 1)


def test_the_count_of_frames_in_an_mp3_is_left_out(tmp_path: Path) -> None:
    """A player would believe that the whole is as long as its first part."""
    first = an_mp3(a_wav(tmp_path, 300, 2.0, 16000))
    whole = first.read_bytes()
    counted = next(frames(first))[0]
    first.write_bytes(counted[:13] + b"Info" + counted[17:] + whole)
    done = join(first, an_mp3(a_wav(tmp_path, 500, 2.0, 16000)))
    assert b"Info" not in done.path.read_bytes()
    assert tones(done) == [300, 500]


def test_half_a_frame_at_the_end_of_a_part_does_not_eat_the_next(tmp_path: Path) -> None:
    first, second = an_mp3(a_wav(tmp_path, 300)), an_mp3(a_wav(tmp_path, 500))
    first.write_bytes(first.read_bytes()[:-50])
    assert second.read_bytes() in join(first, second).path.read_bytes()


def test_mp3_of_different_kinds_are_decoded(tmp_path: Path) -> None:
    done = join(an_mp3(a_wav(tmp_path, 300)), an_mp3(a_wav(tmp_path, 500, rate=16000)), a_wav(tmp_path, 700, channels=2))
    assert tones(done) == [300, 500, 700]
    assert (rate(done), channels(done)) == (16000, 2)


def test_mp3_of_different_kinds_without_the_library_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = an_mp3(a_wav(tmp_path, 300)), an_mp3(a_wav(tmp_path, 500, rate=16000))
    imported = importlib.import_module

    def without(name: str, *more: Any) -> Any:
        if name == "soundfile":
            raise ImportError(name)
        return imported(name, *more)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(NotAudio, match=r"300-8000-1\.mp3 is of a kind that needs `soundfile`"):
        join_files([one, two], tmp_path / "joined.mp3", Mp3())
    assert not (tmp_path / "joined.mp3").exists()
    same = an_mp3(a_wav(tmp_path, 600))
    assert join_files([one, same], tmp_path / "joined.mp3", Mp3()).duration == pytest.approx(4.0, abs=0.5)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("b.wav", b"<html>404 Not Found</html>" * 100, NotAudio),
        ("b.wav", b"", EmptyRecording),
        ("b.mp3", b"\xff\xfb\x90\x00 no frames follow" * 20, NotAudio),
        (None, b"", Unreadable),
    ],
)
def test_a_part_that_cannot_be_read_is_named_and_nothing_is_written(
    tmp_path: Path, name: str | None, content: bytes, error: type[Exception]
) -> None:
    second = tmp_path / (name or "absent.wav")
    if name:
        second.write_bytes(content)
    with pytest.raises(error, match=second.name):
        join_files([a_wav(tmp_path, 300), second], tmp_path / "joined.mp3", Mp3())
    assert list(tmp_path.glob("joined*")) == []


def test_an_older_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    one, two = a_wav(tmp_path, 300), a_wav(tmp_path, 500)
    first = join(one, two).path.read_bytes()
    two.write_bytes(two.read_bytes()[:44])
    with pytest.raises(EmptyRecording):
        join_files([one, two], tmp_path / "joined.mp3", Mp3(quality=7))
    assert (tmp_path / "joined.mp3").read_bytes() == first


async def test_the_joining_process_uses_what_the_pbx_still_has(tmp_path: Path) -> None:
    monitor, own = tmp_path / "monitor", tmp_path / "own"
    monitor.mkdir()
    own.mkdir()
    a_wav(monitor, 300)
    mp3s = [an_mp3(a_wav(own, hertz)) for hertz in (1100, 500)]
    parts = [("300-8000-1.wav", mp3s[0]), ("500-8000-1.wav", mp3s[1])]
    async with Converter() as converter:
        recordings = Recordings(Folder(monitor), converter)
        done = await recordings.join(parts, tmp_path / "all" / "joined.mp3")
        assert tones(done) == [300, 500]
        mp3s[1].unlink()
        with pytest.raises(NotThere, match="500-8000"):
            await recordings.join(parts, tmp_path / "joined.mp3")
        [pid] = converter.processes
        assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)


async def test_a_killed_joining_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    one, two = a_wav(tmp_path, 300), tmp_path / "hung.sln"
    os.mkfifo(two)
    async with Converter(deadline=2.5) as converter:
        await converter.convert(one, tmp_path / "warm.mp3")
        with pytest.raises(TooSlow, match=r"hung\.sln"):
            await converter.join([one, two], tmp_path / "joined.mp3")
        assert names(tmp_path) == {"300-8000-1.wav", "hung.sln", "warm.mp3"}
        two.unlink()
        two.write_bytes(tone(2.0, 8000, 500).tobytes())
        joining = asyncio.ensure_future(converter.join([one, two], tmp_path / "joined.mp3"))
        assert tones(await joining) == [300, 500]
        [pid] = converter.processes
        os.kill(pid, signal.SIGKILL)
        assert tones(await converter.join([two, one], tmp_path / "joined.mp3")) == [500, 300]
