"""Sound files become 16-bit samples, a piece at a time, so that an hour needs no more memory than a second.

PCM WAVE, µ-law and a-law (in WAVE or bare) and Asterisk's bare signed linear need nothing but Python; GSM, WAV49, ADPCM,
FLAC, Ogg, mp3 and float WAVE need `soundfile`, which a machine without libsndfile cannot load.
Source for bare formats: https://docs.asterisk.org/Configuration/Codecs-and-Formats/ (and Asterisk's formats/*.c)
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from perezvon.recordings import wav
from perezvon.recordings.errors import EmptyRecording, NotAudio

PIECE = 1 << 17
"""Bytes read at once."""

_SLOWEST, _FASTEST = 4000, 192_000
_BARE_LINEAR = {
    **{".sln": 8000, ".sln12": 12000, ".sln16": 16000, ".sln24": 24000, ".sln32": 32000},
    **{".sln44": 44100, ".sln48": 48000, ".sln96": 96000, ".sln192": 192_000},
}
_BARE_ULAW = {".ulaw", ".ul", ".pcm"}
_BARE_ALAW = {".alaw", ".al"}

Widen = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Sound:
    """`pieces` yields interleaved little-endian 16-bit samples, whole moments of all channels; it can be read once."""

    rate: int
    channels: int
    pieces: Iterator[bytes]


@contextmanager
def open_sound(path: Path) -> Generator[Sound]:
    """Raises NotAudio, EmptyRecording, OSError (also while the pieces are read)."""
    with path.open("rb") as file:
        start, source = file.read(12), str(path)
        if not start:
            raise EmptyRecording(f"{path} is empty: nothing was recorded")
        if start[:4] == b"RIFF":
            header = wav.read_header(file, str(path))
            widen = _widener(header)
            if widen is not None:
                _check(path, header.rate, header.channels)
                yield Sound(header.rate, header.channels, _stored(file, header, widen))
                return
            if not header.closed:
                source = _Mended(file, header)
        elif (bare := _bare(path.suffix)) is not None:
            rate, width, widen = bare
            header = wav.WavHeader(wav.PCM, 1, rate, 0, width, 0, file.seek(0, 2), closed=False)
            yield Sound(rate, 1, _stored(file, header, widen))
            return
        with _soundfile(path, source) as sound:
            yield sound


def _check(path: Path, rate: int, channels: int) -> None:
    if not _SLOWEST <= rate <= _FASTEST or channels not in {1, 2}:
        raise NotAudio(
            f"{path} claims {channels} channels at {rate} Hz: 1 or 2 channels at {_SLOWEST} to {_FASTEST} Hz can be read"
        )


def _stored(file: BinaryIO, header: wav.WavHeader, widen: Widen) -> Iterator[bytes]:
    """The sound's bytes, cut at whole blocks: a killed writer leaves half of one."""
    file.seek(header.start)
    left = header.size - header.size % header.block
    piece = PIECE - PIECE % header.block
    while left > 0:
        data = file.read(min(piece, left))
        data = data[: len(data) - len(data) % header.block]
        if not data:
            return
        left -= len(data)
        yield widen(data)


def _bare(suffix: str) -> tuple[int, int, Widen] | None:
    """Rate, bytes a sample and reader of a file without header, by its extension as Asterisk gives it."""
    if suffix in _BARE_LINEAR:
        return _BARE_LINEAR[suffix], 2, bytes
    if suffix in _BARE_ULAW:
        return 8000, 1, _by_table(_ulaw)
    if suffix in _BARE_ALAW:
        return 8000, 1, _by_table(_alaw)
    return None


def _widener(header: wav.WavHeader) -> Widen | None:
    """How to make 16-bit samples of what is stored; None leaves it to `soundfile`."""
    width = header.bits // 8
    if header.block != width * header.channels or not width:
        return None
    match header.tag, header.bits:
        case wav.PCM, 8:
            return _by_table(lambda code: (code - 128) * 256)
        case wav.PCM, 16:
            return bytes
        case wav.PCM, 24 | 32:
            return lambda data: _upper_half(data, width)
        case wav.ULAW, 8:
            return _by_table(_ulaw)
        case wav.ALAW, 8:
            return _by_table(_alaw)
        case _:
            return None


def _upper_half(data: bytes, width: int) -> bytes:
    wide = bytearray(len(data) // width * 2)
    wide[0::2] = data[width - 2 :: width]
    wide[1::2] = data[width - 1 :: width]
    return bytes(wide)


def _by_table(sample: Callable[[int], int]) -> Widen:
    """One byte becomes a sample: a table for the low byte and one for the high byte, applied to the whole piece at once."""
    samples = [sample(code) & 0xFFFF for code in range(256)]
    low, high = bytes(value & 0xFF for value in samples), bytes(value >> 8 for value in samples)

    def widen(data: bytes) -> bytes:
        wide = bytearray(len(data) * 2)
        wide[0::2] = data.translate(low)
        wide[1::2] = data.translate(high)
        return bytes(wide)

    return widen


def _ulaw(code: int) -> int:
    """ITU-T G.711, table 2a."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw(code: int) -> int:
    """ITU-T G.711, table 1a."""
    code ^= 0x55
    segment, magnitude = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = magnitude + 8 if not segment else magnitude + 0x108 << segment - 1
    return magnitude if code & 0x80 else -magnitude


class _Mended:
    """A WAVE file whose writer was killed, seen as if it had been closed: the lengths in its header are right."""

    def __init__(self, file: BinaryIO, header: wav.WavHeader) -> None:
        file.seek(0)
        head = bytearray(file.read(header.start))
        head[4:8] = struct.pack("<I", min(header.start + header.size - 8, 0xFFFFFFFF))
        head[-4:] = struct.pack("<I", min(header.size, 0xFFFFFFFF))
        self._head = bytes(head)
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        at = self._file.tell()
        data = self._file.read(size)
        mended = self._head[at : at + len(data)]
        return mended + data[len(mended) :]


@contextmanager
def _soundfile(path: Path, source: str | _Mended) -> Generator[Sound]:
    try:
        library: Any = importlib.import_module("soundfile")
    except (ImportError, OSError) as error:
        raise NotAudio(
            f"{path} is of a kind that needs `soundfile`: pip install soundfile, or let Asterisk record wav"
        ) from error
    bare: dict[str, object] = {}
    if path.suffix == ".gsm":
        bare = {"samplerate": 8000, "channels": 1, "format": "RAW", "subtype": "GSM610"}
    try:
        file: Any = library.SoundFile(source, **bare)
    except (library.LibsndfileError, TypeError) as error:
        # libsndfile repeats the name, and says of what it does not know that there is no such file
        why = str(getattr(error, "error_string", error))
        because = "" if why.startswith("File does not exist") else f": {why}"
        raise NotAudio(f"{path} is no sound file that can be read{because}") from error
    with file:
        _check(path, file.samplerate, file.channels)
        yield Sound(file.samplerate, file.channels, _pieces(path, file, library))


def _pieces(path: Path, file: Any, library: Any) -> Iterator[bytes]:
    buffer = bytearray(PIECE)
    while True:
        try:
            moments: int = file.buffer_read_into(buffer, dtype="int16")
        except library.LibsndfileError as error:
            raise NotAudio(f"{path} is damaged: {error}") from error
        if not moments:
            return
        yield bytes(buffer[: moments * 2 * file.channels])
