"""The worker that makes recordings fit for the portal, put together: where the PBXs' files are, what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from perezvon.delivery.attach import RecordingWorker
from perezvon.delivery.customising import Customising
from perezvon.delivery.joining import subject_of
from perezvon.recordings import Converted, Converter, Joined, Mp3, Recordings, Unreadable, matching
from perezvon.service.folders import folder_of, sides_of
from perezvon.settings.model import Settings
from perezvon.settings.recordings import RecordingSettings
from perezvon.storage.database import Database
from perezvon.storage.recordings import Recording
from perezvon.web.links import Links
from perezvon.web.translations import catalog


def converter_of(wanted: RecordingSettings) -> Converter:
    """To be closed by its owner."""
    return Converter(Mp3(wanted.bitrate, wanted.quality, wanted.channels), workers=wanted.workers)


def recording_worker(
    settings: Callable[[], Settings],
    converter: Converter,
    links: Links,
    database: Database,
    ours: Path,
    queued: Callable[[str], None],
    hooks: Customising,
    *,
    clock: Callable[[], float],
) -> RecordingWorker:
    """`settings()`: those that apply now; the folders are those of the first. `ours`: the folder of our own files."""
    wanted = settings().recordings
    folders = {pbx.name: folder_of(pbx) for pbx in settings().asterisk}
    archives = {name: Recordings(folder, converter, sides=sides_of(wanted)) for name, folder in folders.items()}

    def archive(pbx: str) -> Recordings:
        if pbx not in archives:
            raise Unreadable(f"the PBX {pbx} is not in the settings any more")
        return archives[pbx]

    async def convert(row: Recording, target: Path, outgoing: bool) -> Converted:
        as_it_is = row.mode == "link" and settings().recordings.link_format == "original"
        if as_it_is and (plain := await archive(row.pbx).as_it_is(row.path)) is not None:
            return plain
        return await archive(row.pbx).convert(row.path, target, outgoing=outgoing)

    async def join(pbx: str, parts: Sequence[tuple[str, Path | None]], target: Path, gaps: Sequence[float]) -> Joined:
        return await archive(pbx).join(parts, target, gaps)

    async def look(pbx: str, path: str) -> list[str]:
        return await asyncio.to_thread(matching, path, archive(pbx).folder)

    def link_text(row: Recording) -> str:
        if settings().recordings.link_in == "record" or not settings().recordings.public_url:
            return ""
        entry = next((portal for portal in settings().portal if portal.name == row.portal), None)
        translate = catalog(entry.language if entry is not None else "en").gettext
        return translate("Recording of the call: {url}").format(url=links.address(subject_of(row), since=row.created))

    return RecordingWorker(
        database,
        convert,
        join,
        ours,
        queued,
        look=look,
        link_text=link_text,
        patience=wanted.deadline * 3600,
        clock=clock,
        hooks=hooks,
    )
