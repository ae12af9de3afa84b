"""The port through which pages see the running calls and do something about calls and deliveries. Light: imported before
the server of the pages is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from perezvon.web.live import Board, Watcher


class Switchroom(Protocol):
    """Implemented by the service."""

    # ---- the running calls

    def board(self) -> Board: ...

    def watchers(self, who: str) -> tuple[int, int]:
        """How many streams go to him, and to all."""
        ...

    def watcher(self, who: str) -> AbstractContextManager[Watcher]: ...
