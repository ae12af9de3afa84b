"""The service is killed or stopped while everybody is in the middle of something, in menus and conferences. For
test_conference_killed.py: one blow hits all scenes at once, and one moment later the service is back for all of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talks import LINE, Answers, Steps, Talk

from perezvon.sandbox.pbx import sounds
from perezvon.sandbox.stand import Stand
from perezvon.storage.database import SQLITE_FILE

KILLED, STOPPED = "killed", "stopped"
SOON = 0.5
"""Seconds within which a call goes on when the service is killed: 10 ms, and a busy machine."""
GUARD = 4.0
"""Seconds that the dialplan waits for an answer."""
SILENCE = 5.0
LONG = 6.0
SHORT = 0.2
LATER = 1.2
"""Seconds by which recordings may be behind: everybody talks at the same time, on two cores."""
AT_ONCE = 6
"""Scenes that begin at the same time: the machine has two cores."""

UNKNOWN, SLOW, QUICK, OTHER = "70000000003", "70000000004", "70000000005", "70000000006"
"""Numbers of the company: with a menu that Perezvon has never read, with a long intro, with short prompts only, with a long
intro once more."""

CALLED, ANSWERS, ANSWERS_TOO = "79170000040", "79170000041", "79170000042"
"""The numbers of each menu's two buttons; of OTHER's second one."""

MENUS = ((UNKNOWN, "short"), (SLOW, "long"), (QUICK, "short"), (OTHER, "long"))
TABLES = """
CREATE TABLE sAsterisk_ivr (id INT PRIMARY KEY, phone VARCHAR(20), scenario VARCHAR(50), scenarioMsg VARCHAR(100));
CREATE TABLE sAsterisk_ivr_button (id INTEGER PRIMARY KEY, ivrID INT, keyNum INT, msgMp3 VARCHAR(100), transferTo VARCHAR(40));
CREATE TABLE sAsterisk_prefix (pref VARCHAR(20), phone VARCHAR(20));
"""
PROMPTS = {"scenario/long": (1100.0, LONG), "scenario/short": (1300.0, SHORT), "keyNum/1": (1500.0, SHORT)} | {
    "msgMp3/one": (1700.0, SHORT),
    "keyNum/2": (1950.0, SHORT),
}
"""Prompt -> its tone (Hz) and length (seconds)."""


class Company:
    """The company's SQLite file and its sounds. While it is `held`, whoever asks it gets no answer."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "company.db"
        self.sounds = folder / "sounds"
        self._holding: sqlite3.Connection | None = None
        with closing(sqlite3.connect(self.file)) as conn:
            conn.executescript(TABLES)
            for number, (line, intro) in enumerate(MENUS, 1):
                conn.execute("INSERT INTO sAsterisk_ivr VALUES (?, ?, 'one', ?)", (number, line, intro))
                for key in (1, 2):
                    values = (number, key, "one", (CALLED, ANSWERS_TOO if line == OTHER else ANSWERS)[key - 1])
                    conn.execute(
                        "INSERT INTO sAsterisk_ivr_button (ivrID, keyNum, msgMp3, transferTo) VALUES (?, ?, ?, ?)", values
                    )
            conn.commit()
        for prompt, (hertz, seconds) in PROMPTS.items():
            target = self.sounds / f"{prompt}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            sounds.write_tone(target, hertz, seconds)

    def knows(self, codes: dict[str, str]) -> None:
        with closing(sqlite3.connect(self.file)) as conn:
            conn.executemany("INSERT INTO sAsterisk_prefix VALUES (?, ?)", list(codes.items()))
            conn.commit()

    def hold(self) -> None:
        self._holding = sqlite3.connect(self.file, isolation_level=None)
        self._holding.execute("BEGIN EXCLUSIVE")

    def let_go(self) -> None:
        if self._holding is not None:
            self._holding.close()
            self._holding = None


@dataclass(slots=True)
class Blow:
    """`at`: when it fell (POSIX seconds). The gates are passed by all scenes together: 1 lasting states are reached, 2 so
    are those that last for seconds, 3 the blow falls, 4 all have gone on without the service, 5 it is back."""

    how: str
    gates: asyncio.Barrier
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    fallen: asyncio.Event = field(default_factory=asyncio.Event)
    at: float = 0.0


