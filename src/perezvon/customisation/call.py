"""A call as hooks are told of it. Pure."""

from __future__ import annotations

from typing import cast

from perezvon.calls.call import Call
from perezvon.customisation.points import CallData


def call_data(call: Call, pbx: str) -> CallData:
    """The record, as `perezvon replay` prints it, with what the PBX itself says."""
    told = {
        **call.as_json(),
        "pbx": pbx,
        "client_raw": call.client_raw,
        "client_name": call.client_name,
        "line_raw": call.line_raw,
        "trunk": call.trunk,
    }
    return cast("CallData", told)
