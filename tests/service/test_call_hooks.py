"""Hooks on what is planned for a call: what is asked when, what becomes of steps, and of the call."""

from __future__ import annotations

import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plain_call import T, started, talk

from perezvon.calls.call import Direction
from perezvon.calls.facts import Answered, CallEnded, Fact, Ringing
from perezvon.customisation import Customiser, Limits
from perezvon.rules import Decision, Kind, Order, Ordered, People, PlanState, Policy, StepDraft
from perezvon.service.hooks import CallHooks

POLICY = Policy(installation="inst", fallback_user="1")
PEOPLE = People({"101": "11", "102": "12"})

STARTED = started(call="main-c")
CALL = talk(id="main-c")
RINGS = [STARTED, Ringing("main-c", T + 1, "101", "PJSIP/101-1")]
ANSWERS = [Answered("main-c", T + 5, "101", "PJSIP/101-1")]
ENDS: list[Fact] = [CallEnded("main-c", T + 15, CALL)]

Hooked = Callable[[str], Awaitable["Story"]]


class Story:
    """A call, told round by round."""

    def __init__(self, customiser: Customiser, people: People = PEOPLE) -> None:
        self.hooks = CallHooks("main", customiser)
        self.customiser = customiser
        self.people = people
        self.state = PlanState()
        self.decisions: list[Decision] = []

    async def goes(self, *rounds: list[Fact]) -> Story:
        for facts in rounds:
            planning = self.hooks.plan(self.state, facts, POLICY, self.people, CALL)
            self.state, made = await planning
            self.decisions += made
        return self

    def steps(self, kind: Kind) -> list[StepDraft]:
        return [step for made in self.decisions for step in made.steps if step.kind is kind]

    def kinds(self) -> list[str]:
        return [step.kind.value for made in self.decisions for step in made.steps]

    def reasons(self) -> list[str]:
        return [str(made.reason) for made in self.decisions]


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncIterator[Hooked]:
    opened: list[Customiser] = []

    async def make(source: str) -> Story:
        (tmp_path / "hooks.py").write_text(textwrap.dedent(source), encoding="utf-8")
        customiser = Customiser(tmp_path, Limits(ordinary=5.0, urgent=5.0))
        opened.append(customiser)
        await customiser.open()
        assert customiser.status().troubles == ()
        return Story(customiser)

    yield make
    for customiser in opened:
        await customiser.close()


async def test_without_hooks_it_is_the_plan(tmp_path: Path) -> None:
    story = Story(Customiser(tmp_path, Limits()))
    assert not story.hooks.active
    await story.goes(RINGS, ANSWERS, ENDS)
    assert story.kinds() == ["register", "show", "finish"]
    assert story.state.finished


async def test_every_step_is_what_its_hook_says(hooked: Hooked) -> None:
    story = await hooked(
        """
        def process_client_phone(data): return "89161234567"
        def process_registration_params(data): return data["params"] | {"CRM_SOURCE": data["stage"]}
        def customize_show_call_card(data): return data["params"] | {"USER_ID": data["params"]["USER_ID"] + [7]}
        def process_final_params(data): return data["params"] | {"USER_ID": "12"}
        """
    )
    await story.goes(RINGS, ANSWERS, ENDS)
    (register,), (show,), (finish,) = (story.steps(kind) for kind in (Kind.REGISTER, Kind.SHOW, Kind.FINISH))
    assert (register.params["PHONE_NUMBER"], register.params["CRM_SOURCE"]) == ("89161234567", "conversation_requested")
    assert register.params["EXTERNAL_CALL_ID"] == "inst-main-c"
    assert show.params["USER_ID"] == [11, 7]
    assert finish.params["USER_ID"] == 12
    assert show.params["CALL_ID"] == finish.params["CALL_ID"]
    assert sum("customisation " in reason for reason in story.reasons()) == 4


@pytest.mark.parametrize(
    ("stages", "kinds"),
    [
        ("('conversation_accepted',)", ["register", "show", "finish"]),
        ("('call_ended',)", ["register", "finish"]),
        ("()", []),
    ],
)
async def test_registered_when_the_hook_wants_it(hooked: Hooked, stages: str, kinds: list[str]) -> None:
    story = await hooked(f"def need_registration(data): return data['stage'] in {stages}")
    await story.goes(RINGS, ANSWERS, ENDS)
    assert story.kinds() == kinds
    assert "not registered: customisation need_registration says so" in story.reasons()
    assert story.state.registered is bool(kinds)


async def test_a_cancelled_registration_leaves_the_whole_call_out(hooked: Hooked) -> None:
    story = await hooked("def process_registration_params(data): return None")
    await story.goes(RINGS, ANSWERS, ENDS)
    assert story.kinds() == []
    assert story.reasons().count("cancelled by customisation: process_registration_params") == 1
    assert not story.state.registered


async def test_a_cancelled_finish_takes_with_it_what_needs_it(hooked: Hooked) -> None:
    story = await hooked("def process_final_params(data): return {}\ndef customize_activity(data): return {'SUBJECT': 's'}")
    await story.goes(RINGS, ANSWERS, ENDS)
    assert story.kinds() == ["register", "show"]


