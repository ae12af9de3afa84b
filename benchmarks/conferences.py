"""Fifty callers in voice menus while ten conferences go on, with the whole service: is anything heard that should not be?

Beside them, on the same PBX and at the same load: the same prompts in a menu of the dialplan alone, and talks of two that
no conference is in. Told by the packets themselves. Prints JSON; `ratio` is ours to the dialplan's.

`python -m benchmarks.conferences [--menus 50] [--conferences 10] [--quick]`, as root (it listens to the loopback device).
A gap is what a packet is late by (one comes every 20 ms); 40 ms more than that are heard. A key counts from its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._packets import Caller, Listener, Stream

from perezvon.calls import Event
from perezvon.sandbox.pbx import PbxSandbox, sounds
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.stand import Stand, stand

E2E = Path(__file__).parents[1] / "tests/e2e"
sys.path.insert(0, str(E2E))

from menu_lines import line, plain_menu  # noqa: E402  neighbours of the tests, who use them too
from talks import Answers, Steps, Talk  # noqa: E402

OURS, PLAIN, TALK = "70000000005", "74950000902", "74950000800"
BUTTON = "79170000040"
PROMPTS = {"scenario/intro": 8.0, "keyNum/1": 0.5, "msgMp3/one": 1.5, "keyNum/2": 0.5, "msgMp3/two": 1.5}
"""In the order in which they are heard; seconds."""
SPOKEN = sum(PROMPTS.values())
SILENCE = 7
HEARD = 0.04
"""Seconds by which a packet is late, and somebody hears it."""
SETTINGS = """
[agi]
bind = "{agi}"
[ivr]
database = "sqlite:///{file}"
sounds = "{sounds}"
silence = {silence}
[conference]
database = "sqlite:///{file}"
[[line]]
number = "{line}"
"""
TABLES = f"""
CREATE TABLE sAsterisk_ivr (id INT PRIMARY KEY, phone VARCHAR(20), scenario VARCHAR(50), scenarioMsg VARCHAR(100));
CREATE TABLE sAsterisk_ivr_button (id INT PRIMARY KEY, ivrID INT, keyNum INT, msgMp3 VARCHAR(100), transferTo VARCHAR(40));
CREATE TABLE sAsterisk_prefix (pref VARCHAR(20), phone VARCHAR(20));
INSERT INTO sAsterisk_ivr VALUES (1, '{OURS}', 'one', 'intro');
INSERT INTO sAsterisk_ivr_button VALUES (1, 1, 1, 'one', '{BUTTON}'), (2, 1, 2, 'two', '{BUTTON}');
"""

# ---- who calls


class Joins(Steps):
    """Also knows when everybody came to a room, by the PBX's clock."""

    def __init__(self, pbx: PbxSandbox) -> None:
        super().__init__(pbx)
        self.joins: dict[str, list[float]] = {}

    def _note(self, event: Event) -> None:
        super()._note(event)
        if event.name == "ConfbridgeJoin":
            self.joins.setdefault(event["conference"], []).append(event.at)

    def spent(self, room: str, since: str, until: str) -> float:
        """Seconds between two steps of the manager."""
        first, last = (next(event.at for event in self.of(room) if event["step"] == step) for step in (since, until))
        return last - first


