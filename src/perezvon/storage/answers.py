"""The last answers of the company's databases, so that a restart while one is dead still knows them.

`question` is a digest of where and what was asked (at most 64 characters): another database or statement has other answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import insert
from perezvon.storage.schema import company_answer

LONGEST = 100
"""Characters of a value."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """`body`: whatever its owner wrote. `at`: POSIX seconds, UTC."""

    value: str
    body: str
    at: float


async def remember(conn: AsyncConnection, question: str, value: str, body: str, now: float) -> None:
    statement = insert(conn, company_answer).values(question=question, value=value, body=body, at=now)
    new = {"body": statement.excluded.body, "at": statement.excluded.at}
    await conn.execute(statement.on_conflict_do_update(index_elements=["question", "value"], set_=new))


async def forget(conn: AsyncConnection, question: str, value: str) -> None:
    """The database has no answer any more."""
    where = (company_answer.c.question == question, company_answer.c.value == value)
    await conn.execute(company_answer.delete().where(*where))


async def forget_other_questions(conn: AsyncConnection, like: str, question: str) -> None:
    """Those that begin with `like` and are not `question`: the settings have changed."""
    where = (company_answer.c.question.startswith(like, autoescape=True), company_answer.c.question != question)
    await conn.execute(company_answer.delete().where(*where))


async def recall(conn: AsyncConnection, question: str, value: str) -> KeptAnswer | None:
    where = (company_answer.c.question == question, company_answer.c.value == value)
    row = (await conn.execute(select(company_answer).where(*where))).one_or_none()
    return None if row is None else KeptAnswer(row.value, row.body, row.at)


async def forget_before(conn: AsyncConnection, like: str, at: float) -> None:
    """Those of questions that begin with `like` which were told before a moment."""
    where = (company_answer.c.question.startswith(like, autoescape=True), company_answer.c.at < at)
    await conn.execute(company_answer.delete().where(*where))


async def recall_all(conn: AsyncConnection, question: str) -> list[KeptAnswer]:
    query = select(company_answer).where(company_answer.c.question == question).order_by(company_answer.c.value)
    return [KeptAnswer(row.value, row.body, row.at) for row in await conn.execute(query)]
