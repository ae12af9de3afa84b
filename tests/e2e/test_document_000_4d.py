"""4d of document 000 on the real PBX: triggers that calls pull in the portal's funnels, and the robot that calls a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.handlers.bizproc import Bizproc, run_robot
from perezvon.sandbox.portal.handlers.crm_automation import Automation, Execution, StageRobot
from perezvon.sandbox.portal.seed import IVANOV, PETROVA, SIDOROV
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

AUTOMATION = """
[portal.automation]
missed = true
menu = ["1", "2"]
late = true
robot = true
menu_name = "Нажал {key}"
"""
CODES = {"perezvon.missed", "perezvon.menu.1", "perezvon.menu.2", "perezvon.late"}


@pytest.fixture(scope="module")
async def whole(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("automation"), portal_more=AUTOMATION) as whole,
    ):
        await registered(whole)
        yield whole
        await pbx_session.world.reset()


async def registered(whole: Stand) -> None:
    """Returns when the portal has all triggers and the robot."""
    app = whole.portal.app.client_id
    automation, board = whole.portal.state.part(Automation), whole.portal.state.part(Bizproc)

    def there() -> bool:
        return {code for owner, code in automation.triggers if owner == app} == CODES and (
            app,
            "perezvon.call",
        ) in board.robots

    await happened(there)


async def happened(look: Callable[[], bool]) -> None:
    """What is registered is no news of the portal's feed."""
    async with asyncio.timeout(20):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def pulled(whole: Stand, since: int = 0) -> list[Execution]:
    return whole.portal.state.part(Automation).executions[since:]


async def missed_by_104(whole: Stand, client: str, *, patient: bool = False) -> None:
    """`patient`: he lets it ring until the PBX hangs up."""
    world = whole.pbx.world
    await world.reset()
    await world.phone("104").rings()
    caller = await world.call(frm=client.removeprefix("+"), to="74950000700")
    await world.phone("104").ringing()
    await (caller.ended() if patient else caller.hangup())


async def test_4d_what_the_settings_want_is_registered_and_comes_back_after_a_reinstallation(whole: Stand) -> None:
    state, app = whole.portal.state, whole.portal.app.client_id
    assert state.part(Automation).triggers[app, "perezvon.menu.2"] == "Нажал 2"
    robot = state.part(Bizproc).robots[app, "perezvon.call"].fields
    assert robot["HANDLER"] == f"{whole.service.url}/bitrix24/main/robot"
    assert set(robot["PROPERTIES"]) == {"phone", "responsible", "text"}
    state.part(Automation).triggers.clear()
    whole.portal.install()
    assert not state.part(Bizproc).robots
    await registered(whole)


async def test_4d_a_missed_call_pulls_its_trigger_for_the_new_lead_once(whole: Stand) -> None:
    before = len(pulled(whole))
    await missed_by_104(whole, "+79167770001")
    await whole.until(lambda: pulled(whole, before) or None, "the trigger is pulled")
    call = await whole.call_of("+79167770001")
    (one,) = pulled(whole, before)
    assert (one.code, one.entity_type, one.entity_id) == ("perezvon.missed", call.crm_type, call.crm_id)
    assert call.crm_type == "LEAD"


async def test_4d_a_contact_has_no_triggers_its_deal_has(whole: Stand) -> None:
    before = len(pulled(whole))
    await missed_by_104(whole, "+79165550011")
    await whole.until(lambda: pulled(whole, before) or None, "the trigger is pulled")
    (one,) = pulled(whole, before)
    assert (one.code, one.entity_type, one.entity_id) == ("perezvon.missed", "DEAL", 1)


async def test_4d_a_key_of_the_menu_pulls_its_own_trigger(whole: Stand) -> None:
    world = whole.pbx.world
    await world.reset()
    before = len(pulled(whole))
    caller = await world.call(frm="79167770002", to="74950000400")
    await caller.answered()
    await caller.press("1")
    await world.phone("101").talking()
    await caller.talks(1)
    await caller.hangup()
    await whole.until(lambda: pulled(whole, before) or None, "the trigger is pulled")
    call = await whole.call_of("+79167770002")
    assert [(one.code, one.entity_type, one.entity_id) for one in pulled(whole, before)] == [
        ("perezvon.menu.1", "LEAD", call.crm_id)
    ]


async def test_4d_the_answer_of_a_trigger_is_lost_and_it_moves_the_lead_once(whole: Stand) -> None:
    state, app = whole.portal.state, whole.portal.app.client_id
    automation = state.part(Automation)
    automation.stages[app, "perezvon.missed", "LEAD"] = "IN_PROCESS"
    state.faults.plan("dropped_answer", method="crm.automation.trigger.execute")
    before = len(pulled(whole))
    try:
        await missed_by_104(whole, "+79167770003", patient=True)  # the lead is older than a second then
        call = await whole.call_of("+79167770003")
        await whole.until(lambda: pulled(whole, before) or None, "the trigger is pulled")
        await whole.service.until(lambda status: not status["portals"][0]["queue"], "has nothing left to send")
    finally:
        automation.stages.clear()
        state.faults.clear()
    assert len(pulled(whole, before)) == 1
    lead = state.crm.get("LEAD", call.crm_id)
    assert lead is not None and lead.text("STATUS_ID") == "IN_PROCESS"


