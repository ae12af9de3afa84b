"""Records the scenarios of the matrix anew: `.venv/bin/python tests/e2e/record_scenarios.py [TITLE…]`.

Plays them one after the other on the sandbox's Asterisk, with a service and a portal, and keeps the AMI stream of each as
`recorded/NAME.ami.gz`, without what tells nothing of calls; `recorded/courses.json` has whose numbers they are, and when each
talk began and was over by the phones. `test_matrix_replayed.py` compares them with the same expectations.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "calls")]

from record import Tap, trimmed  # noqa: E402
from scenario import Scenario  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402
from scenarios_each import SCENARIOS as EACH  # noqa: E402
from stage import Stage  # noqa: E402

from perezvon.asterisk import AmiAddress  # noqa: E402
from perezvon.sandbox.pbx import PbxSandbox  # noqa: E402
from perezvon.sandbox.portal import PortalConfig, PortalServer  # noqa: E402
from perezvon.sandbox.stand import stand  # noqa: E402

RECORDED = HERE / "recorded"
COURSES = RECORDED / "courses.json"
SETTINGS = {"": "", "each": '[calls]\ntransfers = "each"\n'}
GROUPS: dict[str, Sequence[Scenario]] = {"": SCENARIOS, "each": EACH}


def name_of(group: str, scenario: Scenario) -> str:
    """`queue_all_ring`, `each_blind_transfer_by_code`."""
    return re.sub(r"\W+", "_", f"{group} {scenario.title}".strip().lower())


async def main(titles: list[str]) -> None:
    RECORDED.mkdir(exist_ok=True)
    courses = json.loads(COURSES.read_text()) if COURSES.exists() else {}
    with tempfile.TemporaryDirectory(prefix="perezvon-scenarios-") as folder:
        async with await PbxSandbox.start(Path(folder) / "pbx", verbose=3) as pbx, asyncio.TaskGroup() as tasks:
            tap = await Tap.open(AmiAddress.parse(pbx.office_ami_all))
            listener = tasks.create_task(tap.listen(), name="tap")
            for group, scenarios in GROUPS.items():
                wanted = [one for one in enumerate(scenarios, 1) if not titles or one[1].title in titles]
                if wanted:
                    data_dir = Path(folder) / f"perezvon{group}"
                    await record(group, wanted, pbx, tap, data_dir, courses)
            listener.cancel()
    known = {name_of(group, scenario) for group, scenarios in GROUPS.items() for scenario in scenarios}
    kept = {name: course for name, course in courses.items() if name in known}
    COURSES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    for path in RECORDED.glob("*.ami.gz"):
        if path.name.removesuffix(".ami.gz") not in known:
            path.unlink()


async def record(
    group: str,
    scenarios: Sequence[tuple[int, Scenario]],
    pbx: PbxSandbox,
    tap: Tap,
    data_dir: Path,
    courses: dict[str, object],
) -> None:
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx, portal, data_dir, more=SETTINGS[group]) as whole,
    ):
        for number, scenario in scenarios:
            name = name_of(group, scenario)
            await pbx.world.reset()
            tap.cut()
            stage = Stage(whole, [(number, scenario)])
            await stage.run()
            scene = await stage.scene(scenario)
            await pbx.office.silence()
            (RECORDED / f"{name}.ami.gz").write_bytes(gzip.compress(trimmed(tap.cut()), mtime=0))
            courses[name] = {
                "client": scene.phone_number,
                "mobile": f"+{scene.mobile}",
                "talks": [
                    [None if at is None else round(at, 3) for at in (course.began, course.over)] for course in scene.courses
                ],
            }
            print(name, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
