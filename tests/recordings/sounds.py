"""Makes sound files, and listens to them: how long, and which tone."""

from __future__ import annotations

import math
import struct
import wave
from array import array
from itertools import pairwise
from pathlib import Path

import soundfile

DATA = Path(__file__).parent / "data"


def tone(seconds: float, rate: int = 8000, hertz: float = 440.0, channels: int = 1) -> array[int]:
    """Interleaved 16-bit samples; the second channel is an octave higher."""
    samples = array("h")
    for moment in range(round(seconds * rate)):
        for channel in range(channels):
            samples.append(round(12_000 * math.sin(2 * math.pi * hertz * (channel + 1) * moment / rate)))
    return samples


def write_wav(path: Path, seconds: float = 2.0, rate: int = 8000, hertz: float = 440.0, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(tone(seconds, rate, hertz, channels).tobytes())
    return path


def unclose(path: Path) -> Path:
    """As a killed Asterisk leaves it: both lengths in the header are 0."""
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<I", 0)
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0)
    path.write_bytes(data)
    return path


def heard(file: soundfile.SoundFile) -> bytes:
    """The rest of the file as 16-bit samples; some kinds do not know their own length."""
    buffer, samples = bytearray(1 << 16), bytearray()
    while moments := file.buffer_read_into(buffer, dtype="int16"):
        samples += buffer[: moments * 2 * file.channels]
    return bytes(samples)


def listen(path: Path, channel: int = 0) -> tuple[float, float]:
    """Seconds, and the tone in Hz (by its zero crossings, without the first and last tenth)."""
    with soundfile.SoundFile(str(path)) as file:
        samples = array("h", heard(file))[channel :: file.channels]
        rate = file.samplerate
    middle = samples[len(samples) // 10 : -len(samples) // 10]
    crossings = sum(1 for one, two in pairwise(middle) if one < 0 <= two)
    return len(samples) / rate, crossings * rate / len(middle)
