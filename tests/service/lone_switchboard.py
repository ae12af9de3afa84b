"""A switchboard with nothing around it but its database and the folder of the recordings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perezvon.calls import Numbering, Tracker
from perezvon.recordings import Folder
from perezvon.service.absence import Absence
from perezvon.service.clickbook import ClickBook
from perezvon.service.policies import PortalRules
from perezvon.service.switchboard import Switchboard
from perezvon.storage import Database


def lone_switchboard(
    database: Database,
    folder: Path,
    rules: PortalRules | None = None,
    log: Any = None,
    clock: Callable[[], float] = time.time,
) -> Switchboard:
    """Of the PBX `main`. `log`: its channel event log."""
    return Switchboard(
        "main",
        Tracker("main", Numbering()),
        database,
        lambda: rules,
        ClickBook(),
        lambda _: None,
        lambda: None,
        Absence("main", log, Folder(folder), database),
        clock=clock,
    )
