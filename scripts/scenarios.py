"""Prints docs/scenarios.md, made of what the end-to-end tests play.

.venv/bin/python scripts/scenarios.py > docs/scenarios.md
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "e2e")]

from scenario import NAMES, OUTGOING, Scenario  # noqa: E402
from scenarios import GROUPS  # noqa: E402
from scenarios_each import SCENARIOS as EACH_TURN  # noqa: E402

from perezvon.sandbox import stories  # noqa: E402

HEAD = """# Scenarios

Calls that are spoken on a real Asterisk, end to end, with what the portal must say of each afterwards. Made by
`scripts/scenarios.py` out of the tests' own data; a test tells when this file is out of date.

Of every call it is proven besides: it is registered once, and no leg of it becomes a call of its own; a call in which
somebody talked has one recording, about as long as the talk, any other has none and a duration of 0; no card is left up.

The events that Asterisk told of each are kept in `tests/e2e/recorded`, and the fast tests replay them against the same
expectations (`tests/e2e/record_scenarios.py` makes them anew). `perezvon replay` takes them, too. Every story of
`tests/calls/recordings` is replayed besides as a call of hours, and with the channel names of chan_sip.

*Responsible*: the extension of the employee for whom the call is finished; `admin`: the user whom the settings name for
calls of nobody. *Cards*: 102 has the client's card until the end, ~~101~~ loses it while the call goes on, (101) may be too
short to be seen; nobody else sees it.
"""

MAIN_JOB = """## The main job

Also what `make demo` shows: `tests/e2e/test_stories.py`. *Cards*: everybody who sees one.
"""

MATRIX = """Played by `tests/e2e/test_matrix.py`.
"""


EACH = """## With a portal call for each employee

Played by `tests/e2e/test_transfers_each.py`, with

```toml
[calls]
transfers = "each"
```

A transfer finishes the portal call of whoever talked so far, for him, with the duration of his own talk. The next employee
who is rung or talks gets a portal call of his own: the same client, line and direction, but no second lead. Who is
consulted, and the losers of a ring group or a queue, get none; nor does a client who is passed on to somebody outside who
answers.

A client whom nobody takes after a transfer is a missed call, lest he be forgotten: of the employee who was rung last, or,
when nobody was, of the one who had passed him on.

The recording, which goes through all of it, is attached once: to the first of these portal calls.
"""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)) + "\n"


def direction(*, outgoing: bool) -> str:
    return "outgoing" if outgoing else "incoming"


def cards(tokens: str) -> str:
    shapes = {"-": "~~{}~~", "?": "({})"}
    return " ".join(shapes.get(token[0], "{}").format(token.lstrip("-?")) for token in tokens.split()) or "nobody"


def matrix() -> Iterator[str]:
    for group, members in GROUPS.items():
        yield f"## {group}\n\n{MATRIX}"
        yield rows_of(members)
    yield EACH
    yield rows_of(EACH_TURN)


def rows_of(members: Iterable[Scenario]) -> str:
    rows: list[tuple[str, ...]] = []
    for scenario in members:
        calls = [*scenario.calls, *scenario.beside]
        cells = [(direction(outgoing=c.type == OUTGOING), c.user, c.status, cards(c.cards)) for c in calls]
        rows.append((scenario.title, scenario.happens.replace("*", r"\*"), *map("<br>".join, zip(*cells, strict=True))))
    return table(("scenario", "what happens", "direction", "responsible", "status", "cards"), rows)


def told(story: stories.Story) -> tuple[str, ...]:
    """What a story says in the end, read from its source: it is known for certain only when it has been spoken."""
    tree = ast.parse(inspect.getsource(story.speak))
    returned = next(node.value for node in ast.walk(tree) if isinstance(node, ast.Return))
    assert isinstance(returned, ast.Call)
    type_, user, status, seen = (ast.unparse(returned.args[number]) for number in (1, 3, 4, 6))
    named = {
        ast.unparse(node.targets[0]): ast.unparse(node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign)
    }
    users = [word.strip(" {})(") for word in named.get(seen, seen).removeprefix("frozenset").split(",")]
    screens = " ".join(NAMES[getattr(stories, name)] for name in users if name)
    outgoing = type_ == "OUTGOING"
    return story.title, direction(outgoing=outgoing), NAMES[getattr(stories, user)], status.strip("'"), screens or "nobody"


def page() -> str:
    main_job = table(("scenario", "direction", "responsible", "status", "cards"), map(told, stories.STORIES))
    return "\n".join([HEAD, MAIN_JOB, main_job, *matrix()])


if __name__ == "__main__":
    sys.stdout.write(page())
