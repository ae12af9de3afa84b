"""The one-time link for the first administrator. Light: made before the pages' server is loaded."""

from __future__ import annotations

import hashlib
import secrets

from perezvon.storage import people
from perezvon.storage.database import Database

LASTS = 86400.0
"""Seconds for which a one-time link is good."""


async def first_link(database: Database, now: float) -> str | None:
    """What it holds, in the place of an earlier one; None when somebody has been added already."""
    async with database.read() as conn:
        if await people.any_at_all(conn):
            return None
    link = secrets.token_urlsafe(24)
    await database.write(lambda conn: people.invite(conn, digest(link), None, now + LASTS))
    return link


def digest(secret: str) -> str:
    """For secrets of our own making: they are too random to be guessed, so that a plain hash does."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
