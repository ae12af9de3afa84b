"""The process that converts prompts, at low priority: one job a line on stdin, one answer a line on stdout.

Started by `perezvon.recordings.pool.Converter`, which kills and replaces it; imports numpy and libsndfile, which therefore
never are in the service.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perezvon.ivr.telephone import convert_prompt
from perezvon.recordings.errors import RecordingError

NICENESS = 10


def main() -> None:
    """The real stdout is for results alone; whatever a library prints goes to stderr."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.nice(NICENESS)
    for line in sys.stdin:
        print(json.dumps(_work(json.loads(line))), file=results, flush=True)


def _work(job: dict[str, Any]) -> dict[str, Any]:
    try:
        with _no_notes():
            done = convert_prompt(Path(job["sources"][0]), Path(job["target"]))
    except RecordingError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:
        return {"error": "ConverterBroken", "message": f"{job.get('sources')}: {type(error).__name__}: {error}"}
    return {"duration": done.duration, "size": done.size}


@contextmanager
def _no_notes() -> Generator[None]:
    """The mp3 decoder prints notes about damaged files; our answer says what is wrong with them."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


if __name__ == "__main__":
    main()
