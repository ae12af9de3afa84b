"""Checks of one Asterisk: can we log in, may we do and see what calls need, does the dialplan have what we dial through,
do we know the way to Bitrix24, do the clocks agree, can the recordings be read?

Touches the PBX (reading only) and the folder of recordings.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from perezvon.asterisk.probe import Probe, probe_pbx
from perezvon.doctor import autoconnect, wiring
from perezvon.doctor.cel import examine_cel
from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SecretMissing
from perezvon.settings.pbx import AsteriskSettings

CLOCK_WARNING = 2.0
"""Seconds. The moments of calls come from the PBX's clock."""

AUDIO = (".wav", ".wav49", ".gsm", ".ulaw", ".alaw", ".mp3", ".sln", ".sln16", ".g722", ".ogg")
NOTHING_HEARD = 512
"""Bytes: a file not longer is a header, of a recording that has just begun or whose call never spoke."""
_RELOAD = "asterisk -rx 'manager reload'"


async def examine_pbx(settings: AsteriskSettings, *, connects: bool = False, timeout: float = 10.0) -> list[Check]:
    """Never raises for what the PBX does. `connects`: autoconnect is on. `timeout`: seconds for the login, and for every
    answer."""
    subject = f"asterisk {settings.name}"
    recordings = await asyncio.to_thread(lambda: list(examine_folder(settings, subject)))
    recordings.append(await examine_cel(settings, subject))
    try:
        address = settings.ami.ami()
    except SecretMissing as missing:
        return [
            Check(
                "ami.secret", subject, State.PROBLEM, missing.reason, Reason("make the secret readable, or write it anew")
            ),
            *recordings,
        ]
    named = (settings.originate_context, settings.callback_context, *settings.contexts)
    contexts = dict.fromkeys(name for name in named if name)
    found = await probe_pbx(address, contexts=(*contexts, wiring.CONTEXT, autoconnect.CONTEXT), timeout=timeout)
    wired = found.contexts.get(wiring.CONTEXT)
    asks = found.contexts.get(autoconnect.CONTEXT)
    found = replace(found, contexts={name: there for name, there in found.contexts.items() if name in contexts})
    way = await asyncio.to_thread(wiring.examine_way, settings, wired=wired)
    way += autoconnect.examine_dialplan(subject, asks) if connects else []
    return [*told(found, subject, address.user, settings.originate_context), *way, *recordings]


def told(found: Probe, subject: str, user: str, dialling: str) -> list[Check]:
    """A probe in checks. `user`: the AMI user; `dialling`: the context through which clients are dialled."""
    login = _login(found, subject, user)
    if login.state is State.PROBLEM:
        return [login]
    return [login, *_rights(found, subject, user), *_contexts(found, subject, dialling), *_clock(found, subject)]


def _login(found: Probe, subject: str, user: str) -> Check:
    why = {"why": found.problem, "address": found.address, "user": user, "reload": _RELOAD}
    if not found.reachable:
        fix = Reason(
            "check that Asterisk runs there and manager.conf has enabled = yes and a bindaddr that we reach; {reload}",
            why,
        )
        return Check("ami.reachable", subject, State.PROBLEM, Reason("{address} does not answer: {why}", why), fix)
    if not found.logged_in:
        fix = Reason("check [{user}] in manager.conf: its secret, and permit = for our address; then {reload}", why)
        return Check("ami.login", subject, State.PROBLEM, Reason("no login: {why}", why), fix)
    if not found.booted or found.problem:
        fix = Reason(
            "wait until Asterisk has started; if it stays so, add system to read = of [{user}] in manager.conf", why
        )
        return Check("ami.boot", subject, State.PROBLEM, Reason("logged in, but: {why}", why), fix)
    version = {"address": found.address, "version": found.asterisk or "?"}
    return Check("ami.login", subject, State.OK, Reason("Asterisk {version} answers at {address}", version))


def _rights(found: Probe, subject: str, user: str) -> Iterator[Check]:
    well = True
    if found.missing_actions:
        well = False
        actions = {"actions": ", ".join(found.missing_actions)}
        rights = ", ".join(dict.fromkeys(found.missing_actions.values()))
        fix = Reason(
            "add to write = of [{user}] in manager.conf: {rights}; then {reload}",
            {"user": user, "rights": rights, "reload": _RELOAD},
        )
        seen = Reason("the AMI user may not use {actions}", actions)
        yield Check("ami.write", subject, State.PROBLEM, seen, fix)
    if found.missing_read:
        well = False
        classes = {"classes": ", ".join(found.missing_read), "user": user, "reload": _RELOAD}
        seen = Reason("the AMI user does not see events of the classes {classes}", classes)
        fix = Reason("add to read = of [{user}] in manager.conf: {classes}; then {reload}", classes)
        yield Check("ami.read", subject, State.PROBLEM, seen, fix)
    if well and found.missing_read is None:
        # `command` would be needed to ask, and is too much to give for that.
        seen = Reason("the AMI user may do all that calls need; which events it sees could not be asked")
        yield Check("ami.rights", subject, State.OK, seen)
    elif well:
        yield Check("ami.rights", subject, State.OK, Reason("the AMI user has all rights that calls need"))
    if found.timestamps is False:
        fix = Reason("put timestampevents = yes into [general] of manager.conf; then {reload}", {"reload": _RELOAD})
        seen = Reason("events bear no time: moments of calls are those of their arrival")
        yield Check("ami.timestamps", subject, State.WARNING, seen, fix)


