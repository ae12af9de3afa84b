"""Keeps a few converting processes, of low priority, and gives them work. Starts, kills, replaces them; converts nothing.

LAME holds a processor for seconds and could be crashed or hung by a damaged file, so none of it happens in our process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import structlog

from perezvon.recordings import errors
from perezvon.recordings.convert import Converted, Mp3, part_of
from perezvon.recordings.errors import ConverterBroken, RecordingError, TooSlow
from perezvon.recordings.join import Joined

log = structlog.get_logger(__name__)

DYING = 1.0
"""Seconds that a killed process gets to be gone."""


@dataclass(slots=True)
class _Worker:
    process: asyncio.subprocess.Process
    jobs: int = 0


class Converter:
    """`async with Converter() as converter: …`; leaving the block ends the processes.

    `workers`: how many conversions may run at once. `deadline`: seconds after which one is taken for hung and killed, and
    `slowest`: bytes a second that are granted besides, up to `longest` seconds in all.
    `jobs_each`: a process is replaced after so many, lest a leak in a library grow for ever. Processes start when needed.
    """

    def __init__(
        self,
        form: Mp3 | None = None,
        *,
        workers: int = 1,
        deadline: float = 60.0,
        slowest: float = 100_000.0,
        longest: float = 900.0,
        jobs_each: int = 200,
        command: tuple[str, ...] = (sys.executable, "-P", "-m", "perezvon.recordings.worker"),
    ) -> None:
        self._form = form or Mp3()
        self._deadline = deadline
        self._slowest = slowest
        self._longest = longest
        self._jobs_each = jobs_each
        self._command = command
        self._idle: list[_Worker] = []
        self._places = asyncio.Semaphore(workers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        for worker in self._idle:
            await _end(worker)
        self._idle.clear()

    @property
    def processes(self) -> tuple[int, ...]:
        """The process ids of the idle converting processes."""
        return tuple(worker.process.pid for worker in self._idle)

    async def convert(self, source: Path, target: Path, *, exchanged: bool = False) -> Converted:
        """Writes the mp3 of `source` to `target`. Waits for a free process first; cancelling it kills the process.

        Raises EmptyRecording, NotAudio, NoSpace, Unreadable, TooSlow, ConverterBroken.
        """
        answer = await self._answer([source], target, {"exchanged": exchanged})
        return Converted(target, answer["duration"], answer["size"])

    async def convert_sides(self, left: Path, right: Path, target: Path) -> Converted:
        """The same for two files of one channel each, which become left and right."""
        answer = await self._answer([left, right], target, {"sides": True})
        return Converted(target, answer["duration"], answer["size"])

    async def join(self, sources: Sequence[Path], target: Path, gaps: Sequence[float] = ()) -> Joined:
        """The same for two sources or more, which `target` holds one after the other, each after so many seconds of
        silence."""
        answer = await self._answer(sources, target, {"gaps": list(gaps)})
        return Joined(target, answer["duration"], answer["size"], tuple(answer["starts"]))

    async def _answer(self, sources: Sequence[Path], target: Path, more: Mapping[str, Any]) -> dict[str, Any]:
        names = ", ".join(map(str, sources))
        deadline = await asyncio.to_thread(self.deadline_for, sources)
        async with self._places:
            try:
                async with asyncio.timeout(deadline):
                    answer = await self._insist(sources, target, names, more)
            except TimeoutError:
                log.warning("conversion killed", source=names, deadline=deadline)
                raise TooSlow(f"{names} was not converted within {deadline:g} s; it was killed") from None
        if "error" in answer:
            raise _error(answer["error"], answer["message"])
        return answer

    def deadline_for(self, sources: Sequence[Path]) -> float:
        """Seconds. A hung conversion of a short recording holds its place no longer than a minute: others wait for that."""
        size = 0
        for source in sources:
            with suppress(OSError):  # the conversion says so in its words
                size += source.stat().st_size
        return max(self._deadline, min(self._longest, round(self._deadline + size / self._slowest, 1)))

    async def _insist(self, sources: Sequence[Path], target: Path, names: str, more: Mapping[str, Any]) -> dict[str, Any]:
        """A process that had worked well and is found dead was killed in its idleness: another one is tried."""
        while True:
            worker = await self._take()
            try:
                answer = await self._ask(worker, sources, target, names, more)
            except BaseException as error:
                await _end(worker)
                part_of(target).unlink(missing_ok=True)
                if isinstance(error, ConverterBroken) and worker.jobs:
                    log.warning("converting process died, another one takes over", source=names, error=str(error))
                    continue
                raise
            worker.jobs += 1
            if worker.jobs >= self._jobs_each:
                await _end(worker)
            else:
                self._idle.append(worker)
            return answer

    async def _take(self) -> _Worker:
        if self._idle:
            return self._idle.pop()
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe, start_new_session=True)
        except OSError as error:
            raise ConverterBroken(
                f"the converting process {self._command[0]} cannot be started: {error.strerror}"
            ) from error
        return _Worker(process)

    async def _ask(
        self, worker: _Worker, sources: Sequence[Path], target: Path, names: str, more: Mapping[str, Any]
    ) -> dict[str, Any]:
        stdin, stdout = worker.process.stdin, worker.process.stdout
        assert stdin is not None
        assert stdout is not None
        job = {
            "sources": [str(source) for source in sources],
            "target": str(target),
            "bitrate": self._form.bitrate,
            "quality": self._form.quality,
            "channels": self._form.channels,
            **more,
        }
        try:
            stdin.write(json.dumps(job).encode() + b"\n")
            await stdin.drain()
            line = await stdout.readline()
            return cast("dict[str, Any]", json.loads(line))
        except (ConnectionError, ValueError) as error:
            code = await worker.process.wait() if stdout.at_eof() else None
            raise ConverterBroken(f"the process that converted {names} died (exit status {code})") from error


async def _end(worker: _Worker) -> None:
    """One that the kernel holds (a file system that does not answer) is left to it: it must not hold us."""
    if worker.process.returncode is None:
        with suppress(ProcessLookupError):
            worker.process.kill()
    try:
        async with asyncio.timeout(DYING):
            await worker.process.wait()
    except TimeoutError:
        log.warning("a converting process cannot be killed, the kernel holds it", pid=worker.process.pid)


def _error(name: str, message: str) -> RecordingError:
    kind = getattr(errors, name, ConverterBroken)
    return kind(message) if issubclass(kind, RecordingError) else ConverterBroken(message)
