"""Checks of what is wanted of recordings: can links be reached, are the files of both sides there?

Asks our own public address, and reads the recordings' folder.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from perezvon.doctor.check import Check, State
from perezvon.doctor.pbx import AUDIO, newest
from perezvon.recordings import RecordingError, Sides
from perezvon.recordings.decode import open_sound
from perezvon.rules.vocabulary import Reason
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings

PATIENCE = 8.0
LOOKED_AT = 5
"""The newest recordings, of which one at least must have its sides: very short calls may have none."""


def wants_links(settings: Settings) -> bool:
    return "link" in (settings.recordings.mode, *(line.recordings for line in settings.line))


async def examine_links(settings: Settings) -> list[Check]:
    """Whether our public address leads to us, as far as can be seen from here."""
    public = settings.recordings.public_url
    told = {"url": public}
    if problem := await _reached(f"{public}/health"):
        seen = Reason("the address {url}, to which links of recordings lead, does not lead to us: {why}", told | problem)
        fix = Reason(
            "let a proxy with a certificate pass {url}/recordings/ on to the address of `perezvon serve --bind`, and "
            "open it in "
            "the firewall for the portal; if only this machine cannot reach it, all is well",
            told,
        )
        return [Check("recordings.links", "recordings", State.WARNING, seen, fix)]
    if not public.startswith("https://"):
        seen = Reason("links of recordings lead to {url}: who listens on the way can hear them", told)
        fix = Reason("put a proxy with a certificate before it, and https:// into recordings.public_url")
        return [Check("recordings.links", "recordings", State.WARNING, seen, fix)]
    return [Check("recordings.links", "recordings", State.OK, Reason("links of recordings lead to {url}", told))]


async def _reached(url: str) -> dict[str, str]:
    """Empty when we answer there."""
    try:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url, allow_redirects=False) as answer:
            ours = answer.status == 200 and "status" in await answer.text()
            return {} if ours else {"why": f"HTTP {answer.status}"}
    except (aiohttp.ClientError, TimeoutError, ValueError, UnicodeError) as error:
        return {"why": str(error) or type(error).__name__}


async def examine_sides(settings: Settings, pbx: AsteriskSettings) -> list[Check]:
    """Nothing, where no stereo is wanted or no recording is there."""
    wanted = settings.recordings
    if wanted.channels != "stereo":
        return []
    sides = Sides(wanted.stereo_client, wanted.stereo_employee)
    return await asyncio.to_thread(lambda: list(_sides(sides, pbx)))


def _sides(sides: Sides, pbx: AsteriskSettings) -> Iterator[Check]:
    subject, root = f"asterisk {pbx.name}", Path(pbx.recordings)
    last = newest(root)
    if last is None:
        return
    there = _newest_beside(last, root)
    for file in there:
        if sides.beside(file, root) is not None or _is_stereo(file):
            seen = Reason("both sides of a talk are recorded: {file}", {"file": str(file)})
            yield Check("recordings.sides", subject, State.OK, seen)
            return
    told = {
        "file": str(there[0]),
        "client": sides.received.replace("{stem}", there[0].stem).replace("{ext}", there[0].suffix),
        "employee": sides.sent.replace("{stem}", there[0].stem).replace("{ext}", there[0].suffix),
        "option": f"MixMonitor(NAME.wav,bSr({sides.received})t({sides.sent}))",
    }
    seen = Reason("stereo is wanted, but beside {file} there are no {client} and {employee}: it will be mono", told)
    fix = Reason(
        "perezvon asterisk install, on the PBX; where another dialplan records: give it the options r, t and S, as in "
        "{option}, "
        "and say in stereo_client and stereo_employee where the files are",
        told,
    )
    yield Check("recordings.sides", subject, State.WARNING, seen, fix)


def _newest_beside(last: Path, root: Path) -> list[Path]:
    """The newest recordings in its folder, and in the one above: it may be a side itself."""
    found: list[tuple[float, Path]] = []
    for folder in {last.parent, last.parent.parent} if last.parent != root else {root}:
        try:
            with os.scandir(folder) as entries:
                found += [
                    (entry.stat().st_mtime, Path(entry.path))
                    for entry in entries
                    if entry.name.lower().endswith(AUDIO) and entry.is_file()
                ]
        except OSError:
            continue
    # with the same time the one further up: the sides are below
    found.sort(key=lambda one: (-one[0], len(one[1].parts)))
    return [file for _, file in found[: 3 * LOOKED_AT]] or [last]


def _is_stereo(file: Path) -> bool:
    try:
        with open_sound(file) as sound:
            return sound.channels == 2
    except (RecordingError, OSError):
        return False
