"""Checks of the integrator's own functions: whether their files load, in a process like the service's own; who may write
them. No function is asked."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from perezvon.customisation import Customiser
from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings.model import Settings


async def examine_customisation(settings: Settings, data_dir: Path) -> list[Check]:
    """Empty where nothing is customised."""
    folder = settings.customisation.place(data_dir)
    customiser = Customiser(folder, settings.customisation.limits())
    try:
        await customiser.open()
        status = customiser.status()
    finally:
        await customiser.close()
    checks = [Check("customisation.files", "customisation", State.WARNING, seen, fix) for seen, fix in status.troubles]
    if status.points:
        told = {"points": ", ".join(point.name for point in status.points if point.on) or "—", "folder": str(folder)}
        seen = Reason("customisation: {points} are asked, from {folder}", told)
        checks.append(Check("customisation.points", "customisation", State.OK, seen))
    if await asyncio.to_thread(_open_to_all, folder):
        seen = Reason(
            "anybody on this machine may write into {folder}, and so run programs as our user", {"folder": str(folder)}
        )
        fix = Reason("take that right away: chmod o-w {folder}", {"folder": str(folder)})
        checks.append(Check("customisation.rights", "customisation", State.PROBLEM, seen, fix))
    return checks


def _open_to_all(folder: Path) -> bool:
    try:
        places = [folder, *folder.glob("*.py")]
        return any(os.stat(place).st_mode & stat.S_IWOTH for place in places)  # noqa: PTH116  links are followed
    except OSError:
        return False
