"""Tones: what everyone in the sandbox plays, and how to tell from a recording who was heard.

Each party plays one steady tone of its own, so "102 hears the client" is a measurement, not a hope. Touches WAV files only
(8 kHz, 16 bit, mono). Pure Python: a minute of sound takes about a second to write.
"""

from __future__ import annotations

import math
import wave
from array import array
from collections.abc import Mapping
from pathlib import Path

RATE = 8000

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
    fade = RATE // 50
    samples = array("h", bytes(2 * length))
    for n in range(length):
        loudness = 8191 * min(1.0, n / fade, (length - n) / fade)
        samples[n] = round(loudness * math.sin(2 * math.pi * frequency * n / RATE))
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


def seconds_heard(path: Path, frequency: float, *, window: float = 0.05) -> float:
    """For how long a tone can be heard in a recording."""
    return len(moments_heard(path, frequency, window=window)) * window


def moments_heard(path: Path, frequency: float, *, window: float = 0.05) -> list[float]:
    """When a tone can be heard in a recording: where windows begin in which at least 5 % of the power is its, in seconds.

    Several tones may sound at once. Goertzel's algorithm; windows of 50 ms tell tones apart that differ by 40 Hz and more.
    """
    samples = samples_of(path)
    size = round(window * RATE)
    starts = range(0, len(samples) - size + 1, size)
    return [start / RATE for start in starts if share(samples[start : start + size], frequency) >= 0.05]


def share(samples: array[int], frequency: float) -> float:
    """The part of the power of a window of 50 ms that is at this frequency; 0 when it is (nearly) silent."""
    size = len(samples)
    energy = float(sum(sample * sample for sample in samples))
    if energy < size * 100.0**2:
        return 0.0
    turn = 2 * math.pi * frequency / RATE
    factor = 2 * math.cos(turn)
    last = before = 0.0
    for n, sample in enumerate(samples):
        hann = 0.5 - 0.5 * math.cos(2 * math.pi * n / size)
        last, before = sample * hann + factor * last - before, last
    power = last * last + before * before - factor * last * before
    # A lone sine of amplitude A has energy A²N/2 and, under the Hann window, power (A·N/4)².
    return power * 8 / (energy * size)
