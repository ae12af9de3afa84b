"""A copy of what a portal keeps, to bring it back to an earlier moment: calls, CRM, people, handlers, issued access tokens.

What happened since is unknown to it then, as after a restoration by its hoster. The authorization server is another
machine: refresh tokens stay good. What the sandbox has noted for tests (journal, faults) stays too.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from perezvon.sandbox.portal.state import PortalState

_KEPT = ("calls", "lines", "statistics", "missed", "_families", "_last_line", "_last_transcript", "on_screen")
_CRM = ("_objects", "_last_id", "_last_value_id", "_by_phone")


@dataclass(frozen=True, slots=True)
class Backup:
    kept: dict[str, Any]

    @classmethod
    def of(cls, portal: PortalState) -> Backup:
        found = {
            "book": {name: getattr(portal.book, name) for name in _KEPT},
            "crm": {name: getattr(portal.crm, name) for name in _CRM},
            "people": {"users": portal.people.users, "departments": portal.people.departments},
            "events": {"bindings": portal.events.bindings, "rows": portal.events.rows},
            "authority": {"access": portal.authority.access},
        }
        return cls(copy.deepcopy(found))

    def restore(self, portal: PortalState) -> None:
        """May be done more than once."""
        back = copy.deepcopy(self.kept)
        rooms = {
            "book": portal.book,
            "crm": portal.crm,
            "people": portal.people,
            "events": portal.events,
            "authority": portal.authority,
        }
        for room, values in back.items():
            for name, value in values.items():
                setattr(rooms[room], name, value)
        portal.publish("fault", fault="restored from a backup")
