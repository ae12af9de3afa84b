"""The sandbox's real Asterisks, started once for a whole test session.

`pbx` gives a test the sandbox as it is after the start: nobody is in a call, everybody behaves as by default.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perezvon.sandbox.pbx import PbxSandbox


@pytest.fixture(scope="session")
async def pbx_session(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PbxSandbox]:
    async with await PbxSandbox.start(tmp_path_factory.mktemp("pbx"), verbose=3) as sandbox:
        yield sandbox


@pytest.fixture
async def pbx(pbx_session: PbxSandbox, request: pytest.FixtureRequest) -> AsyncIterator[PbxSandbox]:
    if request.node.get_closest_marker("asterisk") is None:
        pytest.fail("a test that uses `pbx` needs the marker `asterisk`")
    yield pbx_session
    await pbx_session.world.reset()
