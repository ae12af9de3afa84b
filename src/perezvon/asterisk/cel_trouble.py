"""What goes wrong with a channel event log in a database, told with what to do about it. Pure.

Sources of the codes: MariaDB's "Error Codes", PostgreSQL's "Error Codes" (SQLSTATE); SQLite's messages, by their beginning.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from perezvon.asterisk.cel import CelUnreadable
from perezvon.asterisk.cel_source import CelAddress
from perezvon.rules.vocabulary import Reason

REFUSED = frozenset({1044, 1045, 1698, "28P01", "28000"})
NO_DATABASE = frozenset({1049, "3D000", "unable to open database file", "file is not a database"})
NO_TABLE = frozenset({1146, "42P01", "3F000", "no such table"})
NO_RIGHT = frozenset({1142, 1143, "42501"})
NO_SERVER = frozenset({2002, 2003, 2005, 2006, 2013})
TOO_SLOW = frozenset({1969, 3024, "57014"})


class CelDatabaseTrouble(CelUnreadable):
    """`seen`: what was wrong. `fix`: what to do."""

    def __init__(self, seen: Reason, fix: Reason) -> None:
        super().__init__(f"{seen}: {fix}")
        self.seen = seen
        self.fix = fix


def trouble(error: BaseException, address: CelAddress) -> CelDatabaseTrouble:
    """In our words; what the driver says is told only where we have none, and has no password in it."""
    log, table = {"log": address.name}, {"table": address.table}
    codes = codes_of(error)
    grant = Reason("check the user and the password in the setting cel; the user needs: GRANT SELECT ON {table}", table)
    if codes & REFUSED:
        return CelDatabaseTrouble(Reason("{log}: the database refuses the user or the password", log), grant)
    if codes & NO_RIGHT:
        return CelDatabaseTrouble(Reason("{log}: the user may not read the table", log), grant)
    if codes & NO_DATABASE:
        fix = Reason("correct the setting cel (FreePBX: asteriskcdrdb); an SQLite file must be readable by us")
        return CelDatabaseTrouble(Reason("{log}: there is no such database", log), fix)
    if codes & NO_TABLE:
        fix = Reason(
            "name the table in the setting cel (…?table=NAME), or let Asterisk write it: cel_odbc.conf, cel_pgsql.conf"
        )
        return CelDatabaseTrouble(Reason("{log}: there is no such table", log), fix)
    if isinstance(error, TimeoutError) or codes & TOO_SLOW:
        fix = Reason("look at the network and the load of the database; a growing number in a column id makes it quick")
        return CelDatabaseTrouble(Reason("{log}: no answer in time", log), fix)
    if isinstance(error, OSError) or codes & NO_SERVER:
        fix = Reason(
            "see that the database server runs and listens there (MariaDB: bind-address; PostgreSQL: listen_addresses, "
            "pg_hba.conf), and that no firewall is between"
        )
        return CelDatabaseTrouble(Reason("{log}: the database server cannot be reached", log), fix)
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    why = (str(cause).splitlines() or [""])[0][:200]
    return CelDatabaseTrouble(
        Reason("{log}: cannot be read: {why}", {**log, "why": why}), Reason("see to what the message says")
    )


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
                    found.add(words.partition(":")[0])
                case _:
                    pass
        cause = cause.__cause__
    return found
