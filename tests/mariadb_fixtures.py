"""A private MariaDB server for the test run, as PBXs have one: `mariadb_url` is an empty database, of a user who may do all.

With a loopback port of its own. It runs as another user when the tests run as root, and keeps nothing safe.
"""

from __future__ import annotations

import os
import pwd
import shutil
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

_numbers = count(1)
MAY_DO_ALL = """CREATE USER tests@'127.0.0.1' IDENTIFIED BY 'hunter2';
GRANT ALL ON *.* TO tests@'127.0.0.1' WITH GRANT OPTION;
"""


@dataclass
class MariadbServer:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        return f"mysql+asyncmy://tests:hunter2@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    folder = Path(tempfile.mkdtemp(prefix="perezvon-mariadb-"))
    server: MariadbServer | None = None
    try:
        server = _start(folder)
        yield server
    finally:
        if server is not None:
            server.process.terminate()
            server.process.wait(timeout=30)
        shutil.rmtree(folder)


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> str:
    name = f"test_{next(_numbers)}"
    (mariadb_server.folder / "data" / name).mkdir()  # that is all that makes a database
    shutil.chown(mariadb_server.folder / "data" / name, (mariadb_server.folder / "data").stat().st_uid)
    return mariadb_server.url(name)


def _start(folder: Path) -> MariadbServer:
    identity: dict[str, Any] = {}
    if os.getuid() == 0:
        account = pwd.getpwnam("nobody")
        shutil.chown(folder, account.pw_uid, account.pw_gid)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    common = ["--no-defaults", f"--datadir={folder}/data", f"--tmpdir={folder}"]
    made = subprocess.run(
        [_program("mariadb-install-db"), *common, "--skip-test-db", "--auth-root-authentication-method=normal"],
        capture_output=True,
        check=False,
        cwd=folder,
        timeout=120,
        **identity,
    )
    if made.returncode:
        raise RuntimeError(f"mariadb-install-db failed: {made.stderr.decode()}{made.stdout.decode()}")
    (folder / "user.sql").write_text(MAY_DO_ALL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
    options += [f"--init-file={folder}/user.sql", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]
    options += ["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--skip-log-bin"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [_program("mariadbd"), *common, *options], stdout=log, stderr=log, cwd=folder, **identity
        )
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0 and b"ready for connections" in (folder / "log").read_bytes():
                return MariadbServer(folder, port, process)
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"MariaDB did not start:\n{(folder / 'log').read_text()}")
        time.sleep(0.05)


def _program(name: str) -> Path:
    for folder in (*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/usr/bin"):
        if folder and (Path(folder) / name).is_file():
            return Path(folder) / name
    raise RuntimeError(f"no {name} on this machine: install the packages mariadb-server-core and mariadb-client-core")
