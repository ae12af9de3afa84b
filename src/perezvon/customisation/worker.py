"""The process in which the hooks run: questions come in on stdin, a JSON object a line, answers go out on stdout.

Run as a file of its own (`python -P worker.py`): it imports nothing of ours, starts in some 30 ms, and knows none of our
secrets. The first line has the hooks' sources, so that what runs is what was checked, whatever becomes of the files. It
ends when stdin does; an alarm ends it when a hook does not come back and nobody is left to kill it. Asked with ASKS_WHERE
it writes to stderr where it is, whatever a hook is doing just then.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.abc
import importlib.util
import io
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, BinaryIO

MOST_PRINTED = 4000
"""Characters of what a hook prints that are told."""

ASKS_WHERE = signal.SIGURG
"""Ignored by whoever does not know it: it may come before we do."""

LAST_MOMENT = 1.0
"""Seconds beyond a hook's time after which the process ends itself."""


class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Lets the hooks' files import one another as they were when they were read."""

    def __init__(self, folder: str, files: Mapping[str, str]) -> None:
        self._files = {Path(name).stem: (str(Path(folder, name)), source) for name, source in files.items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname not in self._files:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self._files[fullname][0])

    def get_source(self, fullname: str) -> str:
        return self._files[fullname][1]

    def get_code(self, fullname: str) -> CodeType:
        place, source = self._files[fullname]
        return compile(source, place, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._files[module.__name__][0]
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102  this is what hooks are


class Printed(io.TextIOBase):
    """Takes what a hook prints, and keeps the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if len(self._text) < MOST_PRINTED:
            self._text += text[: MOST_PRINTED - len(self._text)]
        return len(text)

    def take(self) -> str:
        text, self._text = self._text, ""
        return text


class Hooks:
    def __init__(self, folder: str, most: int) -> None:
        """`most`: bytes of an answer."""
        self._folder = folder
        self._most = most
        self._points: dict[str, Callable[[Any], Any]] = {}
        self._printed = Printed()

    def load(self, files: Mapping[str, str], points: Sequence[str]) -> dict[str, Any]:
        """`found`: point -> [file, line]; `twice`: [point, the file that is not taken]; `broken`: file -> why."""
        sys.meta_path.insert(0, Sources(self._folder, files))
        found: dict[str, list[Any]] = {}
        twice: list[list[str]] = []
        broken: dict[str, str] = {}
        for name in sorted(files):
            if name.startswith("_"):
                continue  # imported by others
            with self._heard():
                try:
                    module = importlib.import_module(Path(name).stem)
                except BaseException as error:
                    broken[name] = self._told(error)
                    continue
            for point in points:
                hook = vars(module).get(point)
                if not callable(hook) or getattr(hook, "__module__", "") != module.__name__:
                    continue
                if point in found:
                    twice.append([point, name])
                    continue
                code = getattr(hook, "__code__", None)
                found[point] = [name, code.co_firstlineno if code is not None else 0]
                self._points[point] = hook
        return {"found": found, "twice": twice, "broken": broken, "printed": self._printed.take()}

    def ask(self, point: str, data: Any) -> bytes:
        """The line of the answer."""
        with self._heard():
            try:
                told = json.dumps({"value": self._points[point](data)}, allow_nan=False)
                if len(told) > self._most:
                    told = json.dumps({"error": f"the answer has {len(told)} bytes, {self._most} are allowed"})
            except BaseException as error:
                told = json.dumps({"error": self._told(error)})
        return f'{told[:-1]}, "printed": {json.dumps(self._printed.take())}}}'.encode()

    @contextlib.contextmanager
    def _heard(self) -> Generator[None]:
        with contextlib.redirect_stdout(self._printed), contextlib.redirect_stderr(self._printed):
            yield

    def _told(self, error: BaseException) -> str:
        """What it is and where, `hooks.py:12`."""
        try:
            words = str(error)
        except BaseException:  # it is a hook's own class
            words = "?"
        if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(self._folder):
            return f"{Path(error.filename).name}:{error.lineno}: {error.msg}"
        frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.startswith(self._folder)]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
        return f"{where}{type(error).__name__}{f': {words[:1000]}' if words else ''}"


def main() -> None:
    faulthandler.register(ASKS_WHERE, file=2, all_threads=False)  # in C: also in the middle of a regular expression
    results, jobs, own = _channels()
    order = json.loads(jobs.readline())
    _bound(order["memory"])
    hooks = Hooks(order["folder"], order["most"])
    sys.path.append(order["folder"])  # for packages; files come from what we are told
    with _in_time(order["limit"]):
        loaded = json.dumps(hooks.load(order["files"], order["points"])).encode()
    _say(results, loaded, own)
    for line in jobs:
        job = json.loads(line)
        with _in_time(job["limit"]):
            answer = hooks.ask(job["point"], job["data"])
        _say(results, answer, own)
    os._exit(0)  # whatever threads a hook has left


def _channels() -> tuple[BinaryIO, BinaryIO, int]:
    """The real stdin and stdout are ours alone; what is written to 1 and 2 by whatever means goes to stderr."""
    results, jobs = os.fdopen(os.dup(1), "wb", buffering=0), os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return results, jobs, os.getpid()  # pyright: ignore[reportReturnType]  unbuffered, but written whole below


def _bound(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(results: BinaryIO, line: bytes, own: int) -> None:
    if os.getpid() != own:  # a hook has forked, and this is its child
        os._exit(0)
    line += b"\n"
    while line:
        line = line[results.write(line) :]


@contextlib.contextmanager
def _in_time(limit: float) -> Generator[None]:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit + LAST_MOMENT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
