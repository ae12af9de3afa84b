"""Settings of missed calls: `[missed]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from perezvon.rules.missed import PLACES
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import HOURS, MINUTES, OneLine, PortalId, Section, UserId, plain_template, span

LONGEST = 2000


def _text(text: str) -> str:
    if len(text) > LONGEST or any(ord(character) < 32 and character != "\n" for character in text):
        raise Wrong(Reason("must be a text without control characters, of at most {most} letters", {"most": str(LONGEST)}))
    return text


Template = Annotated[str, plain_template(PLACES), AfterValidator(_text)]
TitleTemplate = Annotated[OneLine, plain_template(PLACES), AfterValidator(_text)]
Responsibles = tuple[Literal["owner", "last_rung", "line", "default"], ...]


class MissedSettings(Section):
    """Calls that nobody answered: whose they are, and the task that is made of them."""

    responsible: Responsibles = Field(
        default=("owner", "last_rung", "line", "default"),
        title="Responsible for a missed call",
        description="Whose the task of a missed call is, in this order, the first one who is known: owner: whom the client "
        "belongs to in the CRM; last_rung: the employee who was rung last; line: the user for missed calls of the line; "
        "default: the portal's user for missed calls, else the fall-back user. The missed call itself follows the same "
        "order, without the owner.",
        examples=[["line", "last_rung"]],
    )
    task: bool = Field(
        default=False,
        title="Task for a missed call",
        description="Whether a task is made for whoever shall call the client back: one open task a client, however often "
        "he calls. The webhook or application needs the permission task.",
        examples=[True],
    )
    title: TitleTemplate = Field(
        default="",
        title="Title",
        description="Of the task, with the places {client}, {name} (as the PBX has it), {line}, {time}, {date}, {rung}, "
        "{count} (missed calls), {again} (×3 for the third, nothing for the first), {queue}, {waited}. Empty: the usual "
        "one, in the portal's language. A title that an employee has changed is left alone.",
        examples=["Call back {client}{again}, {line}"],
    )
    description: Template = Field(
        default="",
        title="Text",
        description="Of the task, with the same places. Empty: the usual one.",
        examples=["{client} called {line} at {time}. Rung: {rung}"],
    )
    comment: Template = Field(
        default="",
        title="Comment for a further call",
        description="What the task is told when the client calls in vain once more, with the same places. Empty: the usual "
        "one.",
        examples=["Called again at {time}, missed calls: {count}"],
    )
    deadline: float = span(
        0.0,
        most=60 * 24 * 30,
        unit=MINUTES,
        title="Time limit",
        description="When the client has to be called back: the task's deadline, counted from the missed call. 0: none.",
        example=30,
    )
    important: bool = Field(
        default=False,
        title="Important",
        description="Whether the task is marked as important from the beginning.",
        examples=[True],
    )
    raise_after: int = Field(
        default=0,
        ge=0,
        le=100,
        title="Important after",
        description="The number of missed calls of one client that makes his task important. 0: never.",
        examples=[3],
    )
    tags: tuple[OneLine, ...] = Field(
        default=(), title="Tags", description="Of the task.", examples=[["missed call"]], max_length=20
    )
    group: PortalId = Field(
        default="",
        title="Group",
        description="The id of the portal's workgroup or project that the task belongs to. Empty: none.",
        examples=["7"],
    )
    observers: tuple[UserId, ...] = Field(
        default=(),
        title="Observers",
        description="The ids of portal users who watch the task.",
        examples=[["1"]],
        max_length=20,
    )
    close: Literal["anybody", "responsible", "off"] = Field(
        default="anybody",
        title="Closing the task",
        description="When the client has been talked to, whoever called whom: anybody: the task is closed, whoever talked; "
        "responsible: only if the one who is responsible for it did; off: it is told, and employees close it themselves.",
        examples=["responsible"],
    )
    again: Literal["new", "reopen"] = Field(
        default="new",
        title="Missed again after closing",
        description="new: a client who calls in vain after his task was closed gets a new one; reopen: the closed task is "
        "opened again if it was closed not long ago.",
        examples=["reopen"],
    )
    reopen_within: float = Field(
        default=24.0,
        gt=0,
        le=24 * 365,
        title="Opened again within",
        description="How long after its end a task is opened again instead of making a new one.",
        examples=[24],
        json_schema_extra=HOURS,
    )
    remind_after: float = span(
        0.0,
        most=60 * 24 * 30,
        unit=MINUTES,
        title="Reminder after",
        description="When nobody has called the client back for this long, the task is made important and told so. "
        "0: never.",
        example=15,
    )
    remind_user: UserId = Field(
        default="",
        title="Who is reminded",
        description="The id of the portal user who becomes an observer of the task then. Empty: nobody.",
        examples=["1"],
    )
