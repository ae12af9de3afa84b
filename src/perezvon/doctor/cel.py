"""Check of a PBX's channel event log: is there one, can it be read, is it written, do its times agree with ours?"""

from __future__ import annotations

import errno
import time
from pathlib import Path

from perezvon.asterisk.cel import CelUnreadable, newest
from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings.pbx import AsteriskSettings

STALE = 7 * 86400.0
"""Seconds without a call after which the log is thought to be written no more."""

AHEAD = 60.0
"""Seconds by which the last line may be later than now: clocks differ, time zones differ by much more."""

_SET_UP = Reason(
    "in cel.conf: enable = yes, apps = dial,queue,park, events = ALL and no dateformat; in cel_custom.conf the line of its "
    "sample; then asterisk -rx 'module load cel_custom.so' and 'cel reload' (installing.md, 'So that nothing is lost')"
)


def examine_cel(settings: AsteriskSettings, subject: str, *, now: float | None = None) -> Check:
    """`now`: POSIX seconds."""
    if not settings.cel:
        seen = Reason("no channel event log is set: calls that come and go while Perezvon is down or cut off are not told")
        return Check("cel.file", subject, State.WARNING, seen, _SET_UP)
    now = time.time() if now is None else now
    file = {"file": settings.cel}
    try:
        last = newest(Path(settings.cel))
    except CelUnreadable as error:
        if error.errno == errno.ENOENT:
            return Check("cel.file", subject, State.PROBLEM, Reason("there is no channel event log {file}", file), _SET_UP)
        seen = Reason("the channel event log {file} may not be read by us", file)
        fix = Reason("let the user that runs Perezvon read it: usermod -aG asterisk perezvon, then start the service again")
        return Check("cel.file", subject, State.PROBLEM, seen, fix)
    if last is None:
        seen = Reason("the channel event log {file} has no line that we understand", file)
        return Check("cel.file", subject, State.PROBLEM, seen, _SET_UP)
    age = now - last.at
    if age < -AHEAD:
        seen = Reason("the channel event log {file} is ahead of our clock: its times are those of another zone", file)
        fix = Reason("take dateformat out of cel.conf (times then have no zone), then asterisk -rx 'cel reload'")
        return Check("cel.file", subject, State.PROBLEM, seen, fix)
    if age > STALE:
        seen = Reason(
            "the channel event log {file} has had no new line for {days} days", {**file, "days": str(int(age // 86400))}
        )
        return Check("cel.file", subject, State.WARNING, seen, _SET_UP)
    return Check("cel.file", subject, State.OK, Reason("the channel event log {file} can be read", file))
