"""The header of a RIFF/WAVE file. Reads bytes, decodes no sound.

Source: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from perezvon.recordings.errors import EmptyRecording, NotAudio

PCM, FLOAT, ALAW, ULAW, GSM, EXTENSIBLE = 1, 3, 6, 7, 0x31, 0xFFFE
MOST_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class WavHeader:
    """`start` and `size` tell where the sound's bytes are. `rate` in Hz, `bits` a sample, `block` bytes a moment
    of all channels.

    `closed`: the lengths in the header are those of the file, i.e. its writer has finished. A file whose writer was killed
    says 0 (or too much): then `size` is all that follows the header.
    """

    tag: int
    channels: int
    rate: int
    bits: int
    block: int
    start: int
    size: int
    closed: bool


def read_header(file: BinaryIO, name: str) -> WavHeader:
    """Raises EmptyRecording for a file that ends within its header, NotAudio for one that is no WAVE file."""
    length = file.seek(0, 2)
    file.seek(0)
    top = file.read(12)
    if len(top) < 12:
        raise EmptyRecording(f"{name} has only {length} bytes: nothing was recorded")
    if top[:4] != b"RIFF" or top[8:] != b"WAVE":
        raise NotAudio(f"{name} is no WAVE file: it begins with {top[:12]!r}")
    riff = struct.unpack("<I", top[4:8])[0]
    form: tuple[int, int, int, int, int] | None = None
    for _ in range(MOST_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            break
        kind, size = struct.unpack("<4sI", chunk)
        at = file.tell()
        if kind == b"fmt ":
            form = _format(file.read(min(size, 40)), name)
        elif kind == b"data":
            if form is None:
                raise NotAudio(f"{name} has its sound before its format: it cannot be read")
            left = length - at
            told = 0 < size <= left
            return WavHeader(*form, start=at, size=size if told else left, closed=told and abs(length - 8 - riff) <= 1)
        file.seek(at + size + size % 2)
    raise EmptyRecording(f"{name} is a WAVE file without sound: nothing was recorded")


def _format(body: bytes, name: str) -> tuple[int, int, int, int, int]:
    if len(body) < 16:
        raise NotAudio(f"{name} has a WAVE header that is cut short")
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == EXTENSIBLE and len(body) >= 26:
        tag = struct.unpack("<H", body[24:26])[0]
    return tag, channels, rate, bits, block
