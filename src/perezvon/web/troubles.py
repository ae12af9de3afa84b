"""What is wrong with the running service, and what to do about each: told from its status. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.web.status import PausedMethod, PbxStatus, PortalStatus, Status

GRACE = 10.0
"""Seconds: a connection that is younger is still being made."""

FORGETFUL = 3 * 86400.0
"""Seconds for which it is told that a portal has lost calls."""

RECENT = 3600.0
"""Seconds for which a failure of an integrator's function is told."""

LATE = 60.0
"""Seconds: a step that waits longer is worth a warning."""


def troubles(status: Status) -> list[Check]:
    """The worst first."""
    found = [*_service(status), *_database(status)] if status.problem else [*_unset(status), *_database(status)]
    found += [*_disk(status), *_handles(status), *_clock(status)]
    for pbx in status.pbxs:
        found += _pbx(pbx, status.now)
    for portal in status.portals:
        found += _portal(portal, status.now)
    found += [*_dialplan(status), *_recordings(status), *_customisation(status), *_unmapped(status), *_lines(status)]
    return sorted(found, key=lambda check: list(State).index(check.state), reverse=True)


def _service(status: Status) -> Iterator[Check]:
    seen = Reason("the settings could not be put to work: {why}; no call is handled", {"why": status.problem})
    fix = Reason("correct that (perezvon doctor names what); it is tried again every few seconds")
    yield Check("service", "service", State.PROBLEM, seen, fix)


def _unset(status: Status) -> Iterator[Check]:
    fix = Reason("set it on the pages (/setup), or save a settings file: perezvon config apply FILE.toml")
    if not status.pbxs:
        yield Check("asterisk.none", "asterisk", State.PROBLEM, Reason("no Asterisk is set: no call is seen"), fix)
    if not status.portals:
        yield Check("portal.none", "portal", State.PROBLEM, Reason("no portal is set: no call is written anywhere"), fix)


def _database(status: Status) -> Iterator[Check]:
    if status.database.trouble:
        seen = Reason("the database cannot be written: {why}", {"why": status.database.trouble})
        yield Check("database", "database", State.PROBLEM, seen, Reason("see to that; calls wait in memory meanwhile"))


