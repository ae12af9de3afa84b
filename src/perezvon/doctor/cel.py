"""Check of a PBX's channel event log: is there one, can it be read, is it written, do its times agree with ours?"""

from __future__ import annotations

import errno
import time

from perezvon.asterisk.cel import CelUnreadable
from perezvon.asterisk.cel_source import CelFile, CelSource
from perezvon.asterisk.cel_trouble import CelDatabaseTrouble
from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SecretMissing
from perezvon.settings.pbx import AsteriskSettings

STALE = 7 * 86400.0
"""Seconds without a call after which the log is thought to be written no more."""

AHEAD = 60.0
"""Seconds by which the last line may be later than now: clocks differ, time zones differ by much more."""

_SET_UP = Reason(
    "in cel.conf: enable = yes, apps = dial,queue,park, events = ALL and no dateformat; in cel_custom.conf the line of its "
    "sample; then asterisk -rx 'module load cel_custom.so' and 'cel reload' (installing.md, 'So that nothing is lost')"
)

_NO_ZONE = Reason("take dateformat out of cel.conf (times then have no zone), then asterisk -rx 'cel reload'")
_NAME_ZONE = Reason("name the zone of the PBX in the setting cel: …?timezone=Europe/Moscow")


async def examine_cel(settings: AsteriskSettings, subject: str, *, now: float | None = None) -> Check:
    """`now`: POSIX seconds."""
    if settings.cel is None:
        seen = Reason("no channel event log is set: calls that come and go while Perezvon is down or cut off are not told")
        return Check("cel.file", subject, State.WARNING, seen, _SET_UP)
    try:
        source = settings.cel.source()
    except SecretMissing as missing:
        fix = Reason("make the secret readable, or write it anew")
        return Check("cel.secret", subject, State.PROBLEM, missing.reason, fix)
    name = "cel.file" if isinstance(source, CelFile) else "cel.database"
    state, seen, fix = await _seen(source, time.time() if now is None else now)
    return Check(name, subject, state, seen, fix)


async def _seen(source: CelSource, now: float) -> tuple[State, Reason, Reason | None]:
    file = {"file": source.name}
    try:
        last = await source.newest()
    except CelDatabaseTrouble as trouble:
        return State.PROBLEM, trouble.seen, trouble.fix
    except CelUnreadable as error:
        if error.errno == errno.ENOENT:
            return State.PROBLEM, Reason("there is no channel event log {file}", file), _SET_UP
        seen = Reason("the channel event log {file} may not be read by us", file)
        fix = Reason("let the user that runs Perezvon read it: usermod -aG asterisk perezvon, then start the service again")
        return State.PROBLEM, seen, fix
    if last is None:
        return State.PROBLEM, Reason("the channel event log {file} has no line that we understand", file), _SET_UP
    age = now - last.at
    if age < -AHEAD:
        seen = Reason("the channel event log {file} is ahead of our clock: its times are those of another zone", file)
        return State.PROBLEM, seen, _NO_ZONE if isinstance(source, CelFile) else _NAME_ZONE
    if age > STALE:
        told = {**file, "days": str(int(age // 86400))}
        return State.WARNING, Reason("the channel event log {file} has had no new line for {days} days", told), _SET_UP
    return State.OK, Reason("the channel event log {file} can be read", file), None
