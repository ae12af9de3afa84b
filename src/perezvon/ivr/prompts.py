"""Keeps every prompt of the menus ready to be played: found, checked, converted, its length known. No caller waits for it.

What a caller hears is looked up in memory. Meanwhile, whenever a scenario is asked for, one task looks whether its files
have changed and has those converted by a process of low priority. A converted file is named by what was in the source, so a
change makes a new file, and nobody hears half of one. A source that has become unreadable is played as it last was good.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from perezvon.ivr import prompt_files
from perezvon.ivr.finding import Part, find_prompt
from perezvon.ivr.prompt_files import Entry, Key, Stamp
from perezvon.ivr.scenario import Scenario
from perezvon.recordings.errors import (
    ConverterBroken,
    EmptyRecording,
    NoSpace,
    NotThere,
    OutsideFolder,
    RecordingError,
    TooSlow,
    Unreadable,
)
from perezvon.recordings.pool import Converter
from perezvon.rules.vocabulary import Reason

HOUSEKEEPING = 6 * 3600.0
"""Seconds between two clean-ups."""
IDLE = 20.0
"""Seconds without work after which the converting process ends: it is larger than the service."""
TRIED_AGAIN = 300.0
"""Seconds after which a conversion that failed for want of room, rights or time is tried again."""
FIRST_TIME = 0.8
"""Seconds for which the first caller of a new scenario may wait for its first conversion."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prompt:
    """`path`: absolute, without ending, as the PBX names it. `seconds` that it lasts."""

    path: str
    seconds: float


