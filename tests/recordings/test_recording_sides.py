"""The client left, the employee right; silence where nothing was recorded; what browsers can play."""

from __future__ import annotations

import wave
from array import array
from pathlib import Path

import pytest

from perezvon.recordings import Converter, EmptyRecording, Folder, Mp3, NotAudio, Recordings, Sides
from perezvon.recordings.convert import convert_file, convert_sides
from perezvon.recordings.decode import open_sound
from perezvon.recordings.join import join_files
from perezvon.recordings.playable import playable
from perezvon.sandbox.pbx import sounds

CLIENT, EMPLOYEE = 900.0, 500.0


def sides_heard(path: Path) -> list[dict[float, float]]:
    """For each channel of an mp3, how many seconds of each tone are heard."""
    with open_sound(path) as sound:
        samples = array("h", b"".join(sound.pieces))
        rate, channels = sound.rate, sound.channels
    found: list[dict[float, float]] = []
    for channel in range(channels):
        wav = path.with_suffix(f".{channel}.wav")
        with wave.open(str(wav), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(samples[channel::channels].tobytes())
        assert rate == sounds.RATE
        found.append({tone: sounds.seconds_heard(wav, tone) for tone in (CLIENT, EMPLOYEE)})
    return found


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    client, employee = tmp_path / "client.wav", tmp_path / "employee.wav"
    sounds.write_tone(client, CLIENT, 2.0)
    sounds.write_tone(employee, EMPLOYEE, 1.0)
    return client, employee


def left_and_right(path: Path) -> None:
    left, right = sides_heard(path)
    assert left[CLIENT] == pytest.approx(2.0, abs=0.2)
    assert left[EMPLOYEE] == 0
    assert right[EMPLOYEE] == pytest.approx(1.0, abs=0.2)
    assert right[CLIENT] == 0


def test_two_files_become_two_channels(two: tuple[Path, Path], tmp_path: Path) -> None:
    done = convert_sides(*two, tmp_path / "both.mp3", Mp3(channels="stereo"))
    assert done.duration == pytest.approx(2.0, abs=0.01)
    left_and_right(done.path)


def test_sides_that_do_not_fit_are_refused(two: tuple[Path, Path], tmp_path: Path) -> None:
    with wave.open(str(two[1]), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    with pytest.raises(NotAudio, match="two sides"):
        convert_sides(*two, tmp_path / "both.mp3", Mp3())
    assert not (tmp_path / "both.mp3").exists()


def stereo_file(path: Path, two: tuple[Path, Path]) -> None:
    """As a PBX that records two channels would write it: what was received left."""
    left, right = (sounds.samples_of(one) for one in two)
    wide = array("h", bytes(4 * len(left)))
    wide[0::2] = left
    wide[1 : 2 * len(right) : 2] = right
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(sounds.RATE)
        file.writeframes(wide.tobytes())


def test_a_stereo_file_stays_is_mixed_or_exchanged(two: tuple[Path, Path], tmp_path: Path) -> None:
    source = tmp_path / "wide.wav"
    stereo_file(source, two)
    left_and_right(convert_file(source, tmp_path / "a.mp3", Mp3(channels="stereo")).path)
    (mono,) = sides_heard(convert_file(source, tmp_path / "b.mp3", Mp3(channels="mono")).path)
    assert mono[CLIENT] > 1.8
    assert mono[EMPLOYEE] > 0.8
    left, right = sides_heard(convert_file(source, tmp_path / "c.mp3", Mp3(channels="stereo", exchanged=True)).path)
    assert (left[CLIENT], right[EMPLOYEE]) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("outgoing", [False, True])
async def test_the_archive_finds_the_sides(two: tuple[Path, Path], tmp_path: Path, outgoing: bool) -> None:
    """Of an outgoing call recorded on the caller's leg the employee is what was received."""
    folder = tmp_path / "spool"
    sounds.write_tone(tmp_path / "mixed.wav", 700, 2.0)
    for name, source in (("in", "r"), ("out", "t")):
        (folder / source).mkdir(parents=True, exist_ok=True)
        (folder / source / "call.wav").write_bytes(two[name == "out"].read_bytes())
    (folder / "call.wav").write_bytes((tmp_path / "mixed.wav").read_bytes())
    if outgoing:
        (folder / "r" / "call.wav").write_bytes(two[1].read_bytes())
        (folder / "t" / "call.wav").write_bytes(two[0].read_bytes())
    sides = Sides("r/{stem}{ext}", "t/{stem}{ext}", caller=True)
    async with Converter(Mp3(channels="stereo")) as converter:
        archive = Recordings(Folder(folder), converter, sides=sides)
        left_and_right((await archive.convert("call", tmp_path / "call.mp3", outgoing=outgoing)).path)
        (folder / "t" / "call.wav").unlink()
        done = await archive.convert("call", tmp_path / "mixed.mp3")
        with open_sound(done.path) as sound:
            assert sound.channels == 1, "one side alone is not the talk"


@pytest.mark.parametrize("pattern", ["../{stem}.wav", "/etc/{stem}", "same.wav"])
def test_sides_outside_the_folder_are_not_opened(two: tuple[Path, Path], tmp_path: Path, pattern: str) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "client.wav").write_bytes(two[0].read_bytes())
    assert Sides(pattern, pattern).beside(folder / "client.wav", folder) is None


def test_a_link_out_of_the_folder_is_no_side(two: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "a-r.wav").symlink_to(two[0])
    (folder / "a-t.wav").symlink_to(two[1])
    assert Sides("{stem}-r{ext}", "{stem}-t{ext}").beside(folder / "a.wav", folder) is None


@pytest.mark.parametrize("as_mp3", [False, True])
def test_a_gap_is_silent(two: tuple[Path, Path], tmp_path: Path, as_mp3: bool) -> None:
    """Whether the parts are the PBX's files, or mp3 whose frames are taken as they are."""
    parts = list(two)
    if as_mp3:
        parts = [convert_file(one, tmp_path / f"{one.stem}.mp3", Mp3()).path for one in two]
    joined = join_files(parts, tmp_path / "joined.mp3", Mp3(), (0.0, 3.0))
    assert joined.duration == pytest.approx(6.0, abs=0.6)
    assert joined.starts == (0.0, pytest.approx(5.0, abs=0.15))
    with open_sound(joined.path) as sound, wave.open(str(tmp_path / "heard.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(b"".join(sound.pieces))
    first, second = (sounds.moments_heard(tmp_path / "heard.wav", tone) for tone in (CLIENT, EMPLOYEE))
    assert max(first) < 2.3
    assert min(second) > 4.8


def test_what_a_browser_plays_is_told(two: tuple[Path, Path], tmp_path: Path) -> None:
    assert playable(two[0]) == pytest.approx(2.0)
    mp3 = convert_file(two[0], tmp_path / "a.mp3", Mp3()).path
    assert playable(mp3) == pytest.approx(2.1, abs=0.2)
    (tmp_path / "a.sln").write_bytes(bytes(16000))
    assert playable(tmp_path / "a.sln") is None
    (tmp_path / "text.wav").write_bytes(b"no sound at all" * 10)
    assert playable(tmp_path / "text.wav") is None
    sounds.write_tone(tmp_path / "short.wav", CLIENT, 0.05)
    with pytest.raises(EmptyRecording):
        playable(tmp_path / "short.wav")
