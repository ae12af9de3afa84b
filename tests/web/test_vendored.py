"""The browser's libraries are what `scripts/vendor.py` brought: nothing altered, nothing besides, with their licences."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

import perezvon
from perezvon.web.frame import NAVIGATION

STATIC = Path(perezvon.__file__).parent / "web" / "static" / "vendor"
FOLDERS = (STATIC, Path(__file__).parent / "vendor")
BESIDE = {"vendored.json", "LICENSES.txt"}


@pytest.mark.parametrize("folder", FOLDERS, ids=["served", "for tests"])
def test_each_file_is_the_one_that_was_looked_at(folder: Path) -> None:
    listed = {
        file["name"]: file["sha256"]
        for package in json.loads((folder / "vendored.json").read_text())
        for file in package["files"]
    }
    there = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.name not in BESIDE
    }
    assert there == listed


def test_each_served_package_has_its_licence() -> None:
    licences = (STATIC / "LICENSES.txt").read_text(encoding="utf-8")
    for package in json.loads((STATIC / "vendored.json").read_text()):
        assert package["package"] in licences
        assert {"MIT": "MIT License", "0BSD": "BSD Zero Clause License"}[
            package["licence"]
        ].casefold() in licences.casefold()


def test_nothing_is_fetched_from_elsewhere() -> None:
    """No address of another host in our own static files, templates and styles but names of XML."""
    web = STATIC.parents[1]
    ours = [*web.glob("templates/*.html"), *web.glob("static/*.*")]
    assert len(ours) > 10
    for file in ours:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "//cdn" not in text, file
    styles = (STATIC / "tabler.min.css").read_text(encoding="utf-8")
    assert "@import" not in styles and "url(http" not in styles and 'url("http' not in styles


def test_every_icon_that_is_shown_is_there() -> None:
    web = STATIC.parents[1]
    there = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))
    text = "\n".join(file.read_text(encoding="utf-8") for file in web.glob("templates/*.html"))
    wanted = {entry.icon for entry in NAVIGATION} | set(re.findall(r'icon\("([\w-]+)"\)', text))
    assert len(wanted) > 15
    assert wanted <= there, "name them in static/vendor/vendored.json and run scripts/vendor.py --take"
