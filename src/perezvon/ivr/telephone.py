"""One sound file becomes what Asterisk plays best: WAV, 8 kHz, mono, 16 bit. Reads one, writes one.

What a telephone cannot carry is filtered out before the rate goes down, or it would come back as a whistle. Loudness stays.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perezvon.recordings.convert import Converted, explained, whole
from perezvon.recordings.decode import open_sound
from perezvon.recordings.errors import EmptyRecording, NotAudio

RATE = 8000
LONGEST = 300.0
"""Seconds: nobody listens for longer, and a lost file of an hour would fill the disk."""
SHORTEST = 0.02
SILENT = 33
"""Of 32768: -60 dB of full scale. Below it nobody hears anything."""

_PASSES = 3500.0
"""Hz up to which everything passes; from half the lower of the two rates on, nothing does (-70 dB)."""
_STOPS_BY = 70.0
_BLOCK = 1 << 16

Samples = NDArray[np.float32]


def convert_prompt(source: Path, target: Path) -> Converted:
    """Only one conversion at a time may have the same target, which everybody may read.

    Raises EmptyRecording (also for silence), NotAudio (also for what lasts longer than LONGEST), NoSpace, Unreadable.
    """
    with explained(str(source), target), whole(target) as output:
        output.write(bytes(44))
        count, peak = 0, 0
        for block in _resampled(source):
            samples = np.clip(np.rint(block), -32768, 32767).astype("<i2")
            if samples.size:
                peak = max(peak, abs(int(samples.min())), abs(int(samples.max())))
            count += samples.size
            output.write(samples.tobytes())
        if count < RATE * SHORTEST:
            raise EmptyRecording(f"{source} has {count / RATE:.2f} s of sound")
        if peak < SILENT:
            raise EmptyRecording(f"{source} has {count / RATE:.1f} s of silence and nothing else")
        output.seek(0)
        output.write(_header(2 * count))
        Path(output.name).chmod(0o644)
    return Converted(target, count / RATE, 44 + 2 * count)


def _header(size: int) -> bytes:
    shape = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + shape + struct.pack("<4sI", b"data", size)


def _resampled(source: Path) -> Iterator[Samples]:
    with open_sound(source) as sound:
        down = None if sound.rate == RATE else Resampler(sound.rate)
        moments = 0
        for piece in sound.pieces:
            samples = np.frombuffer(piece, "<i2").astype(np.float32)
            if sound.channels == 2:
                samples = (samples[0::2] + samples[1::2]) / np.float32(2)
            moments += samples.size
            if moments > LONGEST * sound.rate:
                raise NotAudio(f"{source} lasts longer than {LONGEST:g} s: it is left out")
            if down is None:
                yield samples
                continue
            for start in range(0, samples.size, _BLOCK):
                yield down.feed(samples[start : start + _BLOCK])
        if down is not None:
            yield down.end()


class Resampler:
    """From any rate to 8 kHz, in pieces of any length: a windowed sinc (Kaiser), one filter for each place between two
    samples where one of ours may fall. Sound is not moved: what is at 1 s stays at 1 s.

    Source: https://ccrma.stanford.edu/~jos/resample/
    """

    def __init__(self, rate: int) -> None:
        common = math.gcd(rate, RATE)
        self._phases, self._step = RATE // common, rate // common
        nyquist = min(rate, RATE) / 2
        passes = nyquist * _PASSES / (RATE / 2)
        reach = math.ceil((_STOPS_BY - 7.95) / (14.36 * (nyquist - passes) / rate) / 2)
        self._reach = reach
        cutoff = (passes + nyquist) / rate  # of half the source's rate
        away = np.arange(-reach + 1, reach + 1)[None, :] - np.arange(self._phases)[:, None] / self._phases
        shape = 0.1102 * (_STOPS_BY - 8.7)
        window = np.i0(shape * np.sqrt(np.maximum(0.0, 1 - (away / reach) ** 2))) / np.i0(shape)
        filters = np.sinc(cutoff * away) * window
        filters /= filters.sum(axis=1, keepdims=True)
        self._filters = filters.astype(np.float32)
        self._waiting: Samples = np.zeros(reach - 1, np.float32)
        self._first = 0
        """Where our next sample lies behind the first waiting one, in parts (1/phases) of a sample."""
        self._given = 0
        self._taken = 0

    def feed(self, samples: Samples) -> Samples:
        self._taken += samples.size
        return self._filter(np.concatenate([self._waiting, samples]))

    def end(self) -> Samples:
        """What is left; as many samples in all as the sound's length makes."""
        wanted = -(-self._taken * self._phases // self._step) - self._given
        rest = self._filter(np.concatenate([self._waiting, np.zeros(2 * self._reach + self._step, np.float32)]))
        return rest[:wanted]

    def _filter(self, line: Samples) -> Samples:
        """Our sample n lies at n·step/phases: between the waiting samples whose windows begin at its whole part."""
        width = self._filters.shape[1]
        count = max(0, ((line.size - width) * self._phases - self._first) // self._step + 1)
        out = np.empty(count, np.float32)
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(line, width)
            places = self._first + self._step * np.arange(count)
            starts, phases = places // self._phases, places % self._phases
            for offset in range(min(self._phases, count)):
                mine = slice(offset, None, self._phases)
                out[mine] = windows[starts[mine]] @ self._filters[phases[offset]]
        after = self._first + self._step * count
        gone = min(after // self._phases, line.size)
        self._waiting = line[gone:].copy()
        self._first = after - gone * self._phases
        self._given += count
        return out
