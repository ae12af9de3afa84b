"""Several recordings become one mp3, one after the other, in the process that calls it. Reads them, writes one file.

All of it has one form, as players want it: the highest rate of the parts (24 kHz are enough for speech), stereo if any is.
Where a part is mp3 already, its frames go in as they are and the form is theirs; only when two of them differ must they be
decoded, which needs `soundfile`. LAME brings every rate to the common one; parts of the same rate run through
one encoder, so that nothing is heard between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from perezvon.recordings import mp3
from perezvon.recordings.channels import with_channels
from perezvon.recordings.convert import SHORTEST, Mp3, explained, new_encoder, whole
from perezvon.recordings.decode import open_sound
from perezvon.recordings.errors import EmptyRecording, NotAudio

FILLED = 0.15
"""Seconds, about, by which LAME's first and last frames make an mp3 longer: a pause is written so much shorter."""

LONGEST_SILENCE = 4 * 3600.0
"""Seconds: a recording that was forgotten in a pause must not fill the disk."""

_RATES = (8000, 11025, 12000, 16000, 22050, 24000)


@dataclass(frozen=True, slots=True)
class Joined:
    """`duration` in seconds, `size` in bytes. `starts`: the second at which each part begins."""

    path: Path
    duration: float
    size: int
    starts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """`passes`: an mp3 whose frames are taken as they are."""

    path: Path
    rate: int
    channels: int
    passes: mp3.Form | None = None


def join_files(sources: Sequence[Path], target: Path, form: Mp3, gaps: Sequence[float] = ()) -> Joined:
    """In the order given. Only one conversion at a time may have the same target. `gaps`: seconds of silence before each.

    Raises EmptyRecording, NotAudio, NoSpace, Unreadable.
    """
    names = ", ".join(map(str, sources))
    with explained(names, target):
        looked = [_look(path) for path in sources]
        passing = [source.passes for source in looked if source.passes is not None]
        if len({(one.rate, one.channels) for one in passing}) > 1:
            looked = [_look(source.path, decode=True) for source in looked]
            passing = []
        with whole(target) as output:
            line = _Line(output, passing[0] if passing else _common(looked, form), form.quality)
            silences = (*gaps, *[0.0] * len(looked))
            starts = [line.add(source, gap) for source, gap in zip(looked, silences, strict=False)]
            seconds = line.end()
        return Joined(target, seconds, target.stat().st_size, tuple(starts))


def _look(path: Path, *, decode: bool = False) -> _Source:
    with path.open("rb") as file:
        passes = not decode and mp3.looks_like_mp3(file.read(4))
    if passes:
        mp3.duration(path)
        first = mp3.form(next((frame for frame, _ in mp3.frames(path)), b""))
        if first is None:
            raise NotAudio(f"{path} is no mp3: it has no frames with sound")
        return _Source(path, first.rate, first.channels, first)
    with open_sound(path) as sound:
        return _Source(path, sound.rate, sound.channels)


def _common(sources: Sequence[_Source], form: Mp3) -> mp3.Form:
    highest = max(source.rate for source in sources)
    channels = 1 if form.channels == "mono" else max(source.channels for source in sources)
    return mp3.Form(
        rate=next((rate for rate in _RATES if rate >= highest), _RATES[-1]), channels=channels, kbit=form.bitrate * channels
    )


class _Line:
    """The mp3 that grows at its end. `_at`: its seconds without those of the encoder that is at work."""

    def __init__(self, output: BinaryIO, form: mp3.Form, quality: int) -> None:
        self._output = output
        self._form = form
        self._quality = quality
        self._at = 0.0
        self._run: _Run | None = None

    def add(self, source: _Source, gap: float = 0.0) -> float:
        """Gives the second at which it begins, after `gap` seconds of silence."""
        if gap > 0:
            self._silence(gap)
        if source.passes is not None:
            self._end_run()
            start = self._at
            for frame, seconds in mp3.frames(source.path):
                self._output.write(frame)
                self._at += seconds
            return start
        with open_sound(source.path) as sound:
            if self._run is None or self._run.rate != sound.rate:
                self._end_run()
                self._run = _Run(self._output, sound.rate, self._form, self._quality)
            run = self._run
            start = self._at + run.seconds
            try:
                for piece in sound.pieces:
                    run.write(with_channels(piece, sound.channels, self._form.channels))
            except RuntimeError as error:
                raise NotAudio(f"{source.path} ({sound.channels} channels, {sound.rate} Hz) cannot be encoded") from error
            if self._at + run.seconds - start < SHORTEST:
                raise EmptyRecording(f"{source.path} has no sound any more")
        return start

    def _silence(self, seconds: float) -> None:
        if self._run is None:
            seconds -= 2 * FILLED if self._at else FILLED  # in what comes before it, and in itself
            self._run = _Run(self._output, self._form.rate, self._form, self._quality)
        run = self._run
        left = round(min(seconds, LONGEST_SILENCE) * run.rate)
        while left > 0:
            samples = min(left, run.rate)
            run.write(bytes(2 * self._form.channels * samples))
            left -= samples

    def end(self) -> float:
        """Gives the seconds of sound in all."""
        seconds = self._at + (self._run.seconds if self._run is not None else 0.0)
        self._end_run()
        return seconds

    def _end_run(self) -> None:
        if self._run is not None:
            self._at += self._run.end()
            self._run = None


class _Run:
    """One encoder, as long as the rate of what comes in is the same."""

    def __init__(self, output: BinaryIO, rate: int, form: mp3.Form, quality: int) -> None:
        self.rate = rate
        self._channels = form.channels
        self._output = output
        self._encoder = new_encoder(rate, form.channels, form.kbit, quality)
        self._encoder.set_out_sample_rate(form.rate)
        self._samples = 0
        self._written = 0
        self._first = b""

    @property
    def seconds(self) -> float:
        return self._samples / self.rate

    def write(self, samples: bytes) -> None:
        self._samples += len(samples) // (2 * self._channels)
        self._put(self._encoder.encode(samples))

    def end(self) -> float:
        """Gives the seconds of what was written: with the silence by which LAME fills its first and last frames."""
        if self._samples:
            self._put(self._encoder.flush())
        form = mp3.form(self._first)
        return self._written * 8 / (form.kbit * 1000) if form is not None else 0.0

    def _put(self, data: bytes) -> None:
        self._first = self._first or bytes(data[:4])
        self._written += len(data)
        self._output.write(data)
