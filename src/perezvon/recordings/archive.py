"""The recordings of one PBX: from the name that the PBX told to an mp3 in a place of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from perezvon.recordings.convert import Converted
from perezvon.recordings.errors import EmptyRecording, NotAudio, NotComplete, NotThere, Unreadable
from perezvon.recordings.find import Folder, find
from perezvon.recordings.join import Joined
from perezvon.recordings.playable import playable
from perezvon.recordings.pool import Converter
from perezvon.recordings.settle import Patience, settle
from perezvon.recordings.sides import Sides

log = structlog.get_logger(__name__)

_UNFIT = (EmptyRecording, NotAudio, NotComplete, NotThere, Unreadable)


class Recordings:
    """`converter` may be shared by several PBXes; it belongs to the caller."""

    def __init__(
        self, folder: Folder, converter: Converter, patience: Patience | None = None, sides: Sides | None = None
    ) -> None:
        """`sides`: where the files of each side are, when stereo is wanted."""
        self.folder = folder
        self._sides = sides
        self._converter = converter
        self._patience = patience or Patience()

    async def find(self, pbx_name: str) -> Path:
        """Raises NotThere, OutsideFolder, Unreadable."""
        return await asyncio.to_thread(find, pbx_name, self.folder)

    async def convert(self, pbx_name: str, target: Path, *, outgoing: bool = False) -> Converted:
        """Finds the recording, waits for its end and writes it to `target` as mp3 (atomically; its folders are made).
        `outgoing`: an employee has called; that tells which side is whose.

        Raises any RecordingError; see `errors` for which of them are worth another try.
        """
        source = await self.find(pbx_name)
        closed = await self._settled(source)
        exchanged = self._sides is not None and self._sides.caller and outgoing
        if self._sides is not None and (both := await asyncio.to_thread(self._sides.beside, source, self.folder.here)):
            left, right = reversed(both) if exchanged else both
            try:
                for side in both:
                    await settle(side, self._patience)
                return replace(await self._converter.convert_sides(left, right, target), closed=closed)
            except _UNFIT as error:
                log.warning("the two sides cannot be used, the mixed sound is", path=str(source), error=str(error))
        return replace(await self._converter.convert(source, target, exchanged=exchanged), closed=closed)

    async def as_it_is(self, pbx_name: str) -> Converted | None:
        """The PBX's own file, complete, with its length; None where a browser could not play it. Raises any
        RecordingError."""
        source = await self.find(pbx_name)
        closed = await self._settled(source)
        seconds = await asyncio.to_thread(playable, source)
        return None if seconds is None else Converted(source, seconds, source.stat().st_size, closed)

    async def _settled(self, source: Path) -> float | None:
        await settle(source, self._patience)
        try:
            return (await asyncio.to_thread(source.stat)).st_mtime
        except OSError:  # gone this very moment: the conversion says so in its words
            return None

    async def join(self, parts: Sequence[tuple[str, Path | None]], target: Path, gaps: Sequence[float] = ()) -> Joined:
        """The parts (two or more) one after the other, as one mp3. Each has the PBX's name and the mp3 that `convert` made
        of it (None when it is gone), which is taken where the PBX has the recording no more, or only mixed. `gaps`: the
        seconds of silence before each. Raises any RecordingError."""
        return await self._converter.join([await self._source(name, own) for name, own in parts], target, gaps)

    async def _source(self, pbx_name: str, own: Path | None) -> Path:
        if self._sides is not None and own is not None and await asyncio.to_thread(own.is_file):
            return own
        try:
            return await self.find(pbx_name)
        except (NotThere, Unreadable):
            if own is not None and await asyncio.to_thread(own.is_file):
                return own
            raise
