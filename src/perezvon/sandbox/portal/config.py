"""What a pretend portal is like: edition, limits, strictness, the application and webhook it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL_SCOPES = frozenset(
    [
        *("bizproc", "calendar", "call", "crm", "department", "disk", "im", "imbot", "imopenlines", "placement", "pull"),
        *("task", "tasks", "telephony", "timeman", "user", "user_basic", "user_brief"),
    ]
)


@dataclass(frozen=True, slots=True)
class Rate:
    """Leaky bucket: every HTTP request adds one, `per_second` leak away, above `block_above` the answer is 503."""

    per_second: float = 2.0
    block_above: int = 50


@dataclass(frozen=True, slots=True)
class Operating:
    """Seconds of work a method may cost one application within ten one-minute baskets; then 429.

    `costs`: seconds charged for one call of a method (lower-case name; "*" for every other), on top of the time really used
    when `measured`.
    """

    budget: float = 480.0
    costs: Mapping[str, float] = field(default_factory=dict[str, float])
    measured: bool = False


@dataclass(frozen=True, slots=True)
class PortalConfig:
    """`rate` or `operating` None: no such limit (a self-hosted portal).

    `strict_app_context`: register, finish and externalLine.* refuse a webhook, as documented; off: as the self-hosted
    edition.
    `strict_params`: an undocumented parameter, or a value of a wrong type or outside its enumeration, is refused with a
    SANDBOX_… error. The real portal ignores or casts such things, which hides mistakes.
    `one_card_per_user`: the browser drops a card pushed while another is open, as the self-hosted edition does.
    `add_to_chat_default`: what an omitted ADD_TO_CHAT means (documented: on; self-hosted edition: off).
    `install_url`, `handler_url`: where the application is told of its installation, and its redirect target.
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    rate: Rate | None = field(default_factory=Rate)
    operating: Operating | None = field(default_factory=Operating)
    delay: float = 0.0
    strict_app_context: bool = True
    strict_params: bool = True
    one_card_per_user: bool = True
    add_to_chat_default: bool = True
    crm_mode: int = 1
    region: str = "RU"
    time_zone: str = "Europe/Moscow"
    language: str = "ru"
    license: str = "ru_pro100"
    features: frozenset[str] = frozenset({"rest_offline_extended", "rest_auth_connector"})
    access_token_ttl: float = 3600.0
    refresh_token_ttl: float = 180 * 86400.0
    client_id: str = "local.65f0c0ffee0000.12345678"
    client_secret: str = "sandbox-client-secret"  # noqa: S105
    webhook_secret: str = "sandboxwebhook01"  # noqa: S105
    webhook_user: int = 1
    app_user: int = 1
    scopes: frozenset[str] = ALL_SCOPES
    install_url: str = ""
    handler_url: str = ""
    member_id: str = "5a1e0d2c3b4f5a6978876543210fedcb"
    seed: bool = True
    journal_limit: int = 200_000