class PromptShelf:
    """`sounds`: the company's folder; None: there is none. `folder`: where conversions are kept, `DATA_DIR/prompts`;
    `on_pbx`: how the PBX names it, when otherwise. `language`: of our own prompts.

    `await start()`, then `run()` in a task of the owner's; `spoken` and `notice` cost nothing.
    """

    def __init__(
        self,
        sounds: Path | None,
        folder: Path,
        *,
        on_pbx: str = "",
        language: str = "ru",
        converter: Converter | None = None,
    ) -> None:
        self._sounds = sounds
        self._folder = folder
        self._on_pbx = (on_pbx or str(folder)).rstrip("/")
        self._language = language
        self._converter = converter or Converter(command=prompt_files.WORKER, deadline=60.0)
        self._entries: dict[Key, Entry] = {}
        self._own: dict[str, float] = {}
        self._noticed: dict[Key, None] = {}
        self._looked: set[Key] = set()
        self._failed: dict[Key, tuple[Stamp, float]] = {}
        self._coming: dict[Key, str] = {}
        """Whose first conversion is under way, or waits for its turn -> its file, without ending."""
        self._one_looks = asyncio.Lock()
        self._work = asyncio.Event()
        self._progress = asyncio.Condition()

    async def start(self) -> None:
        """Puts our own prompts beside the others and remembers what was converted before. Raises OSError when the folder
        cannot be written."""
        self._own = await asyncio.to_thread(prompt_files.lay_out, self._folder, self._language)
        self._entries = await asyncio.to_thread(prompt_files.load, self._folder)

    async def run(self) -> None:
        """Looks, converts and cleans up, until cancelled."""
        tidied = 0.0
        try:
            while True:
                if time.time() - tidied > HOUSEKEEPING:
                    tidied = time.time()
                    await self._tidy()
                try:
                    async with asyncio.timeout(IDLE):
                        await self._work.wait()
                except TimeoutError:
                    await self._converter.close()
                    continue
                self._work.clear()
                while self._noticed:
                    keys, self._noticed = list(self._noticed), {}
                    await self._look_at(keys)
        finally:
            await self._converter.close()

    # ---- for a call

    def spoken(self, part: Part, name: str) -> Sequence[Prompt]:
        """What is played for a name of the tables: one prompt, none, or for a key without a recording our own digits. The
        file of one that is just being converted for the first time may come a little later (its seconds are 0)."""
        entry = self._entries.get((part, name)) if name else None
        if entry is not None and entry.file:
            return (Prompt(f"{self._on_pbx}/{entry.file}", entry.seconds),)
        if coming := self._coming.get((part, name)):
            return (Prompt(f"{self._on_pbx}/{coming}", 0.0),)
        if part is Part.KEY:
            signs = (prompt_files.SIGNS.get(sign, sign) for sign in name)
            return tuple(prompt for sign in signs if (prompt := self.own(sign)) is not None)
        return ()

    def own(self, name: str) -> Prompt | None:
        """One of the prompts that come with Perezvon: `3`, `busy`…"""
        seconds = self._own.get(name)
        return None if seconds is None else Prompt(f"{self._on_pbx}/{self._language}/{name}", seconds)

    def notice(self, scenario: Scenario) -> None:
        """Its files are looked at soon."""
        self._noticed.update(dict.fromkeys(prompts_of(scenario)))
        self._work.set()

    async def ready(self, scenario: Scenario, within: float = FIRST_TIME) -> None:
        """Returns at once unless some prompt has never been looked at; then as soon as it has, or after `within` seconds.
        Those who press no key hear the rest, if it is ready when its turn comes."""
        self.notice(scenario)
        wanted = prompts_of(scenario)

        def looked() -> bool:
            return all(key in self._looked or key in self._entries for key in wanted)

        if not looked():
            try:
                async with asyncio.timeout(within), self._progress:
                    await self._progress.wait_for(looked)
            except TimeoutError:
                log.warning("prompts not ready for the first caller", line=scenario.line, waited=within)

    # ---- for people

    @property
    def converted(self) -> int:
        """How many of the company's recordings can be played."""
        return sum(bool(entry.file) for entry in self._entries.values())

    async def look(self, scenario: Scenario) -> Sequence[Reason]:
        """Looks at its files now, converts what has changed, and tells what is wrong with them. For tests and pages."""
        await self._look_at(prompts_of(scenario))
        return self.troubles(scenario)

    def troubles(self, scenario: Scenario) -> Sequence[Reason]:
        """What was wrong when its files were last looked at."""
        return [trouble for key in prompts_of(scenario) if (entry := self._entries.get(key)) and (trouble := entry.trouble)]

    # ---- keeping

    async def _look_at(self, keys: Iterable[Key]) -> None:
        async with self._one_looks:
            await self._look_at_all(list(keys))

    async def _look_at_all(self, keys: Sequence[Key]) -> None:
        found = await asyncio.to_thread(self._find, keys)
        self._coming = await asyncio.to_thread(self._to_come, keys, found)
        changed = False
        for key, source in zip(keys, found, strict=True):
            before = self._entries.get(key)
            entry = await self._entry(key, source, before)
            if before is None or before.trouble != entry.trouble or before.file != entry.file:
                tell = log.info if entry.trouble is None else log.warning
                tell("prompt", name="/".join(key), seconds=entry.seconds, trouble=str(entry.trouble or "") or None)
            changed = changed or entry.worth_saving(before)
            self._entries[key] = entry
            self._coming.pop(key, None)
            self._looked.add(key)
            async with self._progress:
                self._progress.notify_all()
        if changed:
            await asyncio.to_thread(prompt_files.save, self._folder, dict(self._entries))

    def _find(self, keys: Sequence[Key]) -> list[tuple[Path, os.stat_result] | RecordingError]:
        """In a thread."""
        found: list[tuple[Path, os.stat_result] | RecordingError] = []
        for part, name in keys:
            try:
                if self._sounds is None:
                    raise NotThere("no sounds folder is set (ivr.sounds)")
                path = find_prompt(self._sounds, Part(part), name)
                found.append((path, path.stat()))
            except RecordingError as error:
                found.append(error)
            except OSError as error:
                found.append(Unreadable(f"{part}/{name}: {error.strerror}"))
        return found

    def _to_come(
        self, keys: Sequence[Key], found: Sequence[tuple[Path, os.stat_result] | RecordingError]
    ) -> dict[Key, str]:
        """In a thread. Of those that have never been converted."""
        coming: dict[Key, str] = {}
        for key, source in zip(keys, found, strict=True):
            entry = self._entries.get(key)
            if isinstance(source, RecordingError) or (entry is not None and (entry.file or entry.stamp)):
                continue
            with suppress(OSError):  # told when its turn comes
                coming[key] = _name(source[0])
        return coming

    async def _entry(self, key: Key, source: tuple[Path, os.stat_result] | RecordingError, before: Entry | None) -> Entry:
        before = before or Entry()
        now = time.time()
        if isinstance(source, RecordingError):
            gone = isinstance(source, NotThere) and self._sounds is not None and self._sounds.is_dir()
            if gone or isinstance(source, OutsideFolder):
                before = Entry()
            return before.changed(noticed=now, stamp=(), trouble=self._trouble(key, source))
        path, status = source
        stamp = (str(path), status.st_mtime_ns, status.st_size)
        if before.stamp == stamp and (not before.file or (self._folder / f"{before.file}.wav").exists()):
            return before.changed(noticed=now)
        failed, until = self._failed.get(key, ((), 0.0))
        if failed == stamp and now < until:
            return before.changed(noticed=now)
        try:
            file, seconds = await self._convert(path)
        except OSError as error:
            return self._not_now(key, stamp, before, Unreadable(str(error)))
        except (NoSpace, Unreadable, TooSlow, ConverterBroken) as error:
            return self._not_now(key, stamp, before, error)
        except RecordingError as error:
            return before.changed(noticed=now, stamp=stamp, trouble=self._trouble(key, error))
        if before.file and before.file != file:
            await asyncio.to_thread(prompt_files.put_off, self._folder, before.file)
        return Entry(stamp=stamp, file=file, seconds=seconds, noticed=now)

    def _not_now(self, key: Key, stamp: Stamp, before: Entry, error: RecordingError) -> Entry:
        """The file may be good: it is tried again, but not for each call."""
        self._failed[key] = (stamp, time.time() + TRIED_AGAIN)
        return before.changed(noticed=time.time(), stamp=(), trouble=self._trouble(key, error))

    async def _convert(self, path: Path) -> tuple[str, float]:
        """The converted file's name without ending, and its seconds. What is the same is not converted again."""
        file = await asyncio.to_thread(_name, path)
        for entry in self._entries.values():
            if entry.file == file and (self._folder / f"{file}.wav").exists():
                return file, entry.seconds
        done = await self._converter.convert(path, self._folder / f"{file}.wav")
        return file, done.duration

    def _trouble(self, key: Key, error: RecordingError) -> Reason:
        told = {"prompt": "/".join(key), "why": str(error)}
        match error:
            case NotThere() if key[0] == Part.KEY:
                return Reason("{prompt}: there is no such recording; our own digits are played", told)
            case NotThere():
                return Reason("{prompt}: there is no such recording: {why}", told)
            case OutsideFolder():
                return Reason("{prompt}: leads out of the sounds folder and is not played", told)
            case EmptyRecording():
                return Reason("{prompt}: nothing is to be heard in it: {why}", told)
            case _:
                return Reason("{prompt}: cannot be played: {why}", told)

    async def _tidy(self) -> None:
        self._entries = await asyncio.to_thread(prompt_files.tidy, self._folder, dict(self._entries))


def prompts_of(scenario: Scenario) -> Sequence[Key]:
    """In the order in which they are played; none when nothing is."""
    if scenario.alone is not None or not scenario.buttons:
        return ()
    keys: list[Key] = [(Part.INTRO.value, scenario.intro)]
    for button in scenario.buttons:
        keys += [(Part.KEY.value, button.key), (Part.MESSAGE.value, button.prompt)]
    return tuple(dict.fromkeys(key for key in keys if key[1]))


def _name(path: Path) -> str:
    """Of the converted file, without ending: made of what is in its source."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
