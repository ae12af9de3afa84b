"""When a whole portal pauses, and for how long."""

from __future__ import annotations

import pytest

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import (
    Ambiguous,
    AppContextRequired,
    AuthRefused,
    BadParameters,
    Forbidden,
    NotSent,
    OperationLimited,
    PortalBlocked,
    PortalError,
    RateLimited,
    Temporary,
)
from perezvon.bitrix24.methods import FINISH, REGISTER, STATISTIC
from perezvon.delivery.weather import Sky, Weather

NOW = 1000.0


@pytest.fixture
def clock() -> list[float]:
    """What time it is: the last of the list."""
    return [NOW]


@pytest.fixture
def weather(clock: list[float]) -> Weather:
    return Weather("main", lambda: clock[-1], lambda: 1.0)


@pytest.mark.parametrize(
    ("error", "sky", "pauses"),
    [
        (NotSent("refused"), Sky.TROUBLE, [0.5, 1, 2, 4, 8, 16, 30, 30]),
        (Ambiguous("time-out"), Sky.TROUBLE, [0.5, 1, 2]),
        (Temporary("busy", retry_after=10.0), Sky.TROUBLE, [10, 10]),
        (RateLimited("503", retry_after=4.0), Sky.LIMITED, [4, 4]),
        (RateLimited("503"), Sky.LIMITED, [0.5, 1]),
        (OperationLimited("429", reset_at=NOW + 200), Sky.LIMITED, [200]),
        (AuthRefused("revoked"), Sky.REFUSED, [15, 30, 60, 120, 240, 300, 300]),
        (Forbidden("plan"), Sky.REFUSED, [15, 30]),
        (PortalBlocked("deleted"), Sky.BLOCKED, [15, 30]),
        (BadParameters("this batch"), Sky.CLEAR, [0]),
    ],
)
def test_a_request_that_fails(
    weather: Weather, clock: list[float], error: PortalError, sky: Sky, pauses: list[float]
) -> None:
    for pause in pauses:
        weather.failed([REGISTER, FINISH], error)
        assert weather.sky is sky
        assert weather.until == (clock[-1] + pause if pause else 0.0)
        clock.append(max(clock[-1], weather.until))
    assert weather.testing is (sky is not Sky.CLEAR)
    weather.told([REGISTER], [Answer({})])
    assert (weather.sky, weather.until, weather.message) == (Sky.CLEAR, 0.0, "")


def test_requests_that_fail_together_are_one_failure(weather: Weather, clock: list[float]) -> None:
    for _ in range(8):
        weather.failed([REGISTER, FINISH], AuthRefused("revoked"))
    assert weather.until == NOW + 15
    clock.append(weather.until)
    for _ in range(8):
        weather.failed([REGISTER, FINISH], AuthRefused("revoked"))
    assert weather.until == NOW + 15 + 30


def test_what_needs_a_human_is_counted_by_itself(weather: Weather, clock: list[float]) -> None:
    for _ in range(6):
        weather.failed([REGISTER, FINISH], Ambiguous("time-out"))
        clock.append(weather.until)
    weather.failed([REGISTER, FINISH], PortalBlocked("overload"))
    assert weather.until == clock[-1] + 15
    clock.append(weather.until)
    weather.failed([REGISTER, FINISH], Ambiguous("time-out"))
    assert weather.until == clock[-1] + 0.5


def test_answers_to_others_shorten_the_pause(weather: Weather, clock: list[float]) -> None:
    assert not weather.answers_others()
    for _ in range(4):
        weather.failed([REGISTER, FINISH], PortalBlocked("overload"))
        failed = clock[-1]
        clock.append(weather.until)
    assert weather.until == failed + 120
    clock.append(failed + 3)
    assert weather.answers_others()
    assert weather.until == failed + 10
    assert not weather.answers_others(), "once is enough"
    assert weather.testing, "but one small request at a time"


def test_it_is_bad_since_it_was_good_whatever_it_has_turned_into(weather: Weather, clock: list[float]) -> None:
    for error in (NotSent("refused"), Ambiguous("502"), RateLimited("503"), AuthRefused("revoked"), NotSent("refused")):
        clock.append(clock[-1] + 600)
        weather.failed([REGISTER, FINISH], error)
        assert (weather.since, weather.error) == (NOW + 600, error)
    clock.append(clock[-1] + 600)
    weather.told([REGISTER], [Answer({})])
    assert (weather.since, weather.error) == (clock[-1], None)


def test_a_limit_is_not_doubted(weather: Weather) -> None:
    weather.failed([REGISTER, FINISH], RateLimited("503", retry_after=60.0))
    assert not weather.answers_others()
    assert weather.until == NOW + 60


def test_a_command_tells_of_the_portal(weather: Weather) -> None:
    weather.told([REGISTER, FINISH], [Answer({}), AuthRefused("revoked")])
    assert weather.sky is Sky.REFUSED
    weather.resume()
    assert weather.sky is Sky.CLEAR


@pytest.mark.parametrize(
    ("error", "until"),
    [
        (OperationLimited("429", reset_at=NOW + 90), NOW + 90),
        (OperationLimited("429"), NOW + 60),
        (AppContextRequired("webhook"), NOW + 60),
        (Forbidden("no right"), NOW + 60),
    ],
)
def test_a_method_pauses_by_itself(weather: Weather, error: PortalError, until: float) -> None:
    weather.told([REGISTER, FINISH], [Answer({}), error])
    assert weather.sky is Sky.CLEAR
    assert weather.paused_methods() == {FINISH: (until, error)}
    weather.resume()
    assert weather.paused_methods() == {}
    weather.failed([REGISTER], error)
    assert weather.sky is Sky.CLEAR
    assert list(weather.paused_methods()) == [REGISTER]


def test_the_right_to_look_things_up_is_done_without(weather: Weather) -> None:
    weather.told([STATISTIC], [Forbidden("statistics")])
    assert weather.paused_methods() == {}
