"""How fast AMI is read: wanted events picked out of a recorded stream, and all of it parsed. One core, no network.

`python benchmarks/ami_parse.py [RECORDING]`: a raw AMI recording, plain or .gz; without it the environment's
AMI_RECORDING, else the 300 calls of `../shared/corpora`. Prints JSON; each rate is the best of five runs. The yardstick is
`bytes.split` at the blank lines and then at every line end, which is the least that any parser has to do: a ratio to it
says the same on a fast machine and on a slow one.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from perezvon.asterisk.wire import Framer, Sieve
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "asterisk22" / "ami-300-calls.txt.gz"
SEGMENT = 1 << 16
RUNS = 5


def yardstick(data: bytes) -> int:
    return sum(1 for frame in data.split(b"\r\n\r\n") if frame.split(b"\r\n"))


def read(data: bytes, sieve: Sieve) -> int:
    """As a connection does it: in segments. Returns the number of messages."""
    framer, count = Framer(), 0
    for start in range(0, len(data), SEGMENT):
        for frame in framer.feed(data[start : start + SEGMENT]):
            sieve.event(frame, 0.0)
            count += 1
    return count


def rate(work: Callable[[], int]) -> float:
    """Messages a second, best of RUNS."""
    best = 0.0
    for _ in range(RUNS):
        start = time.perf_counter()
        count = work()
        best = max(best, count / (time.perf_counter() - start))
    return best


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("AMI_RECORDING", CORPUS))
    if not path.exists():
        sys.exit(f"{path} is not there: name a raw AMI recording, plain or .gz")
    raw = path.read_bytes()
    data = gzip.decompress(raw) if path.suffix == ".gz" else raw
    least = rate(lambda: yardstick(data))
    wanted = rate(lambda: read(data, Sieve(WANTED, WANTED_VARIABLES)))
    full = rate(lambda: read(data, Sieve(None)))
    print(
        json.dumps(
            {
                "recording": path.name,
                "megabytes": round(len(data) / 1e6, 1),
                "yardstick_messages_per_second": round(least),
                "wanted_messages_per_second": round(wanted),
                "wanted_to_yardstick": round(wanted / least, 3),
                "full_messages_per_second": round(full),
                "full_to_yardstick": round(full / least, 3),
                "target_wanted_messages_per_second": 150_000,
                "target_met": wanted >= 150_000,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
