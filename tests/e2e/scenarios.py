"""All scenarios of the matrix, in the order of the tables in docs/scenarios.md."""

from __future__ import annotations

import scenarios_moved
import scenarios_placed
import scenarios_queued
import scenarios_reached

GROUPS = {
    "For one of several": scenarios_queued.SCENARIOS,
    "For one": scenarios_reached.SCENARIOS,
    "Changing hands": scenarios_moved.SCENARIOS,
    "Who calls, and how often": scenarios_placed.SCENARIOS,
}
SCENARIOS = tuple(scenario for group in GROUPS.values() for scenario in group)
