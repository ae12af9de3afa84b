from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_ami import ScriptedPbx


@pytest.fixture
async def peer() -> AsyncIterator[ScriptedPbx]:
    async with ScriptedPbx() as server:
        yield server
