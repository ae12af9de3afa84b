from __future__ import annotations

import shutil
import struct
import wave
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sounds import DATA, heard, listen, tone, unclose, write_wav

from perezvon.recordings import Converted, EmptyRecording, Mp3, NotAudio, RecordingError, Unreadable
from perezvon.recordings.convert import convert_file
from perezvon.recordings.decode import open_sound
from perezvon.recordings.mp3 import duration


def convert(source: Path, target: Path | None = None, form: Mp3 | None = None) -> Converted:
    target = target or source.with_name("out.mp3")
    done = convert_file(source, target, form or Mp3())
    assert done.path == target
    assert done.size == target.stat().st_size
    assert [path.name for path in target.parent.glob("*.part")] == []
    return done


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_a_wave_file_sounds_the_same_as_mp3(tmp_path: Path, rate: int) -> None:
    done = convert(write_wav(tmp_path / "a.wav", 2.0, rate, 440))
    seconds, hertz = listen(done.path)
    assert done.duration == 2.0
    assert seconds == pytest.approx(2.0, abs=0.25)
    assert hertz == pytest.approx(440, rel=0.01)
    assert duration(done.path) == pytest.approx(2.0, abs=0.25)
    assert done.size == pytest.approx(32_000 / 8 * 2, rel=0.2)


def test_both_sides_of_a_stereo_recording_stay_apart(tmp_path: Path) -> None:
    done = convert(write_wav(tmp_path / "a.wav", 2.0, 8000, 400, channels=2))
    assert done.duration == 2.0
    assert listen(done.path, 0)[1] == pytest.approx(400, rel=0.02)
    assert listen(done.path, 1)[1] == pytest.approx(800, rel=0.02)


