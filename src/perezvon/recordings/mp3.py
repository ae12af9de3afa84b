"""How long an mp3 is, whether it is one, and its frames: their headers are walked, no sound is decoded.

Source: http://www.mp3-tech.org/programmer/frame_header.html
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perezvon.recordings.errors import EmptyRecording, NotAudio

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def looks_like_mp3(start: bytes) -> bool:
    return start[:3] == b"ID3" or _frame(start[:4]) is not None


@dataclass(frozen=True, slots=True)
class Form:
    """What a player must know before the first frame: `rate` in Hz, 1 or 2 `channels`. `kbit` a second, of all channels."""

    rate: int
    channels: int
    kbit: int


def duration(path: Path) -> float:
    """Seconds. Bytes between frames are passed over. Raises NotAudio when there are no three frames in a row anywhere."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise EmptyRecording(f"{path} is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            seconds, row, longest, end = 0.0, 0, 0, -1
            for at, length, lasting in _walk(data):
                row = row + 1 if at == end else 1
                longest = max(longest, row)
                end = at + length
                seconds += lasting
    if longest < 3:
        raise NotAudio(f"{path} is no mp3: it has no frames")
    return seconds


def form(start: bytes) -> Form | None:
    """That of the frame which begins with these four bytes; None when none does."""
    if _frame(start) is None:
        return None
    version, kbit = start[1] >> 3 & 3, start[2] >> 4
    return Form(
        rate=_RATES[version][start[2] >> 2 & 3],
        channels=1 if start[3] >> 6 == 3 else 2,
        kbit=(_KBITS_1 if version == 3 else _KBITS_2)[kbit],
    )


def frames(path: Path) -> Iterator[tuple[bytes, float]]:
    """Each whole frame and its seconds. Without what stands between them, and without the one that tells a player how many
    there are (`Xing`, `Info`, `VBRI`): put behind one another, the frames of several files sound one after the other."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at, length, lasting in _walk(data):
            frame = data[at : at + length]
            if len(frame) == length and not any(tag in frame[:48] for tag in (b"Xing", b"Info", b"VBRI")):
                yield frame, lasting


def _walk(data: mmap.mmap) -> Iterator[tuple[int, int, float]]:
    """Where each frame is, its bytes and its seconds."""
    at = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        size = data[6:10]
        at = 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    while 0 <= at < len(data):
        frame = _frame(data[at : at + 4])
        if frame is None:
            at = data.find(b"\xff", at + 1)
            continue
        length, lasting = frame
        yield at, length, lasting
        at += length


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
