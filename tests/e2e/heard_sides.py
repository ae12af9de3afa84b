"""What each channel of a recording holds, and what the service's log says of it."""

from __future__ import annotations

import json
import wave
from array import array
from pathlib import Path
from typing import Any

from perezvon.recordings.decode import open_sound
from perezvon.sandbox.pbx import sounds
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.stand import Stand


def portal_file(stand: Stand, call: PortalCall, folder: Path) -> Path:
    """The portal's file of the call."""
    assert call.recording is not None
    stored = stand.portal.state.files.get(call.recording.file_id)
    assert stored is not None
    path = folder / stored.name
    path.write_bytes(stored.content)
    return path


def channels_of(path: Path) -> list[Path]:
    """Each channel as a WAV of its own."""
    with open_sound(path) as sound:
        samples = array("h", b"".join(sound.pieces))
        rate, channels = sound.rate, sound.channels
    assert rate == sounds.RATE
    made: list[Path] = []
    for channel in range(channels):
        wav = path.with_name(f"{path.stem}.{channel}.wav")
        with wave.open(str(wav), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(samples[channel::channels].tobytes())
        made.append(wav)
    return made


def fetched(stand: Stand) -> list[dict[str, Any]]:
    """The log's lines of downloads."""
    lines = stand.service.log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if '"recording fetched"' in line]
