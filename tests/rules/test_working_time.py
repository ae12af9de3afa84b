"""Who works when: hours, holidays, short days and own schedules, and what cannot be read."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from perezvon.rules.working_time import BadTime, Hours, Own, Schedule, WorkingTime, dates_of, day_of, week_of

MOSCOW = ZoneInfo("Europe/Moscow")
COMPANY = Schedule(
    week_of(["Mon-Fri 09:00-18:00", "сб 10:00-12:00, 13:00-14:00"]),
    (dates_of("01-01..01-08"), dates_of("2026-06-12"), dates_of("12-31..01-02")),
    (day_of("2026-12-31 09:00-13:00"),),
)
OWN = {
    "102": Own(Schedule(week_of(["Mon-Sun 20:00-02:00"]))),
    "103": Own(Schedule(holidays=(dates_of("2026-07-06..2026-07-19"),), days=(day_of("2026-06-12 10:00-11:00"),))),
    "104": Own(Schedule(), company_holidays=False),
    "105": Own(Schedule(), ZoneInfo("Asia/Vladivostok")),
}
TIMES = WorkingTime(COMPANY, OWN, MOSCOW)
OPEN, CLOSED, HOLIDAY = Hours.OPEN, Hours.CLOSED, Hours.HOLIDAY


@pytest.mark.parametrize(
    ("extension", "local", "expected"),
    [
        ("101", "2026-07-06 08:59", CLOSED),
        ("101", "2026-07-06 09:00", OPEN),
        ("101", "2026-07-06 17:59", OPEN),
        ("101", "2026-07-06 18:00", CLOSED),
        ("101", "2026-07-11 12:30", CLOSED),
        ("101", "2026-07-11 13:30", OPEN),
        ("101", "2026-07-12 12:00", CLOSED),
        ("101", "2026-06-12 12:00", HOLIDAY),
        ("101", "2027-01-04 12:00", HOLIDAY),
        ("101", "2026-12-31 12:00", OPEN),
        ("101", "2026-12-31 14:00", CLOSED),
        ("101", "2027-12-31 12:00", HOLIDAY),
        ("102", "2026-07-06 12:00", CLOSED),
        ("102", "2026-07-06 23:00", OPEN),
        ("102", "2026-07-07 01:59", OPEN),
        ("102", "2026-07-07 02:00", CLOSED),
        ("102", "2026-06-12 23:00", HOLIDAY),
        ("102", "2026-06-12 01:00", OPEN),
        ("103", "2026-07-06 12:00", HOLIDAY),
        ("103", "2026-07-20 12:00", OPEN),
        ("103", "2026-06-12 10:30", OPEN),
        ("103", "2026-06-12 12:00", CLOSED),
        ("104", "2026-06-12 12:00", OPEN),
        ("105", "2026-07-06 10:59", OPEN),
        ("105", "2026-07-06 11:00", CLOSED),
        ("105", "2026-07-06 02:00", OPEN),
    ],
)
def test_hours_of_an_employee(extension: str, local: str, expected: Hours) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=MOSCOW).timestamp()
    assert TIMES.of_employee(extension, at) is expected


def test_nothing_written_is_always() -> None:
    empty = WorkingTime(zone=MOSCOW)
    assert all(empty.of_employee("101", hour * 3600.0) is OPEN for hour in range(24 * 8))
    with_holidays = WorkingTime(Schedule(holidays=(dates_of("01-01"),)), zone=MOSCOW)
    first = datetime(2026, 1, 1, 12, tzinfo=MOSCOW).timestamp()
    assert (with_holidays.of_employee("1", first), with_holidays.of_employee("1", first + 86400)) == (HOLIDAY, OPEN)


def test_a_line_has_hours_of_its_own_and_the_companys_holidays() -> None:
    week = week_of(["Mon-Sun 08:00-24:00"])
    at = datetime(2026, 7, 5, 23, 59, tzinfo=MOSCOW).timestamp()
    assert (TIMES.of_line(week, at), TIMES.of_line(week, at + 60), TIMES.of_line((), at)) == (OPEN, CLOSED, OPEN)
    assert TIMES.of_line(week, datetime(2026, 6, 12, 12, tzinfo=MOSCOW).timestamp()) is HOLIDAY


def test_daylight_saving_follows_the_clock_on_the_wall() -> None:
    berlin = WorkingTime(Schedule(week_of(["Mon-Sun 09:00-10:00"])), zone=ZoneInfo("Europe/Berlin"))
    for day in ("2026-03-28", "2026-03-29", "2026-10-25"):
        at = datetime.fromisoformat(f"{day} 09:30").replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        assert berlin.of_employee("1", at) is OPEN
        assert berlin.of_employee("1", at - 3600) is CLOSED


@pytest.mark.parametrize(
    "text", ["", "Mon", "Mon 9-18", "Mon-Foo 09:00-18:00", "Mon 25:00-26:00", "Mon 09:60-18:00", "x" * 999]
)
def test_hours_that_cannot_be_read(text: str) -> None:
    with pytest.raises(BadTime, match="hours are written like"):
        week_of([text])


@pytest.mark.parametrize(
    "text", ["", "2026-13-01", "02-30", "2026-02-29", "2026-01-02..2026-01-01", "01-01..2026-01-02", "x"]
)
def test_days_that_cannot_be_read(text: str) -> None:
    with pytest.raises(BadTime, match="days are written like"):
        dates_of(text)
