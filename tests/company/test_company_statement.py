"""The company's own SQL: where its one value goes, and what is refused."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite

from perezvon.company import Statement, Unfit


def written(sql: str, dialect: object = None, names: tuple[str, ...] = ("phone",)) -> str:
    return str(Statement.parse(sql, names).clause.compile(dialect=dialect or mysql.asyncmy.dialect()))


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("SELECT a FROM t WHERE p = ?", "SELECT a FROM t WHERE p = %s"),
        ("  select a from t where p=:phone ; ", "select a from t where p=%s"),
        ("SELECT a FROM t WHERE p = ? OR q = ?", "SELECT a FROM t WHERE p = %s OR q = %s"),
        ("SELECT '?', ':phone', \"a:b\", `c?` FROM t WHERE p = ?", "SELECT '?', ':phone', \"a:b\", `c?` FROM t WHERE p = %s"),
        ("SELECT 'it''s ?' FROM t -- why? :phone\nWHERE p = ?", "SELECT 'it''s ?' FROM t -- why? :phone\nWHERE p = %s"),
        ("/* ? */ SELECT a FROM t WHERE at > '12:30:00' AND p LIKE ?", "/* ? */ SELECT a FROM t WHERE at > '12:30:00' AND p LIKE %s"),
        ("SELECT a FROM t WHERE b LIKE '%x' AND p = ?", "SELECT a FROM t WHERE b LIKE '%%x' AND p = %s"),
        ("WITH x AS (SELECT 1) SELECT a FROM x WHERE p = ?", "WITH x AS (SELECT 1) SELECT a FROM x WHERE p = %s"),
        ("(SELECT a FROM t WHERE p = ?) UNION (SELECT b FROM u WHERE p = ?)",
         "(SELECT a FROM t WHERE p = %s) UNION (SELECT b FROM u WHERE p = %s)"),
        ("CALL menu_of(?)", "CALL menu_of(%s)"),
    ],
)  # fmt: skip
def test_the_place_of_the_value(sql: str, sent: str) -> None:
    assert written(sql) == sent


def test_other_databases() -> None:
    cast = "SELECT a::text FROM t WHERE body ? 'menu' AND p = :phone"
    assert written(cast, postgresql.asyncpg.dialect()) == "SELECT a::text FROM t WHERE body ? 'menu' AND p = $1"
    assert written("SELECT a FROM t WHERE p = ?", sqlite.aiosqlite.dialect()) == "SELECT a FROM t WHERE p = ?"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "must be one SELECT"),
        ("-- SELECT ?", "must be one SELECT"),
        ("UPDATE t SET a = ?", "must be one SELECT"),
        ("SELECT a FROM t WHERE p = ?; DELETE FROM t", "must be one statement"),
        ("SELECT a FROM t", "must have a"),
        ("SELECT a FROM t WHERE p = '?'", "must not stand in quotes"),
        ("SELECT a FROM t WHERE p = :number", "there is no :number; known are . and :phone"),
        ("SELECT a FROM t WHERE p = %s", "must have a"),
    ],
)
def test_what_is_refused(sql: str, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        Statement.parse(sql, ("phone",))
