"""What can go wrong between a recording's name on the PBX and its mp3.

The class says what the caller can do::

    RecordingError
    ├── NotThere         no such file (yet): try again later, then look at the folder's setting; it tells every place
    ├── OutsideFolder    the name leads out of the configured folder: never opened; set the folder or the path mapping
    ├── Unreadable       it is there, but our user may not read it: give the right
    ├── NotComplete      it was still being written when our patience ended: try again later
    ├── EmptyRecording   no sound in it: nothing to convert, now or later
    ├── NotAudio         its content is no audio, or is of a kind that cannot be read: nothing helps but another format
    ├── NoSpace          the disk (or quota) for the mp3 is full: make room, then try again
    ├── TooSlow          the conversion hung and was killed
    └── ConverterBroken  the converting process died: try again; if it repeats, the file is at fault

Every message names the file.
"""

from __future__ import annotations


class RecordingError(Exception):
    """Any failure of finding or converting a recording."""


class NotThere(RecordingError):
    pass


class OutsideFolder(RecordingError):
    pass


class Unreadable(RecordingError):
    pass


class NotComplete(RecordingError):
    pass


class EmptyRecording(RecordingError):
    pass


class NotAudio(RecordingError):
    pass


class NoSpace(RecordingError):
    pass


class TooSlow(RecordingError):
    pass


class ConverterBroken(RecordingError):
    pass
