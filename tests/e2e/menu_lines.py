"""Numbers of the office whose calls go through a script of ours, added to the running dialplan; taken out again afterwards.

The dialplan is the one that a PBX with Perezvon has around its menu, with the guards against a service that is dead or hung.
The features in `Dial` (T, t) keep the PBX in the way of the sound: without any it would pass the other party's packets on as
they are, with another SSRC and other sequence numbers than those of its own prompts, and an Asterisk that has heard the
prompts throws away whatever seems to be older.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from perezvon.asterisk import ActionRefused
from perezvon.sandbox.pbx import PbxSandbox

GUARD = 4
"""Seconds: how long a caller waits for a service that hangs before it has played anything."""


def menu(agi: str) -> dict[str, Sequence[str]]:
    """`agi`: the script's address. The extension `portal` stands for Bitrix24."""
    return {
        "s": (
            "Set(PEREZVON_TO=)",
            "Set(PEREZVON_RING=)",
            "Set(AGIEXITONHANGUP=yes)",
            f"Set(TIMEOUT(absolute)={GUARD})",
            f"AGI({agi})",
            "Set(TIMEOUT(absolute)=0)",
            'GotoIf($["${PEREZVON_TO}" = ""]?portal,1)',
            "Dial(PJSIP/${PEREZVON_TO},${PEREZVON_RING},rTt)",
            "Goto(portal,1)",
        ),
        "portal": ("Set(TIMEOUT(absolute)=0)", "Dial(PJSIP/900@bitrix24,20,Tt)", "Hangup()"),
        "T": ("Goto(portal,1)",),
    }


def plain_menu(prompts: Sequence[str], keys: dict[str, str], silence: float) -> dict[str, Sequence[str]]:
    """The same menu without us."""
    return {
        "s": ("Answer()", *(f"Background({path})" for path in prompts), f"WaitExten({silence})"),
        **{key: (f"Dial(PJSIP/{to},20,rTt)", "Goto(portal,1)") for key, to in keys.items()},
        "i": ("Goto(portal,1)",),
        "t": ("Goto(portal,1)",),
        "portal": ("Dial(PJSIP/900@bitrix24,20,Tt)", "Hangup()"),
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
