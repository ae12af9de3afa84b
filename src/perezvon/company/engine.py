"""Connections to a database of the company that cannot write and give up in time.

Drivers: asyncmy (aiomysql where that is not installed), asyncpg, aiosqlite. None of them bounds everything by itself (a
server that takes the connection and says nothing, a graceful good-bye to it): whoever asks bounds that (database.py).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import structlog
from sqlalchemy import URL, event
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from perezvon.company.address import DatabaseAddress
from perezvon.company.trouble import no_driver

_DRIVERS = {
    "mysql": ("mysql+asyncmy", "mysql+aiomysql"),
    "mariadb": ("mariadb+asyncmy", "mariadb+aiomysql"),
    "postgresql": ("postgresql+asyncpg",),
    "sqlite": ("sqlite+aiosqlite",),
}

log = structlog.get_logger(__name__)


def read_only_engine(
    address: DatabaseAddress, *, connect: float, statement: float, autocommit: bool = False
) -> AsyncEngine:
    """Makes a connection each time it is asked for one; nothing is touched yet.

    `connect`: seconds. `statement`: seconds after which the server itself ends a statement, where it can (MariaDB 10.1,
    MySQL 5.7.8, PostgreSQL): what nobody waits for any more does not go on there. `autocommit`: each statement for
    itself, without BEGIN and ROLLBACK around. Raises DatabaseTrouble when there is no driver.
    """
    options: dict[str, Any] = {}
    query: dict[str, str] = {}
    database = address.database
    milliseconds = max(1, round(statement * 1000))
    match address.kind:
        case "sqlite":
            database, query = f"file:{quote(address.database)}?mode=ro", {"uri": "true"}
            options = {"timeout": min(5.0, statement)}
        case "postgresql":
            server = {
                "application_name": "perezvon",
                "default_transaction_read_only": "on",
                "statement_timeout": str(milliseconds),
            }
            options = {"timeout": connect, "command_timeout": statement, "server_settings": server}
        case _:
            query = {"charset": "utf8mb4"}
            options = {"connect_timeout": max(1, round(connect)), "init_command": "SET SESSION TRANSACTION READ ONLY"}
    level: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
    for driver in _DRIVERS[address.kind]:
        url = URL.create(
            driver,
            username=address.user or None,
            password=address.password or None,
            host=address.host or None,
            port=address.port or None,
            database=database,
            query=query,
        )
        try:
            engine = create_async_engine(url, connect_args=options, poolclass=NullPool, **level)
        except (NoSuchModuleError, ModuleNotFoundError):
            continue
        if address.kind == "sqlite":
            event.listen(engine.sync_engine, "connect", _read_any_text)
        elif address.kind != "postgresql":
            event.listen(engine.sync_engine, "connect", _bounded_by_the_server(milliseconds))
        return engine
    raise no_driver(address.kind)


def _bounded_by_the_server(milliseconds: int) -> Any:
    # Each server takes what is meant for it and reads the rest as a comment.
    statement = (
        "SET @perezvon = 1"
        f" /*M!100101 , SESSION max_statement_time = {milliseconds / 1000:.3f} */"
        f" /*!50708 , SESSION max_execution_time = {milliseconds} */"
    )

    def bound(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(statement)
        except connection.dbapi.Error as error:  # a server of another make: our own bounds stand
            log.info("company database: the server bounds no statements", error=str(error))
        finally:
            cursor.close()

    return bound


def _read_any_text(connection: Any, _record: Any) -> None:
    connection.driver_connection.text_factory = decoded


def decoded(raw: bytes) -> str:
    """Text of a table: UTF-8, otherwise the Windows encoding of Russian."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1251", "replace")
