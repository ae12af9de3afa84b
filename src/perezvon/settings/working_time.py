"""Settings of working time: `[working_time]`. Document: 000 (2i). How hours are written: rules/working_time.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from perezvon.rules.vocabulary import Reason
from perezvon.rules.working_time import BadTime, Own, Schedule, WorkingTime, dates_of, day_of, week_of
from perezvon.settings.errors import Wrong
from perezvon.settings.offered import EXTENSION
from perezvon.settings.section import OneLine, Section, TimeZone

MOST = 400
"""Entries of a list."""


def _written(read: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            read(text)
        except BadTime as bad:
            raise Wrong(bad.reason) from None
        return text

    return AfterValidator(check)


def _extension(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) is None:
        raise Wrong(Reason("must be an extension: digits only, at most 10"))
    return text


Hours = Annotated[OneLine, _written(lambda text: week_of([text]))]
Dates = Annotated[OneLine, _written(dates_of)]
OtherDay = Annotated[OneLine, _written(day_of)]
Extension = Annotated[str, AfterValidator(_extension), EXTENSION]
MaybeExtension = Annotated[str, AfterValidator(lambda text: text and _extension(text)), EXTENSION]


class EmployeeTime(Section):
    """The working time of one employee, where it is not the company's."""

    extension: Extension = Field(
        title="Employee",
        description="The employee's extension.",
        examples=["101"],
    )
    week: tuple[Hours, ...] = Field(
        default=(),
        max_length=MOST,
        title="Week",
        description="His own hours. Empty: the company's.",
        examples=[["Mon-Thu 12:00-21:00", "Sat 10:00-16:00"]],
    )
    holidays: tuple[Dates, ...] = Field(
        default=(),
        max_length=MOST,
        title="Days off",
        description="His holidays and other days off, besides the company's.",
        examples=[["2026-07-06..2026-07-19"]],
    )
    days: tuple[OtherDay, ...] = Field(
        default=(),
        max_length=MOST,
        title="Days with other hours",
        description="They go before everything else, also before holidays of the company.",
        examples=[["2026-12-31 09:00-13:00"]],
    )
    company_holidays: bool = Field(
        default=True,
        title="Company's holidays",
        description="Whether he is off on the company's holidays, and has its days with other hours.",
        examples=[False],
    )
    time_zone: TimeZone = Field(
        default="",
        title="Time zone",
        description="Of his hours. Empty: the company's.",
        examples=["Asia/Vladivostok"],
    )

    def own(self) -> Own:
        zone = ZoneInfo(self.time_zone) if self.time_zone else None
        return Own(_schedule(self.week, self.holidays, self.days), zone, self.company_holidays)


class WorkingTimeSettings(Section):
    """When the company works."""

    time_zone: TimeZone = Field(
        default="",
        title="Time zone",
        description="Of all hours and days below. Empty: the portal's, else that of the machine Perezvon runs on.",
        examples=["Europe/Moscow"],
    )
    week: tuple[Hours, ...] = Field(
        default=(),
        max_length=MOST,
        title="Week",
        description="The company's hours: days, then one or more spans; a span may end on the next day. Empty: always.",
        examples=[["Mon-Fri 09:00-18:00", "Sat 10:00-15:00"]],
    )
    holidays: tuple[Dates, ...] = Field(
        default=(),
        max_length=MOST,
        title="Holidays",
        description="Days on which nobody works: of one year, of every year (without the year), or from one to another.",
        examples=[["01-01..01-08", "05-09", "2026-06-12"]],
    )
    days: tuple[OtherDay, ...] = Field(
        default=(),
        max_length=MOST,
        title="Days with other hours",
        description="Shorter days, and working days that were moved to a weekend. They go before holidays.",
        examples=[["2026-12-31 09:00-13:00"]],
    )
    employee: tuple[EmployeeTime, ...] = Field(
        default=(),
        max_length=2000,
        title="Employees' own working time",
        description="Of employees whose hours are not the company's. Who is not named has the company's.",
    )

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        seen: set[str] = set()
        for index, one in enumerate(self.employee):
            if one.extension in seen:
                reason = Reason("{name} is there twice", {"name": one.extension})
                raise Wrong(reason, ("employee", index, "extension"))
            seen.add(one.extension)
        return self

    def working_time(self, otherwise: str) -> WorkingTime:
        """`otherwise`: the time zone where none is set here; "" for this machine's."""
        zone = self.time_zone or otherwise
        return WorkingTime(
            _schedule(self.week, self.holidays, self.days),
            {one.extension: one.own() for one in self.employee},
            ZoneInfo(zone) if zone else None,
        )


def _schedule(week: tuple[str, ...], holidays: tuple[str, ...], days: tuple[str, ...]) -> Schedule:
    return Schedule(week_of(week), tuple(map(dates_of, holidays)), tuple(map(day_of, days)))
