"""Picks loopback addresses that nobody uses, so that a demo and several test runs may live side by side.

A group is 127.N.0.0/24 and belongs to whoever holds the lock of its run folder (`perezvon-UID-127.N` in the system's folder
for temporary files), which also takes the control sockets of both Asterisks: their paths must be short. The lock goes with
the process that holds it, whatever way it ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perezvon.sandbox.pbx.errors import NoFreeAddress

GROUPS = range(64, 192)
SIP_PORT = 5070
AMI_PORT = 5048
AMI_TLS_PORT = 5049
HTTP_PORT = 8098
AGI_PORT = 4573
"""Not the usual ones: a PBX that serves this machine may listen there on all addresses."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who lives where. `run` is a short path for sockets and process ids."""

    group: int
    run: Path

    @property
    def office(self) -> str:
        return f"127.{self.group}.0.1"

    @property
    def carrier(self) -> str:
        return f"127.{self.group}.0.2"

    @property
    def connector(self) -> str:
        return f"127.{self.group}.0.3"

    @property
    def service(self) -> str:
        """Where the office asks Perezvon (FastAGI)."""
        return f"127.{self.group}.0.4"

    @property
    def office_sip(self) -> str:
        """Host and port, as in a SIP URI."""
        return f"{self.office}:{SIP_PORT}"

    def desk(self, extension: str) -> str:
        return f"127.{self.group}.0.{extension}"

    def desks(self, extensions: Mapping[str, str]) -> dict[str, str]:
        return {extension: self.desk(extension) for extension in extensions}


@contextmanager
def free_addresses(groups: range = GROUPS) -> Generator[Addresses]:
    """A group of addresses that is ours while inside. Raises NoFreeAddress."""
    for group in groups:
        run = Path(tempfile.gettempdir()) / f"perezvon-{os.geteuid()}-127.{group}"
        run.mkdir(mode=0o700, exist_ok=True)
        owner = run.lstat()
        if owner.st_uid != os.geteuid() or not stat.S_ISDIR(owner.st_mode):
            continue
        with (run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            addresses = Addresses(group, run)
            if not _unused(addresses):
                continue
            try:
                yield addresses
            finally:
                for left in run.iterdir():
                    if left.name != "lock":
                        shutil.rmtree(left) if left.is_dir() else left.unlink()
            return
    raise NoFreeAddress(
        f"the addresses 127.{groups.start}.0.1 to 127.{groups.stop - 1}.0.1 are all in use or cannot be bound: "
        "stop another sandbox"
    )


def _unused(addresses: Addresses) -> bool:
    sip = [(host, SIP_PORT, socket.SOCK_DGRAM) for host in (addresses.office, addresses.carrier, addresses.connector)]
    ami = [(host, AMI_PORT, socket.SOCK_STREAM) for host in (addresses.office, addresses.carrier)]
    others = [(addresses.office, port, socket.SOCK_STREAM) for port in (AMI_TLS_PORT, HTTP_PORT)]
    return all(_can_bind(*probe) for probe in (*sip, *ami, *others))


def _can_bind(host: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
