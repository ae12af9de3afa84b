"""Tones: what everyone in the sandbox plays, and how to tell from a recording who was heard.

Each party plays one steady tone of its own, so "102 hears the client" is a measurement, not a hope. Touches WAV files only
(8 kHz, 16 bit, mono).
"""

from __future__ import annotations

import wave
from array import array
from collections.abc import Mapping
from pathlib import Path

import numpy as np

RATE = 8000
WINDOW = 400
"""Samples that are looked at together: 50 ms tell tones apart that differ by 40 Hz and more."""

CODE = 220.0
WRONG_CODE = 260.0
MENU = 300.0
ANNOUNCEMENT = 330.0
MUSIC_ON_HOLD = 370.0
RINGING = 425.0

TONES: Mapping[str, float] = {"101": 500, "102": 550, "103": 600, "104": 650, "105": 700, "connector": 800}
"""Hz, by extension; those of outside numbers are told by `number_tone`."""


def number_tone(number: str) -> float:
    """The tone, in Hz, of an outside number: told by its last two digits, between 900 and 2187."""
    digits = number[-2:]
    return 900.0 + 13.0 * int(digits if digits.isdigit() else 0)


def write_tone(path: Path, frequency: float, seconds: float) -> None:
    """A sine of a quarter of full scale, with 20 ms of fading at both ends."""
    length = round(seconds * RATE)
    n = np.arange(length)
    loudness = 8191 * np.minimum(1.0, np.minimum(n, length - n) / (RATE // 50))
    samples = np.rint(loudness * np.sin(2 * np.pi * frequency * n / RATE)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def samples_of(path: Path) -> array[int]:
    """Raises wave.Error or EOFError when it is no WAV of ours, ValueError when it is of another shape."""
    with wave.open(str(path), "rb") as file:
        shape = (file.getframerate(), file.getsampwidth(), file.getnchannels())
        if shape != (RATE, 2, 1):
            raise ValueError(f"{path}: rate, sample width and channels are {shape}, not {(RATE, 2, 1)}")
        samples = array("h")
        samples.frombytes(file.readframes(file.getnframes()))
    return samples


def seconds_of(path: Path) -> float:
    """How long a recording is."""
    with wave.open(str(path), "rb") as file:
        return file.getnframes() / file.getframerate()


def seconds_heard(path: Path, frequency: float) -> float:
    """For how long a tone can be heard in a recording."""
    return len(moments_heard(path, frequency)) * WINDOW / RATE


def moments_heard(path: Path, frequency: float) -> list[float]:
    """When a tone can be heard in a recording: where windows begin in which at least 5 % of the power is its, in seconds.
    Several tones may sound at once."""
    return [n * WINDOW / RATE for n, share in enumerate(shares(samples_of(path), frequency)) if share >= 0.05]


def shares(samples: array[int], frequency: float) -> list[float]:
    """The part of the power of each whole window that is at this frequency; 0 where it is (nearly) silent."""
    windows = np.frombuffer(samples, dtype=np.int16)[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(float)
    n = np.arange(WINDOW)
    wave_ = np.exp(-2j * np.pi * frequency * n / RATE) * np.hanning(WINDOW + 1)[:-1]
    energy = np.square(windows).sum(axis=1)
    # A lone sine of amplitude A has energy A²N/2 and, under the Hann window, power (A·N/4)².
    found = np.square(np.abs(windows @ wave_)) * 8 / np.maximum(energy * WINDOW, 1.0)
    return np.where(energy < WINDOW * 100.0**2, 0.0, found).tolist()
