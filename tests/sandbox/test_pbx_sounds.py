"""Tones: written and recognised."""

from __future__ import annotations

import itertools
import wave
from array import array
from pathlib import Path

import pytest

from perezvon.sandbox.pbx import sounds


def mix(path: Path, *parts: Path) -> Path:
    tracks = [sounds.samples_of(part) for part in parts]
    mixed = array("h", [sum(samples) // 2 for samples in zip(*tracks, strict=True)])
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, sounds.RATE, 0, "NONE", ""))
        file.writeframes(mixed.tobytes())
    return path


def test_only_the_tone_that_sounds_is_heard(tmp_path: Path) -> None:
    sounds.write_tone(tmp_path / "500.wav", 500, 1)
    assert sounds.seconds_of(tmp_path / "500.wav") == 1
    assert sounds.seconds_heard(tmp_path / "500.wav", 500) == pytest.approx(1)
    for other in (300, 425, 450, 550, 1000):
        assert sounds.seconds_heard(tmp_path / "500.wav", other) == 0


def test_two_tones_at_once_are_both_heard(tmp_path: Path) -> None:
    sounds.write_tone(tmp_path / "500.wav", 500, 1)
    sounds.write_tone(tmp_path / "1343.wav", 1343, 1)
    both = mix(tmp_path / "both.wav", tmp_path / "500.wav", tmp_path / "1343.wav")
    assert sounds.seconds_heard(both, 500) == pytest.approx(1)
    assert sounds.seconds_heard(both, 1343) == pytest.approx(1)
    assert sounds.seconds_heard(both, 900) == 0


def test_silence_is_not_heard(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setparams((1, 2, sounds.RATE, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    assert sounds.seconds_heard(tmp_path / "silence.wav", 500) == 0


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "cd.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(bytes(400))
    with pytest.raises(ValueError, match="44100"):
        sounds.seconds_heard(tmp_path / "cd.wav", 500)


def test_every_party_has_a_tone_of_its_own() -> None:
    tones = [*sounds.TONES.values(), sounds.MENU, sounds.ANNOUNCEMENT, sounds.MUSIC_ON_HOLD, sounds.RINGING]
    tones += [sounds.number_tone(f"791600000{n:02}") for n in range(0, 100, 4)]
    tones.sort()
    assert min(after - before for before, after in itertools.pairwise(tones)) >= 30
