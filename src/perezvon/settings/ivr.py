"""Settings of the voice menu: `[ivr]`. Documents: 004 ("IVR")."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from perezvon.company.statement import Statement
from perezvon.company.unfit import Unfit
from perezvon.settings.errors import Wrong
from perezvon.settings.section import SECONDS, AbsolutePath, OneLine, Section
from perezvon.settings.urls import CompanyDatabaseUrl

QUERY = """\
SELECT i.scenario, i.scenarioMsg, b.keyNum, b.msgMp3, b.transferTo
FROM sAsterisk_ivr AS i
LEFT JOIN sAsterisk_ivr_button AS b ON b.ivrID = i.id
WHERE phone = ?"""
"""The statement of document 004; the order is the database's own."""

PLACES = ("phone",)
"""How the place of the number may be called in the statement, besides `?`."""


def _query(text: str) -> str:
    try:
        Statement.parse(text, PLACES)
    except Unfit as unfit:
        raise Wrong(unfit.reason) from None
    return text


class IvrSettings(Section):
    """The voice menu."""

    database: CompanyDatabaseUrl | None = Field(
        default=None,
        title="Database",
        description="Where the company's tables of the voice menu are: mysql://, mariadb://, postgresql:// or "
        "sqlite:////path; only read. Empty: only the scenarios kept in Perezvon (perezvon ivr import).",
        examples=["mysql://reader:secret@127.0.0.1/pbx"],
    )
    query: Annotated[str, AfterValidator(_query)] = Field(
        default=QUERY,
        title="Statement",
        description="One SELECT that gives a row for each button of the number, in the order in which they are announced, "
        "with the columns scenarioMsg, keyNum, msgMp3 and transferTo. ? (or :phone) stands for the number; it is bound, "
        "never pasted. The number is looked for as it came, as digits, with 7, 8 and +7, and by the aliases of its line.",
        examples=["SELECT scenarioMsg, keyNum, msgMp3, transferTo FROM menus WHERE phone = ? ORDER BY position"],
    )
    patience: float = Field(
        default=1.5,
        ge=0.2,
        le=10,
        title="Patience with the database",
        description="How long a caller may wait for the scenario. After it the last good one is played, and without one "
        "the caller goes on to Bitrix24.",
        examples=[1.5],
        json_schema_extra=SECONDS,
    )
    sounds: AbsolutePath = Field(
        default="",
        title="Sounds folder",
        description="Where the recordings of the voice menu are, in its folders scenario, keyNum and msgMp3.",
        examples=["/var/lib/perezvon/sounds"],
    )
    prompts_on_pbx: AbsolutePath = Field(
        default="",
        title="Converted prompts on the PBX",
        description="How the PBX names the folder prompts of the data directory, where the converted recordings are. "
        "Empty: the same path (the PBX is on this machine).",
        examples=["/mnt/perezvon/prompts"],
    )
    language: Literal["ru", "en"] = Field(
        default="ru",
        title="Language of our own prompts",
        description="Of those that come with Perezvon: keys without a recording of yours, and the words of the conference.",
        examples=["ru"],
    )
    silence: float = Field(
        default=7.0,
        ge=1,
        le=60,
        title="Silence",
        description="How long a caller may press nothing after the last prompt before the call goes on.",
        examples=[7],
        json_schema_extra=SECONDS,
    )
    cycles: int = Field(
        default=1,
        ge=1,
        le=10,
        title="Cycles",
        description="How often the buttons are announced before the wait for a key.",
        examples=[2],
    )
    key_gap: float = Field(
        default=2.0,
        ge=0.5,
        le=10,
        title="Time between digits",
        description="Of keys of several digits: how long to wait for the next one. A key that begins no other is taken at "
        "once.",
        examples=[2],
        json_schema_extra=SECONDS,
    )
    wrong_key: Literal["portal", "repeat"] = Field(
        default="portal",
        title="Wrong key",
        description="portal: the call goes on at once; repeat: the menu is played again.",
        examples=["repeat"],
    )
    wrong_tries: int = Field(
        default=3,
        ge=1,
        le=10,
        title="Wrong keys",
        description="With repeat: after so many wrong keys the call goes on.",
        examples=[3],
    )
    ring: float = Field(
        default=20.0,
        ge=3,
        le=300,
        title="Ringing time",
        description="How long the number behind a button is rung before the call goes on.",
        examples=[20],
        json_schema_extra=SECONDS,
    )
    fallback: OneLine = Field(
        default="",
        title="Where calls go on",
        description="A number or extension that is rung when nothing was pressed, or a wrong key; when it does not answer, "
        "Bitrix24 is. Empty: Bitrix24 at once.",
        examples=["+74951234567"],
    )
