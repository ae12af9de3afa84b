"""The wizard of the first run: what each step shows, tries and saves, and how far all has come.

Implements web.SetupDesk. What the running house knows is asked of it; what is saved, it takes over by itself.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perezvon.asterisk.cel import CelUnreadable
from perezvon.asterisk.cel_trouble import CelDatabaseTrouble
from perezvon.bitrix24.directory import normal_extension
from perezvon.doctor.check import Check, State
from perezvon.doctor.pbx import examine_folder, newest
from perezvon.recordings import Converter, Mp3, RecordingError
from perezvon.rules.vocabulary import Reason
from perezvon.service import policies
from perezvon.service.house import House
from perezvon.service.portals import PortalLink
from perezvon.service.setup_asterisk import AsteriskSetup
from perezvon.service.setup_book import Entries, SetupBook, entries
from perezvon.service.setup_lines import DAYS, proposed, told_by_calls, told_by_log, usual_log
from perezvon.service.setup_people import paired, phones_of
from perezvon.service.setup_portal import PortalSetup
from perezvon.settings.errors import SecretMissing
from perezvon.settings.model import Settings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import audit
from perezvon.storage.audit import Entry
from perezvon.storage.database import Database
from perezvon.web.deeds import Deed
from perezvon.web.setup_desk import (
    AsteriskForm,
    AsteriskTried,
    Lines,
    Mark,
    People,
    Phone,
    Place,
    PortalForm,
    PortalNow,
    RecordingsNow,
    StepNow,
    WiringDone,
    WiringOffer,
)
from perezvon.web.status import CallRow, PbxStatus, PortalStatus, Status, StatusSource

GRACE = 10.0
"""Seconds: a connection that is younger is still being made."""

LARGEST_LOG = 16 * 1024 * 1024
"""Bytes of the PBX's log that are looked through for numbers, from its end back."""

LARGEST_TRIED = 20 * 1024 * 1024
"""Bytes of a recording that is converted for a try."""


