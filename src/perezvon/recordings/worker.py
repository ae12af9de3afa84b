"""The converting process: jobs come in on stdin, a JSON object a line, results go out on stdout in the same way.

Started by `pool` as `python -m perezvon.recordings.worker`. It ends when stdin does, so that it never outlives the service.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from perezvon.recordings.convert import Mp3, convert_file, convert_sides
from perezvon.recordings.errors import RecordingError
from perezvon.recordings.join import join_files

NICENESS = 10


def main() -> None:
    """The real stdout is for results alone; whatever a library prints goes to stderr."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.nice(NICENESS)
    for line in sys.stdin:
        print(json.dumps(_work(json.loads(line))), file=results, flush=True)


def _work(job: dict[str, Any]) -> dict[str, Any]:
    """One source is converted, several are joined, two sides are put beside each other."""
    try:
        form = Mp3(job["bitrate"], job["quality"], job.get("channels", "as_recorded"), job.get("exchanged", False))
        sources, target = [Path(source) for source in job["sources"]], Path(job["target"])
        if job.get("sides"):
            done = convert_sides(sources[0], sources[1], target, form)
            return {"duration": done.duration, "size": done.size}
        if len(sources) > 1:
            joined = join_files(sources, target, form, job.get("gaps", ()))
            return {"duration": joined.duration, "size": joined.size, "starts": joined.starts}
        done = convert_file(sources[0], target, form)
    except RecordingError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:
        return {
            "error": "ConverterBroken",
            "message": f"{', '.join(job.get('sources', ()))}: {type(error).__name__}: {error}",
        }
    return {"duration": done.duration, "size": done.size}


if __name__ == "__main__":
    main()