@dataclass(slots=True)
class Bench:
    stand: Stand
    steps: Joins
    listener: Listener
    menus: int
    per_second: float
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    numbers: int = 79160000000

    async def wave(self, to: str) -> list[Caller]:
        """Everybody listens to the whole menu and presses a key while it waits. All are in it at the same time."""
        first, self.numbers = self.numbers, self.numbers + self.menus
        begin = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for n in range(self.menus):
                await asyncio.sleep(max(0.0, begin + n / self.per_second - time.monotonic()))
                tasks.create_task(self._call(str(first + n), to), name=f"caller {n}")
        return [self.listener.callers[str(first + n)] for n in range(self.menus)]

    async def _call(self, number: str, to: str) -> None:
        world = self.stand.pbx.world
        leg = await world.place("carrier", number, to, tone=sounds.number_tone(number), talk_seconds=60)
        await leg.answered()
        await asyncio.sleep(SPOKEN + self.chance.uniform(0.5, 1.5))
        await leg.press("1")
        caller = self.listener.callers[number]
        while not caller.rung:  # noqa: ASYNC110  told by the wire, not by the loop
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        await leg.hangup()

    async def confer(self, talk: Talk) -> None:
        await talk.begin()
        await talk.consult()
        await talk.private()
        await talk.merge()

    @asynccontextmanager
    async def conferring(self, talks: Sequence[Talk]) -> AsyncIterator[None]:
        """While inside, they are in their rooms, and as many clients talk in pairs as ever."""
        world = self.stand.pbx.world
        async with asyncio.TaskGroup() as tasks:
            for talk in talks:
                tasks.create_task(self.confer(talk))
                await asyncio.sleep(0.5)
        pairs = [await world.call(frm=pair_of(talk), to=TALK) for talk in talks]
        for leg in pairs:
            await leg.talking()
        try:
            yield
        finally:
            for leg in [*pairs, *(talk.legs["manager"] for talk in talks)]:
                await leg.hangup()
            for talk in talks:
                await talk.over()

    def cpu(self) -> tuple[float, float]:
        """Seconds that the service and the PBX have worked."""
        return cpu_of(self.stand.service.pid), cpu_of(self.stand.pbx.office.pid)


