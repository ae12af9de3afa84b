"""Lays out the folder of one Asterisk: its configuration from the templates in `config/`, sounds and certificate."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from jinja2 import Environment, StrictUndefined

from perezvon.asterisk.wiring.render import FOLDER, render
from perezvon.asterisk.wiring.values import Wiring
from perezvon.sandbox.pbx import sounds
from perezvon.sandbox.pbx.loopback import AGI_PORT, AMI_PORT, AMI_TLS_PORT, HTTP_PORT, SIP_PORT, Addresses
from perezvon.sandbox.pbx.rootfs import Installation

LINE = "74951234567"
"""The company's main number."""

EMPLOYEES: Mapping[str, str] = {
    "101": "Анна Смирнова",
    "102": "Борис Орлов",
    "103": "Вера Ким",
    "104": "Глеб Титов",
    "105": "Дина Белова",
}
"""Extensions of the office and whose they are."""

REGISTERED = ("101", "102", "103", "104")
"""Those whose phones are switched on; 105 never registers."""

AMI_USER = "perezvon"
SANDBOX_USER = "sandbox"
WATCH_USER = "watch"
AMI_SECRET = "sandbox-secret"  # noqa: S105 - reachable from this machine only
SIP_SECRET = "desk-secret"  # noqa: S105

RTP_PORTS = {"office": (10000, 17998), "world": (18000, 29998)}

LEFT_EMPTY = ("acl", "ccss", "features", "pjproject", "queuerules", "stasis", "udptl", "websocket_client")
"""Configuration whose defaults do, but Asterisk complains in its log when a file is missing."""

_CONFIG = files("perezvon.sandbox.pbx") / "config"


def lay_out(kind: str, folder: Path, installation: Installation, addresses: Addresses, *, verbose: int = 0) -> None:
    """Writes everything that the `office` or the `world` needs to start. `verbose`: how much its log tells (FreePBX: 3)."""
    for name in ("etc", "lib", "log/cdr-csv", "log/cel-custom", "spool/monitor", "sounds", "moh", "heard", "lib/keys"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    run = addresses.run / kind
    run.mkdir(exist_ok=True)
    if kind == "office":
        sounds.write_tone(folder / "sounds/menu.wav", sounds.MENU, 2)
        sounds.write_tone(folder / "sounds/announcement.wav", sounds.ANNOUNCEMENT, 1.5)
        sounds.write_tone(folder / "moh/tone.wav", sounds.MUSIC_ON_HOLD, 10)
        _write_certificate(folder / "etc", addresses.office)
        _write_wiring(folder, addresses)
    first, last = RTP_PORTS[kind]
    values: dict[str, Any] = {
        "kind": kind,
        "folder": folder,
        "run": run,
        "modules": installation.modules,
        "data": installation.data,
        "has": _modules(installation).__contains__,
        "registers_at_once": _newer(installation.version, (16, 27), (18, 13), (19, 5)),
        "entity": f"02:00:00:00:{addresses.group:02x}:{1 if kind == 'office' else 2:02x}",
        "verbose": verbose,
        "ip": addresses.office,
        "carrier_ip": addresses.carrier,
        "connector_ip": addresses.connector,
        "employees": EMPLOYEES,
        "registered": REGISTERED,
        "desks": addresses.desks(EMPLOYEES),
        "tones": {party: round(tone) for party, tone in sounds.TONES.items()},
        "line": LINE,
        "ami_user": AMI_USER,
        "sandbox_user": SANDBOX_USER,
        "watch_user": WATCH_USER,
        "ami_secret": AMI_SECRET,
        "sip_port": SIP_PORT,
        "ami_port": AMI_PORT,
        "ami_tls_port": AMI_TLS_PORT,
        "http_port": HTTP_PORT,
        "sip_secret": SIP_SECRET,
        "certificate": folder / "etc/ami.pem",
        "certificate_key": folder / "etc/ami.key",
        "rtp_first": first,
        "rtp_last": last,
    }
    for name in LEFT_EMPTY:
        (folder / "etc" / f"{name}.conf").write_text("; the defaults\n", encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 - no HTML
    for template in _templates(kind):
        text = environment.from_string(template.read_text(encoding="utf-8")).render(values)
        (folder / "etc" / template.name).write_text(text + "\n", encoding="utf-8")


def wiring_of(folder: Path, addresses: Addresses) -> Wiring:
    """The settings of our own include files here: the trunks are the office's, the prompts of the conference are tones."""
    return Wiring(agi=f"agi://{addresses.service}:{AGI_PORT}/main", sounds=str(folder / "sounds/perezvon"))


def _write_wiring(folder: Path, addresses: Addresses) -> None:
    prompts = folder / "sounds/perezvon"
    prompts.mkdir(exist_ok=True)
    sounds.write_tone(prompts / "enter-code.wav", sounds.CODE, 1)
    sounds.write_tone(prompts / "callback.wav", sounds.CODE, 1.2)
    for wrong in ("bad-code", "busy", "no-answer", "nobody"):
        sounds.write_tone(prompts / f"{wrong}.wav", sounds.WRONG_CODE, 0.4)
    ours = folder / "etc" / FOLDER
    ours.mkdir(exist_ok=True)
    for file in render(wiring_of(folder, addresses)):
        (ours / file.name).write_text(file.text, encoding="utf-8")


def _newer(version: str, *since: tuple[int, int]) -> bool:
    """Whether a version has what came into several branches, with these versions."""
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return major > max(since)[0] or any(major == branch and minor >= first for branch, first in since)


def _templates(kind: str) -> Iterator[Traversable]:
    for place in ("shared", kind):
        yield from sorted((_CONFIG / place).iterdir(), key=lambda template: template.name)


def _modules(installation: Installation) -> frozenset[str]:
    return frozenset(file.stem for folder in installation.modules_folders for file in folder.glob("*.so"))


def _write_certificate(folder: Path, address: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Perezvon sandbox")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ami.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "ami.key"
    file.touch(mode=0o600)
    file.write_bytes(secret)
