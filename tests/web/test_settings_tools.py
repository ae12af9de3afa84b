"""What stands beside the forms of settings works with what is typed there and not saved yet."""

from __future__ import annotations

import io
import wave
from datetime import UTC, date, datetime
from html import unescape
from pathlib import Path

from pages_server import Pages, Visitor
from stored_calls import CALL, store
from test_settings_pages import anna, form_of, served  # noqa: F401  fixtures

from perezvon.settings.load import settings_from
from perezvon.storage import employees, menus
from perezvon.storage.employees import Employee
from perezvon.storage.menus import Menu, MenuButton
from perezvon.web.staff import staff
from perezvon.web.status import PortalStatus, Status, UnknownLine, Unmapped
from perezvon.web.week import Day, Different, drawn

SUNDAY = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


async def looked(visitor: Visitor, slug: str, tool: str, **fields: str) -> str:
    """As htmx sends it: the whole form as it is now."""
    form = form_of((await visitor.get(f"/settings/{slug}?lang=en")).text)
    pairs = [(name, value) for name, values in form.items() for value in values if name not in fields]
    data = [*pairs, *fields.items()]
    async with visitor.session.post(f"{visitor.url}/settings/{slug}/{tool}?lang=en", data=data) as answer:
        assert answer.status == 200, await answer.text()
        return unescape(await answer.text())


async def test_a_number_is_tried_with_rules_that_are_not_saved(anna: Visitor) -> None:  # noqa: F811
    rules = {
        "numbers.to_pbx.row": "new1",
        "numbers.to_pbx.new1.match": r"\+7(\d{10})",
        "numbers.to_pbx.new1.replace": r"98\1",
        "numbers.to_pbx.new1.name": "through nine",
    }
    told = await looked(anna, "numbers", "try", try_number="+7 916 123-45-67", **rules)
    assert "Towards the PBX: <b>989161234567</b>" in told and "through nine" in told
    assert "Towards the CRM: <b>+79161234567</b>" in told
    rules["numbers.to_pbx.new1.match"] = "("
    assert "is no regular expression" in await looked(anna, "numbers", "try", try_number="1", **rules)


async def test_the_week_is_drawn_as_it_is_typed(anna: Visitor) -> None:  # noqa: F811
    told = await looked(anna, "working-time", "week", **{"working_time.week": "Mon-Fri 09:00-18:00\r\nSat 20:00-02:00"})
    assert told.count("09:00–18:00") == 10 and 'x="37.5%"' in told and "day off" in told


def test_a_week_knows_nights_holidays_and_days_of_its_own() -> None:
    named = {
        "week": ["Mon-Fri 09:00-18:00", "Sat 20:00-02:00"],
        "holidays": ["2026-11-23"],
        "days": ["2026-11-24 09:00-13:00"],
        "employee": [{"extension": "101", "company_holidays": False}],
        "time_zone": "Europe/Moscow",
    }
    company, anna_ = drawn(settings_from({"working_time": named}), SUNDAY)
    assert company.days[5] == Day(5, ((83.33, 16.67),), "20:00–02:00")
    assert company.days[6] == Day(6, ((0.0, 8.33),), "")
    assert company.different == (Different(date(2026, 11, 23), ""), Different(date(2026, 11, 24), "09:00–13:00"))
    assert (anna_.whose, anna_.days, anna_.different) == ("101", company.days, ())


async def test_the_task_is_shown_as_it_would_look(anna: Visitor) -> None:  # noqa: F811
    fields = {"missed.title": "Call {client}{again}", "missed.raise_after": "3", "missed.deadline": "30"}
    told = await looked(anna, "missed", "preview", **fields)
    assert "<b>Call +79161234567</b>" in told and "<b>Call +79161234567 ×3</b>" in told
    assert told.count("important") == 1 and "30 minutes" in told and "Perezvon" not in told
    assert (
        "there is no place" in (wrong := await looked(anna, "missed", "preview", **{"missed.title": "{who}"}))
        or "known" in wrong
    )


