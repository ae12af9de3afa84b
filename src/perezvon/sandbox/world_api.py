"""The little HTTP API by which the portal's page drives the outside world: real calls into the office's Asterisk.

Whoever has a world serves it (the demo does); the page is told its address as `world_url` and shows its buttons only then.
JSON in, JSON out. The browser talks to the portal only, which passes these four on (`portal/face/world.py`), so the world
needs no address that a browser can reach. An error is `{"error": "what was wrong and what to do"}` with a 4xx status.

GET  {world_url}/phones                    -> WorldState: desk phones, calls from outside, numbers that can be dialled
POST {world_url}/call                      {"from": "+79161234567", "to": "+74951234567", "name": "…"} -> WorldCall, at once
POST {world_url}/hangup                    {"from": "+79161234567"} ends that caller's calls, {} everybody's
POST {world_url}/phone/{extension}         {"behaviour": one of BEHAVIOURS, "after": seconds before it answers}, or
                                           {"behaviour": "pick_up" | "hang_up"}: does so now
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Behaviour = Literal["answer", "ring", "busy", "reject"]
BEHAVIOURS: tuple[Behaviour, ...] = ("answer", "ring", "busy", "reject")
AT_ONCE = ("pick_up", "hang_up")


class WorldPhone(TypedDict):
    """A desk phone. `busy`: something is going on there; `state` says what, where the world can tell."""

    extension: str
    behaviour: Behaviour
    busy: bool
    state: NotRequired[Literal["idle", "ringing", "talking"]]


class WorldCall(TypedDict("WorldCall", {"from": str})):
    """A call placed from outside. `from` is the caller's number and names the call."""

    to: NotRequired[str]
    alive: bool
    talking: bool


class WorldLine(TypedDict):
    """A number of the company and what is behind it: "employee 101", "ring group"."""

    number: str
    title: str


class WorldState(TypedDict):
    phones: list[WorldPhone]
    calls: list[WorldCall]
    lines: NotRequired[list[WorldLine]]
