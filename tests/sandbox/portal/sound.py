"""Small real recordings for the tests: one second of a tone as wav and as mp3."""

from __future__ import annotations

import io
import math
import struct
import wave
from functools import cache

import lameenc

RATE = 8000


def samples(seconds: float = 1.0) -> bytes:
    count = int(RATE * seconds)
    return b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * 440 * i / RATE))) for i in range(count))


@cache
def wav(seconds: float = 1.0) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples(seconds))
    return out.getvalue()


@cache
def mp3(seconds: float = 1.0) -> bytes:
    encoder = lameenc.Encoder()
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(1)
    encoder.set_bit_rate(32)
    encoder.silence()
    return bytes(encoder.encode(samples(seconds)) + encoder.flush())
