"""How loud an mp3 is from moment to moment, for the eye: read from the frames' gains, nothing is decoded.

An hour takes a tenth of a second. Source: ISO/IEC 11172-3 (MPEG-1 Layer III) and 13818-3 (lower rates), side information.
"""

from __future__ import annotations

import math
from pathlib import Path

from perezvon.recordings.errors import NotAudio

LARGEST = 200_000_000
"""Bytes of a file that is looked at."""

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""By version: MPEG-1, MPEG-2, MPEG-2.5."""
_KBIT = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By whether it is MPEG-1."""


_LARGEST_OF = (
    *(0, 1, 2, 2, 0, 3, 3, 5, 5, 5, 7, 7, 7, 15, 0, 15),
    *(16, 18, 22, 30, 78, 270, 1038, 8206, 30, 46, 78, 142, 270, 526, 2062, 8206),
)
"""By Huffman table: the largest value that it can write. With the gain that tells how loud the sound can be."""


def peaks(path: Path, count: int = 240) -> list[int]:
    """`count` moments in equal distances, 0 (silence) to 100 (the loudest moment). Raises NotAudio, OSError."""
    if path.stat().st_size > LARGEST:
        raise NotAudio(f"{path} is too large to be looked at")
    gains = _gains(path.read_bytes())
    if not gains:
        raise NotAudio(f"{path} has no frame of an mp3")
    wanted = min(count, len(gains))
    loudest = [
        max(gains[len(gains) * place // wanted : max(len(gains) * (place + 1) // wanted, len(gains) * place // wanted + 1)])
        for place in range(wanted)
    ]
    top = sorted(loudest)[len(loudest) * 95 // 100]  # a click is no measure for the rest
    # A step is 1.5 dB; what is 48 dB below the loud moments is silence to the eye.
    return [min(100, max(0, round(100 * (1 - (top - gain) / 32)))) if gain else 0 for gain in loudest]


def _gains(sound: bytes) -> list[int]:
    """Of each frame how loud it is, in steps of 1.5 dB; 0 of a frame without any sound."""
    gains: list[int] = []
    place, end = _after_tag(sound), len(sound)
    while place + 40 < end:
        if sound[place] != 0xFF or sound[place + 1] & 0xE6 != 0xE2:  # synchronised, Layer III
            place += 1
            continue
        second, third, fourth = sound[place + 1], sound[place + 2], sound[place + 3]
        version, kbit, rate = second >> 3 & 3, third >> 4, third >> 2 & 3
        if version == 1 or kbit in (0, 15) or rate == 3:
            place += 1
            continue
        first = version == 3
        length = (144 if first else 72) * _KBIT[first][kbit] * 1000 // _RATES[version][rate] + (third >> 1 & 1)
        mono = fourth >> 6 == 3
        side = place + 4 + (0 if second & 1 else 2)
        gains.append(_gain(int.from_bytes(sound[side : side + 32]), first=first, mono=mono))
        place += length
    return gains


def _gain(side: int, *, first: bool, mono: bool) -> int:
    """`side`: the 256 bits that begin with the side information."""
    channels = 1 if mono else 2
    begin = (9 + (5 if mono else 3) + 4 * channels) if first else (8 + (1 if mono else 2))
    block = 59 if first else 63
    found = 0
    for number in range(channels * (2 if first else 1)):
        at = begin + number * block
        if not _bits(side, at, 12):  # of sound
            continue
        flag = at + (33 if first else 38)
        short = _bits(side, flag, 1)
        tables = [_bits(side, flag + (4 if short else 1) + 5 * region, 5) for region in range(2 if short else 3)]
        largest = max(_LARGEST_OF[table] for table in tables) if _bits(side, at + 12, 9) else 1
        found = max(found, _bits(side, at + 21, 8) + round(16 / 3 * math.log2(max(largest, 1))))
    return found


def _bits(side: int, at: int, count: int) -> int:
    return side >> (256 - at - count) & ((1 << count) - 1)


def _after_tag(sound: bytes) -> int:
    """Where an ID3 tag ends that stands before the sound."""
    if sound[:3] != b"ID3" or len(sound) < 10:
        return 0
    size = 0
    for byte in sound[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size
