"""Sound files for the tests of prompts: tones of any rate and kind, and what is heard in a WAV file."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float64]

LOUD = 0.3


def tone(hertz: float, seconds: float = 0.5, rate: int = 8000, level: float = LOUD) -> Samples:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path: Path, sound: Samples, rate: int = 8000) -> Path:
    """Of the kind that the ending tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {".mp3": "MP3", ".ogg": "OGG", ".oga": "OGG", ".flac": "FLAC"}
    kind = kinds.get(path.suffix.lower(), "WAV")
    soundfile.write(str(path), sound, rate, format=kind)  # pyright: ignore[reportUnknownMemberType]
    return path


def read(path: Path) -> Samples:
    """Only of the form that all prompts have."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000), path
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def level_of(sound: Samples, hertz: float) -> float:
    """How loud a tone is in it, in dB of full scale; -200 when it is not there at all."""
    moments = np.arange(sound.size) / 8000
    window = np.hanning(sound.size)
    amplitude = 2 * abs(np.sum(sound * window * np.exp(-2j * np.pi * hertz * moments))) / window.sum()
    return float(20 * np.log10(max(amplitude, 1e-10)))
