"""`INSERT … ON CONFLICT`, which SQLAlchemy has once for each database."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def insert(conn: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """The two classes have the same methods for what is used here (`on_conflict_do_nothing`, `on_conflict_do_update`)."""
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)
