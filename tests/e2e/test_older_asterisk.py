"""The main job on the oldest Asterisk that is supported: 16, as in Debian 11."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.errors import NotOnMirror
from perezvon.sandbox.pbx.rootfs import find_or_build
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.stand import Stand, stand
from perezvon.sandbox.stories import STORIES, Story, differences

pytestmark = pytest.mark.asterisk


@pytest.fixture(scope="module")
async def office(portal: PortalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """Both Asterisks are 16 here, and know nothing of the session's."""
    try:
        await find_or_build(release=16)
    except NotOnMirror as gone:
        pytest.skip(str(gone))
    async with (
        await PbxSandbox.start(tmp_path_factory.mktemp("pbx16"), release=16, verbose=3) as pbx,
        stand(pbx, portal, tmp_path_factory.mktemp("perezvon16")) as whole,
    ):
        assert pbx.installation.version.startswith("16.")
        yield whole


@pytest.mark.parametrize("story", STORIES, ids=[story.title for story in STORIES])
async def test_story(office: Stand, story: Story) -> None:
    spoken = await story.speak(office)
    call = await office.call_of(spoken.client, recorded=spoken.recorded)
    assert differences(spoken, call) == []
