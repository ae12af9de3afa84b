"""What goes wrong with a database of the company, told with what to do about it. Pure.

Sources of the codes: MariaDB's "Error Codes", PostgreSQL's "Error Codes" (SQLSTATE); SQLite's messages, by their beginning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from perezvon.rules.vocabulary import Reason


class Fault(StrEnum):
    REFUSED = "refused"
    NO_RIGHT = "no_right"
    NO_DATABASE = "no_database"
    NO_TABLE = "no_table"
    NO_COLUMN = "no_column"
    BAD_SQL = "bad_sql"
    TOO_SLOW = "too_slow"
    UNREACHABLE = "unreachable"
    NO_DRIVER = "no_driver"
    OTHER = "other"


CODES: Mapping[Fault, frozenset[object]] = {
    Fault.REFUSED: frozenset({1044, 1045, 1698, "28P01", "28000"}),
    Fault.NO_RIGHT: frozenset({1142, 1143, 1370, "42501"}),
    Fault.NO_DATABASE: frozenset({1049, "3D000", "unable to open database file", "file is not a database"}),
    Fault.NO_TABLE: frozenset({1146, "42P01", "3F000", "no such table"}),
    Fault.NO_COLUMN: frozenset({1054, "42703", "no such column"}),
    Fault.BAD_SQL: frozenset({1064, 1792, "42601", "42883", "25006", "near"}),
    Fault.TOO_SLOW: frozenset({1205, 1969, 3024, "57014", "database is locked", "interrupted"}),
    Fault.UNREACHABLE: frozenset({1040, 1203, 2002, 2003, 2005, 2006, 2013, "57P01", "57P02", "57P03", "53300", 4031}),
}

SEEN: Mapping[Fault, Reason] = {
    Fault.REFUSED: Reason("{place}: the database refuses the user or the password"),
    Fault.NO_RIGHT: Reason("{place}: the user may not read the table"),
    Fault.NO_DATABASE: Reason("{place}: there is no such database"),
    Fault.NO_TABLE: Reason("{place}: there is no such table: {table}"),
    Fault.NO_COLUMN: Reason("{place}: there is no such column: {why}"),
    Fault.BAD_SQL: Reason("{place}: the database does not accept the statement: {why}"),
    Fault.TOO_SLOW: Reason("{place}: no answer in time"),
    Fault.UNREACHABLE: Reason("{place}: the database server cannot be reached"),
    Fault.NO_DRIVER: Reason("the driver for {kind} is not installed"),
    Fault.OTHER: Reason("{place}: cannot be read: {why}"),
}

_GRANT = Reason("check the user and the password in the setting {setting}; the user needs: GRANT SELECT ON {table}")

FIXES: Mapping[Fault, Reason] = {
    Fault.REFUSED: _GRANT,
    Fault.NO_RIGHT: _GRANT,
    Fault.NO_DATABASE: Reason("correct the setting {setting}; an SQLite file must be readable by us"),
    Fault.NO_TABLE: Reason("make the table, or write the statement of your own tables into the setting {query}"),
    Fault.NO_COLUMN: Reason("correct the setting {query}"),
    Fault.BAD_SQL: Reason("correct the setting {query}: one SELECT in the words of this database"),
    Fault.TOO_SLOW: Reason(
        "look at the network and the load of the database; an index on what is asked for makes it quick"
    ),
    Fault.UNREACHABLE: Reason(
        "see that the database server runs and listens there (MariaDB: bind-address; PostgreSQL: listen_addresses, "
        "pg_hba.conf), and that no firewall is between"
    ),
    Fault.NO_DRIVER: Reason('pip install "perezvon[{extra}]"'),
    Fault.OTHER: Reason("see to what the message says"),
}

_DRIVERS = frozenset({"asyncpg", "asyncmy", "aiomysql", "pymysql", "sqlite3"})
"""Their own exceptions come raw while they connect."""


class DatabaseTrouble(Exception):
    """`seen`: what was wrong. `fix`: what to do."""

    def __init__(self, fault: Fault, seen: Reason, fix: Reason) -> None:
        super().__init__(f"{seen}: {fix}")
        self.fault = fault
        self.seen = seen
        self.fix = fix


def is_database_error(error: BaseException) -> bool:
    """Whether it comes from a database or the way to it; anything else is a defect of ours."""
    known = isinstance(error, (DatabaseTrouble, SQLAlchemyError, OSError, TimeoutError))
    return known or type(error).__module__.partition(".")[0] in _DRIVERS


def trouble(error: BaseException, told: Mapping[str, str], fixes: Mapping[Fault, Reason] | None = None) -> DatabaseTrouble:
    """In our words; what the driver says is told only where we have none, and has no password in it.

    `told` fills the places of the words: place, setting, query and table. `fixes` are for those who know better.
    """
    if isinstance(error, DatabaseTrouble):
        return error
    fault = fault_of(error)
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    args = {"table": "", "query": "", **told, "why": _first_line(cause)}
    fix = {**FIXES, **(fixes or {})}[fault]
    return DatabaseTrouble(fault, Reason(SEEN[fault].text, args), Reason(fix.text, args))


def no_driver(kind: str) -> DatabaseTrouble:
    args = {"kind": kind, "extra": "mysql" if kind in ("mysql", "mariadb") else kind}
    seen, fix = SEEN[Fault.NO_DRIVER], FIXES[Fault.NO_DRIVER]
    return DatabaseTrouble(Fault.NO_DRIVER, Reason(seen.text, args), Reason(fix.text, args))


def fault_of(error: BaseException) -> Fault:
    codes = codes_of(error)
    found = next((fault for fault, known in CODES.items() if codes & known), None)
    if found is not None:
        return found
    if any(isinstance(code, str) and re.fullmatch("08[0-9A-Z]{3}", code) for code in codes):  # PostgreSQL: connection lost
        return Fault.UNREACHABLE
    if isinstance(error, TimeoutError):
        return Fault.TOO_SLOW
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Fault.UNREACHABLE
    return Fault.UNREACHABLE if isinstance(error, OSError) else Fault.OTHER


def codes_of(error: BaseException) -> set[object]:
    """What the database said: a number of MariaDB or MySQL, PostgreSQL's SQLSTATE, the beginning of SQLite's words."""
    found: set[object] = set()
    cause: BaseException | None = error
    while cause is not None:
        for one in (cause, getattr(cause, "orig", None)):
            if (state := getattr(one, "sqlstate", None)) is not None:
                found.add(state)
            match getattr(one, "args", ()):
                case (int() as number, *_):
                    found.add(number)
                case (str() as words, *_):
                    found |= {words.partition(":")[0], "near" if words.startswith('near "') else ""}
                case _:
                    pass
        cause = cause.__cause__
    return found


def _first_line(error: BaseException) -> str:
    words = error.args[1] if len(error.args) > 1 and isinstance(error.args[0], int) else error
    return (str(words).splitlines() or [""])[0][:200]
