"""The mirror of the portal's leaky bucket, against the bucket itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.bitrix24 import Bucket, OperatingBudget


class PortalBucket:
    """The portal's side, as its documentation describes it: counts arrivals, leaks, refuses above the limit."""

    def __init__(self, leak: float, limit: float) -> None:
        self.leak, self.limit, self.level, self.at = leak, limit, 0.0, 0.0

    def arrives(self, at: float) -> bool:
        self.level = max(0.0, self.level - (at - self.at) * self.leak)
        self.at = at
        if self.level + 1 > self.limit:
            return False
        self.level += 1
        return True


def test_a_full_bucket_gives_its_burst_and_then_the_leak() -> None:
    bucket = Bucket(2, 50, margin=0, clock=lambda: 0.0)
    for _ in range(50):
        assert bucket.delay(0.0) == 0
        bucket.take(0.0)
    assert bucket.tokens(0.0) == 0
    assert bucket.delay(0.0) == pytest.approx(0.5)
    assert bucket.tokens(3.0) == pytest.approx(6.0)
    assert bucket.tokens(1000.0) == 50


def test_debt_is_paid_back() -> None:
    bucket = Bucket(2, 10, margin=0, clock=lambda: 0.0)
    bucket.take(0.0, count=14)
    assert bucket.tokens(0.0) == -4
    assert bucket.delay(0.0) == pytest.approx(2.5)


def test_refusals_in_a_row_make_longer_pauses_up_to_a_limit() -> None:
    bucket = Bucket(2, 50, clock=lambda: 0.0)
    now, pauses = 0.0, []
    for _ in range(8):
        pauses.append(bucket.penalise(now))
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    bucket.accepted()
    assert bucket.penalise(now) == 1


def test_answers_to_requests_already_under_way_do_not_lengthen_the_pause() -> None:
    bucket = Bucket(2, 50, clock=lambda: 0.0)
    assert bucket.penalise(10.0) == 1
    assert bucket.penalise(10.2) == pytest.approx(0.8)
    assert bucket.tokens(10.5) <= 0
    assert bucket.tokens(11.1) > 0


def test_a_clock_that_goes_back_does_no_harm() -> None:
    bucket = Bucket(2, 50, clock=lambda: 100.0)
    bucket.take(100.0, count=10)
    assert bucket.tokens(50.0) == bucket.tokens(100.0) == 38


@given(
    leak=st.sampled_from([2.0, 5.0]),
    jitter=st.lists(st.floats(0, 0.4), min_size=400, max_size=400),
)
def test_who_asks_the_mirror_is_never_refused_though_the_network_is_uneven(leak: float, jitter: list[float]) -> None:
    """And uses at least 95 % of what the portal allows in the long run."""
    burst = 50.0
    mirror, portal, now = Bucket(leak, burst, clock=lambda: 0.0), PortalBucket(leak, burst), 0.0
    arrivals: list[float] = []
    for late in jitter:
        now += mirror.delay(now)
        mirror.take(now)
        arrivals.append(now + late)
    assert all(portal.arrives(at) for at in sorted(arrivals))
    allowed = burst + leak * now
    assert len(arrivals) >= 0.95 * allowed - 2


def test_operating_time_pauses_only_its_method() -> None:
    budget = OperatingBudget(480, clock=lambda: 1000.0)
    budget.note("crm.item.add", 240.0, 1100.0)
    assert budget.used("CRM.item.add") == pytest.approx(0.5)
    assert budget.refused("crm.item.add") == 1100.0
    assert budget.paused_until("crm.item.add") == 1100.0
    assert budget.paused_until("crm.item.get") is None
    assert budget.paused_until("crm.item.add", now=1100.0) is None


@pytest.mark.parametrize(
    ("story", "told", "until"),
    [
        ("no moment was told", None, 1060.0),
        ("a moment in the past: the clocks differ", 900.0, 1060.0),
        ("a moment far away: never longer than the window", 99999.0, 1600.0),
    ],
)
def test_an_unlikely_reset_is_bounded(story: str, told: float | None, until: float) -> None:
    assert OperatingBudget(clock=lambda: 1000.0).refused("x.y", told) == until, story


@pytest.mark.parametrize(("leak", "burst"), [(0, 50), (-1, 50), (2, 0)])
def test_an_impossible_bucket_is_refused(leak: float, burst: float) -> None:
    with pytest.raises(ValueError, match="a bucket needs"):
        Bucket(leak, burst)
