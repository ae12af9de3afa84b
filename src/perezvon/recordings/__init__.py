"""Finds the recordings of a PBX, waits until they are complete, makes mp3 of them and joins those of one call.

Knows neither portal nor storage."""

from perezvon.recordings.archive import Recordings
from perezvon.recordings.convert import Converted, Mp3
from perezvon.recordings.errors import (
    ConverterBroken,
    EmptyRecording,
    NoSpace,
    NotAudio,
    NotComplete,
    NotThere,
    OutsideFolder,
    RecordingError,
    TooSlow,
    Unreadable,
)
from perezvon.recordings.find import Folder, find
from perezvon.recordings.join import Joined
from perezvon.recordings.layout import Known, expand, is_layout, matching
from perezvon.recordings.named import named_after
from perezvon.recordings.pool import Converter
from perezvon.recordings.settle import Patience, settle
from perezvon.recordings.sides import Sides

__all__ = [
    "Converted",
    "Converter",
    "ConverterBroken",
    "EmptyRecording",
    "Folder",
    "Joined",
    "Known",
    "Mp3",
    "NoSpace",
    "NotAudio",
    "NotComplete",
    "NotThere",
    "OutsideFolder",
    "Patience",
    "RecordingError",
    "Recordings",
    "Sides",
    "TooSlow",
    "Unreadable",
    "expand",
    "find",
    "is_layout",
    "matching",
    "named_after",
    "settle",
]
