"""The recordings of one PBX: from the name that the PBX told to an mp3 in a place of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from perezvon.recordings.convert import Converted
from perezvon.recordings.errors import NotThere, Unreadable
from perezvon.recordings.find import Folder, find
from perezvon.recordings.join import Joined
from perezvon.recordings.pool import Converter
from perezvon.recordings.settle import Patience, settle


class Recordings:
    """`converter` may be shared by several PBXes; it belongs to the caller."""

    def __init__(self, folder: Folder, converter: Converter, patience: Patience | None = None) -> None:
        self.folder = folder
        self._converter = converter
        self._patience = patience or Patience()

    async def find(self, pbx_name: str) -> Path:
        """Raises NotThere, OutsideFolder, Unreadable."""
        return await asyncio.to_thread(find, pbx_name, self.folder)

    async def convert(self, pbx_name: str, target: Path) -> Converted:
        """Finds the recording, waits for its end and writes it to `target` as mp3 (atomically; its folders are made).

        Raises any RecordingError; see `errors` for which of them are worth another try.
        """
        source = await self.find(pbx_name)
        await settle(source, self._patience)
        try:
            closed = (await asyncio.to_thread(source.stat)).st_mtime
        except OSError:  # gone this very moment: the conversion says so in its words
            closed = None
        return replace(await self._converter.convert(source, target), closed=closed)

    async def join(self, parts: Sequence[tuple[str, Path | None]], target: Path) -> Joined:
        """The parts (two or more) one after the other, as one mp3. Each has the PBX's name and the mp3 that `convert` made
        of it (None when it is gone), which is taken where the PBX has the recording no more. Raises any RecordingError."""
        return await self._converter.join([await self._source(name, own) for name, own in parts], target)

    async def _source(self, pbx_name: str, own: Path | None) -> Path:
        try:
            return await self.find(pbx_name)
        except (NotThere, Unreadable):
            if own is not None and await asyncio.to_thread(own.is_file):
                return own
            raise
