"""From the address of a recording to its file: the joined one of its call, our own mp3, or the PBX's as it is.

Reads the database and, for the PBX's own files, the configured folder and nothing beside it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from perezvon.delivery.joining import subject_of
from perezvon.recordings import Folder, RecordingError, find
from perezvon.service.folders import folder_of
from perezvon.settings.model import Settings
from perezvon.settings.secrets import SecretBox
from perezvon.storage import recordings
from perezvon.storage.database import Database
from perezvon.storage.recordings import Recording, RecordingState
from perezvon.web.links import PURPOSE, Links
from perezvon.web.recordings import Gone, Shelved

MEDIA = {".mp3": "audio/mpeg", ".wav": "audio/wav"}


def links_of(box: SecretBox, settings: Callable[[], Settings], clock: Callable[[], float]) -> Links:
    return Links(
        box.signing_keys(PURPOSE),
        lambda: settings().recordings.public_url,
        lambda: settings().recordings.link_lifetime * 3600,
        clock,
    )


class RecordingShelf:
    """`ours`: the folder of our own files."""

    def __init__(self, database: Database, links: Links, settings: Callable[[], Settings], ours: Path) -> None:
        self._database = database
        self._links = links
        self._settings = settings
        self._ours = ours

    async def find(self, token: str) -> Shelved:
        """Raises BadLink, OldLink, Gone, Unavailable."""
        link = self._links.read(token)
        async with self._database.glance() as conn:
            row = await recordings.get(conn, link.recording)
        if row is None or subject_of(row) != f"{link.recording}.{link.digest}" or row.mode != "link":
            raise Gone
        file = await asyncio.to_thread(self._file, row)
        if file is None or file.suffix.lower() not in MEDIA:
            raise Gone
        digest = hashlib.sha256(row.call.encode()).hexdigest()[:8]
        suffix = file.suffix.lower()
        return Shelved(file, f"{row.id}-{digest}{suffix}", MEDIA[suffix], row.id, row.call)

    def _file(self, row: Recording) -> Path | None:
        if row.state in (RecordingState.ERASED, RecordingState.NEW, RecordingState.MISSING, RecordingState.FAILED):
            return None
        for told in (row.joined, row.file):
            if told:
                file = Path(told).resolve()
                return file if file.is_relative_to(self._ours.resolve()) and file.is_file() else None
        folder = self.folder(row.pbx)
        try:
            return None if folder is None else find(row.name, folder)
        except RecordingError:
            return None

    def folder(self, pbx: str) -> Folder | None:
        """Where the PBX's own files are."""
        entry = next((one for one in self._settings().asterisk if one.name == pbx), None)
        return None if entry is None else folder_of(entry)
