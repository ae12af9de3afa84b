"""Who works when: the company's week, its holidays and days of other hours, and employees' own. Pure.

Hours are written as people write them: `Mon-Fri 09:00-18:00`, `Sat 10:00-14:00, 15:00-16:00`, `Fri 20:00-02:00` (over
midnight), also with Russian names of the days. A day is `2026-05-09`, `05-09` (every year), or two of them with `..`
between. Of what holds for a day the most particular counts: own days, own holidays, the company's days, its holidays, the
week.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

from perezvon.rules.vocabulary import Reason

DAY = 24 * 60
ALWAYS = ()
"""A week without any hours written: everybody works always."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = {name: number for number, name in enumerate(_DAYS)} | {
    name: number for number, name in enumerate(("пн", "вт", "ср", "чт", "пт", "сб", "вс"))
}
_HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.ASCII)
_DATE = re.compile(r"(?:(\d{4})-)?(\d{2})-(\d{2})", re.ASCII)


class BadTime(ValueError):
    """`reason` says what was wrong with the text, and how it is written."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of a day, the end outside; an end that is not behind the beginning is on the next day."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """On the day itself."""
        return self.begin <= minute and (minute < self.end or self.end <= self.begin)

    def reaches(self, minute: int) -> bool:
        """On the day after."""
        return self.end <= self.begin and minute < self.end


Spans = tuple[Span, ...]
Week = tuple[Spans, ...]
"""Seven, Monday first; empty: always."""


@dataclass(frozen=True, slots=True)
class Dates:
    """From one day to another, both inside; without years: of every year."""

    first: tuple[int, int, int]
    last: tuple[int, int, int]

    def holds(self, day: date) -> bool:
        if self.first[0]:
            return self.first <= (day.year, day.month, day.day) <= self.last
        first, last, this = self.first[1:], self.last[1:], (day.month, day.day)
        return first <= this <= last if first <= last else this >= first or this <= last


@dataclass(frozen=True, slots=True)
class Schedule:
    """`days`: those with other hours than the week's (shorter, or moved from a holiday)."""

    week: Week = ALWAYS
    holidays: tuple[Dates, ...] = ()
    days: tuple[tuple[Dates, Spans], ...] = ()


@dataclass(frozen=True, slots=True)
class Own:
    """An employee's. `week`: ALWAYS where it is the company's. `zone`: None where it is."""

    schedule: Schedule = field(default_factory=Schedule)
    zone: tzinfo | None = None
    company_holidays: bool = True


class Hours(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """`own`: by extension. `zone`: None: this machine's."""

    company: Schedule = field(default_factory=Schedule)
    own: Mapping[str, Own] = field(default_factory=dict[str, Own])
    zone: tzinfo | None = None

    def of_employee(self, extension: str, at: float) -> Hours:
        """`at`: POSIX seconds, UTC."""
        own = self.own.get(extension)
        if own is None:
            return hours((self.company,), self.company.week, _local(at, self.zone))
        company = (self.company,) if own.company_holidays else ()
        return hours((own.schedule, *company), own.schedule.week or self.company.week, _local(at, own.zone or self.zone))

    def of_line(self, week: Week, at: float) -> Hours:
        """Of a number with a week of its own; the company's holidays hold for it."""
        return hours((self.company,), week, _local(at, self.zone)) if week else Hours.OPEN


def hours(schedules: Iterable[Schedule], week: Week, local: datetime) -> Hours:
    """`schedules`: whose days and holidays count, the most particular first."""
    schedules = tuple(schedules)
    minute = local.hour * 60 + local.minute
    today, holiday = spans_on(schedules, week, local.date())
    before, _ = spans_on(schedules, week, local.date() - timedelta(days=1))
    if any(span.holds(minute) for span in today) or any(span.reaches(minute) for span in before):
        return Hours.OPEN
    return Hours.HOLIDAY if holiday else Hours.CLOSED


def spans_on(schedules: tuple[Schedule, ...], week: Week, day: date) -> tuple[Spans, bool]:
    """The hours of a day, and whether it is a holiday."""
    for schedule in schedules:
        for dates, spans in schedule.days:
            if dates.holds(day):
                return spans, False
        if any(dates.holds(day) for dates in schedule.holidays):
            return (), True
    return (week[day.weekday()] if week else (Span(0, 0),)), False


def _local(at: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


# ---- reading


def week_of(texts: Iterable[str]) -> Week:
    """Raises BadTime."""
    days: dict[int, Spans] = {}
    for text in texts:
        names, _, rest = text.strip().partition(" ")
        spans = _read_spans(rest, text)
        for number in _read_days(names, text):
            days[number] = (*days.get(number, ()), *spans)
    return tuple(days.get(number, ()) for number in range(7)) if days else ALWAYS


def dates_of(text: str) -> Dates:
    """Raises BadTime."""
    first, dots, last = text.strip().partition("..")
    begin = _read_date(first, text)
    end = _read_date(last, text) if dots else begin
    if bool(begin[0]) != bool(end[0]) or (begin[0] and end < begin):
        raise _bad_date(text)
    return Dates(begin, end)


def day_of(text: str) -> tuple[Dates, Spans]:
    """`2026-12-31 09:00-13:00`. Raises BadTime."""
    named, _, rest = text.strip().partition(" ")
    return dates_of(named), _read_spans(rest, text)


def _read_days(names: str, text: str) -> Iterable[int]:
    for part in names.lower().split(","):
        first, dash, last = part.partition("-")
        begin, end = _NAMES.get(first), _NAMES.get(last if dash else first)
        if begin is None or end is None:
            raise _bad_hours(text)
        yield from (number % 7 for number in range(begin, end + 1 + (7 if end < begin else 0)))


def _read_spans(text: str, whole: str) -> Spans:
    spans: list[Span] = []
    for part in text.split(","):
        found = _HOURS.fullmatch(part.strip())
        if found is None:
            raise _bad_hours(whole)
        hour, minute, hour_end, minute_end = map(int, found.groups())
        begin, end = hour * 60 + minute, hour_end * 60 + minute_end
        if minute > 59 or minute_end > 59 or begin >= DAY or end > DAY:
            raise _bad_hours(whole)
        spans.append(Span(begin, end))
    return tuple(spans)


def _read_date(text: str, whole: str) -> tuple[int, int, int]:
    found = _DATE.fullmatch(text.strip())
    if found is None:
        raise _bad_date(whole)
    year, month, day = int(found[1] or 0), int(found[2]), int(found[3])
    try:
        date(year or 2024, month, day)  # a leap year: 02-29 is a day
    except ValueError:
        raise _bad_date(whole) from None
    return year, month, day


def _bad_hours(text: str) -> BadTime:
    told = {"text": text[:60]}
    return BadTime(Reason("{text} is not understood: hours are written like Mon-Fri 09:00-18:00", told))


def _bad_date(text: str) -> BadTime:
    told = {"text": text[:60]}
    return BadTime(Reason("{text} is not understood: days are written like 2026-05-09, 05-09 or 01-01..01-08", told))
