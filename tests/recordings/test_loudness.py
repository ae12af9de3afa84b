"""How loud an mp3 is, read from its frames: silence, a loud tone, a soft one."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import lameenc  # pyright: ignore[reportMissingTypeStubs]
import pytest

from perezvon.recordings.errors import NotAudio
from perezvon.recordings.loudness import peaks


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 2)])
def test_loud_soft_and_silent_seconds(tmp_path: Path, rate: int, channels: int) -> None:
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(32 * channels)
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(channels)
    encoder.set_quality(7)
    sound = b""
    for loud in (0, 20000, 1000, 0):
        wave = [int(loud * math.sin(2 * math.pi * 440 * place / rate)) for place in range(rate)]
        sound += struct.pack(f"<{rate * channels}h", *(value for value in wave for _ in range(channels)))
    file = tmp_path / "tone.mp3"
    file.write_bytes(bytes(encoder.encode(sound)) + bytes(encoder.flush()))
    told = peaks(file, 40)
    silent, loud, soft, last = (told[start + 3 : start + 8] for start in (0, 10, 20, 30))
    assert max(silent) == 0 and max(last) == 0
    assert min(loud) > max(soft) > 0


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 100, b"\xff\xfb" * 100, b"ID3" + b"\xff" * 60])
def test_what_is_no_mp3(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.mp3"
    file.write_bytes(content)
    try:
        assert all(0 <= peak <= 100 for peak in peaks(file))
    except NotAudio:
        return
