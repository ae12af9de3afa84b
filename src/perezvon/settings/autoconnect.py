"""Settings of autoconnect: `[autoconnect]`. Documents: 000 (1a, 2d, 2i)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from perezvon.rules.caller_name import PLACES
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import DAYS, SECONDS, OneLine, Section, plain_template, span
from perezvon.settings.working_time import Extension

MARGIN = 0.3
"""Seconds behind our own patience after which the dialplan takes the caller back by itself."""


def _function(text: str) -> str:
    if text and re.fullmatch(r"[A-Z_]+\([A-Za-z0-9/@{}._:-]*\)", text) is None:
        raise Wrong(
            Reason("must be a function of the dialplan, e.g. {example}", {"example": "DEVICE_STATE(PJSIP/{number})"})
        )
    if text and (text.count("{number}") != 1 or text.count("{") != 1 or text.count("}") != 1):
        raise Wrong(Reason("must have {number} in it", {"number": "{number}"}))
    return text


NameTemplate = Annotated[OneLine, plain_template(PLACES)]
Function = Annotated[str, AfterValidator(_function)]


class DeputySettings(Section):
    """Who is rung in the place of an employee."""

    employee: Extension = Field(
        title="Employee",
        description="The extension of whoever may be away.",
        examples=["101"],
    )
    deputies: tuple[Extension, ...] = Field(
        min_length=1,
        max_length=10,
        title="Deputies",
        description="The extensions of those who are rung in his place, in this order; who is away himself is passed over, "
        "and his own deputies are tried.",
        examples=[["102", "103"]],
    )


class AutoconnectSettings(Section):
    """Callers are connected with whoever is responsible for them."""

    enabled: bool = Field(
        default=False,
        title="Autoconnect",
        description="Whether the dialplan is told whom to ring before anybody else. A line may have it otherwise. It takes "
        "effect where the PBX's dialplan asks us: Gosub(perezvon-connect,s,1), see autoconnect.md.",
        examples=[True],
    )
    chain: tuple[Literal["responsible", "last_talked", "line"], ...] = Field(
        default=("responsible", "last_talked", "line"),
        title="Who is rung",
        description="In this order, the first one who may be rung now: responsible: whom the client belongs to in the CRM; "
        "last_talked: who talked with him last; line: the first employee of the line. When nobody is left, the call goes "
        "its usual way.",
        examples=[["last_talked", "responsible"]],
    )
    objects: tuple[Literal["contact", "company", "lead", "deal"], ...] = Field(
        default=("contact", "company", "lead"),
        title="CRM objects",
        description="Whose responsible counts, in this order, of all objects with the client's number. deal: the open "
        "deals of these contacts and companies, the newest first; they cost a second request.",
        examples=[["deal", "contact", "company", "lead"]],
    )
    sticky_days: float = span(
        30.0,
        most=3650,
        unit=DAYS,
        title="Last talk",
        description="How long it is remembered who talked with a client last. 0: for ever.",
        example=14,
    )
    ring: int = Field(
        default=20,
        ge=3,
        le=300,
        title="Ringing time",
        description="How long he is rung before the call goes its usual way.",
        examples=[15],
        json_schema_extra=SECONDS,
    )
    checks: tuple[Literal["schedule", "workday", "absence", "device"], ...] = Field(
        default=("schedule", "workday", "absence", "device"),
        title="Who may be rung now",
        description="What is looked at: schedule: the hours of [working_time]; workday: the workday of the portal; "
        "absence: absences in the portal's calendar; device: the state of the phone. Who may not be rung is passed "
        "over, his deputies first. The webhook or application needs the permissions timeman and calendar "
        "for workday and absence.",
        examples=[["schedule", "device"]],
    )
    workday: tuple[Literal["closed", "paused", "expired"], ...] = Field(
        default=("closed", "paused", "expired"),
        title="Workday states that count as away",
        description="Of the portal: closed: the working day is over; paused: a break; expired: today's day was not begun. "
        "Where the portal does not keep workdays, everybody is there.",
        examples=[["closed", "expired"]],
    )
    busy: Literal["skip", "ring"] = Field(
        default="skip",
        title="Who is talking",
        description="skip: is passed over as one who is away; ring: is rung all the same (a second call on his phone).",
        examples=["ring"],
    )
    device: Function = Field(
        default="DEVICE_STATE(PJSIP/{number})",
        min_length=1,
        title="State of a phone",
        description="The function of the dialplan that tells it. With hints, which tell of all phones of an extension "
        "(FreePBX): EXTENSION_STATE({number}@ext-local).",
        examples=["EXTENSION_STATE({number}@ext-local)"],
    )
    do_not_disturb: Function = Field(
        default="DB(DND/{number})",
        title="Do not disturb",
        description="The function of the dialplan that tells whether an extension wants not to be disturbed: it does when "
        "there is anything but no, off or 0 (FreePBX: *78). Empty: is not asked.",
        examples=["DB(DND/{number})"],
    )
    deputy: tuple[DeputySettings, ...] = Field(
        default=(), max_length=2000, title="Deputies", description="Who is rung in whose place."
    )
    caller_name: NameTemplate = Field(
        default="{person} / {company} / {line}",
        max_length=200,
        title="Caller's name",
        description="What phones show, whoever is rung: {person}: the contact or lead, {company}, {line}: the name of the "
        "company's number, {client}: the number, {responsible}: whose client he is. A part without a value goes with its "
        "separator. Empty: the name stays as the PBX has it.",
        examples=["{person} / {company} / {line}"],
    )
    letters: Literal["as_written", "latin"] = Field(
        default="as_written",
        title="Letters of the name",
        description="as_written: UTF-8; latin: in Latin letters, for phones that show no others.",
        examples=["latin"],
    )
    name_length: int = Field(
        default=60,
        ge=8,
        le=80,
        title="Length of the name",
        description="In letters. Of a longer one the longest parts are made shorter. Asterisk takes 79 bytes at most, "
        "which is about 40 Russian letters.",
        examples=[32],
    )
    patience: float = Field(
        default=1.5,
        ge=0.2,
        le=5,
        title="Patience with the portal",
        description="How long a caller may wait until it is known whom to ring, at most. Clients whom we know already wait "
        "for a fifth of a second only. After a change: perezvon asterisk install.",
        examples=[1.5],
        json_schema_extra=SECONDS,
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        seen: set[str] = set()
        for index, one in enumerate(self.deputy):
            if one.employee in seen:
                reason = Reason("{name} is there twice", {"name": one.employee})
                raise Wrong(reason, ("deputy", index, "employee"))
            if one.employee in one.deputies:
                raise Wrong(Reason("nobody is his own deputy"), ("deputy", index, "deputies"))
            seen.add(one.employee)
        return self
