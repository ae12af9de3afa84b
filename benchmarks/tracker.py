"""How fast the tracker is: `python benchmarks/tracker.py [RECORDING] [--json]`.

The yardstick is copying each event's headers into a new dictionary: the least that anybody who keeps an event must do. A
ratio to it says more than events a second, for it hardly depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from perezvon.calls import CallEnded, Event, Numbering, Tracker
from perezvon.calls.recorded import read_recording
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES

RECORDING = Path(__file__).resolve().parents[2] / "shared/corpora/asterisk22/ami-300-calls.txt.gz"
ROUNDS = 7
TARGET = 100_000
"""Wanted events a second, one core."""


def best_of(run: Callable[[], object]) -> float:
    """Seconds of the fastest of several rounds: what the machine can do when nobody disturbs it."""
    times: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", nargs="?", type=Path, default=RECORDING)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.recording.exists():
        print(f"{options.recording} is not there: name a recording of AMI events", file=sys.stderr)
        return 2
    everything = read_recording(options.recording)
    wanted = [e for e in everything if e.name in WANTED and (e.name != "VarSet" or e["variable"] in WANTED_VARIABLES)]

    def feed(events: list[Event]) -> int:
        tracker = Tracker("bench", Numbering())
        return sum(isinstance(fact, CallEnded) for event in events for fact in tracker.feed(event))

    def yardstick() -> int:
        return sum(len(dict(event.headers)) for event in wanted)

    calls = feed(wanted)
    seconds = best_of(lambda: feed(wanted))
    found = {
        "calls": calls,
        "wanted_events": len(wanted),
        "events_per_second": round(len(wanted) / seconds),
        "all_events_per_second": round(len(everything) / best_of(lambda: feed(everything))),
        "microseconds_per_call": round(seconds / calls * 1e6),
        "times_a_dictionary_copy": round(seconds / best_of(yardstick), 1),
        "target": TARGET,
    }
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:>24} {value:>10,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
