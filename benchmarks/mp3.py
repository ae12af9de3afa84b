"""How fast recordings become mp3, beside the `lame` command line with the same settings. Prints JSON.

`python benchmarks/mp3.py`: 8 kHz mono recordings (as Asterisk writes them) of ten minutes and of half a minute, converted
in a converting process that is already running, as the service does; each time is the best of five.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

from perezvon.recordings import Converter, Mp3

RATE = 8000
RUNS = 5
TARGET = 1.2


def speechlike(path: Path, seconds: int) -> Path:
    """Bursts of a gliding, overtone-rich tone and pauses with some noise: silence alone would flatter everybody."""
    noise = random.Random(1)
    samples = array("h")
    phase = 0.0
    for moment in range(RATE * 10):
        at = moment / RATE
        phase += 2 * math.pi * (140 + 60 * math.sin(2.1 * at)) / RATE
        loud = max(0.0, math.sin(2 * math.pi * 1.7 * at)) * (math.sin(0.9 * at) > -0.4)
        voice = sum(math.sin(phase * overtone) / overtone for overtone in range(1, 9))
        samples.append(round(5000 * loud * voice + noise.gauss(0, 60)))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for _ in range(seconds // 10):
            file.writeframes(samples.tobytes())
    return path


async def best(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds."""
    times: list[float] = []
    for _ in range(RUNS):
        start = time.perf_counter()
        await work()
        times.append(time.perf_counter() - start)
    return min(times)


async def measure(folder: Path, seconds: int, lame: str) -> dict[str, object]:
    form = Mp3()
    source = speechlike(folder / f"{seconds}.wav", seconds)
    command = ["nice", "-n", "10", lame, "--quiet", "--noreplaygain", "-m", "m", "--cbr"]
    command += ["-b", str(form.bitrate), "-q", str(form.quality), str(source), str(folder / "lame.mp3")]

    async def theirs() -> None:
        process = await asyncio.create_subprocess_exec(*command)
        if await process.wait():
            raise subprocess.CalledProcessError(1, command)

    async with Converter(form) as converter:
        await converter.convert(source, folder / "warm.mp3")
        ours = await best(lambda: converter.convert(source, folder / "ours.mp3"))
    reference = await best(theirs)
    return {
        "recording_seconds": seconds,
        "ours_seconds": round(ours, 3),
        "lame_seconds": round(reference, 3),
        "ours_to_lame": round(ours / reference, 3),
        "times_real_time": round(seconds / ours),
        "target_ours_to_lame": TARGET,
        "target_met": ours / reference <= TARGET,
    }


async def run() -> list[dict[str, object]]:
    lame = shutil.which("lame")
    if lame is None:
        sys.exit("the yardstick is the `lame` command: apt-get install lame")
    with tempfile.TemporaryDirectory() as folder:
        return [await measure(Path(folder), seconds, lame) for seconds in (600, 30)]


def main() -> None:
    print(json.dumps(asyncio.run(run()), indent=2))


if __name__ == "__main__":
    main()