class Setup:
    """`status`: of the running service. `house`: the running one, None while there is none."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        store: SettingsStore,
        status: StatusSource,
        house: Callable[[], House | None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._book = SetupBook(database, box, store, clock)
        self._status = status
        self._house = house
        self._asterisk = AsteriskSetup(self._book)
        self._portal = PortalSetup(self._book, house)

    # ---- how far all has come

    async def steps(self) -> tuple[StepNow, ...]:
        now = await self._status.status()
        marks = await self._book.marks()
        found = (_asterisk(now), _portal(now), self._people_now(), self._lines_now(), _recordings(now), _call(now))
        return tuple(_marked(step, marks.get(step.place.value, "")) for step in found)

    async def mark(self, place: Place, mark: str) -> None:
        await self._book.mark(place, mark)

    def _people_now(self) -> StepNow:
        link = self._first_portal
        if link is None or not link.directory.refreshed:
            return StepNow(Place.PEOPLE, Mark.TODO, Reason("the portal's employees are not known yet"))
        mapped = sum(1 for one in link.directory.employees if one.active and one.extension)
        if not mapped:
            return StepNow(Place.PEOPLE, Mark.TROUBLE, Reason("no employee has an extension"))
        return StepNow(Place.PEOPLE, Mark.TODO, Reason("employees with an extension: {count}", {"count": str(mapped)}))

    def _lines_now(self) -> StepNow:
        count = len(self._book.settings.line)
        if not count:
            return StepNow(Place.LINES, Mark.TODO, Reason("no number of the company is set"))
        return StepNow(Place.LINES, Mark.DONE, Reason("numbers of the company: {count}", {"count": str(count)}))

    @property
    def _first_portal(self) -> PortalLink | None:
        house, saved = self._house(), next(iter(self._book.settings.portal), None)
        return None if house is None or saved is None else house.portals.get(saved.name)

    # ---- Asterisk

    async def asterisk(self) -> AsteriskForm:
        house, saved = self._house(), next(iter(self._book.settings.asterisk), None)
        exchange = house.exchanges.get(saved.name) if house is not None and saved is not None else None
        return await self._asterisk.form(live=exchange is not None and exchange.supervisor.status.state == "live")

    async def try_asterisk(self, form: AsteriskForm) -> AsteriskTried:
        return await self._asterisk.tried(form)

    async def another_secret(self) -> None:
        await self._asterisk.another_secret()

    async def save_asterisk(self, form: AsteriskForm, who: str) -> None:
        await self._asterisk.save(form, who)
        await self._book.mark(Place.ASTERISK, "")

    async def wiring(self, form: AsteriskForm) -> WiringOffer:
        return await self._asterisk.offer(form)

    async def write_wiring(self, form: AsteriskForm, who: str) -> WiringDone:
        done = await self._asterisk.write(form, who)
        entry = Entry(self._book.clock(), who, Deed.WIRING_WRITTEN.value, form.etc, ", ".join(done.files))
        await self._book.database.write(lambda conn: audit.note(conn, entry))
        return done

    # ---- the portal

    async def portal(self, reached_at: str) -> PortalForm:
        return await self._portal.form(reached_at)

    async def try_portal(self, form: PortalForm) -> tuple[Check, ...]:
        return await self._portal.tried(form)

    async def save_portal(self, form: PortalForm, who: str) -> None:
        await self._portal.save(form, who)
        await self._book.mark(Place.PORTAL, "")

    async def portal_now(self, *, look: bool = True, anew: bool = False) -> PortalNow:
        return await self._portal.now(look=look, anew=anew)

    # ---- people

    async def people(self, *, anew: bool = False) -> People:
        house, link = self._house(), self._first_portal
        trouble: list[Reason] = []
        phones: list[Phone] = []
        for exchange in house.exchanges.values() if house is not None else ():
            found, why = await phones_of(exchange)
            phones += found
            trouble += [why] if why is not None else []
        if not self._book.settings.asterisk:
            trouble.append(Reason("no Asterisk is set: no call is seen"))
        if link is None or not link.installed:
            trouble.append(Reason("the portal's employees are not known yet"))
            return People((), (), tuple(trouble))
        if anew:
            await link.look_at_employees()
        both = paired(link.directory.employees, phones, normal_extension)
        return People(both.pairs, both.without, tuple(trouble))

    # ---- lines

    async def lines(self, *, look: bool = True) -> Lines:
        settings = self._book.settings
        pbx = next(iter(settings.asterisk), None)
        known = tuple((line.number, line.name) for line in settings.line)
        if pbx is None:
            return Lines(known)
        log = "" if pbx.cel is None else str(pbx.cel)
        if not look:
            return Lines(known, (), log, "" if log else await asyncio.to_thread(usual_log), DAYS)
        async with self._book.database.read() as conn:
            heard = [await told_by_calls(conn)]
        numbering = policies.numbering(settings, pbx)
        trouble: Reason | None = None
        if pbx.cel is not None:
            try:
                heard.append(
                    await told_by_log(pbx.cel.source(largest=LARGEST_LOG), pbx.name, numbering, self._book.clock())
                )
            except CelDatabaseTrouble as error:
                trouble = error.seen
            except CelUnreadable as error:
                why = {"why": error.strerror or str(error)}
                trouble = Reason("the channel event log cannot be read: {why}", why)
            except SecretMissing as error:
                trouble = error.reason
        taken = frozenset({*numbering.lines, *(name for line in settings.line for name in (line.number, *line.aliases))})
        found = proposed(heard, numbering, taken)
        return Lines(known, found, log, "", DAYS, trouble)

    async def save_lines(self, numbers: dict[str, str], log: str, who: str) -> None:
        """Raises Unfit, Unavailable."""
        settings = self._book.settings
        pbx = next(iter(settings.asterisk), None)
        if pbx is not None and log != ("" if pbx.cel is None else str(pbx.cel)):
            await self._book.save_first("asterisk", {"cel": log}, who, Place.LINES)
        raw = {one.number: one.raw for one in (await self.lines()).found}
        if numbers:
            await self._book.save(lambda now: {"line": _with_lines(now, numbers, raw)}, who, Place.LINES)

    # ---- recordings

    async def recordings(self, *, look: bool = True) -> RecordingsNow:
        pbx = next(iter(self._book.settings.asterisk), None)
        if pbx is None:
            return RecordingsNow("")
        if not look:
            return RecordingsNow(pbx.recordings, pbx.recordings_on_pbx)
        subject = f"asterisk {pbx.name}"
        checks = await asyncio.to_thread(lambda: list(examine_folder(pbx, subject)))
        last = await asyncio.to_thread(newest, Path(pbx.recordings))
        if last is not None and checks and checks[-1].state is State.OK:
            checks.append(await self._converted(last, subject))
        return RecordingsNow(pbx.recordings, pbx.recordings_on_pbx, tuple(checks))

    async def _converted(self, last: Path, subject: str) -> Check:
        wanted = self._book.settings.recordings
        told = {"file": last.name}
        if (await asyncio.to_thread(last.stat)).st_size > LARGEST_TRIED:
            seen = Reason("{file} is too long for a try: the next call will show it", told)
            return Check("recordings.mp3", subject, State.WARNING, seen)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "try.mp3"
            try:
                async with Converter(Mp3(wanted.bitrate, wanted.quality, "mono"), deadline=15.0) as converter:
                    made = await converter.convert(last, target)
            except RecordingError as error:
                seen = Reason("the newest recording could not be made an mp3: {why}", {"why": str(error)})
                fix = Reason("place the test call of the next step and look again")
                return Check("recordings.mp3", subject, State.WARNING, seen, fix)
        told |= {"seconds": f"{made.duration:.0f}", "size": f"{made.size / 1024:.0f}"}
        seen = Reason("the newest recording becomes an mp3: {seconds} s, {size} kB", told)
        return Check("recordings.mp3", subject, State.OK, seen)

    async def save_recordings(self, folder: str, folder_on_pbx: str, who: str) -> None:
        values = {"recordings": folder, "recordings_on_pbx": folder_on_pbx}
        await self._book.save_first("asterisk", values, who, Place.RECORDINGS)

    # ---- the test call

    async def calls(self, since: float) -> tuple[CallRow, ...]:
        return tuple(row for row in (await self._status.status()).calls if row.started >= since)


def _marked(step: StepNow, mark: str) -> StepNow:
    """What whoever goes through it has told, where nothing better is known."""
    if mark == "done" and step.mark is Mark.TODO:
        return StepNow(step.place, Mark.DONE, step.seen)
    if mark == "skipped" and step.mark in (Mark.TODO, Mark.TROUBLE):
        return StepNow(step.place, Mark.SKIPPED, step.seen)
    return step


def _asterisk(now: Status) -> StepNow:
    pbx: PbxStatus | None = next(iter(now.pbxs), None)
    if pbx is None:
        return StepNow(Place.ASTERISK, Mark.TODO, Reason("no Asterisk is set: no call is seen"))
    if pbx.state == "live":
        told = {"version": pbx.version or "?", "address": pbx.address}
        return StepNow(Place.ASTERISK, Mark.DONE, Reason("Asterisk {version} answers at {address}", told))
    if pbx.last_error:
        return StepNow(Place.ASTERISK, Mark.TROUBLE, Reason("no connection: {why}", {"why": pbx.last_error}))
    young = now.now - pbx.since < GRACE
    return StepNow(Place.ASTERISK, Mark.TODO if young else Mark.TROUBLE, Reason("not connected yet"))


def _portal(now: Status) -> StepNow:
    portal: PortalStatus | None = next(iter(now.portals), None)
    if portal is None:
        return StepNow(Place.PORTAL, Mark.TODO, Reason("no portal is set: no call is written anywhere"))
    if portal.state == "waiting for installation":
        return StepNow(Place.PORTAL, Mark.TROUBLE, Reason("the application is not installed yet"))
    if portal.state in ("blocked", "unreachable"):
        return StepNow(Place.PORTAL, Mark.TROUBLE, Reason("no connection: {why}", {"why": portal.last_error}))
    return StepNow(Place.PORTAL, Mark.DONE, Reason("{host} lets us in", {"host": portal.host}))


def _recordings(now: Status) -> StepNow:
    counts = now.recordings
    if counts.done:
        return StepNow(
            Place.RECORDINGS, Mark.DONE, Reason("recordings in the portal: {count}", {"count": str(counts.done)})
        )
    if counts.missing or counts.failed:
        return StepNow(Place.RECORDINGS, Mark.TROUBLE, Reason("recordings were not found: look where the PBX writes them"))
    return StepNow(Place.RECORDINGS, Mark.TODO, Reason("no recording has come yet"))


def _call(now: Status) -> StepNow:
    told = [row for row in now.calls if row.outcome and any(s.kind == "finish" and s.state == "done" for s in row.sent)]
    if told:
        return StepNow(
            Place.CALL, Mark.DONE, Reason("the last call of {client} is in the portal", {"client": told[0].client})
        )
    return StepNow(Place.CALL, Mark.TODO, Reason("no call has come yet"))


def _with_lines(settings: Settings, numbers: Mapping[str, str], raw: Mapping[str, Sequence[str]]) -> Entries:
    """The lines there are, and those of `numbers` (with their names) that are none yet. `raw`: how the PBX writes them."""
    known = {name for line in settings.line for name in (line.number, *line.aliases)}
    lines = entries(settings, "line")
    for number, name in numbers.items():
        if number not in known:
            aliases = [one for one in raw.get(number, ()) if one not in known]
            line = {"number": number, "name": name, "aliases": aliases}
            lines.append({key: value for key, value in line.items() if value})
            known |= {number, *aliases}
    return lines