def _contexts(found: Probe, subject: str, dialling: str) -> Iterator[Check]:
    missing = [context for context, there in found.contexts.items() if there is False]
    for context in missing:
        name = {"context": context}
        if context == dialling:
            fix = Reason("put the context through which employees dial into originate_context")
            seen = Reason("there is no context {context} in the dialplan: a click on a number does not dial", name)
            yield Check("dialplan.context", subject, State.PROBLEM, seen, fix)
        else:
            fix = Reason("correct `contexts` in the settings, or the dialplan")
            seen = Reason("there is no context {context} in the dialplan", name)
            yield Check("dialplan.context", subject, State.WARNING, seen, fix)
    unknown = [context for context, there in found.contexts.items() if there is None]
    if unknown:
        fix = Reason(
            "add config to write = of the AMI user for this check, or look: asterisk -rx 'dialplan show {context}'",
            {"context": unknown[0]},
        )
        seen = Reason("whether the dialplan has {contexts} could not be asked", {"contexts": ", ".join(unknown)})
        yield Check("dialplan.context", subject, State.WARNING, seen, fix)
    if not missing and not unknown and found.contexts:
        seen = Reason("the dialplan has {contexts}", {"contexts": ", ".join(found.contexts)})
        yield Check("dialplan.context", subject, State.OK, seen)


def _clock(found: Probe, subject: str) -> Iterator[Check]:
    if found.clock_offset is None:
        return
    off = {"seconds": f"{found.clock_offset:+.1f}"}
    if abs(found.clock_offset) > CLOCK_WARNING + (found.round_trip or 0) / 2:
        seen = Reason("the PBX's clock differs from ours by {seconds} s", off)
        yield Check(
            "pbx.clock", subject, State.WARNING, seen, Reason("switch on time synchronisation (NTP) on both machines")
        )
    else:
        yield Check("pbx.clock", subject, State.OK, Reason("the clocks agree ({seconds} s)", off))


def examine_folder(settings: AsteriskSettings, subject: str) -> Iterator[Check]:
    folder = Path(settings.recordings)
    told = {"folder": str(folder)}
    if not folder.is_dir():
        fix = Reason(
            "put the folder where Asterisk writes (MixMonitor) into `recordings`; on another machine, mount it here and "
            "say in `recordings_on_pbx` how the PBX names it"
        )
        seen = Reason("there is no folder {folder}: no recording will be found", told)
        yield Check("recordings.folder", subject, State.PROBLEM, seen, fix)
        return
    fix = Reason("let the user that runs Perezvon read it: usermod -aG asterisk perezvon, then start the service again")
    if not os.access(folder, os.R_OK | os.X_OK):
        seen = Reason("the folder {folder} may not be read by us", told)
        yield Check("recordings.folder", subject, State.PROBLEM, seen, fix)
        return
    last = newest(folder)
    if last is None:
        fix = Reason(
            "nothing, if no call has been recorded yet; else see that `recordings` is the folder where Asterisk writes"
        )
        yield Check("recordings.folder", subject, State.WARNING, Reason("the folder {folder} has no recordings", told), fix)
        return
    file = {"file": str(last)}
    if not os.access(last, os.R_OK):
        yield Check(
            "recordings.folder",
            subject,
            State.PROBLEM,
            Reason("the newest recording {file} may not be read by us", file),
            fix,
        )
    else:
        yield Check("recordings.folder", subject, State.OK, Reason("the newest recording {file} can be read", file))


def newest(folder: Path, depth: int = 5) -> Path | None:
    """A recording with sound in the newest of the (dated) folders: looks into few of them, however many years there are."""
    folders: list[tuple[float, Path]] = []
    files: list[tuple[float, Path]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=True):
                    folders.append((entry.stat().st_mtime, Path(entry.path)))
                elif entry.name.lower().endswith(AUDIO) and entry.stat().st_size > NOTHING_HEARD:
                    files.append((entry.stat().st_mtime, Path(entry.path)))
    except OSError:
        return None
    best = max(files, default=None)
    if depth:
        for _, inner in sorted(folders, reverse=True)[:3]:
            found = newest(inner, depth - 1)
            if found is not None:
                candidate = (found.stat().st_mtime, found)
                best = candidate if best is None else max(best, candidate)
                break
    return best[1] if best else None
