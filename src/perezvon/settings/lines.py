"""The company's own numbers: `[[line]]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from perezvon.settings.offered import SOURCE
from perezvon.settings.section import OneLine, Section, UserId
from perezvon.settings.working_time import Hours, MaybeExtension


class LineSettings(Section):
    """One of the company's own numbers."""

    number: OneLine = Field(
        min_length=1,
        title="Number",
        description="The company's number, in international form.",
        examples=["+74951234567"],
    )
    aliases: tuple[OneLine, ...] = Field(
        default=(),
        title="Aliases",
        description="Other forms in which the PBX names this number.",
        examples=[["84951234567", "multifon-in"]],
    )
    name: OneLine = Field(
        default="",
        title="Name",
        description="How people call this number. The portal shows it on the card and in reports.",
        examples=["Billboard on the ring road"],
    )
    trunk: OneLine = Field(
        default="",
        title="Trunk",
        description="The trunk that this number comes through. A call from that trunk for which the PBX names no number is "
        "counted to this line.",
        examples=["multifon"],
    )
    source: Annotated[OneLine, SOURCE] = Field(
        default="",
        title="Source",
        description="The STATUS_ID of the CRM source that a new lead from this number gets.",
        examples=["CALL"],
    )
    create_lead_incoming: bool | None = Field(
        default=None,
        title="Lead for an unknown caller",
        description="Whether a call of an unknown number to this line makes a lead. Not set: as in [calls].",
        examples=[False],
    )
    create_lead_outgoing: bool | None = Field(
        default=None,
        title="Lead for an unknown callee",
        description="The same for an outgoing call through this line.",
        examples=[False],
    )
    missed_user: UserId = Field(
        default="",
        title="User for missed calls",
        description="The id of the portal user who is responsible for calls to this number that nobody answered, where the "
        "order of [missed] wants the line's. Empty: nobody.",
        examples=["1"],
    )
    lead_user: UserId = Field(
        default="",
        title="User for new leads",
        description="The id of the portal user who gets the new leads of calls through this number. Empty: as in [crm].",
        examples=["1"],
    )
    menu: bool = Field(
        default=True,
        title="Voice menu",
        description="Whether callers of this number are asked by the voice menu when it has a scenario for them.",
        examples=[False],
    )
    autoconnect: bool | None = Field(
        default=None,
        title="Autoconnect",
        description="Whether callers of this number are connected with whoever is responsible for them. Not set: as in "
        "[autoconnect].",
        examples=[True],
    )
    first_employee: MaybeExtension = Field(
        default="",
        title="First employee",
        description="The extension that autoconnect rings where it knows nobody nearer to the client.",
        examples=["101"],
    )
    working_time: tuple[Hours, ...] = Field(
        default=(),
        max_length=50,
        title="Working time",
        description="The hours of this number; outside of them, and on the company's holidays, autoconnect leaves its "
        "callers to the PBX. Empty: always.",
        examples=[["Mon-Fri 09:00-21:00", "Sat-Sun 10:00-18:00"]],
    )
    recordings: Literal["upload", "link", "off"] | None = Field(
        default=None,
        title="Recordings",
        description="What happens to recordings of calls through this number (recordings.md). Not set: as in [recordings].",
        examples=["off"],
    )
