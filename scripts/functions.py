"""Prints docs/functions.md: each line of document 000, and the end-to-end tests that prove it, found by their names.

.venv/bin/python scripts/functions.py > docs/functions.md
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

E2E = Path(__file__).resolve().parents[1] / "tests" / "e2e"

PARTS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "The main job": {
        "1a": ("автоматическое соединение с ответственным", "[autoconnect]"),
        "1b": ("демонстрация карточки звонка клиента", "calls.show_card"),
        "1c": ("создание лида для входящих и исходящих звонков (настраиваемое)", "calls.create_lead_*"),
        "1d": ("создание дела-звонка для всего звонка", "calls.describe, calls.transfers"),
        "1e": ("фиксация длительности разговора в деле", ""),
        "1f": ("загрузка записи звонка в Битрикс в mp3", "[recordings]"),
        "1g": ("ответственный за новый лид — последний разговаривающий сотрудник", "[crm]"),
        "1h": ("отправка информации о новых лидах в бизнес-чат", "[chat]"),
        "1i": ("совершение исходящих вызовов по клику на номер", "[clicks]"),
    },
    "Business rules": {
        "2a": ("отключить создание лидов для входящих либо исходящих звонков", "calls.create_lead_*, [[line]]"),
        "2b": ("хранение записи на сервере Asterisk, передача в Битрикс24 ссылки для прослушивания", "[recordings]"),
        "2c": ("соответствие транков и источников, транков и внешних линий", "[[line]]"),
        "2d": ("выбрать первого ответственного за звонок", "[autoconnect], [[line]]"),
        "2e": ("выбрать ответственного за пропущенный", "[missed]"),
        "2f": ("чёрный и белый списки внутренних номеров", "[filters]"),
        "2g": ("создание задач по пропущенному звонку и настройка её параметров", "[missed.task]"),
        "2h": ("автозакрытие задач по пропущенному звонку после успешного", "[missed.task]"),
        "2i": ("автосоединение с учётом рабочего времени", "[working_time]"),
    },
    "Customisation": {
        "3a": ("изменение формата номера телефона перед отправкой в CRM", "[numbers]"),
        "3b": ("изменение параметров вызова (originate) перед отправкой в Asterisk", "process_originate_params"),
        "3c": ("кастомизация пути до записи и конвертация в mp3", "process_record_file_path, [recordings]"),
        "3d": ("разные ответственные за пропущенные звонки, пришедшие по разным транкам", "[[line]]"),
        "3e": ("дополнить лид либо контакт и сделку любыми данными о звонке", "customize_entity"),
        "3f": ("дополнить дело любыми данными о звонке", "customize_activity"),
        "3g": ("изменить параметры регистрации звонка перед запросом", "process_registration_params"),
        "3h": ("изменить логику автораспределения", "customize_autodistribution"),
    },
    "What Bitrix24 offers": {
        "4a": ("десктопное приложение: список звонков, карточка звонка", ""),
        "4b": ("статистика звонков и детализация", ""),
        "4c": ("построение отчётов по звонкам", ""),
        "4d": ("роботы и триггеры в CRM по звонкам", "[portal.automation]"),
        "4e": ("сквозная аналитика (через внешние линии)", "[[line]]"),
    },
}

HEAD = """# Document 000, line by line

What the functional description (document 000) demands, and the tests on a real Asterisk that prove each line. Made by
`scripts/functions.py` out of the tests' names; a test tells when this file is out of date. Settings are explained in
[settings.md](settings.md), customisation points in [customisation.md](customisation.md).
"""

_LETTERS = re.compile(r"test_((?:[1-4][a-i]_)+)(.+)")


def proofs() -> dict[str, list[tuple[str, str]]]:
    """Letter -> the tests that prove it: file and what it says."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file in sorted(E2E.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                continue
            if (named := _LETTERS.fullmatch(node.name)) is not None:
                for letter in named[1].strip("_").split("_"):
                    found[letter].append((file.name, named[2].replace("_", " ")))
    return found


def unproven() -> list[str]:
    """The lines that no test is named after."""
    known = proofs()
    return [letter for lines in PARTS.values() for letter in lines if not known.get(letter)]


def page() -> Iterator[str]:
    known = proofs()
    yield HEAD
    for title, lines in PARTS.items():
        yield f"\n## {title}\n\n| line | document 000 | setting, point | proven by |\n| --- | --- | --- | --- |\n"
        for letter, (text, settings) in lines.items():
            yield f"| {letter} | {text} | {_code(settings)} | {_told(known.get(letter, []))} |\n"


def _code(settings: str) -> str:
    return ", ".join(f"`{one}`" for one in settings.split(", ")) if settings else ""


def _told(tests: Sequence[tuple[str, str]]) -> str:
    files: dict[str, list[str]] = defaultdict(list)
    for file, says in tests:
        files[file].append(says)
    return "<br>".join(f"`{file}`: {'; '.join(says)}" for file, says in files.items()) or "nothing yet"


if __name__ == "__main__":
    sys.stdout.write("".join(page()))
