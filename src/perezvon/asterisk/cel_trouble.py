"""What goes wrong with a channel event log in a database, told with what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from perezvon.asterisk.cel import CelUnreadable
from perezvon.asterisk.cel_source import CelAddress
from perezvon.company import trouble as company
from perezvon.company.trouble import DatabaseTrouble, Fault
from perezvon.rules.vocabulary import Reason

_FIXES: Mapping[Fault, Reason] = {
    Fault.NO_DATABASE: Reason("correct the setting cel (FreePBX: asteriskcdrdb); an SQLite file must be readable by us"),
    Fault.NO_TABLE: Reason(
        "name the table in the setting cel (…?table=NAME), or let Asterisk write it: cel_odbc.conf, cel_pgsql.conf"
    ),
    Fault.TOO_SLOW: Reason(
        "look at the network and the load of the database; a growing number in a column id makes it quick"
    ),
}


class CelDatabaseTrouble(CelUnreadable):
    """`seen`: what was wrong. `fix`: what to do."""

    def __init__(self, seen: Reason, fix: Reason) -> None:
        super().__init__(f"{seen}: {fix}")
        self.seen = seen
        self.fix = fix


def trouble(error: BaseException, address: CelAddress) -> CelDatabaseTrouble:
    found: DatabaseTrouble = company.trouble(
        error, {"place": address.name, "setting": "cel", "query": "cel", "table": address.table}, _FIXES
    )
    return CelDatabaseTrouble(found.seen, found.fix)