async def test_a_cancelled_card_is_not_shown(hooked: Hooked) -> None:
    story = await hooked("def customize_show_call_card(data): return None")
    await story.goes(RINGS, ANSWERS, ENDS)
    assert story.kinds() == ["register", "finish"]


async def test_employees_under_other_numbers(hooked: Hooked) -> None:
    story = await hooked(
        """
        asked = []
        def process_user_phone(data):
            asked.append(data["phone"])
            assert asked.count(data["phone"]) == 1, "each is asked once"
            return data["phone"].removeprefix("7")
        """
    )
    rings: list[Fact] = [STARTED, Ringing("main-c", T + 1, "7101", "PJSIP/7101-1")]
    record = replace(CALL, rung=("7101",), talkers=("7101",), last_talker="7101")
    answers: list[Fact] = [Answered("main-c", T + 5, "7101", "PJSIP/7101-1")]
    await story.goes(rings, answers, [CallEnded("main-c", T + 15, record)])
    assert [step.params["USER_ID"] for step in (*story.steps(Kind.SHOW), *story.steps(Kind.FINISH))] == [[11], 11]
    assert not [reason for reason in story.reasons() if "failed" in reason]


async def test_the_activity_and_the_crm_object(hooked: Hooked) -> None:
    story = await hooked(
        """
        def customize_activity(data): return data["fields"] | {"SUBJECT": data["call"]["outcome"]}
        def customize_entity(data): return {"title": "t"}
        """
    )
    await story.goes(RINGS, ANSWERS, ENDS)
    assert story.kinds() == ["register", "show", "finish", "describe", "entity"]
    (describe,) = story.steps(Kind.DESCRIBE)
    assert describe.params["fields"] == {"SUBJECT": "answered"}


async def test_nothing_to_tell_makes_no_request(hooked: Hooked) -> None:
    story = await hooked("def customize_activity(data): return data['fields']")
    await story.goes(RINGS, ANSWERS, ENDS)
    assert story.kinds() == ["register", "show", "finish"]


@pytest.mark.slow
async def test_hooks_before_a_card_together_have_four_time_limits(tmp_path: Path) -> None:
    names = ("need_registration", "process_client_phone", "process_user_phone", "process_registration_params")
    loops = "".join(f"def {name}(data):\n while True: pass\n" for name in (*names, "customize_show_call_card"))
    (tmp_path / "hooks.py").write_text(loops)
    customiser = Customiser(tmp_path, Limits(urgent=0.2))
    await customiser.open()
    try:
        story = Story(customiser)
        began = time.monotonic()
        await story.goes(RINGS)
        assert time.monotonic() - began < 1.5
        assert story.kinds() == ["register", "show"]
        told = [reason for reason in story.reasons() if "the default stands" in reason]
        assert any("have used up the time" in reason for reason in told)
    finally:
        await customiser.close()


def test_what_a_hook_is_told_of_a_call_is_what_the_documentation_says() -> None:
    from perezvon.customisation import CallData, call_data
    from perezvon.customisation.samples import CALL as SAMPLE

    told: Any = call_data(CALL, "main")
    assert set(told) == set(CallData.__annotations__) == set(SAMPLE)


# ---- what was ordered of us


FORM = Order("callback:1", Ordered.CALLBACK, "+79161234567", "11", "LEAD", "5", "+74951234567", "call me")
ROBOT = Order("robot:1", Ordered.ROBOT, "+79161234567", "11", "DEAL", "7", token="t")
PLACED = replace(STARTED, direction=Direction.OUTGOING, extension="101", expected="perezvon-1")


@pytest.mark.parametrize(
    ("source", "kinds", "source_of_lead"),
    [
        ("def process_registration_params(data): return data['params'] | {'CRM_SOURCE': 'WEB'}", ["register", "show"], "WEB"),
        ("def process_registration_params(data): return None", [], None),
        ("def need_registration(data): return False", [], None),
    ],
)  # fmt: skip
async def test_a_callback_form_for_which_somebody_has_come_to_the_phone(
    hooked: Hooked, source: str, kinds: list[str], source_of_lead: str | None
) -> None:
    story = await hooked(source)
    story.state = PlanState(order=FORM)
    await story.goes([PLACED])
    assert story.kinds() == []
    story.state, made = await story.hooks.pick_up(story.state, T + 2, POLICY, PEOPLE, CALL)
    story.decisions += made
    assert story.kinds() == kinds
    assert [step.params["CRM_SOURCE"] for step in story.steps(Kind.REGISTER)] == ([source_of_lead] if kinds else [])
    assert story.state.picked_up


async def test_a_robot_is_answered_though_a_hook_keeps_its_call_from_the_portal(hooked: Hooked) -> None:
    story = await hooked("def process_registration_params(data): return None")
    story.state = PlanState(order=ROBOT)
    await story.goes([PLACED, *RINGS[1:]], ANSWERS, ENDS)
    (answer,) = story.steps(Kind.ROBOT_ANSWER)
    assert answer.params["EVENT_TOKEN"] == "t"
    assert story.steps(Kind.FINISH) == []
