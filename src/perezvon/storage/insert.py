"""`INSERT … ON CONFLICT`, which SQLAlchemy has once for each database."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Insert = postgresql.Insert | sqlite.Insert
"""The two classes have the same methods for what is used here (`on_conflict_do_nothing`, `on_conflict_do_update`)."""


def insert(conn: AsyncConnection, table: Table) -> Insert:
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)


def built_once(build: Callable[[Callable[[Table], Insert]], Executable]) -> Callable[[AsyncConnection], Executable]:
    """For a statement that is used for every call: building it anew costs more than running it."""
    statements = {"postgresql": build(postgresql.insert), "sqlite": build(sqlite.insert)}
    return lambda conn: statements[conn.dialect.name]
