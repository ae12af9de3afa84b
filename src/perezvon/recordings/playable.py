"""Whether browsers can play a recording as it is, and how long it lasts. Reads headers only.

Source: https://developer.mozilla.org/en-US/docs/Web/Media/Guides/Formats/Containers#wave_wav
"""

from __future__ import annotations

from pathlib import Path

from perezvon.recordings import mp3, wav
from perezvon.recordings.convert import SHORTEST
from perezvon.recordings.errors import EmptyRecording, NotAudio, Unreadable

PLAYED = (wav.PCM, wav.ULAW, wav.ALAW, wav.FLOAT)


def playable(path: Path) -> float | None:
    """Seconds; None for what has to be converted: the portal takes names with .wav and .mp3 only, too.

    Raises EmptyRecording, Unreadable."""
    kind = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if kind == ".mp3":
                return mp3.duration(path) if mp3.looks_like_mp3(file.read(4)) else None
            if kind != ".wav":
                return None
            header = wav.read_header(file, str(path))
    except NotAudio:
        return None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from error
    if header.tag not in PLAYED or not header.closed or not header.rate or not header.block:
        return None
    seconds = header.size / header.block / header.rate
    if seconds < SHORTEST:
        raise EmptyRecording(f"{path} has {seconds:.2f} s of sound: nothing was recorded")
    return seconds
