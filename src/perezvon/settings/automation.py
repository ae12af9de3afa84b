"""Settings of a portal's automation: `[portal.automation]`, right after its `[[portal]]`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import MINUTES, OneLine, Section, UserId, span, template


def _key(text: str) -> str:
    if re.fullmatch(r"[0-9*#]{1,4}", text) is None:
        raise Wrong(Reason("must be what a caller presses: up to four of 0-9, * and #"))
    return text


def _sound(text: str) -> str:
    if text and re.fullmatch(r"/?[A-Za-z0-9_./-]{1,200}", text) is None:
        raise Wrong(Reason("must be a sound as the PBX names it, without its ending: letters, digits and _ . / - only"))
    return text


Key = Annotated[str, AfterValidator(_key)]
Sound = Annotated[str, AfterValidator(_sound)]


class AutomationSettings(Section):
    """What a portal's funnels learn of calls, and what they and its callback forms may have dialled."""

    missed: bool = Field(
        default=False,
        title="Trigger: missed call",
        description="Whether the funnels of leads and deals can react to a call that nobody answered. Triggers and the "
        "robot need a local application, installed by an administrator; then they are found among the triggers and robots "
        "of a funnel. What is switched off is taken out of the portal.",
        examples=[True],
    )
    menu: tuple[Key, ...] = Field(
        default=(),
        title="Triggers: choice in the menu",
        description="The keys of the voice menu that get a trigger each: it is pulled when the caller has pressed "
        "that key.",
        examples=[["1", "2"]],
        max_length=20,
    )
    late: bool = Field(
        default=False,
        title="Trigger: nobody has called back",
        description="Whether the funnels can react when a client waits too long: the time set in missed.remind_after is "
        "over (a task for missed calls is needed), or nobody took the call that a callback form had ordered.",
        examples=[True],
    )
    robot: bool = Field(
        default=False,
        title="Robot: call the client",
        description="Whether the funnels get a robot that rings an employee and then dials the client. Needs public_url "
        "and the permission bizproc.",
        examples=[True],
    )
    missed_name: OneLine = Field(
        default="",
        max_length=100,
        title="Name of the trigger for missed calls",
        description="As the portal's administrator sees it. Empty: the usual one, in the portal's language.",
        examples=["Asterisk: missed call"],
    )
    menu_name: Annotated[str, template("key")] = Field(
        default="",
        max_length=100,
        title="Name of the triggers for the menu",
        description="The same, with the place {key}.",
        examples=["Asterisk: pressed {key}"],
    )
    late_name: OneLine = Field(
        default="",
        max_length=100,
        title="Name of the trigger for a late call back",
        description="The same.",
        examples=["Asterisk: not called back"],
    )
    robot_name: OneLine = Field(
        default="", max_length=100, title="Name of the robot", description="The same.", examples=["Asterisk: call"]
    )
    callback: bool = Field(
        default=True,
        title="Callback forms",
        description="Whether a call is placed when a visitor asks for one in a CRM form whose line is this application: "
        "the responsible is rung first, then the client is dialled.",
        examples=[False],
    )
    callback_users: tuple[UserId, ...] = Field(
        default=(),
        title="Who else is rung for a form",
        description="The ids of portal users who are rung, in this order, when the responsible in the CRM does not come to "
        "the phone, or there is none. At last the fall-back user.",
        examples=[["12", "15"]],
        max_length=20,
    )
    callback_rounds: int = Field(
        default=2,
        ge=1,
        le=20,
        title="Rounds",
        description="How often all of them are tried.",
        examples=[2],
    )
    callback_pause: float = span(
        1.0,
        most=1440,
        unit=MINUTES,
        title="Pause between rounds",
        description="Before all of them are tried again.",
        example=1,
    )
    callback_within: float = Field(
        default=60.0,
        ge=1,
        le=1440,
        title="Called back within",
        description="Later than that after the form was sent nobody is rung any more.",
        examples=[60],
        json_schema_extra=MINUTES,
    )
    callback_sound: Sound = Field(
        default="",
        title="Own announcement for forms",
        description="What the employee hears after our own words and before the client is dialled: a sound as the PBX "
        "names it, without its ending. Needs callback_context of the PBX.",
        examples=["/var/lib/asterisk/sounds/custom/from-the-site"],
    )

    @property
    def wanted(self) -> bool:
        """Whether anything is to be registered in the portal."""
        return bool(self.missed or self.menu or self.late or self.robot)
