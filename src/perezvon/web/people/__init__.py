"""Who may sign in: people, their sessions, tokens and one-time links; each change is noted in the audit log with it.

Between the pages and commands above and the tables below. What it raises is `PeopleError`, with what to tell.
"""

from __future__ import annotations

from perezvon.web.people.entrance import IDLE, LASTING, TOKEN, CodeWanted, Entrance, SignedIn
from perezvon.web.people.own import Own
from perezvon.web.people.roll import TICKET_LASTS, Actor, PeopleError, TooManyTries, tidy
from perezvon.web.people.staff import Staff

__all__ = [
    "IDLE",
    "LASTING",
    "TICKET_LASTS",
    "TOKEN",
    "Actor",
    "CodeWanted",
    "People",
    "PeopleError",
    "SignedIn",
    "TooManyTries",
    "tidy",
]


class People(Entrance, Staff, Own):
    """All that can be done with the roll."""
