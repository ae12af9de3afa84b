"""Working time drawn as a week: who works when, and which of the coming days are different. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from perezvon.rules.working_time import DAY, Schedule, Span, Spans, Week, spans_on, week_of
from perezvon.settings.model import Settings

AHEAD = 60
"""Days that are looked at for different hours."""

MOST = 200
"""Weeks that are drawn."""


@dataclass(frozen=True, slots=True)
class Day:
    """`number`: 0 for Monday. `bars`: beginning and length in percent of the day. `told`: `09:00–18:00`."""

    number: int
    bars: tuple[tuple[float, float], ...]
    told: str


@dataclass(frozen=True, slots=True)
class Different:
    """A coming day with other hours; without any it is a day off."""

    day: date
    told: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """`whose`: an extension or a line; "" for the company. `always`: no hours are set."""

    whose: str
    kind: str
    always: bool
    days: tuple[Day, ...]
    different: tuple[Different, ...]


def drawn(settings: Settings, now: float) -> tuple[Drawn, ...]:
    """The company's week first, then those of employees and lines that have their own."""
    wanted = settings.working_time
    working = wanted.working_time("")
    zone = ZoneInfo(wanted.time_zone) if wanted.time_zone else None
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    company = working.company
    weeks = [_week("", "", company.week, (company,), today)]
    for extension, own in working.own.items():
        schedules = (own.schedule, company) if own.company_holidays else (own.schedule,)
        weeks.append(_week(extension, "employee", own.schedule.week or company.week, schedules, today))
    weeks += [
        _week(line.name or line.number, "line", week_of(line.working_time), (company,), today)
        for line in settings.line
        if line.working_time
    ]
    return tuple(weeks[:MOST])


def _week(whose: str, kind: str, week: Week, schedules: tuple[Schedule, ...], today: date) -> Drawn:
    spans = week or ((Span(0, 0),),) * 7
    days = tuple(Day(number, tuple(_bars(spans[number], spans[number - 1])), told(spans[number])) for number in range(7))
    different: list[Different] = []
    for after in range(AHEAD):
        day = today + timedelta(days=after)
        there, _ = spans_on(schedules, week, day)
        if there != spans[day.weekday()]:
            different.append(Different(day, told(there)))
    return Drawn(whose, kind, not week, days, tuple(different))


def _bars(spans: Spans, before: Spans) -> Iterator[tuple[float, float]]:
    """Also what the day before reaches over midnight."""
    for span in before:
        if 0 < span.end <= span.begin:
            yield 0.0, _percent(span.end)
    for span in spans:
        end = span.end if span.end > span.begin else DAY
        yield _percent(span.begin), _percent(end - span.begin)


def _percent(minutes: int) -> float:
    return round(minutes * 100 / DAY, 2)


def told(spans: Spans) -> str:
    if any(span.begin == span.end for span in spans):
        return "00:00–24:00"
    return ", ".join(f"{_clock(span.begin)}–{_clock(span.end)}" for span in spans)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
