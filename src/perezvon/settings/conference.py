"""Settings of the third person in a call: `[conference]`. Documents: 004 ("Конференц звонки")."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from perezvon.company.statement import Statement
from perezvon.company.unfit import Unfit
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import SECONDS, Section
from perezvon.settings.urls import CompanyDatabaseUrl

QUERY = "SELECT phone FROM sAsterisk_prefix WHERE pref = ?"
"""The statement of document 004."""

PLACES = ("code", "pref")
"""How the place of the code may be called in the statement, besides `?`."""


def _query(text: str) -> str:
    try:
        Statement.parse(text, PLACES)
    except Unfit as unfit:
        raise Wrong(unfit.reason) from None
    return text


def _keys(text: str) -> str:
    if re.fullmatch(r"[0-9*#]{1,4}", text) is None:
        raise Wrong(Reason("must be one to four of the keys 0-9, * and #"))
    return text


def _key(text: str) -> str:
    if re.fullmatch(r"[0-9*#]", text) is None:
        raise Wrong(Reason("must be one of the keys 0-9, * and #"))
    return text


def _extension(text: str) -> str:
    if re.fullmatch(r"[0-9*#]{0,10}", text) is None:
        raise Wrong(Reason("must be digits, * and # only, or empty"))
    return text


class ConferenceSettings(Section):
    """The third person in a call."""

    database: CompanyDatabaseUrl | None = Field(
        default=None,
        title="Database",
        description="Where the company's table of short codes is: mysql://, mariadb://, postgresql:// or sqlite:////path; "
        "only read. Empty: only the codes kept in Perezvon (perezvon ivr import).",
        examples=["mysql://reader:secret@127.0.0.1/pbx"],
    )
    query: Annotated[str, AfterValidator(_query)] = Field(
        default=QUERY,
        title="Statement",
        description="One SELECT that gives the number for a code, in its first column. ? (or :code) stands for the code; "
        "it is bound, never pasted.",
        examples=["SELECT phone FROM people WHERE short = :code"],
    )
    patience: float = Field(
        default=1.5,
        ge=0.2,
        le=3,
        title="Patience with the database",
        description="How long a manager may wait for the number. After it the code is asked for again.",
        examples=[1.5],
        json_schema_extra=SECONDS,
    )
    key: Annotated[str, AfterValidator(_keys)] = Field(
        default="*3",
        title="Key that begins",
        description="What the manager presses in a call with a client to ask for a third person, and again "
        "for the next one.",
        examples=["*3"],
    )
    join_key: Annotated[str, AfterValidator(_key)] = Field(
        default="#",
        title="Key that joins",
        description="Ends the private talk and brings the client in. The same key ends a code.",
        examples=["#"],
    )
    drop_key: Annotated[str, AfterValidator(_key)] = Field(
        default="*",
        title="Key that drops",
        description="Lets the third person go, ringing or talking, and returns to the client.",
        examples=["*"],
    )
    extension: Annotated[str, AfterValidator(_extension)] = Field(
        default="900",
        title="Extension",
        description="Where a manager may transfer the client to, instead of pressing keys. Empty: there is none.",
        examples=["900"],
    )
    code_length: int = Field(
        default=8, ge=1, le=20, title="Length of a code", description="Digits of a code at most.", examples=[4]
    )
    first_digit: float = Field(
        default=5.0,
        ge=1,
        le=30,
        title="Time for the first digit",
        description="How long to wait for the code before the manager returns to the client.",
        examples=[5],
        json_schema_extra=SECONDS,
    )
    next_digit: float = Field(
        default=4.0,
        ge=1,
        le=30,
        title="Time between digits",
        description="How long to wait for the next digit before the code is taken as it is.",
        examples=[4],
        json_schema_extra=SECONDS,
    )
    tries: int = Field(
        default=3,
        ge=1,
        le=10,
        title="Tries",
        description="How many codes may be tried (wrong, busy, no answer) before the manager returns to the client.",
        examples=[3],
    )
    ring: float = Field(
        default=20.0,
        ge=3,
        le=300,
        title="Ringing time",
        description="How long the third person is rung.",
        examples=[20],
        json_schema_extra=SECONDS,
    )
    when_manager_leaves: Literal["end", "stay"] = Field(
        default="end",
        title="When the manager hangs up",
        description="end: everybody is; stay: the client and the third person talk on.",
        examples=["stay"],
    )
    record_private: bool = Field(
        default=False,
        title="Record the private talk",
        description="Whether the manager's talk with the third person, which the client does not hear, is recorded too, in "
        "a file of its own.",
        examples=[True],
    )
    callerid_to_third: Literal["client", "line"] = Field(
        default="client",
        title="Number shown to the third person",
        description="client: the client's; line: the company's. Some carriers (Multifon) let only their own number "
        "through.",
        examples=["line"],
    )
    language: Literal["ru", "en"] = Field(
        default="ru",
        title="Language of our own prompts",
        description="Of the words that ask for a code and tell that it leads nowhere.",
        examples=["ru"],
    )

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        if self.join_key == self.drop_key:
            raise Wrong(Reason("the keys that join and that drop must differ"), ("drop_key",))
        if len(self.key) == 1 and self.key in (self.join_key, self.drop_key):
            raise Wrong(Reason("the key that begins must be another one than those that join and drop"), ("key",))
        return self
