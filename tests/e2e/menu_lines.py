"""Numbers of the office with a menu of the dialplan alone, added to the running dialplan; taken out again afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from perezvon.asterisk import ActionRefused
from perezvon.sandbox.pbx import PbxSandbox


def plain_menu(prompts: Sequence[str], keys: dict[str, str], silence: float, ring: int = 20) -> dict[str, Sequence[str]]:
    """What somebody writes who needs no Perezvon: the caller is recorded, hears everything, and his key rings a number.
    `keys`: key -> the channel that it dials. The extension `portal` stands for Bitrix24."""
    return {
        "s": (
            "MixMonitor(plain-${UNIQUEID}.wav,b)",
            "Answer()",
            *(f"Background({path})" for path in prompts),
            f"WaitExten({silence})",
        ),
        **{key: (f"Dial({to},{ring},rg)", "Goto(portal,1)") for key, to in keys.items()},
        "i": ("Goto(portal,1)",),
        "t": ("Goto(portal,1)",),
        "portal": ("Dial(PJSIP/900@bitrix24,20)", "Hangup()"),
    }


@asynccontextmanager
async def line(pbx: PbxSandbox, number: str, context: str, extensions: dict[str, Sequence[str]]) -> AsyncIterator[str]:
    """Calls to `number` go there; gives the number."""
    everything = {(context, name): steps for name, steps in extensions.items()}
    everything["ext-did", number] = (f"Goto({context},s,1)",)
    for (where, name), steps in everything.items():
        for priority, step in enumerate(steps, 1):
            application, _, data = step.removesuffix(")").partition("(")
            await pbx.office.ask(
                "DialplanExtensionAdd",
                *(("Context", where), ("Extension", name), ("Priority", str(priority))),
                *(("Application", application), ("ApplicationData", data), ("Replace", "yes")),
            )
    try:
        yield number
    finally:
        for where, name in everything:
            try:
                await pbx.office.ask("DialplanExtensionRemove", ("Context", where), ("Extension", name))
            except ActionRefused:
                continue
