"""Who of the portal's employees has which extension: doubles and holes of the map that calls are written by. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perezvon.storage.employees import Employee
from perezvon.web.status import Unmapped


@dataclass(frozen=True, slots=True)
class Post:
    """An extension and who has it. `calls`: of nobody's extension, how many were seen (0: not seen), the last one at
    `last` (POSIX seconds)."""

    extension: str
    people: tuple[Employee, ...]
    calls: int = 0
    last: float = 0.0

    @property
    def double(self) -> bool:
        return len(self.people) > 1


@dataclass(frozen=True, slots=True)
class Staff:
    """Of one portal. `without`: active employees that have no extension. `refreshed`: when the portal was asked (POSIX
    seconds; None: never)."""

    portal: str
    posts: tuple[Post, ...]
    without: tuple[Employee, ...]
    refreshed: float | None

    @property
    def wrong(self) -> int:
        return sum(post.double or not post.people for post in self.posts)


def staff(portal: str, people: Sequence[Employee], refreshed: float | None, unmapped: Iterable[Unmapped]) -> Staff:
    """Doubles and holes first."""
    active = [one for one in people if one.active]
    by_extension: dict[str, list[Employee]] = {}
    for one in active:
        if one.extension:
            by_extension.setdefault(one.extension, []).append(one)
    posts = [Post(extension, tuple(them)) for extension, them in by_extension.items()]
    seen = [one for one in unmapped if one.portal == portal and one.extension not in by_extension]
    posts += [Post(one.extension, (), one.count, one.last) for one in seen]
    posts.sort(key=lambda post: (not (post.double or not post.people), len(post.extension), post.extension))
    return Staff(portal, tuple(posts), tuple(one for one in active if not one.extension), refreshed)
