"""A recording worker with a converter that is told what to do, and the calls for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from call_steps import finish, register, steps_of
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Direction
from perezvon.calls.facts import Fact
from perezvon.delivery import RecordingWorker
from perezvon.recordings.convert import Converted
from perezvon.recordings.join import Joined
from perezvon.rules.vocabulary import Kind, StepDraft
from perezvon.storage import Database, calls, journal, lanes, recordings
from perezvon.storage.calls import StoredCall
from perezvon.storage.recordings import Recording, RecordingState
from perezvon.storage.steps import Settled, State, Step


@dataclass
class Bench:
    """The converter is told what to do by path: seconds of sound, or an error (each used once, the last for ever)."""

    database: Database
    folder: Path
    answers: dict[str, list[float | Exception | asyncio.Event]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    joins: list[float | Exception | asyncio.Event] = field(default_factory=list)
    joined: list[list[str]] = field(default_factory=list)
    gaps: list[tuple[float, ...]] = field(default_factory=list)
    now: float = 100.0
    at_once: int = 0
    most_at_once: int = 0

    def worker(self, **more: Any) -> RecordingWorker:
        clock = lambda: self.now  # noqa: E731
        return RecordingWorker(self.database, self.convert, self.join, self.folder, self.queued.append, clock=clock, **more)

    async def convert(self, recording: Recording, target: Path, outgoing: bool) -> Converted:
        assert not outgoing
        pbx, path = recording.pbx, recording.path
        self.asked.append((pbx, path))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        told = self.answers[path]
        answer = told.pop(0) if len(told) > 1 else told[0]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = told.pop(0)
        if isinstance(answer, Exception):
            raise answer
        _put(target)
        return Converted(target, answer, 1000)

    async def join(self, pbx: str, parts: Sequence[tuple[str, Path | None]], target: Path, gaps: Sequence[float]) -> Joined:
        """Its parts are 10 s each; `joins` tells of errors and waiting first."""
        assert pbx == "office"
        self.joined.append([path for path, _ in parts])
        self.gaps.append(tuple(gaps))
        assert all(own is None or own.is_file() for _, own in parts)
        answer = self.joins.pop(0) if self.joins else None
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        if isinstance(answer, Exception):
            raise answer
        _put(target)
        return Joined(target, 10.0 * len(parts), 1000, tuple(10.0 * number for number in range(len(parts))))

    async def end_call(
        self,
        *paths: str,
        call: str = "c",
        drafts: tuple[StepDraft, ...] | None = None,
        facts: Sequence[Fact] = (),
        talk: float = 60.0,
        mode: str = "upload",
    ) -> None:
        async def work(conn: AsyncConnection) -> None:
            await calls.save(conn, [StoredCall(call, "office", Direction.INCOMING, 1.0, live=False, duration=talk)])
            await journal.append(conn, facts)
            await lanes.append(conn, "main", call, (register(call), finish(call)) if drafts is None else drafts, self.now)
            told = [(call, path) for path in paths]
            await recordings.add(conn, pbx="office", portal="main", paths=told, now=self.now, mode=mode)

        await self.database.write(work)

    async def rows(self, call: str = "c") -> list[Recording]:
        async with self.database.read() as conn:
            return await recordings.of_call(conn, call)

    async def attached(self, call: str = "c") -> list[Step]:
        return [step for step in await steps_of(self.database, call) if step.kind is Kind.ATTACH_RECORD]

    async def portal_has(self, step: Step, state: State = State.DONE) -> None:
        await self.database.write(lambda conn: lanes.settle(conn, [Settled(step.id, state)], self.now))

    def files(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*.mp3")}


def _put(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"sound")


async def states(bench: Bench, *wanted: RecordingState) -> bool:
    return [row.state for row in await bench.rows()] == list(wanted)