async def test_numbers_that_were_seen_are_offered(served: Pages, anna: Visitor) -> None:  # noqa: F811
    served.status_now = Status(
        "1", served.clock(), 0, unknown_lines=(UnknownLine("main", "+74951112233", 3, served.clock()),)
    )
    assert 'data-offer="+74951112233"' in (await anna.get("/settings/lines")).text


def test_doubles_and_holes_come_first() -> None:
    people = [
        Employee("1", "101", "Anna"),
        Employee("2", "102", "Boris"),
        Employee("3", "102", "Clara"),
        Employee("4", "", "Denis"),
        Employee("5", "103", "Eva", active=False),
    ]
    found = staff("main", people, 1.0, [Unmapped("main", "105", 4, 9.0), Unmapped("other", "106", 1, 1.0)])
    assert [(post.extension, post.double, len(post.people), post.calls) for post in found.posts] == [
        ("102", True, 2, 0),
        ("105", False, 0, 4),
        ("101", False, 1, 0),
    ]
    assert (found.wrong, [one.name for one in found.without]) == (2, ["Denis"])


async def test_the_map_of_employees(served: Pages, anna: Visitor) -> None:  # noqa: F811
    people = [Employee("1", "101", "<b>Anna"), Employee("2", "101", "Boris")]
    await served.database.write(lambda conn: employees.replace(conn, "main", people, served.clock()))
    now = served.clock()
    served.status_now = Status(
        "1",
        now,
        0,
        unmapped=(Unmapped("main", "105", 4, now),),
        portals=(PortalStatus("main", "ready", now, host="b24.example.ru"),),
    )
    page = (await anna.get("/settings/employees?lang=en")).text
    assert "&lt;b&gt;Anna" in page and "twice" in page and "nobody" in page and "https://b24.example.ru/" in page


async def test_a_menu_is_drawn_with_what_is_missing_and_played(served: Pages, anna: Visitor, tmp_path: Path) -> None:  # noqa: F811
    sounds = tmp_path / "sounds"
    (sounds / "scenario").mkdir(parents=True)
    (sounds / "scenario" / "shop.wav").write_bytes(spoken(0.5))
    buttons = (MenuButton("1", "sales", "101"), MenuButton("2", "", "102"))
    menu = Menu("+74951234567", "Shop", "shop", buttons)
    await served.database.write(lambda conn: menus.replace(conn, [menu], served.clock()))
    await served.store.merge({"ivr": {"sounds": str(sounds)}}, "root")
    told = await looked(anna, "menu", "try", try_number="84951234567")
    assert "<kbd>1</kbd>" in told and "<b>102</b>" in told and "shop · 0.5 s" in told and "sales: not played" in told
    async with anna.session.get(f"{anna.url}/settings/menu/prompt/scenario?name=shop") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
    for name in ("../../secret.key", "/etc/passwd", "none", ""):
        assert (await anna.get(f"/settings/menu/prompt/scenario?name={name}")).status == 404
    assert "straight to Bitrix24" in await looked(anna, "menu", "try", try_number="84950000000")


def spoken(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\x00\x20\x00\x20\x00\xe0\x00\xe0" * round(seconds * 2000))
    return file.getvalue()


async def test_a_function_is_tried_on_a_stored_call(served: Pages, anna: Visitor, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "hooks").mkdir()
    hook = "def process_final_params(data):\n    print('<i>heard</i>')\n    return data['params'] | {'USER_ID': 77}\n"
    (tmp_path / "hooks" / "own.py").write_text(hook)
    await served.store.merge({"customisation": {"folder": str(tmp_path / "hooks")}}, "root")

    async def tried(call: str, point: str = "process_final_params") -> tuple[int, str]:
        await anna.get("/settings/customisation")
        answer = await anna.post("/settings/customisation/try?lang=en", {"point": point, "call": call})
        return answer.status, answer.text

    assert "no call is stored yet" in (await tried(""))[1]
    await store(served.database, tmp_path, served.clock() - 40)
    status, told = await tried(CALL)
    assert (status, "<i>heard" in told) == (200, False)
    assert "&lt;i&gt;heard" in told and "77" in told, told
    assert "there is no call &lt;b&gt;" in (await tried("<b>"))[1]
    assert (await tried(CALL, "nonsense"))[0] == 404
