"""What becomes of a call's recordings: by its line's own setting, else by that of all. Pure."""

from __future__ import annotations

from perezvon.rules.policy import Line, Policy, Recordings
from perezvon.rules.vocabulary import Reason

_OF_LINE: dict[str, Reason] = {
    "upload": Reason("the recording is uploaded: so it is set for the line {line}"),
    "link": Reason("the recording stays here, the portal gets a link: so it is set for the line {line}"),
    "off": Reason("the recording stays on the PBX: so it is set for the line {line}"),
}
_OF_ALL: dict[str, Reason] = {
    "upload": Reason("the recording is uploaded, as set"),
    "link": Reason("the recording stays here, the portal gets a link, as set"),
    "off": Reason("the recording stays on the PBX, as set"),
}


def mode_of(line: Line, policy: Policy) -> tuple[Recordings, Reason]:
    """And why."""
    if line.recordings is None:
        return policy.recordings, _OF_ALL[policy.recordings]
    return line.recordings, Reason(_OF_LINE[line.recordings].text, {"line": line.name or line.number})