def _disk(status: Status) -> Iterator[Check]:
    machine = status.machine
    if not machine.full:
        return
    told = {"folder": machine.folder, "free": "?" if machine.free is None else str(machine.free // 1024**2)}
    if machine.on_reserve:
        seen = Reason("disk full: free {free} MB in {folder}; calls are stored in the room that was kept for this", told)
    else:
        seen = Reason("disk full: free {free} MB in {folder}", told)
    fix = Reason("make room there now: nothing else is needed, what waits is stored then")
    yield Check("disk", "disk", State.PROBLEM, seen, fix)


def _handles(status: Status) -> Iterator[Check]:
    machine = status.machine
    if machine.short_of_handles:
        told = {"count": str(machine.handles), "limit": str(machine.handle_limit)}
        seen = Reason("file handles run out: {count} of {limit} are in use", told)
        fix = Reason("raise the limit (systemd: LimitNOFILE=, then restart); what fails meanwhile is tried again")
        yield Check("handles", "file handles", State.PROBLEM, seen, fix)


def _clock(status: Status) -> Iterator[Check]:
    if step := status.machine.clock_set:
        told = {"seconds": f"{abs(step):.0f}"}
        seen = (
            Reason("this machine's clock was set {seconds} s forward while calls go on", told)
            if step > 0
            else Reason("this machine's clock was set {seconds} s back while calls go on", told)
        )
        fix = Reason("nothing needs to be done: the new time holds when these calls are over; keep NTP switched on")
        yield Check("clock", "clock", State.WARNING, seen, fix)


def _pbx(pbx: PbxStatus, now: float) -> Iterator[Check]:
    subject = f"asterisk {pbx.name}"
    if pbx.state == "live":
        return
    if pbx.last_error:
        seen = Reason("no connection: {why}", {"why": pbx.last_error})
        fix = Reason("perezvon doctor names what to correct in the PBX or in the settings")
        yield Check("asterisk.connection", subject, State.PROBLEM, seen, fix)
    elif now - pbx.since > GRACE:
        fix = Reason("look whether Asterisk runs: asterisk -rx 'core show uptime'")
        yield Check("asterisk.connection", subject, State.PROBLEM, Reason("not connected yet"), fix)


def _portal(portal: PortalStatus, now: float) -> Iterator[Check]:
    subject = f"portal {portal.name}"
    if portal.held_by and portal.held_since is not None:
        told = {"who": portal.held_by, "since": _moment(portal.held_since)}
        seen = Reason("nothing is sent: {who} has paused the deliveries on {since}; what happens meanwhile waits", told)
        yield Check("portal.held", subject, State.WARNING, seen, Reason("let them go on: the page Deliveries"))
    waiting = {"count": str(portal.waiting)}
    if portal.state == "waiting for installation":
        fix = Reason(
            "install the local application in the portal; its tokens come to /bitrix24/{name}/install",
            {"name": portal.name},
        )
        yield Check("portal.installation", subject, State.PROBLEM, Reason("the application is not installed yet"), fix)
    elif portal.state in ("blocked", "unreachable"):
        told = {"since": _moment(portal.since), "why": portal.last_error, **waiting}
        seen = Reason("the portal has not been usable since {since}: {why}; {count} requests wait, none is lost", told)
        fix = portal.fix or Reason("perezvon doctor names what to correct")
        yield Check("portal.state", subject, State.PROBLEM, seen, fix)
    elif portal.state == "paused" and not portal.held_by:
        seen = Reason("the portal takes no more requests for now; {count} wait, none is lost", waiting)
        fix = Reason(
            "nothing needs to be done; when it happens often, look who else uses the portal's REST from this address"
        )
        yield Check("portal.pause", subject, State.WARNING, seen, fix)
    for pause in portal.paused_methods:
        yield _method(pause, subject)
    if portal.moved_from:
        told = {"settings": portal.moved_from, "host": portal.host}
        seen = Reason("the portal has moved from {settings} to {host}; it was followed, nothing is lost", told)
        fix = Reason("put {host} into the settings as its domain", told)
        yield Check("portal.moved", subject, State.WARNING, seen, fix)
    if portal.forgotten_last is not None and now - portal.forgotten_last < FORGETFUL:
        told = {"count": str(portal.forgotten), "last": _moment(portal.forgotten_last)}
        seen = Reason(
            "the portal did not know {count} calls any more that it had taken, the last at {last}: it may have been "
            "restored from a backup. They were told anew",
            told,
        )
        fix = Reason(
            "look at the portal's statistics of the time between the backup and the restoration: calls that were complete "
            "by then are not told anew by themselves"
        )
        yield Check("portal.forgotten", subject, State.WARNING, seen, fix)
    working = portal.state == "ready" and not portal.paused_methods
    if portal.oldest is not None and now - portal.oldest > LATE and working:
        seen = Reason(
            "{count} requests wait, the oldest for {seconds} s", {**waiting, "seconds": f"{now - portal.oldest:.0f}"}
        )
        yield Check(
            "portal.queue",
            subject,
            State.WARNING,
            seen,
            Reason("more calls than the portal's limit allows: they drain by themselves"),
        )
    if portal.dead:
        seen = Reason("the portal refused {count} requests for good", {"count": str(portal.dead)})
        fix = Reason("the calls below name them with the portal's reason; correct that, further calls are not affected")
        yield Check("portal.dead", subject, State.WARNING, seen, fix)
    if portal.state in ("blocked", "unreachable", "waiting for installation"):
        return  # then events and employees cannot be had either
    if portal.events.error:
        seen = Reason("clicks on numbers may not arrive: {why}", {"why": portal.events.error})
        yield Check("portal.events", subject, State.WARNING, seen, Reason("perezvon doctor names what to correct"))
    for problem in portal.automation:
        seen = Reason("the portal's automation is not complete: {why}", {"why": problem})
        fix = Reason("portal-administrator.md tells what it needs; it is tried again by itself")
        yield Check("portal.automation", subject, State.WARNING, seen, fix)
    for problem in portal.pages_problems:
        seen = Reason("a page of ours is not in the portal: {why}", {"why": problem})
        fix = Reason("give the application the permission 'placement'; it is tried again by itself")
        yield Check("portal.pages", subject, State.WARNING, seen, fix)
    if portal.directory_problem:
        seen = Reason("the employees are as they were: {why}", {"why": portal.directory_problem})
        fix = Reason("calls go on with the last good list; look at the employees' extensions in the portal")
        yield Check("portal.employees", subject, State.WARNING, seen, fix)


def _method(pause: PausedMethod, subject: str) -> Check:
    told = {"method": pause.method, "until": _moment(pause.until), "why": pause.why}
    if pause.limited:
        seen = Reason("the portal takes no more {method} until {until}: its working time is used up; nothing is lost", told)
        return Check("portal.method", subject, State.WARNING, seen, pause.fix)
    seen = Reason("the portal refuses {method}: {why}; what needs it waits, none is lost", told)
    return Check("portal.method", subject, State.PROBLEM, seen, pause.fix)


def _moment(at: float) -> str:
    """In the time zone of this machine, in a form that every language reads."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def _dialplan(status: Status) -> Iterator[Check]:
    dialplan = status.dialplan
    if dialplan.trouble:
        seen = Reason(
            "the dialplan gets no answers: {why}; callers go on to Bitrix24 without a menu", {"why": dialplan.trouble}
        )
        fix = Reason("free that address or set another one (agi.bind); it is tried again every few seconds")
        yield Check("dialplan", "dialplan", State.PROBLEM, seen, fix)
    for pbx in dialplan.outdated:
        seen = Reason(
            "asterisk {name} has our dialplan of an earlier version: callers go on to Bitrix24 without a menu",
            {"name": pbx},
        )
        fix = Reason("perezvon asterisk install, on the PBX")
        yield Check("dialplan.outdated", f"asterisk {pbx}", State.WARNING, seen, fix)
    for setting, (seen, fix) in dialplan.databases.items():
        yield Check("dialplan.database", setting, State.PROBLEM, seen, fix)
    for portal, why in dialplan.untold.items():
        seen = Reason("autoconnect does without what the portal does not tell: {why}", {"why": why})
        yield Check("autoconnect", f"portal {portal}", State.WARNING, seen, Reason("perezvon doctor says what is missing"))


def _recordings(status: Status) -> Iterator[Check]:
    counts = status.recordings
    if counts.failed or counts.missing:
        told = {"failed": str(counts.failed), "missing": str(counts.missing), "why": counts.last_error or "—"}
        seen = Reason("recordings: {failed} failed, {missing} not found; the last: {why}", told)
        fix = Reason("check that `recordings` in the settings is the folder where the PBX writes, and that we may read it")
        yield Check("recordings", "recordings", State.WARNING, seen, fix)


def _customisation(status: Status) -> Iterator[Check]:
    for seen, fix in status.customisation.troubles:
        yield Check("customisation.files", "customisation", State.WARNING, seen, fix)
    for point in status.customisation.points:
        if point.until is not None:
            told = {"point": point.name, "place": point.place, "until": _moment(point.until), "why": point.last_error}
            seen = Reason("customisation {point} is not asked until {until}: several times in a row {why}", told)
            fix = Reason("look at {place}: a function must not wait, or has to be quicker than the time limit", told)
            yield Check("customisation.left_alone", "customisation", State.WARNING, seen, fix)
        elif point.last_error_at is not None and status.now - point.last_error_at < RECENT:
            told = {"point": point.name, "count": str(point.failed), "why": point.last_error}
            seen = Reason("customisation {point} has failed {count} times, the last: {why}", told)
            fix = Reason("correct the function ({place}); the calls themselves are not affected", {"place": point.place})
            yield Check("customisation.failed", "customisation", State.WARNING, seen, fix)


def _unmapped(status: Status) -> Iterator[Check]:
    for case in status.unmapped:
        told = {"extension": case.extension, "count": str(case.count)}
        seen = Reason("no employee of the portal has the extension {extension}: {count} calls went without a card", told)
        fix = Reason(
            "write {extension} into the profile of the employee (portal: telephony, telephony users)",
            {"extension": case.extension},
        )
        yield Check("employees.unmapped", f"portal {case.portal}", State.WARNING, seen, fix)


def _lines(status: Status) -> Iterator[Check]:
    for case in status.unknown_lines:
        told = {"line": case.number, "count": str(case.count)}
        seen = Reason("{line} is not among the lines of the settings: {count} calls were told without a line", told)
        fix = Reason("write [[line]] with the number {line} into the settings, or among the aliases of a line", told)
        yield Check("lines.unknown", f"portal {case.portal}", State.WARNING, seen, fix)
    for portal in status.portals:
        for seen in portal.fields_problems:
            fix = Reason("correct [[crm.field]] in the settings, or the fields in the portal")
            yield Check("portal.crm_fields", f"portal {portal.name}", State.WARNING, seen, fix)
        if portal.lines_problem:
            seen = Reason("the company's numbers are not lines of the portal: {why}", {"why": portal.lines_problem})
            fix = Reason("reports by line have no names; lines need a local application with the permission 'telephony'")
            yield Check("lines.portal", f"portal {portal.name}", State.WARNING, seen, fix)
