"""Every ready example, run as it is; and every example of the documentation."""

from __future__ import annotations

import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from perezvon.customisation import POINTS, Customiser, Fate, Limits, Point

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "customisation"
CHANGED, UNCHANGED, CANCELLED = Fate.CHANGED, Fate.UNCHANGED, Fate.CANCELLED

Open = Callable[..., Awaitable[Customiser]]

MISSED = {"params": {"USER_ID": 11, "DURATION": 0, "STATUS_CODE": "304", "ADD_TO_CHAT": 0}}
CASES: list[tuple[str, Point, dict[str, Any], dict[str, Any], Fate, Any]] = [
    # file, point, changes of the call, changes of the rest, fate, what the answer has
    ("activity_text", Point.CUSTOMIZE_ACTIVITY, {"queue": "sales"}, {}, CHANGED, {"DESCRIPTION": "Голосовое меню\n09:00:03 нажато 2\nQueue: sales\nRung: 101, 102"}),
    ("black_list", Point.NEED_REGISTRATION, {"client": "+79160000000"}, {}, CHANGED, False),
    ("black_list", Point.NEED_REGISTRATION, {"rung": ["105"], "talkers": []}, {}, CHANGED, False),
    ("black_list", Point.NEED_REGISTRATION, {}, {}, CHANGED, True),
    ("card_for_the_head", Point.CUSTOMIZE_SHOW_CALL_CARD, {}, {}, CHANGED, {"USER_ID": [11, 12, 7]}),
    ("codes", Point.CUSTOMIZE_THIRD_PARTY, {}, {"code": "911", "number": ""}, CHANGED, "74957654321"),
    ("codes", Point.CUSTOMIZE_THIRD_PARTY, {}, {"number": "0044123"}, CANCELLED, None),
    ("extra_lead_fields", Point.CUSTOMIZE_ENTITY, {}, {}, CHANGED, {"sourceDescription": "line +74951234567, trunk multifon"}),
    ("extra_lead_fields", Point.CUSTOMIZE_ENTITY, {}, {"entity": {"type": "contact", "id": 3, "is_new": False, "fields": {}}}, CANCELLED, None),
    ("important_clients", Point.CUSTOMIZE_AUTODISTRIBUTION, {}, {}, CHANGED, {"extension": "101"}),
    ("menu_for_regulars", Point.CUSTOMIZE_MENU, {}, {}, CHANGED, {"buttons": [{"key": "", "prompt": "", "to": "101"}]}),
    ("menu_for_regulars", Point.CUSTOMIZE_MENU, {}, {"caller": "+70000000000"}, UNCHANGED, {"intro": "hello"}),
    ("number_format", Point.PROCESS_CLIENT_PHONE, {}, {}, CHANGED, "89161234567"),
    ("number_format", Point.PROCESS_USER_PHONE, {}, {"phone": "7101"}, CHANGED, "101"),
    ("only_answered", Point.NEED_REGISTRATION, {}, {}, CHANGED, False),
    ("only_answered", Point.NEED_REGISTRATION, {}, {"stage": "call_ended"}, CHANGED, True),
    ("other_trunk", Point.PROCESS_ORIGINATE_PARAMS, {}, {"params": {**POINTS[Point.PROCESS_ORIGINATE_PARAMS].sample["params"], "extension": "78121234567"}}, CHANGED, {"extension": "98121234567", "variables": {"__COMPANY_CALLERID": "78121234567"}}),
    ("other_trunk", Point.PROCESS_ORIGINATE_PARAMS, {}, {}, UNCHANGED, {"extension": "79161234567"}),
    ("own_system", Point.POST_REGISTRATION, {}, {}, UNCHANGED, None),
    ("record_name", Point.CUSTOMIZE_ATTACH_RECORD_URL, {}, {}, CHANGED, {"FILENAME": "2026-11-21-79161234567.mp3"}),
    ("record_name", Point.CUSTOMIZE_ATTACH_RECORD_URL, {"duration": 2.0}, {}, CANCELLED, None),
    ("record_path", Point.PROCESS_RECORD_FILE_PATH, {}, {}, CHANGED, "moscow/in-101-1795251052.12.wav"),
    ("responsible_by_line", Point.PROCESS_FINAL_PARAMS, {}, MISSED, CHANGED, {"USER_ID": 12}),
    ("responsible_by_line", Point.PROCESS_FINAL_PARAMS, {}, {}, UNCHANGED, {"USER_ID": 11}),
    ("skip_registration", Point.PROCESS_REGISTRATION_PARAMS, {"line": "+74950000000"}, {}, CANCELLED, None),
    ("source_by_trunk", Point.PROCESS_REGISTRATION_PARAMS, {"trunk": "mango"}, {}, CHANGED, {"CRM_SOURCE": "ADVERTISING"}),
    ("urgent_task", Point.PROCESS_TASK_CREATION_PARAMS, {}, {}, CHANGED, {"PRIORITY": 2, "TITLE": "! Перезвонить +79161234567"}),
    ("urgent_task", Point.PROCESS_TASK_CREATION_PARAMS, {"client": ""}, {}, CANCELLED, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "point", "call", "more", "fate", "has"), CASES)
async def test_example(
    opened: Open, folder: Path, name: str, point: Point, call: dict[str, Any], more: dict[str, Any], fate: Fate, has: Any
) -> None:
    shutil.copy(EXAMPLES / f"{name}.py", folder)
    customiser = await opened(Limits(ordinary=10.0, urgent=10.0))
    assert customiser.status().troubles == ()
    sample = {**POINTS[point].sample, **more}
    if "call" in sample:
        sample["call"] = {**sample["call"], **call}
    answer = await customiser.ask(point, sample)
    assert answer.fate is fate, answer.note
    if isinstance(has, dict):
        assert {name: answer.value[name] for name in has} == has
    else:
        assert answer.value == has


def test_every_example_is_run_and_listed() -> None:
    files = {path.stem for path in EXAMPLES.glob("*.py")}
    assert files == {name for name, *_ in CASES}
    assert {point for _, point, *_ in CASES} == set(Point)
    listed = re.findall(r"^\| `(\w+)\.py` \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == files


def documented(page: str) -> dict[str, str]:
    """Point -> the code below its heading."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for heading, body in re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        code = re.search(r"```python\n(.*?)```", body, re.DOTALL)
        found[heading] = code[1] if code else ""
    return found


@pytest.mark.parametrize("page", ["customisation.md", "customisation.ru.md"])
def test_every_point_is_documented(page: str) -> None:
    assert list(documented(page)) == [point.value for point in Point]
    assert documented("customisation.md") == documented("customisation.ru.md")


@pytest.mark.parametrize("point", list(Point))
async def test_the_examples_of_the_documentation_run(opened: Open, folder: Path, point: Point) -> None:
    (folder / "hooks.py").write_text(documented("customisation.md")[point.value], encoding="utf-8")
    customiser = await opened(Limits(ordinary=10.0, urgent=10.0))
    assert [one.name for one in customiser.status().points] == [point.value], customiser.status().troubles
    answer = await customiser.ask(point, POINTS[point].sample)
    assert answer.fate is not Fate.FAILED, answer.note
