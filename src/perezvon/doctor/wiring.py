"""What should stand in our folder of a PBX's configuration, and whether it does; which trunk leads to Bitrix24.

Reads the folder, and the prompts that come with Perezvon.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path

from perezvon.asterisk.wiring.comparison import Change, State, compare
from perezvon.asterisk.wiring.includes import includes, is_freepbx
from perezvon.asterisk.wiring.render import FOLDER, render
from perezvon.doctor import check
from perezvon.doctor.check import Check
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SettingsError
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.wiring import wiring_of

PROMPTS = ("enter-code", "bad-code", "busy", "no-answer", "nobody", "callback")
"""Those that our dialplan plays by itself."""

CONTEXT = "perezvon-portal"
"""Of our dialplan: where it rings Bitrix24."""

_INSTALL = Reason("perezvon asterisk install --write-includes, on the PBX")


def contents(settings: Settings, pbx: AsteriskSettings) -> dict[str, bytes]:
    """Name below our folder -> what it should hold. Raises SettingsError."""
    wanted = {file.name: file.text.encode() for file in render(wiring_of(settings, pbx), pbx.wiring.etc)}
    if not pbx.wiring.sounds:
        prompts = files("perezvon.ivr") / "sounds" / settings.conference.language
        wanted |= {f"sounds/{name}.wav": (prompts / f"{name}.wav").read_bytes() for name in PROMPTS}
    return wanted


async def examine_wiring(settings: Settings, pbx: AsteriskSettings) -> list[Check]:
    """Nothing, where nothing is installed and nothing asks for it: the configuration may be on another machine."""
    return await asyncio.to_thread(_examine, settings, pbx)


def _examine(settings: Settings, pbx: AsteriskSettings) -> list[Check]:
    subject = f"asterisk {pbx.name}"
    etc = Path(pbx.wiring.etc)
    folder = {"folder": str(etc / FOLDER)}
    try:
        if not (etc / FOLDER).is_dir():
            company = settings.ivr.database is not None or settings.conference.database is not None
            if not company and not settings.autoconnects_somebody:
                return []
            seen = Reason(
                "there is no folder {folder}: nothing of ours is in the dialplan (or the PBX is another machine)", folder
            )
            return [Check("wiring.files", subject, check.State.WARNING, seen, _INSTALL)]
        changes = [change for change in compare(etc, contents(settings, pbx)) if change.state is not State.SAME]
        missing = [include for include in includes(etc, freepbx=is_freepbx(etc)) if not include.there]
    except SettingsError as error:
        fix = Reason("see to what the message says")
        return [Check("wiring.files", subject, check.State.PROBLEM, error.reason, fix)]
    except PermissionError as error:
        fix = Reason("let the user that runs Perezvon read it: usermod -aG asterisk perezvon, then start the service again")
        seen = Reason("{file} may not be read by us", {"file": str(error.filename)})
        return [Check("wiring.files", subject, check.State.WARNING, seen, fix)]
    return [*_files(changes, subject, folder["folder"]), *(_line(i.file, i.text, subject) for i in missing)]


def examine_way(pbx: AsteriskSettings, *, wired: bool | None) -> list[Check]:
    """Whoever is behind an unknown trunk is taken for a client. `wired`: whether this PBX has our dialplan; None: it could
    not be asked."""
    if not (wired or (wired is None and (Path(pbx.wiring.etc) / FOLDER).is_dir())):
        return []
    subject, known = f"asterisk {pbx.name}", pbx.ways_to_portal
    endpoint = pbx.wiring.portal_endpoint
    if known and (pbx.wiring.dial_portal or endpoint in known):
        told = {"peers": ", ".join(sorted(known))}
        return [Check("wiring.portal", subject, check.State.OK, Reason("Bitrix24's own line is behind {peers}", told))]
    told = {"endpoint": endpoint, "peers": ", ".join(f'"{peer}"' for peer in sorted({*pbx.portal_peers, endpoint}))}
    seen = Reason(
        "our dialplan rings Bitrix24 through {endpoint}, which portal_peers does not name: its managers are taken for "
        "clients, conferences and calls of the portal's own line are not recognised",
        told,
    )
    fix = Reason(
        "put portal_peers = [{peers}] into its [[asterisk]]; the names are those of channels: asterisk -rx 'pjsip show "
        "endpoints'",
        told,
    )
    return [Check("wiring.portal", subject, check.State.WARNING, seen, fix)]


def _files(changes: list[Change], subject: str, folder: str) -> list[Check]:
    if not changes:
        return [
            Check("wiring.files", subject, check.State.OK, Reason("{folder} is as the settings say", {"folder": folder}))
        ]
    names = {"folder": folder, "files": ", ".join(change.name for change in changes)}
    if any(change.foreign for change in changes):
        seen = Reason("in {folder} these were changed by hand: {files}", names)
        fix = Reason("look with perezvon asterisk diff; perezvon asterisk install --force replaces them")
    else:
        seen = Reason("in {folder} these differ from what the settings say: {files}", names)
        fix = Reason("perezvon asterisk diff shows it, perezvon asterisk install writes it")
    return [Check("wiring.files", subject, check.State.WARNING, seen, fix)]


def _line(file: str, text: str, subject: str) -> Check:
    told = {"file": file, "line": text.replace("\n", " / ")}
    seen = Reason("{file} does not include our file: add the line {line}", told)
    return Check("wiring.includes", subject, check.State.WARNING, seen, _INSTALL)
