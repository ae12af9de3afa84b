"""One recording becomes one mp3, in the process that calls it. Reads one file, writes one file.

Nobody sees half an mp3: it is written beside its place, flushed to the disk and only then given its name.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

import lameenc

from perezvon.recordings import mp3
from perezvon.recordings.channels import exchanged, side_by_side, with_channels
from perezvon.recordings.decode import Sound, open_sound
from perezvon.recordings.errors import EmptyRecording, NoSpace, NotAudio, Unreadable

SHORTEST = 0.1
"""Seconds of sound below which a recording counts as empty."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Encoder(Protocol):
    """The part of lameenc.Encoder that is used; the package has no types of its own."""

    def silence(self) -> None: ...
    def set_in_sample_rate(self, rate: int) -> None: ...
    def set_out_sample_rate(self, rate: int) -> None: ...
    def set_channels(self, channels: int) -> None: ...
    def set_bit_rate(self, rate: int) -> None: ...
    def set_quality(self, quality: int) -> None: ...
    def encode(self, samples: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Mp3:
    """`bitrate`: kbit/s a channel, constant. `quality`: LAME's, from 0 (best, slow) to 9 (worst, fast). `channels`: `mono`
    mixes what is stereo. `exchanged`: the left channel of a stereo file becomes the right one."""

    bitrate: int = 32
    quality: int = 3
    channels: Literal["as_recorded", "mono", "stereo"] = "as_recorded"
    exchanged: bool = False


@dataclass(frozen=True, slots=True)
class Converted:
    """`duration` in seconds, `size` in bytes. `closed`: when the recording itself was last changed (POSIX seconds), where
    that was looked at."""

    path: Path
    duration: float
    size: int
    closed: float | None = None


def convert_file(source: Path, target: Path, form: Mp3) -> Converted:
    """What is mp3 already is copied unchanged. Only one conversion at a time may have the same target.

    Raises EmptyRecording, NotAudio, NoSpace, Unreadable.
    """
    with explained(str(source), target):
        with source.open("rb") as file:
            passes = mp3.looks_like_mp3(file.read(4))
        with whole(target) as output:
            seconds = _copy(source, output) if passes else _encode(source, output, form)
        return Converted(target, seconds, target.stat().st_size)


@contextmanager
def explained(source: str, target: Path) -> Generator[None]:
    """The operating system's errors become NoSpace or Unreadable."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(f"no room for {target} (from {source}): {error.strerror}") from error
        raise Unreadable(f"{source} could not be converted to {target}: {error.strerror or error}") from error


@contextmanager
def whole(target: Path) -> Generator[BinaryIO]:
    """What is written becomes `target` when the block ends well; nothing is left of it else."""
    part = part_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as output:
            yield output
            output.flush()
            os.fsync(output.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def part_of(target: Path) -> Path:
    """Where the mp3 is while it is being written."""
    return target.with_name(target.name + ".part")


def _copy(source: Path, output: BinaryIO) -> float:
    seconds = mp3.duration(source)
    with source.open("rb") as file:
        shutil.copyfileobj(file, output, 1 << 18)
    return seconds


def convert_sides(left: Path, right: Path, target: Path, form: Mp3) -> Converted:
    """Two files of one channel each become one mp3 of two.

    Raises EmptyRecording, NotAudio (of another kind each, too), NoSpace, Unreadable.
    """
    names = f"{left}, {right}"
    with explained(names, target), whole(target) as output, ExitStack() as stack:
        one, other = (stack.enter_context(open_sound(path)) for path in (left, right))
        if (one.rate, one.channels) != (other.rate, 1) or one.channels != 1:
            raise NotAudio(f"{names} are not two sides of one talk: one channel each, at the same rate, is needed")
        both = Sound(one.rate, 2, side_by_side(one.pieces, other.pieces))
        seconds = encode_sound(both, names, output, form)
    return Converted(target, seconds, target.stat().st_size)


def _encode(source: Path, output: BinaryIO, form: Mp3) -> float:
    with open_sound(source) as sound:
        wanted = sound
        if sound.channels == 2 and form.channels == "mono":
            wanted = Sound(sound.rate, 1, (with_channels(piece, 2, 1) for piece in sound.pieces))
        elif sound.channels == 2 and form.exchanged:
            wanted = Sound(sound.rate, 2, map(exchanged, sound.pieces))
        return encode_sound(wanted, str(source), output, form)


def encode_sound(sound: Sound, source: str, output: BinaryIO, form: Mp3) -> float:
    """Gives the seconds of sound."""
    encoder = new_encoder(sound.rate, sound.channels, form.bitrate * sound.channels, form.quality)
    samples = 0
    try:
        for piece in sound.pieces:
            samples += len(piece) // (2 * sound.channels)
            output.write(encoder.encode(piece))
        seconds = samples / sound.rate
        if seconds < SHORTEST:
            raise EmptyRecording(f"{source} has {seconds:.2f} s of sound: nothing was recorded")
        output.write(encoder.flush())
    except RuntimeError as error:
        raise NotAudio(f"{source} ({sound.channels} channels, {sound.rate} Hz) cannot be encoded: {error}") from error
    return seconds


def new_encoder(rate: int, channels: int, kbit: int, quality: int) -> Encoder:
    """`kbit` a second, of all channels. Without `set_out_sample_rate` LAME chooses what suits these."""
    encoder = cast("Encoder", lameenc.Encoder())  # pyright: ignore[reportUnknownMemberType]
    encoder.silence()
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(channels)
    encoder.set_bit_rate(kbit)
    encoder.set_quality(quality)
    return encoder