async def test_4d_a_missed_call_moves_the_lead_and_the_robot_there_calls_the_client(whole: Stand) -> None:
    """The whole way: our trigger, a stage of the funnel, our robot on it, two phones, and the robot's answer."""
    state, app, world = whole.portal.state, whole.portal.app.client_id, whole.pbx.world
    automation, board = state.part(Automation), state.part(Bizproc)
    automation.stages[app, "perezvon.missed", "LEAD"] = "IN_PROCESS"
    filled = {"phone": "{phone}", "responsible": "{responsible}", "text": "Перезвоните: пропущенный"}
    automation.robots["LEAD", "IN_PROCESS"] = [StageRobot(app, "perezvon.call", filled)]
    answers = len(board.answers)
    try:
        await missed_by_104(whole, "+79167770004")
        await world.phone("104").answers()
        await world.number("79167770004").answers()
        desk_leg = await world.phone("104").talking()
        await desk_leg.talks(1.2)
        await desk_leg.hangup()
        await whole.until(lambda: board.answers[answers:] or None, "the robot is answered")
    finally:
        automation.stages.clear()
        automation.robots.clear()
    (answer,) = board.answers[answers:]
    assert answer["values"]["result"] == "answered" and int(answer["values"]["duration"]) >= 1
    first, second = (call for call in whole.portal.calls() if call.phone == "+79167770004")
    assert (first.type, first.finish["status"]) == (2, "304")
    assert (second.type, second.finish["status"], second.crm_type) == (1, "200", "LEAD")
    assert (second.crm_id, second.created) == (first.crm_id, [])


async def test_4d_a_robots_call_that_comes_twice_dials_once(whole: Stand) -> None:
    state, app, world = whole.portal.state, whole.portal.app.client_id, whole.pbx.world
    await world.reset()
    board = state.part(Bizproc)
    answers = len(board.answers)
    run_robot(
        state, app, "perezvon.call", "LEAD_1", {"phone": "+79167770005", "responsible": f"user_{PETROVA}", "text": ""}
    )
    form = state.events.deliveries[-1].form
    url = f"{whole.service.url}/bitrix24/main/robot"
    async with aiohttp.ClientSession() as http, http.post(url, data=form) as again:
        assert again.status == 200
    leg = await world.phone("102").talking()
    await leg.talks(1)
    await leg.hangup()
    await whole.until(lambda: board.answers[answers:] or None, "the robot is answered")
    assert len([one for one in world.phone("102").legs if not one.outgoing]) == 1
    assert len([call for call in whole.portal.calls() if call.phone == "+79167770005"]) == 1


async def test_4d_the_robot_means_the_objects_responsible_and_hears_that_he_does_not_come(whole: Stand) -> None:
    state, app, world = whole.portal.state, whole.portal.app.client_id, whole.pbx.world
    await world.reset()
    await world.phone("101").rejects()  # Ivanov, who is responsible for lead 1
    board = state.part(Bizproc)
    answers = len(board.answers)
    run_robot(state, app, "perezvon.call", "LEAD_1", {"phone": "+79035550033", "responsible": "", "text": "x"})
    await whole.until(lambda: board.answers[answers:] or None, "the robot is answered")
    (answer,) = board.answers[answers:]
    assert answer["values"] == {"result": "employee", "duration": 0} or answer["values"]["result"] == "employee"
    call = await whole.call_of("+79035550033")
    assert int(call.finish["user_id"]) == IVANOV and int(call.finish["duration"]) == 0


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"phone": "call me!", "responsible": str(SIDOROV)}, "no number"),
        ({"phone": "+79167770006", "responsible": "user_999"}, "no employee"),
    ],
)
async def test_4d_what_cannot_be_dialled_is_answered_too(whole: Stand, properties: dict[str, str], why: str) -> None:
    state, app = whole.portal.state, whole.portal.app.client_id
    board = state.part(Bizproc)
    answers = len(board.answers)
    run_robot(state, app, "perezvon.call", "DEAL_1", properties)
    await whole.until(lambda: board.answers[answers:] or None, "the robot is answered")
    (answer,) = board.answers[answers:]
    assert answer["values"]["result"] == "refused"
    assert why in answer["log"]


async def test_4d_a_robots_call_without_our_token_is_refused(whole: Stand) -> None:
    url = f"{whole.service.url}/bitrix24/main/robot"
    form = {
        "properties[phone]": "+79167770007",
        "properties[responsible]": str(PETROVA),
        "auth[application_token]": "guess",
    }
    async with aiohttp.ClientSession() as http, http.post(url, data=form) as refused:
        assert refused.status == 403


async def test_4d_switched_off_all_of_it_leaves_the_portal(whole: Stand) -> None:
    await whole.service.configure(whole.settings(portal="[portal.automation]\nlate = true\n"))
    automation, board, app = (
        whole.portal.state.part(Automation),
        whole.portal.state.part(Bizproc),
        whole.portal.app.client_id,
    )
    await happened(lambda: not board.robots and set(automation.triggers) == {(app, "perezvon.late")})
    await whole.service.configure(whole.settings())
    await happened(lambda: not automation.triggers)


async def test_4d_a_client_whom_nobody_calls_back_pulls_the_trigger_when_his_time_is_over(
    pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    late = "[portal.automation]\nlate = true\n"
    tasks = "[missed]\ntask = true\nremind_after = 0.05\n"
    folder = tmp_path_factory.mktemp("late")
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, folder, portal_more=late, more=tasks) as whole,
    ):
        await happened(lambda: bool(portal.state.part(Automation).triggers))
        await missed_by_104(whole, "+79167770008")
        await whole.until(lambda: pulled(whole) or None, "the trigger is pulled")
        call = await whole.call_of("+79167770008")
        assert [(one.code, one.entity_type, one.entity_id) for one in pulled(whole)] == [
            ("perezvon.late", "LEAD", call.crm_id)
        ]
        await pbx_session.world.reset()
