"""Where Perezvon's own database is. That cannot be kept in the database itself: it stands in `DIR/database.url`, sealed or
as a reference; without that file the database is the SQLite file of the data directory.
"""

from __future__ import annotations

import os
from pathlib import Path

from perezvon.settings.secrets import SecretBox
from perezvon.settings.urls import OwnDatabaseUrl

POINTER = "database.url"


def database_url(data_dir: Path, box: SecretBox) -> OwnDatabaseUrl | None:
    """None: the data directory itself. Raises KeyLost."""
    try:
        stored = (data_dir / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return OwnDatabaseUrl(box.unsealed_text(stored))


def database_place(data_dir: Path, box: SecretBox) -> str | Path:
    """What `storage.Database.open` takes. Raises KeyLost, SecretMissing."""
    url = database_url(data_dir, box)
    return data_dir if url is None else url.reveal()


def keep_database_url(data_dir: Path, box: SecretBox, url: OwnDatabaseUrl | None) -> None:
    """From the next start on."""
    pointer = data_dir / POINTER
    if url is None:
        pointer.unlink(missing_ok=True)
        return
    fresh = pointer.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(box.sealed_secret(url) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(pointer)
