"""Whether bytes are a wav or mp3 that would play, and for how long. Headers are walked to the end; samples are not
decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


@dataclass(frozen=True, slots=True)
class Audio:
    """`duration` in seconds. `problem` is "" when the file plays. `format`: wav or mp3."""

    format: str
    duration: float
    problem: str = ""


def examine(name: str, content: bytes) -> Audio:
    """Judge by the content; the name's extension has to agree with it."""
    extension = name.rpartition(".")[2].lower()
    found = _wav(content) if content[:4] == b"RIFF" else _mp3(content)
    if not found.problem and found.format != extension:
        return Audio(found.format, found.duration, f"{name} holds {found.format}")
    return found


def _wav(content: bytes) -> Audio:
    if content[8:12] != b"WAVE":
        return Audio("wav", 0.0, "RIFF, but no WAVE")
    place, rate = 12, 0
    while place + 8 <= len(content):
        chunk, size = struct.unpack_from("<4sI", content, place)
        place += 8
        if chunk == b"fmt " and size >= 16:
            rate = struct.unpack_from("<I", content, place + 8)[0]
        if chunk == b"data":
            there = min(size, len(content) - place)
            if not rate:
                return Audio("wav", 0.0, "no fmt chunk before the data, or a byte rate of 0")
            if there < size:
                return Audio("wav", there / rate, f"cut short: {there} of {size} bytes of sound")
            if not there:
                return Audio("wav", 0.0, "no sound in it")
            return Audio("wav", there / rate)
        place += size + (size & 1)
    return Audio("wav", 0.0, "no data chunk")


def _mp3(content: bytes) -> Audio:
    place = 0
    if content[:3] == b"ID3" and len(content) >= 10:
        a, b, c, d = content[6:10]
        place = 10 + (a << 21 | b << 14 | c << 7 | d)
    end = len(content) - (128 if content[-128:-125] == b"TAG" else 0)
    seconds, frames = 0.0, 0
    while place + 4 <= end:
        length, duration = _frame(content[place : place + 4])
        if not length:
            return Audio("mp3", seconds, f"no MPEG audio frame at byte {place} (after {frames} frames)")
        place += length
        seconds += duration
        frames += 1
    if not frames:
        return Audio("mp3", 0.0, "neither wav nor mp3: no MPEG audio frame")
    if place > end:
        return Audio("mp3", seconds, f"cut short: the last frame lacks {place - end} bytes")
    return Audio("mp3", seconds)


def _frame(header: bytes) -> tuple[int, float]:
    """(length in bytes, duration in seconds) of an MPEG layer III frame; (0, 0) when it is none."""
    word = int.from_bytes(header, "big")
    version, layer = word >> 19 & 3, word >> 17 & 3
    kbps_index, rate_index, padding = word >> 12 & 15, word >> 10 & 3, word >> 9 & 1
    if word >> 21 != 0x7FF or layer != 1 or version not in RATES or kbps_index in {0, 15} or rate_index == 3:
        return 0, 0.0
    rate = RATES[version][rate_index]
    kbps = (MPEG1_KBPS if version == 3 else MPEG2_KBPS)[kbps_index]
    samples = 1152 if version == 3 else 576
    return samples // 8 * kbps * 1000 // rate + padding, samples / rate