def test_the_bitrate_is_a_setting(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", 4.0, 16000)
    small, large = (
        convert(source, tmp_path / "s.mp3", Mp3(bitrate=16)),
        convert(source, tmp_path / "l.mp3", Mp3(bitrate=64)),
    )
    assert large.size / small.size == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(
    ("name", "kind", "subtype"),
    [
        ("a.wav", "WAV", "PCM_U8"),
        ("a.wav", "WAV", "PCM_16"),
        ("a.wav", "WAV", "PCM_24"),
        ("a.wav", "WAV", "PCM_32"),
        ("a.wav", "WAV", "FLOAT"),
        ("a.wav", "WAV", "ULAW"),
        ("a.wav", "WAV", "ALAW"),
        ("a.wav", "WAV", "GSM610"),
        ("a.WAV", "WAV", "GSM610"),
        ("a.wav", "WAVEX", "PCM_16"),
        ("a.gsm", "RAW", "GSM610"),
        ("a.ulaw", "RAW", "ULAW"),
        ("a.alaw", "RAW", "ALAW"),
        ("a.sln", "RAW", "PCM_16"),
        ("a.flac", "FLAC", "PCM_16"),
        ("a.ogg", "OGG", "VORBIS"),
        ("misnamed.wav", "FLAC", "PCM_16"),
    ],
)
def test_every_format_that_asterisk_writes(tmp_path: Path, name: str, kind: str, subtype: str) -> None:
    path = tmp_path / name
    with soundfile.SoundFile(str(path), "w", 8000, 1, subtype, format=kind) as file:
        file.buffer_write(tone(2.0, 8000, 440).tobytes(), dtype="int16")
    done = convert(path)
    assert done.duration == pytest.approx(2.0, abs=0.05)
    assert listen(done.path)[1] == pytest.approx(440, rel=0.01)


@pytest.mark.parametrize(("suffix", "subtype"), [(".ulaw", "ULAW"), (".alaw", "ALAW")])
def test_our_tables_are_those_of_g711(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = tmp_path / f"all{suffix}"
    path.write_bytes(bytes(range(256)))
    with open_sound(path) as sound:
        ours = b"".join(sound.pieces)
    with soundfile.SoundFile(str(path), "r", 8000, 1, subtype, format="RAW") as file:
        assert ours == heard(file)


@pytest.mark.parametrize(
    "name",
    [
        "asterisk22.wav",
        "asterisk22-wav49.WAV",
        "asterisk22.gsm",
        "asterisk22.ulaw",
        "asterisk22.alaw",
        "asterisk22-killed.wav",
    ],
)
def test_what_asterisk_itself_wrote(tmp_path: Path, name: str) -> None:
    """Its Milliwatt() tone of 1004 Hz, recorded by MixMonitor; the last one while Asterisk was killed."""
    done = convert(DATA / name, tmp_path / "out.mp3")
    assert 1.9 < done.duration < 2.1
    assert listen(done.path)[1] == pytest.approx(1004, rel=0.01)


def test_a_killed_wav49_is_read_by_its_size(tmp_path: Path) -> None:
    source = unclose(Path(shutil.copy(DATA / "asterisk22-wav49.WAV", tmp_path / "a.WAV")))
    source.write_bytes(source.read_bytes()[:-30])
    assert convert(source).duration == pytest.approx(2.0, abs=0.1)


def test_a_killed_writer_leaves_half_a_sample(tmp_path: Path) -> None:
    source = unclose(write_wav(tmp_path / "a.wav", 1.0, channels=2))
    source.write_bytes(source.read_bytes()[:-3])
    assert convert(source).duration == pytest.approx(1.0, abs=0.001)


def test_bytes_after_the_sound_are_no_sound(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", 1.0)
    source.write_bytes(source.read_bytes() + b"LIST" + struct.pack("<I", 16000) + bytes(16000))
    assert convert(source).duration == 1.0


def test_mp3_passes_unchanged(tmp_path: Path) -> None:
    first = convert(write_wav(tmp_path / "a.wav", 3.0))
    tagged = tmp_path / "b.mp3"
    tagged.write_bytes(b"ID3\x04\0\0\0\0\x01\x00" + bytes(128) + first.path.read_bytes())
    for source in (first.path, tagged):
        done = convert(source, tmp_path / "copy.mp3")
        assert done.path.read_bytes() == source.read_bytes()
        assert done.duration == pytest.approx(3.0, abs=0.25)
        assert source.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.wav", b""),
        ("a.wav", b"RIFF"),
        ("a.wav", (DATA / "asterisk22.wav").read_bytes()[:44]),
        ("a.wav", (DATA / "asterisk22.wav").read_bytes()[:80]),
        ("a.gsm", b""),
        ("a.ulaw", bytes(100)),
        ("a.mp3", b""),
    ],
)
def test_nothing_recorded_is_told_as_such(tmp_path: Path, name: str, content: bytes) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(EmptyRecording, match=name.replace(".", r"\.")):
        convert(source)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.wav", b"<html>404 Not Found</html>" * 100),
        ("a.mp3", b"\xff\xfb\x90\x00 no frames follow" * 20),
        ("a.mp3", b"ID3\x04\0\0\0\0\0\0" + bytes(1000)),
        (
            "a.wav",
            b"RIFF\0\0\0\0WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 0, 8000, 0, 0, 16) + b"data" + bytes(1004),
        ),
        ("a.wav", b"RIFF\0\0\0\0WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 3, 6, 2, 16) + b"data" + bytes(1004)),
        (
            "a.wav",
            b"RIFF\0\0\0\0WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 9, 8000, 0, 18, 16) + b"data" + bytes(1804),
        ),
        ("a.wav", b"RIFF\0\0\0\0WAVEdata\xff\0\0\0" + bytes(300)),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0data\xff\0\0\0" + bytes(300)),
        ("a.txt", b"hello" * 100),
    ],
)
def test_what_is_no_audio_is_told_as_such(tmp_path: Path, name: str, content: bytes) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(NotAudio, match=name.replace(".", r"\.")):
        convert(source)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_source_or_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"absent\.wav"):
        convert(tmp_path / "absent.wav")
    source = write_wav(tmp_path / "a.wav")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unreadable, match="file/out"):
        convert(source, tmp_path / "file" / "out.mp3")


def test_an_older_mp3_is_replaced_and_folders_are_made(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav")
    target = tmp_path / "2026" / "11" / "a.mp3"
    first = convert(source, target)
    target.write_bytes(b"old")
    assert convert(source, target).size == first.size


WAV = (DATA / "asterisk22.wav").read_bytes()[:4000]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=6), st.integers(0, 4000))
def test_a_damaged_header_gives_an_mp3_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]], length: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    data = bytearray(WAV)
    for at, value in damage:
        data[at] = value
    source = folder / "fuzzed.wav"
    source.write_bytes(data[:length])
    try:
        convert_file(source, folder / "fuzzed.mp3", Mp3(quality=9))
    except RecordingError:
        assert not (folder / "fuzzed.mp3.part").exists()


@given(st.binary(max_size=400), st.sampled_from([".wav", ".gsm", ".mp3", ".ulaw", ""]))
def test_any_bytes_give_an_mp3_or_a_typed_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    source = tmp_path_factory.getbasetemp() / f"any-bytes{suffix}"
    source.write_bytes(data)
    try:
        convert_file(source, source.with_name("any-bytes-out.mp3"), Mp3(quality=9))
    except RecordingError as error:
        assert source.name in str(error)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Ten minutes in stereo, 19 MB: no piece read or decoded is larger than its bound."""
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        second = tone(1.0, channels=2).tobytes()
        for _ in range(600):
            file.writeframes(second)
    with open_sound(path) as sound:
        sizes = [len(piece) for piece in sound.pieces]
    assert sum(sizes) == 600 * 8000 * 4
    assert max(sizes) <= 1 << 17