def pair_of(talk: Talk) -> str:
    return str(int(talk.number_of("client")) + 1)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """Resident megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(text.split()[1]) / 1024 for text in lines if text.startswith("VmRSS"))


# ---- what comes of it


def in_menu(caller: Caller) -> Stream:
    """What he heard before his key."""
    return caller.stream.between(caller.invited, caller.keys[0]).heard()


def told(menus: Iterable[Caller]) -> dict[str, list[float]]:
    """Milliseconds, except for what is called otherwise."""
    callers = list(menus)
    heard = [in_menu(caller) for caller in callers]
    return {
        "invite_to_first_audio": [
            (stream.at[0] - caller.invited) * 1000 for caller, stream in zip(callers, heard, strict=True)
        ],
        "key_to_invite": [(caller.rung[0] - caller.keys[0]) * 1000 for caller in callers],
        "longest_gap": [max(stream.gaps()) * 1000 for stream in heard],
        "heard_percent": [stream.seconds / SPOKEN * 100 for stream in heard],
    }


def audible(streams: Iterable[Stream]) -> dict[str, float]:
    every = list(streams)
    gaps = [gap for stream in every for gap in stream.gaps()]
    return {
        "minutes": round(sum(stream.seconds for stream in every) / 60, 1),
        "gaps_heard": sum(gap > HEARD for gap in gaps),
        "worst_gap_ms": round(max(gaps, default=0.0) * 1000, 1),
        "gap_p99_ms": round(percentile(gaps, 99) * 1000, 2),
        "packets_lost": sum(stream.lost() for stream in every),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else sum(values)


def compared(ours: Sequence[float], plain: Sequence[float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for percent in (50, 99):
        mine, yardstick = percentile(ours, percent), percentile(plain, percent)
        found |= {f"p{percent}": round(mine, 1), f"dialplan_p{percent}": round(yardstick, 1)}
        found[f"ratio_p{percent}"] = round(mine / yardstick, 2) if yardstick else 0.0
    return found


async def measure(folder: Path, menus: int, per_second: float, conferences: int, waves: str) -> dict[str, object]:
    company, prompts = folder / "company.db", folder / "sounds"
    for n, (name, seconds) in enumerate(PROMPTS.items()):
        target = prompts / f"{name}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        sounds.write_tone(target, 1000.0 + 200 * n, seconds)
    load = os.getloadavg()[0]
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(await PbxSandbox.start(folder / "pbx"))
        portal = await stack.enter_async_context(PortalServer(PortalConfig(rate=None, one_card_per_user=False)))
        steps = Joins(pbx)
        talks = [Talk(pbx, steps, Answers(), True, 400 + n) for n in range(conferences)]
        with closing(sqlite3.connect(company)) as conn:
            conn.executescript(TABLES)
            for talk in talks:
                conn.executemany("INSERT INTO sAsterisk_prefix VALUES (?, ?)", list(talk.answers.numbers.items()))
            conn.commit()
        more = SETTINGS.format(agi=pbx.agi_bind, file=company, sounds=prompts, silence=SILENCE, line=OURS)
        whole = await stack.enter_async_context(stand(pbx, portal, folder / "perezvon", more=more))
        await whole.service.until(lambda status: status["dialplan"]["prompts"] == len(PROMPTS), "has all prompts")
        await stack.enter_async_context(steps.following())
        yardstick = plain_menu([str(prompts / name) for name in PROMPTS], {"1": f"PJSIP/{BUTTON}@carrier"}, SILENCE)
        await stack.enter_async_context(line(pbx, PLAIN, "plain-menu", yardstick))
        listener = Listener(pbx.addresses.office, pbx.addresses.carrier)
        listener.start()
        stack.callback(listener.over.set)
        bench = Bench(whole, steps, listener, menus, per_second)
        called: dict[str, list[Caller]] = {"ours": [], "plain": []}
        worked: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": []}
        rested = memory_of(whole.service.pid)
        async with bench.conferring(talks):
            since = time.time()
            for kind in waves.split():
                before = bench.cpu()
                called[kind] += await bench.wave(OURS if kind == "ours" else PLAIN)
                worked[kind].append((bench.cpu()[0] - before[0], bench.cpu()[1] - before[1]))
            until = time.time()
        memory = memory_of(whole.service.pid)
        streams = {
            kind: [listener.callers[number_of(talk)].stream.between(since, until) for talk in talks]
            for kind, number_of in (("conferences", lambda talk: talk.number_of("client")), ("talks_of_two", pair_of))
        }
    ours, plain = told(called["ours"]), told(called["plain"])
    return {
        "menus_at_once": menus,
        "keys_per_second": per_second,
        "conferences_at_once": conferences,
        "load_before_and_after": [round(load, 2), round(os.getloadavg()[0], 2)],
        **{name: compared(ours[name], plain[name]) for name in ours},
        "menus": {kind: audible(map(in_menu, callers)) for kind, callers in called.items()},
        **{kind: audible(found) for kind, found in streams.items()},
        "code_to_number_ms": spread([steps.spent(talk.room, "lookup", "rings") * 1000 for talk in talks]),
        "key_to_all_in_room_ms": spread([joined_after(steps, talk) * 1000 for talk in talks]),
        "service_cpu_seconds_a_wave": {kind: mean_of(one for one, _ in spent) for kind, spent in worked.items()},
        "pbx_cpu_seconds_a_wave": {kind: mean_of(one for _, one in spent) for kind, spent in worked.items()},
        "service_mb_before_and_after": [round(rested, 1), round(memory, 1)],
    }


def joined_after(steps: Joins, talk: Talk) -> float:
    """Seconds from the manager's key until all three were in the room."""
    return sorted(steps.joins[talk.room])[2] - next(e.at for e in steps.of(talk.room) if e["step"] == "merge")


def mean_of(values: Iterable[float]) -> float:
    return round(statistics.mean(values), 2)


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"p50": round(percentile(values, 50), 1), "p99": round(percentile(values, 99), 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--menus", type=int, default=50, help="callers at the same time")
    parser.add_argument("--per-second", type=float, default=5.0, help="callers who come; as many press a key later")
    parser.add_argument("--conferences", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="six callers, two conferences, once: does it work at all?")
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        print("not measured: listening to packets needs root")
        return 0
    menus, conferences = (6, 2) if chosen.quick else (chosen.menus, chosen.conferences)
    waves = "plain ours" if chosen.quick else "plain ours ours plain"
    with tempfile.TemporaryDirectory(prefix="perezvon-conferences-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), menus, chosen.per_second, conferences, waves)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
