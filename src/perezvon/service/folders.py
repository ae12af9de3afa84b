"""The recordings' folders as the settings name them."""

from __future__ import annotations

from pathlib import Path

from perezvon.recordings import Folder, Sides
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.recordings import RecordingSettings

RECORDINGS = "recordings"
"""The folder of our own mp3 files, in the data directory."""


def folder_of(pbx: AsteriskSettings) -> Folder:
    return Folder(Path(pbx.recordings), pbx.recordings_on_pbx)


def sides_of(wanted: RecordingSettings) -> Sides | None:
    """None where no stereo is wanted."""
    if wanted.channels != "stereo":
        return None
    return Sides(wanted.stereo_client, wanted.stereo_employee, caller=wanted.stereo_leg == "caller")
