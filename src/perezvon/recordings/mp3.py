"""How long an mp3 is, and whether it is one: its frame headers are walked, no sound is decoded.

Source: http://www.mp3-tech.org/programmer/frame_header.html
"""

from __future__ import annotations

import mmap
from pathlib import Path

from perezvon.recordings.errors import EmptyRecording, NotAudio

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def looks_like_mp3(start: bytes) -> bool:
    return start[:3] == b"ID3" or _frame(start[:4]) is not None


def duration(path: Path) -> float:
    """Seconds. Bytes between frames are passed over. Raises NotAudio when there are no three frames in a row anywhere."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise EmptyRecording(f"{path} is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _walk(data, str(path))


def _walk(data: mmap.mmap, name: str) -> float:
    at = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        size = data[6:10]
        at = 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    seconds, row, longest = 0.0, 0, 0
    while 0 <= at < len(data):
        frame = _frame(data[at : at + 4])
        if frame is None:
            row = 0
            at = data.find(b"\xff", at + 1)
            continue
        length, lasting = frame
        seconds += lasting
        row += 1
        longest = max(longest, row)
        at += length
    if longest < 3:
        raise NotAudio(f"{name} is no mp3: it has no frames")
    return seconds


def _frame(head: bytes) -> tuple[int, float] | None:
    """Bytes and seconds of the layer III frame that begins with these four bytes."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    kbit, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer != 1 or kbit in {0, 15} or rate_index == 3:
        return None
    rate = _RATES[version][rate_index]
    samples, kbits = (1152, _KBITS_1[kbit]) if version == 3 else (576, _KBITS_2[kbit])
    return samples // 8 * kbits * 1000 // rate + padding, samples / rate
