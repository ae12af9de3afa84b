"""`perezvon backfill` as people and scripts call it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from perezvon.asterisk.cel import read_back
from perezvon.cli import app
from perezvon.cli.exits import Exit
from perezvon.storage import Database, employees
from perezvon.storage.employees import Employee
from perezvon.storage.schema import call, counter, step

pytestmark = pytest.mark.slow

KEPT = Path(__file__).parents[1] / "asterisk" / "cel"
STORIES = ("incoming_answered", "incoming_busy", "outgoing_answered")


def perezvon(*arguments: object, stdin: str = "", language: str = "C.UTF-8") -> Result:
    return CliRunner(env={"LC_ALL": language}).invoke(app, [str(argument) for argument in arguments], input=stdin)


class House:
    """An installation with the log of three calls, and its employees known."""

    def __init__(self, folder: Path, cel: str = "") -> None:
        self.data = folder / "data"
        self.log = folder / "Master.csv"
        self.log.write_bytes(b"".join(gzip.decompress((KEPT / f"{name}.csv.gz").read_bytes()) for name in STORIES))
        self.begin = datetime.fromtimestamp(read_back(self.log, 0.0)[0].at).replace(microsecond=0)  # noqa: DTZ006
        settings = f"""
            [[asterisk]]
            name = "main"
            ami = "tcp://perezvon:hunter2@127.0.0.1:9"
            cel = "{cel or self.log}"
            trunks = ["carrier", "bitrix24"]
            [[asterisk]]
            name = "blind"
            ami = "tcp://perezvon:hunter2@127.0.0.1:9"
            [[portal]]
            name = "main"
            webhook = "http://127.0.0.1:9/rest/7/hunter3/"
            [[line]]
            number = "+74951234567"
            """
        done = perezvon("config", "apply", "-", "--data-dir", self.data, stdin=settings)
        assert done.exit_code == Exit.OK, done.output

    def knows_employees(self) -> None:
        async def work() -> None:
            people = [Employee("11", "101", "Иванов"), Employee("12", "102", "Петрова")]
            async with await Database.open(self.data) as database:
                await database.write(lambda conn: employees.replace(conn, "main", people, 1.0))

        asyncio.run(work())

    def counted(self) -> tuple[int, int, int]:
        """Calls, steps, and how often the service was told to look."""

        async def work() -> tuple[int, int, int]:
            async with await Database.open(self.data) as database, database.read() as conn:
                rows = [
                    (await conn.execute(select(func.count()).select_from(one))).scalar_one()
                    for one in (call, step, counter)
                ]
                return rows[0], rows[1], rows[2]

        return asyncio.run(work())

    def backfill(self, *arguments: object, begin: object = None, language: str = "C.UTF-8") -> Result:
        since = begin or self.begin.isoformat()
        return perezvon("backfill", "--from", since, "--data-dir", self.data, *arguments, language=language)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.knows_employees()
    yield house


def answer(done: Result) -> Any:
    return json.loads(done.stdout)


def test_dry_run_then_for_real_then_again(house: House) -> None:
    dry = house.backfill("--dry-run")
    assert dry.exit_code == Exit.OK, dry.output
    *lines, summary, nothing = dry.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.endswith(": would be sent: register, finish") for line in lines), dry.stdout
    assert lines[0].startswith(f"{datetime.fromtimestamp(read_back(house.log, 0.0)[0].at):%Y-%m-%d %H:%M:%S}  incoming  +7")  # noqa: DTZ006
    assert "+74950000101" in lines[0]
    assert summary == "Calls: 3; would be sent: 3, already there: 0, not over yet: 0."
    assert nothing == "Nothing was written (--dry-run)."
    assert house.counted() == (0, 0, 0)
    done = house.backfill()
    assert done.exit_code == Exit.OK, done.output
    assert [line.rpartition("queued: ")[2] for line in done.stdout.splitlines()[:3]] == ["register, finish"] * 3
    assert house.counted() == (3, 6, 1)
    again = house.backfill(language="ru_RU.UTF-8")
    assert again.stdout.splitlines()[-1] == "Звонков: 3; в очереди: 0, уже есть: 3, ещё идут: 0."
    assert house.counted() == (3, 6, 1)


def test_json(house: House) -> None:
    told = answer(house.backfill("--json", "--dry-run", "--pbx", "main"))
    assert told["dry_run"]
    assert datetime.fromisoformat(told["from"]) == house.begin.astimezone()
    assert told["summary"] == {"calls": 3, "missing": 3, "queued": 0, "there": 0, "running": 0}
    first = told["calls"][0]
    assert (first["pbx"], first["portal"], first["state"], first["outcome"]) == ("main", "main", "missing", "answered")
    register, finish = first["requests"]
    assert (register["method"], finish["method"]) == ("telephony.externalCall.register", "telephony.externalCall.finish")
    assert (register["params"]["SHOW"], register["params"]["CALL_START_DATE"]) == (0, first["started"])
    assert finish["params"]["CALL_ID"] == "$result[register][CALL_ID]"
    assert answer(house.backfill("--json"))["summary"]["queued"] == 3


def test_nobody_of_the_calls_is_an_employee(house: House) -> None:
    """Then the calls are of the user whose webhook it is."""
    told = answer(house.backfill("--json", "--dry-run"))
    users = {request["params"].get("USER_ID") for one in told["calls"] for request in one["requests"]}
    assert users <= {7, 11, 12}


def test_a_period(house: House) -> None:
    starts = [row.at for row in read_back(house.log, 0.0) if row.kind == "CHAN_START" and row.uniqueid == row.linkedid]
    middle = datetime.fromtimestamp(starts[1]).isoformat()  # noqa: DTZ006
    assert len(answer(house.backfill("--json", "--dry-run", "--to", middle))["calls"]) == 1
    zoned = house.begin.astimezone().isoformat()
    assert len(answer(house.backfill("--json", "--dry-run", begin=zoned))["calls"]) == 3
    day = house.begin.date().isoformat()
    assert len(answer(house.backfill("--json", "--dry-run", begin=day))["calls"]) == 3
    nothing = house.backfill("--to", "2020-01-03", begin="2020-01-01")
    assert nothing.stdout.strip() == "The log has no calls of clients in that time."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "--from 'yesterday' is no time: write it like 2026-11-20"),
        (("--from", "2026-02-30"), "is no time"),
        (("--from", "0001-01-01"), "is no time"),
        (("--from", "2020-01-02", "--to", "soon"), "--to 'soon' is no time"),
        (("--from", "2020-01-02", "--to", "2020-01-01"), "is not before --to 2020-01-01"),
        (("--from", "2020-01-02", "--to", "2020-01-02"), "is not before --to 2020-01-02"),
        (("--from", "2126-01-02"), "is in the future"),
        (("--from", "2020-01-01", "--pbx", "other"), "no PBX is called other; known: main, blind"),
        (("--from", "2020-01-01", "--pbx", "blind"), "no channel event log is set for blind: set cel"),
    ],
)
def test_what_cannot_be_meant(house: House, arguments: tuple[str, ...], words: str) -> None:
    done = perezvon("backfill", "--data-dir", house.data, *arguments)
    assert done.exit_code == Exit.USAGE, done.output
    assert words in done.stderr
    assert "Traceback" not in done.output


def test_employees_unknown(tmp_path: Path) -> None:
    done = House(tmp_path).backfill("--dry-run")
    assert done.exit_code == Exit.UNAVAILABLE
    assert "the employees of the portal main are not known yet: start the service" in done.stderr


def test_a_log_that_cannot_be_read(house: House, tmp_path: Path) -> None:
    house.log.unlink()
    done = house.backfill()
    assert done.exit_code == Exit.UNAVAILABLE, done.output
    assert f"{house.log}: the channel event log cannot be read (No such file or directory)" in done.stderr


def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    house = House(tmp_path, "mysql://reader:hunter4@127.0.0.1:9/asteriskcdrdb")
    house.knows_employees()
    done = house.backfill("--verbose")
    assert done.exit_code == Exit.UNAVAILABLE, done.output
    assert "mysql://127.0.0.1:9/asteriskcdrdb, table cel: the database server cannot be reached: see that" in done.stderr
    assert "hunter" not in done.output
    told = answer(house.backfill("--json"))
    assert (told["exit"], "cannot be reached" in told["error"]) == ("unavailable", True)
    assert "сервер базы данных недоступен: проверьте" in house.backfill(language="ru_RU.UTF-8").stderr
