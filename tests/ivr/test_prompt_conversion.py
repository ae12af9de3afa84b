"""Any sound file becomes 8 kHz, mono, 16 bit: at the same pitch, loudness and length, without what a telephone cannot carry."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_sounds import LOUD, level_of, read, tone, write

from perezvon.ivr import telephone
from perezvon.ivr.telephone import Resampler, convert_prompt
from perezvon.recordings.errors import EmptyRecording, NotAudio, Unreadable

LOUD_DB = 20 * np.log10(LOUD)


@pytest.mark.parametrize("ending", [".wav", ".mp3", ".ogg", ".flac"])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_pitch_loudness_and_length_stay(tmp_path: Path, ending: str, rate: int) -> None:
    source = write(tmp_path / f"s{ending}", tone(1000, 1.0, rate), rate)
    done = convert_prompt(source, tmp_path / "t.wav")
    sound = read(done.path)
    assert done.duration == sound.size / 8000 == pytest.approx(1.0, abs=0.12 if ending == ".mp3" else 0.002)
    assert level_of(sound[1000:6000], 1000) == pytest.approx(LOUD_DB, abs=0.5)


@pytest.mark.parametrize("rate", [11025, 16000, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("hertz", [4200, 5000, 5300])
def test_what_a_telephone_cannot_carry_does_not_come_back_as_a_whistle(tmp_path: Path, rate: int, hertz: int) -> None:
    source = write(tmp_path / "s.wav", tone(440, 1.0, rate) + tone(hertz, 1.0, rate), rate)
    sound = read(convert_prompt(source, tmp_path / "t.wav").path)[800:-800]
    assert level_of(sound, 440) == pytest.approx(LOUD_DB, abs=0.1)
    assert level_of(sound, 8000 - hertz) < LOUD_DB - 65


def test_speech_passes_up_to_3400_hertz(tmp_path: Path) -> None:
    for hertz in (100, 300, 1000, 2000, 3000, 3400):
        source = write(tmp_path / "s.wav", tone(hertz, 0.5, 44100), 44100)
        sound = read(convert_prompt(source, tmp_path / "t.wav").path)[800:-800]
        assert level_of(sound, hertz) == pytest.approx(LOUD_DB, abs=0.3), hertz


def test_both_channels_are_heard(tmp_path: Path) -> None:
    source = write(tmp_path / "s.wav", np.stack([tone(500, 0.5, 16000), tone(900, 0.5, 16000)], axis=1), 16000)
    sound = read(convert_prompt(source, tmp_path / "t.wav").path)
    assert level_of(sound, 500) == pytest.approx(LOUD_DB - 6, abs=0.5)
    assert level_of(sound, 900) == pytest.approx(LOUD_DB - 6, abs=0.5)


def test_full_scale_does_not_turn_over(tmp_path: Path) -> None:
    loud = np.sign(tone(437, 0.5, 44100))
    sound = read(convert_prompt(write(tmp_path / "s.wav", loud, 44100), tmp_path / "t.wav").path)
    assert np.all(np.abs(np.diff(sound)) < 1.95), "no sample jumps from one end to the other within a step"
    assert np.abs(sound).max() <= 1


@given(
    rate=st.sampled_from([6000, 11025, 12000, 16000, 22050, 44100, 48000]),
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=6),
)
def test_pieces_do_not_matter(rate: int, sizes: list[int]) -> None:
    sound = np.random.default_rng(1).normal(0, 5000, sum(sizes)).astype(np.float32)
    whole, pieces = Resampler(rate), Resampler(rate)
    at = np.cumsum([0, *sizes])
    one = np.concatenate([whole.feed(sound), whole.end()])
    many = np.concatenate([*(pieces.feed(sound[a:b]) for a, b in pairwise(at)), pieces.end()])
    assert one.size == -(-sound.size * 8000 // rate)
    np.testing.assert_allclose(many, one, atol=0.05)


@pytest.mark.parametrize("ending", [".mp3", ".wav", ".ogg"])
def test_what_is_no_sound_is_told(tmp_path: Path, ending: str) -> None:
    source = tmp_path / f"s{ending}"
    source.write_bytes(b"<html>404 Not Found</html>" * 50)
    with pytest.raises(NotAudio, match=str(source)):
        convert_prompt(source, tmp_path / "t.wav")
    assert list(tmp_path.iterdir()) == [source]


def test_silence_and_nothing_are_told(tmp_path: Path) -> None:
    with pytest.raises(EmptyRecording, match=r"1\.0 s of silence"):
        convert_prompt(write(tmp_path / "s.wav", tone(440, 1.0, level=0.0005)), tmp_path / "t.wav")
    empty = tmp_path / "e.mp3"
    empty.touch()
    with pytest.raises(EmptyRecording):
        convert_prompt(empty, tmp_path / "t.wav")
    with pytest.raises(EmptyRecording):
        convert_prompt(write(tmp_path / "n.wav", tone(440, 0.0)), tmp_path / "t.wav")
    assert not (tmp_path / "t.wav").exists()


def test_a_prompt_of_many_minutes_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telephone, "LONGEST", 1.0)
    source = write(tmp_path / "s.wav", tone(440, 1.2, 16000), 16000)
    with pytest.raises(NotAudio, match="lasts longer than 1 s"):
        convert_prompt(source, tmp_path / "t.wav")


def test_everybody_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        done = convert_prompt(write(tmp_path / "s.wav", tone(440)), tmp_path / "t.wav")
    finally:
        os.umask(before)
    assert done.path.stat().st_mode & 0o777 == 0o644


def test_a_target_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    source = write(tmp_path / "s.wav", tone(440))
    with pytest.raises(Unreadable):
        convert_prompt(source, source / "t.wav")
