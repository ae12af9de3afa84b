"""All stories, by name."""

from __future__ import annotations

import stories_conference
import stories_incoming
import stories_moved
import stories_offices
import stories_placed
import stories_rig
from call_story import STORIES, Story

ROOMS = (stories_conference, stories_incoming, stories_moved, stories_placed, stories_offices, stories_rig)
"""Where the stories are told; importing a room tells them."""

TOLD: dict[str, Story] = STORIES.told
