"""When requests leave: simulated hours of calls against the portal's bucket, in no time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import pytest

from perezvon.bitrix24.limits import Bucket
from perezvon.delivery.pacing import Pacer
from perezvon.storage.lanes import Demand

CARD, FINISH, RECORD = 0, 10, 30


@dataclass
class Told:
    requests: int = 0
    ended: float = 0.0
    waits: dict[int, list[float]] = field(default_factory=lambda: {CARD: [], FINISH: [], RECORD: []})
    left: list[float] = field(default_factory=list)
    lowest: float = 1e9

    def worst(self, priority: int, share: float = 0.99) -> float:
        return sorted(self.waits[priority])[int(len(self.waits[priority]) * share)]


def simulate(events: list[tuple[float, int, int]], *, leak: float = 2.0, burst: float = 50.0, latency: float = 0.2) -> Told:
    """`events`: (moment, priority, lane), sorted. A lane has one request under way at most; a batch takes 50 commands."""
    now = [0.0]
    bucket = Bucket(leak, burst, clock=lambda: now[0])
    pacer = Pacer(leak, burst)
    told = Told()
    ready: dict[int, list[tuple[int, float]]] = {}
    under_way: list[tuple[float, list[int]]] = []
    busy: set[int] = set()
    place = 0
    while True:
        while place < len(events) and events[place][0] <= now[0]:
            at, priority, lane = events[place]
            ready.setdefault(lane, []).append((priority, at))
            place += 1
        while under_way and under_way[0][0] <= now[0]:
            busy.difference_update(heapq.heappop(under_way)[1])
        free = {lane: steps for lane, steps in ready.items() if lane not in busy}
        order = sorted(free, key=lambda lane: (min(step[0] for step in free[lane]), min(step[1] for step in free[lane])))
        demand: dict[int, Demand] = {}
        for lane in order[:200]:
            priority = min(step[0] for step in free[lane])
            since = min(step[1] for step in free[lane])
            before = demand.get(priority, Demand(priority, 0, since))
            demand[priority] = Demand(priority, before.lanes + 1, min(since, before.since))
        departure = pacer.next(
            now[0], [demand[p] for p in sorted(demand)], 8 - len(under_way), lambda reserve: bucket.delay(reserve=reserve)
        )
        if departure is not None and departure.delay <= 1e-9:
            commands, taken = 0, []
            for lane in order[: departure.lanes]:
                if commands + len(free[lane]) > 50:
                    break
                commands += len(free[lane])
                taken.append(lane)
                for priority, at in ready.pop(lane):
                    told.waits[priority].append(now[0] - at)
            busy.update(taken)
            bucket.take()
            pacer.left(now[0])
            told.requests += 1
            told.left.append(now[0])
            told.lowest = min(told.lowest, bucket.tokens())
            heapq.heappush(under_way, (now[0] + latency, taken))
            continue
        coming = [events[place][0]] if place < len(events) else []
        coming += [under_way[0][0]] if under_way else []
        coming += [now[0] + departure.delay + 1e-6] if departure is not None else []
        if not coming:
            told.ended = now[0]
            return told
        now[0] = max(now[0] + 1e-6, min(coming))


def calls(number: int, rate: float, seed: int = 1) -> list[tuple[float, int, int]]:
    """Answered calls: the card, 3 to 8 s later the finish, and the recording after that."""
    chance = random.Random(seed)
    events: list[tuple[float, int, int]] = []
    for lane in range(number):
        ended = lane / rate + chance.uniform(3, 8)
        events += [(lane / rate, CARD, lane), (ended, FINISH, lane), (ended + 0.7, RECORD, lane)]
    return sorted(events)


@pytest.mark.parametrize("seed", range(3))
def test_five_calls_a_second_cost_less_than_half_a_request_each(seed: int) -> None:
    told = simulate(calls(200, 5.0, seed))
    assert told.requests <= 90
    assert told.worst(CARD) < 0.8
    assert told.worst(RECORD, 0.5) < 1.0
    assert told.lowest > 20, "the burst is kept for a rush"


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_a_quiet_office_waits_for_nothing(rate: float) -> None:
    told = simulate(calls(60, rate))
    assert told.worst(CARD, 0.95) < 0.1
    assert told.worst(FINISH) < 0.5


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_a_rush_keeps_the_limit_and_the_cards(rate: float) -> None:
    told = simulate(calls(300, rate))
    assert told.worst(CARD) < 1.2
    assert told.lowest >= 0


@pytest.mark.slow
@pytest.mark.parametrize(("leak", "burst"), [(2.0, 50.0), (5.0, 250.0)])
def test_a_backlog_drains_at_the_limit(leak: float, burst: float) -> None:
    """Lanes of four steps, all late: twelve to a batch. Beyond the burst, the limit's rate is used up to 95 %."""
    lanes = int(burst * 12 * 1.6)
    told = simulate([(0.0, FINISH, lane) for lane in range(lanes) for _ in range(4)], leak=leak, burst=burst)
    limited = told.left[int(burst) : -4]  # the burst is used up, and the last batches are not full
    assert (len(limited) - 1) / (limited[-1] - limited[0]) >= 0.95 * leak
    assert told.requests <= lanes / 12 * 1.05
    assert told.lowest >= 0


def test_without_a_limit_cards_go_at_once() -> None:
    told = simulate(calls(300, 30.0), leak=1000.0, burst=100_000.0)
    assert told.worst(CARD) < 0.1


def test_a_few_requests_stay_reserved_for_cards() -> None:
    now = 0.0
    bucket = Bucket(2, 50, clock=lambda: now)
    pacer = Pacer(2, 50)
    bucket.take(count=45)
    record, card = [Demand(RECORD, 1, -10.0)], [Demand(CARD, 1, 0.0)]
    late = pacer.next(now, record, 8, lambda reserve: bucket.delay(reserve=reserve))
    at_once = pacer.next(now, card, 8, lambda reserve: bucket.delay(reserve=reserve))
    assert late is not None
    assert late.delay > 1.0
    assert at_once is not None
    assert at_once.delay == 0.0


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    pacer = Pacer(2.0, 50.0)
    now = 1000.0
    appended = [Demand(RECORD, 1, now + 3600.0)]
    departure = pacer.next(now, appended, 8, lambda reserve: 0.0)
    assert departure is not None
    assert departure.delay == 0.0
