"""The databases of the tests: `place` is one of each kind that nobody has written to, as `Database.open` takes it.

PostgreSQL is a private server for the test run, with a socket folder and a loopback port of its own. It runs as another user
when the tests run as root, which PostgreSQL refuses, and keeps nothing safe (fsync off).
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from perezvon.storage import Database

_numbers = count(1)


@dataclass
class PostgresServer:
    folder: Path
    programs: Path
    port: int
    user: str | None
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://perezvon@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = [f"-D{self.folder}/data", f"-k{self.folder}", f"-p{self.port}", "-h127.0.0.1"]
        options += ["-cfsync=off", "-cfull_page_writes=off", "-cmax_connections=60", "-cshared_buffers=32MB"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", *options], stdout=log, stderr=log, cwd=self.folder, **self.identity()
            )
        deadline = time.monotonic() + 30
        while True:
            ready = subprocess.run(
                [self.programs / "pg_isready", "-q", "-h127.0.0.1", f"-p{self.port}"], check=False, timeout=10
            )
            if ready.returncode == 0:
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def run(self, program: str, *arguments: str) -> None:
        connection = ["-h127.0.0.1", f"-p{self.port}", "-Uperezvon"]
        subprocess.run([self.programs / program, *connection, *arguments], check=True, timeout=30, cwd=self.folder)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: the fast shutdown, connections are cut. SIGQUIT: as if it had been killed, but with its children."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None

    def identity(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = make_server()
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database; removed afterwards, whoever is still connected."""
    name = f"test_{next(_numbers)}"
    postgres_server.run("createdb", name)
    yield postgres_server.url(name)
    postgres_server.run("dropdb", "--force", name)


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: PostgresServer) -> str:
    """The name of a database that has the present tables, and that nobody has owned yet."""
    name = "with_tables"
    postgres_server.run("createdb", name)
    asyncio.run(_make_tables(postgres_server.url(name)))
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """On PostgreSQL the tables are there already, copied: to make them takes longer than most tests do."""
    if request.param == "sqlite":
        yield str(tmp_path / "data")
        return
    server = request.getfixturevalue("postgres_server")
    name = f"test_{next(_numbers)}"
    server.run("createdb", f"--template={request.getfixturevalue('postgres_with_tables')}", name)
    yield server.url(name)
    server.run("dropdb", "--force", name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Without tables."""
    return str(request.getfixturevalue("postgres_url") if request.param == "postgresql" else tmp_path / "data")


async def _make_tables(place: str) -> None:
    async with await Database.open(place, own=False):
        pass


def make_server() -> PostgresServer:
    folder = Path(tempfile.mkdtemp(prefix="perezvon-postgres-"))
    user = None
    if os.getuid() == 0:
        user = next(name for name in ("postgres", "nobody") if _exists(name))
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = PostgresServer(folder, programs(), port, user)
    made = subprocess.run(
        [server.programs / "initdb", f"-D{folder}/data", "-Uperezvon", "-Atrust", "-EUTF8", "--locale=C", "--no-sync"],
        capture_output=True,
        check=False,
        cwd=folder,
        timeout=60,
        **server.identity(),
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr.decode()}")
    return server


def programs() -> Path:
    """The newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if (on_path := shutil.which("initdb")) is not None:
        return Path(on_path).resolve().parent
    raise RuntimeError("no PostgreSQL server on this machine: install the package postgresql")


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
