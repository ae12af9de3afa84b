"""The main job: calls spoken on a real Asterisk come out right in the portal."""

from __future__ import annotations

import pytest

from perezvon.sandbox.stand import Stand
from perezvon.sandbox.stories import STORIES, Story, differences

pytestmark = pytest.mark.asterisk


@pytest.mark.parametrize("story", STORIES, ids=[story.title for story in STORIES])
async def test_story(office: Stand, story: Story) -> None:
    spoken = await story.speak(office)
    call = await office.call_of(spoken.client, recorded=spoken.recorded)
    assert differences(spoken, call) == []
