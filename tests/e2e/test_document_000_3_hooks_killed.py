"""kill -9 in the middle of mixed traffic with a hook at every point, each of which takes its time: nothing lost, nothing
twice, and every call as its hooks want it."""

from __future__ import annotations

import os
import random

import pytest
import traffic

from perezvon.customisation import POINTS, Point
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.stand import stand

pytestmark = [pytest.mark.asterisk, pytest.mark.load]

KILLS = int(os.environ.get("PEREZVON_KILLS", "10"))

OWN = {
    Point.NEED_REGISTRATION: "True",
    Point.POST_REGISTRATION: "None",
    Point.PROCESS_REGISTRATION_PARAMS: "data['params'] | {'CRM_SOURCE': 'WEB'}",
    Point.CUSTOMIZE_ENTITY: "{'comments': (data['entity']['fields'].get('comments') or '') + '*'}",
}


def hooks() -> str:
    """Each point's own answer, or what it is given; after a moment."""
    functions = ["import random, time\n"]
    for point, rules in POINTS.items():
        answer = OWN.get(point) or f"data[{rules.subject!r}]"
        pause = 0.01 if rules.urgent else 0.1
        functions.append(f"def {point.value}(data):\n    time.sleep(random.uniform(0, {pause}))\n    return {answer}\n")
    return "".join(functions)


@pytest.mark.timeout(180 + 15 * KILLS)
async def test_kills_under_mixed_traffic_with_hooks(
    pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data_dir = tmp_path_factory.mktemp("killed")
    (data_dir / "customisation").mkdir()
    (data_dir / "customisation" / "hooks.py").write_text(hooks(), encoding="utf-8")
    async with (
        PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal,
        stand(pbx_session, portal, data_dir, more="[customisation]\ncard_time_limit = 5.0") as whole,
    ):
        await traffic.ready(whole)
        spoken = await traffic.under_kills(whole, KILLS, random.Random(21))
        await traffic.told_right(whole, spoken, within=120)
        calls = portal.calls()
        assert len(calls) == len(spoken)
        assert {call.source for call in calls} == {"WEB"}

        def marked() -> bool | None:
            texts = [portal.state.crm.get("LEAD", call.crm_id) for call in calls]
            return True if all(lead and "*" in lead.text("COMMENTS") for lead in texts) else None

        await whole.until(marked, "every lead was changed by its hook", 60)
        assert [call.phone for call in calls if portal.state.crm.get("LEAD", call.crm_id).text("COMMENTS") != "*"] == []  # type: ignore[union-attr]
        status = await whole.service.status()
        assert [point for point in status["customisation"]["points"] if point["until"]] == []
