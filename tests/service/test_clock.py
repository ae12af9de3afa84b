"""A machine's clock that is set: nothing waits for an hour, and nothing is forgotten."""

from __future__ import annotations

import pytest

from perezvon.service.clock import SET, Clock


class Wall:
    def __init__(self) -> None:
        self.ticks = 5.0
        self.ahead = 1_800_000_000.0
        self.clock = Clock(lambda: self.ticks + self.ahead, lambda: self.ticks)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_step_is_seen_and_not_followed_until_it_may_be(step: float) -> None:
    wall = Wall()
    before = wall.clock()
    wall.ahead += step
    wall.ticks += 10
    assert wall.clock() == before + 10
    assert wall.clock.look() == pytest.approx(step)
    assert wall.clock() == before + 10
    wall.clock.follow()
    assert wall.clock() == pytest.approx(before + 10 + step)
    assert wall.clock.look() == 0.0


def test_a_drift_is_followed() -> None:
    wall = Wall()
    before = wall.clock()
    for _ in range(10):
        wall.ahead += SET / 2
        assert wall.clock.look() == 0.0
    assert wall.clock() == pytest.approx(before + 5 * SET)
