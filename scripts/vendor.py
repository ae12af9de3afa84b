"""Brings the browser's libraries into the tree: exact versions through `npm pack`, only the files that are used.

What is wanted, with the hash of each file, is in `vendored.json` beside them. A file whose hash is another one is refused;
to take a new version, change it there, run `scripts/vendor.py --take` and look at what changed. Nothing of this runs when
Perezvon is built or run; a test compares the tree with the hashes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LISTS = (ROOT / "src/perezvon/web/static/vendor/vendored.json", ROOT / "tests/web/vendor/vendored.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", action="store_true", help="write the hashes of what came into vendored.json")
    take = parser.parse_args().take
    wrong = [told for path in LISTS for told in bring(path, take=take)]
    for told in wrong:
        print(told, file=sys.stderr)
    return 1 if wrong else 0


def bring(path: Path, *, take: bool) -> list[str]:
    """What is not as the list says."""
    wanted: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    wrong: list[str] = []
    for package in wanted:
        with tempfile.TemporaryDirectory() as folder:
            content = packed(f"{package['package']}@{package['version']}", Path(folder))
            for file in package["files"]:
                data = made(content, file)
                digest = hashlib.sha256(data).hexdigest()
                if take:
                    file["sha256"] = digest
                elif digest != file["sha256"]:
                    wrong.append(f"{package['package']}: {file['name']} has the hash {digest}, not {file['sha256']}")
                    continue
                (path.parent / file["name"]).write_bytes(data)
    if take:
        path.write_text(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return wrong


def packed(spec: str, folder: Path) -> Path:
    """The package's files, unpacked."""
    told = subprocess.run(
        ["npm", "pack", "--silent", "--json", "--pack-destination", folder, spec],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    with tarfile.open(folder / json.loads(told.stdout)[0]["filename"].replace("@", "").replace("/", "-")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def made(content: Path, file: dict[str, Any]) -> bytes:
    if "icons" not in file:
        data = (content / file["from"]).read_bytes()
        return re.sub(rb"\n?(//# |/\*# )sourceMappingURL=[^\n]*\n?", b"\n", data)  # the map is not brought
    return sprite({name: (content / file["from"] / f"{name}.svg").read_text(encoding="utf-8") for name in file["icons"]})


def sprite(icons: dict[str, str]) -> bytes:
    """One file whose symbols are the icons: `<use href="icons.svg#phone">`."""
    symbols: list[str] = []
    for name, drawn in sorted(icons.items()):
        inner = re.sub(r"<path stroke=\"none\"[^>]*/>", "", drawn.partition(">")[2].rpartition("</svg>")[0])
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{chr(10).join(symbols)}\n</svg>\n'.encode()


if __name__ == "__main__":
    sys.exit(main())