@dataclass(slots=True)
class Turn:
    """One scene's way through the gates."""

    blow: Blow
    passed: int = 0
    placed: bool = False

    async def until(self, gate: int) -> None:
        while self.passed < gate:
            await self.blow.gates.wait()
            self.passed += 1

    async def near(self) -> None:
        """Before a state of some seconds."""
        self.make_place()
        await self.until(1)

    def make_place(self) -> None:
        """Another scene may begin."""
        if self.placed:
            self.placed = False
            self.blow.places.release()

    async def nearer(self) -> None:
        """Before a state of two seconds: the company's database does not answer."""
        self.make_place()
        await self.until(2)

    async def falls(self) -> None:
        self.make_place()
        await self.until(3)
        await self.blow.fallen.wait()

    async def over(self) -> None:
        """Returns when the service is back."""
        await self.until(5)

    @property
    def kills(self) -> bool:
        return self.blow.how == KILLED


@dataclass(frozen=True, slots=True)
class Scene:
    """`title`: the state in which the blow finds it. `conferring`: legs in the conference when the service comes back.
    `thirds`: who must be named in the record, in this order."""

    title: str
    play: Callable[[Talk, Turn], Awaitable[None]]
    ways: str = "incoming outgoing"
    line: str = LINE
    conferring: int = 0
    thirds: str = ""


class Round:
    """Plays scenes, each with its direction, around one blow."""

    def __init__(
        self, stand: Stand, steps: Steps, company: Company, how: str, played: Sequence[tuple[Scene, str]], first: int
    ) -> None:
        """`first`: the number of the first talk."""
        self.stand, self.steps, self.company, self.how = stand, steps, company, how
        self.played = played
        self.blow = Blow(how, asyncio.Barrier(len(played) + 1))
        self.talks = {
            (scene.title, way): Talk(stand.pbx, steps, Answers(), way == "incoming", number, line=scene.line, later=LATER)
            for number, (scene, way) in enumerate(played, first)
        }
        self.failed: dict[tuple[str, str], Exception] = {}

    async def run(self) -> None:
        for talk in self.talks.values():
            self.company.knows(talk.answers.numbers)
        async with asyncio.TaskGroup() as tasks:
            for scene, way in self.played:
                tasks.create_task(self._play(scene, way), name=f"{scene.title} {way}")
            tasks.create_task(self._strike(), name="blow")

    async def _play(self, scene: Scene, way: str) -> None:
        talk = self.talks[scene.title, way]
        await self.blow.places.acquire()
        turn = Turn(self.blow, placed=True)
        try:
            async with asyncio.timeout(60):
                await scene.play(talk, turn)
        except Exception as error:  # it is told by the scene's own test
            self.failed[scene.title, way] = error
            await self.blow.gates.abort()
        finally:
            turn.make_place()
            await talk.clear()

    async def _strike(self) -> None:
        blow, service, turn = self.blow, self.stand.service, Turn(self.blow)
        try:
            await turn.until(1)
            self.company.hold()
            await turn.until(3)
            blow.at = time.time()
            if self.how == KILLED:
                await service.kill()
            else:
                os.kill(service.pid, signal.SIGSTOP)
            blow.fallen.set()
            self.company.let_go()
            await turn.until(4)
            await self._raise()
            await turn.until(5)
        except asyncio.BrokenBarrierError:
            self.company.let_go()
            await self._raise()

    async def _raise(self) -> None:
        if not self.blow.fallen.is_set():
            return
        if self.how == KILLED:
            await self.stand.service.start()
        else:
            os.kill(self.stand.service.pid, signal.SIGCONT)
        await self.stand.ready()
        there = sum(scene.conferring for scene, _ in self.played)
        if not self.failed:
            await self.stand.service.until(
                lambda status: status["dialplan"]["listens"] and status["dialplan"]["conferring"] == there,
                f"answers the dialplan and knows of {there} legs in conferences",
            )

    async def talk(self, scene: Scene, way: str) -> Talk:
        """As it was played. Raises what went wrong in it."""
        if error := self.failed.get((scene.title, way)):
            raise error
        return self.talks[scene.title, way]

    def record_of(self, client: str) -> dict[str, Any]:
        """The service's own record of the call."""
        with closing(sqlite3.connect(f"file:{self.stand.service.data_dir / SQLITE_FILE}?mode=ro", uri=True)) as conn:
            [row] = conn.execute("SELECT state FROM call WHERE client = ? AND NOT live", (client,)).fetchall()
            return json.loads(row[0])
