"""Settings of older versions keep loading. Works on plain dictionaries, in which secrets may be sealed; pure.

`VERSION` is the version of the format, kept as `version` beside the sections. Whoever renames or moves a setting raises it
and adds the function that turns the version before into the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import InvalidSettings, Mistake

VERSION = 1

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

UPGRADES: Mapping[int, Upgrade] = {}  # from this version to the next one


def upgraded(
    named: Mapping[str, Any], upgrades: Mapping[int, Upgrade] = UPGRADES, version: int = VERSION
) -> dict[str, Any]:
    """The same settings as the present version names them, without the `version` key (absent: the present version).

    Raises InvalidSettings for a version that is none, or that only a newer Perezvon knows.
    """
    settings = dict(named)
    found = settings.pop("version", version)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise InvalidSettings([Mistake("version", None, Reason("must be a whole number, 1 or more"))])
    if found > version:
        told = {"found": str(found), "known": str(version)}
        reason = Reason("the settings have version {found}, this Perezvon knows up to {known}: install a newer one", told)
        raise InvalidSettings([Mistake("version", None, reason)])
    for step in range(found, version):
        settings = upgrades[step](settings)
    return settings
