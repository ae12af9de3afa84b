"""Tables, migrations, sessions, ownership.

`Database` has the two doors; each table's functions are a module of their own (`calls`, `journal`, `lanes`, `recordings`,
`clicks`, `orders`, `missed`, `employees`, `tokens`, `settings`, `counters`, `progress`, `installation`, `menus`, `answers`,
`people`, `visits`, `audit`, `setup`) and take the connection, so that several of them make one transaction.
"""

from perezvon.storage.database import Database
from perezvon.storage.errors import (
    AlreadyOwned,
    CannotOpen,
    Closed,
    DatabaseGone,
    DiskFull,
    Locked,
    NeedsUpgrade,
    NewerThanCode,
    OwnershipLost,
    StorageError,
    Unavailable,
)

__all__ = [
    "AlreadyOwned",
    "CannotOpen",
    "Closed",
    "Database",
    "DatabaseGone",
    "DiskFull",
    "Locked",
    "NeedsUpgrade",
    "NewerThanCode",
    "OwnershipLost",
    "StorageError",
    "Unavailable",
]
