"""The installation that a command works with: its data directory, database, key file and settings."""

from __future__ import annotations

import getpass
import os
import pwd
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from perezvon.cli.exits import Exit, Refusal
from perezvon.settings.place import database_place
from perezvon.settings.secrets import KEY_FILE, SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage.database import Database


@dataclass(frozen=True, slots=True)
class Installation:
    data_dir: Path
    box: SecretBox
    database: Database
    store: SettingsStore


@asynccontextmanager
async def opened(data_dir: Path, *, make: bool = False, as_owner: bool = False) -> AsyncGenerator[Installation]:
    """Beside a running service, or without one. `make`: a directory that is not there is made. `as_owner`: see
    `become_owner`. Raises Refusal, CannotOpen, SettingsError.
    """
    if not make and not (data_dir / KEY_FILE).exists():
        raise Refusal(f"{data_dir} holds no settings of Perezvon: name its directory with --data-dir", Exit.USAGE)
    if as_owner:
        become_owner(data_dir)
    try:
        box = SecretBox.open(data_dir)
    except PermissionError as error:
        why = f"{error.filename}: {error.strerror}: run this as the user that runs Perezvon, or as root"
        raise Refusal(why, Exit.USAGE) from None
    try:
        async with await Database.open(database_place(data_dir, box), own=False) as database:
            yield Installation(data_dir, box, database, SettingsStore(database, box))
    finally:
        _hand_over(data_dir)


def become_owner(data_dir: Path) -> None:
    """root becomes the user to whom the directory belongs, for good: what root may read says nothing about what the service
    may. For other users: nothing."""
    if os.geteuid() != 0 or not data_dir.exists():
        return
    owner = data_dir.stat()
    if owner.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:
        os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def _hand_over(data_dir: Path) -> None:
    """What root made here belongs to the directory's owner, or the service could not use it."""
    if os.geteuid() != 0:
        return
    owner = data_dir.stat()
    for file in data_dir.iterdir():
        if file.is_file() and not file.is_symlink() and file.stat().st_uid == 0 != owner.st_uid:
            os.chown(file, owner.st_uid, owner.st_gid)


def who() -> str:
    """Whose name the history gets."""
    return os.environ.get("SUDO_USER") or getpass.getuser()
