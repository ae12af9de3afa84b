"""Settings of messages that something is wrong: `[alerts]`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from perezvon.rules.vocabulary import Reason
from perezvon.settings.crm import Dialog
from perezvon.settings.errors import Wrong
from perezvon.settings.section import MINUTES, OneLine, Section


class AlertSettings(Section):
    """Who is told in the portal when something is wrong, and when it is right again."""

    enabled: bool = Field(
        default=False,
        title="Tell of troubles",
        description="Whether a message says that something is wrong (what the status page calls a problem), and that it is "
        "right again. What comes and goes is told of ever more rarely.",
        examples=[True],
    )
    to: Dialog = Field(
        default="",
        title="Who is told",
        description="A chat (chat12, as its address says; the user in whose name we speak must be in it), or the id of a "
        "user, who gets a notification. The webhook or application needs the permission im.",
        examples=["chat12"],
    )
    portal: OneLine = Field(
        default="",
        title="Portal of the messages",
        description="The name of the portal that the messages go to; when it is away itself, that is told when it is back. "
        "Empty: the first one.",
        examples=["main"],
    )
    minutes: float = Field(
        default=5.0,
        ge=0.01,
        le=1440,
        title="Minutes until it is told",
        description="How long something has to be wrong before it is told.",
        examples=[5],
        json_schema_extra=MINUTES,
    )

    @model_validator(mode="after")
    def _has_somebody(self) -> Self:
        if self.enabled and not self.to:
            raise Wrong(Reason("is needed: nobody would be told"), ("to",))
        return self
