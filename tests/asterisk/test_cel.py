"""The channel event log as it lies on a disk: large, rotated, cut off, in several notations of time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perezvon.asterisk.cel import CHUNK, CelUnreadable, moment, newest, read_back

START = 1_795_251_000.0


def line(at: float, uid: str = "1795251000.1", kind: str = "ANSWER", name: str = "Иван") -> bytes:
    values = [kind, f"{at:.6f}", name, "101", "", "", "", "101", "from-internal", "PJSIP/101-00000001"]
    values += ["AppDial", "(Outgoing Line)", "3", "", uid, uid, "", "", "", '{""hangupcause"":16}']
    return (",".join(f'"{value}"' for value in values) + "\n").encode()


def test_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "Master.csv"
    log.write_bytes(b"".join(line(START + n) for n in range(20_000)))
    assert log.stat().st_size > 10 * CHUNK
    rows = read_back(log, START + 19_000, largest=2 * CHUNK)
    assert [row.at for row in rows] == [START + n for n in range(19_000, 20_000)]
    assert rows[0].caller == "Иван"
    assert rows[0].extra == {"hangupcause": "16"}


def test_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    log = tmp_path / "Master.csv"
    log.write_bytes(line(START) + line(START + 1)[:80])
    assert [row.at for row in read_back(log, START)] == [START]
    log.write_bytes(line(START) + line(START + 1))
    assert [row.at for row in read_back(log, START)] == [START, START + 1]


def test_rotated_files_are_read_on(tmp_path: Path) -> None:
    (tmp_path / "Master.csv.1").write_bytes(line(START) + line(START + 10))
    (tmp_path / "Master.csv.2.gz").write_bytes(b"packed")
    log = tmp_path / "Master.csv"
    log.write_bytes(line(START + 20))
    assert [row.at for row in read_back(log, START + 5)] == [START + 10, START + 20]


@pytest.mark.parametrize(
    "broken",
    [b"\n", b"nonsense\n", b'"ANSWER","yesterday"' + b',""' * 18 + b"\n", b"\xff\xfe\x00\n", b'"' * 99 + b"\n"],
)
def test_bad_lines_are_passed_over(tmp_path: Path, broken: bytes) -> None:
    log = tmp_path / "Master.csv"
    log.write_bytes(line(START) + broken + line(START + 1))
    assert [row.at for row in read_back(log, START)] == [START, START + 1]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    log = tmp_path / "Master.csv"
    log.write_bytes(line(START).decode().encode("cp1251"))
    assert [row.caller for row in read_back(log, START)] == ["Иван"]


def test_rows_are_in_order_of_time(tmp_path: Path) -> None:
    log = tmp_path / "Master.csv"
    log.write_bytes(line(START + 0.2) + line(START + 0.1) + line(START + 0.3))
    assert [row.at for row in read_back(log, START)] == [START + 0.1, START + 0.2, START + 0.3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1795251052.301260", 1_795_251_052.30126),
        ("1795251052", 1_795_251_052.0),
        ("2026-11-21 08:50:52.301260", 1_795_251_052.30126),
        ("2026-11-21 08:50:52", 1_795_251_052.0),
        ("2026-13-41 08:50:52", None),
        ("", None),
    ],
)
def test_notations_of_time(text: str, expected: float | None, utc: None) -> None:
    assert moment(text) == (pytest.approx(expected, abs=1e-5) if expected is not None else None)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(CelUnreadable, match="cannot be read"):
        read_back(tmp_path / "Master.csv", 0.0)
    with pytest.raises(CelUnreadable, match="cannot be read"):
        newest(tmp_path / "Master.csv")
