"""Settings of one Bitrix24 portal: `[[portal]]`."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from perezvon.rules.vocabulary import Reason
from perezvon.settings.automation import AutomationSettings
from perezvon.settings.confidential import Secret
from perezvon.settings.errors import Wrong
from perezvon.settings.section import (
    PER_SECOND,
    REQUESTS,
    SECONDS,
    AbsolutePath,
    HttpUrl,
    Name,
    OneLine,
    Section,
    TimeZone,
    UserId,
    section,
)
from perezvon.settings.urls import WebhookUrl


def _host(text: str) -> str:
    """`example.bitrix24.ru`, also when pasted as a whole address; a port is allowed (portals of one's own, the sandbox)."""
    host = re.sub(r"^https?://", "", text.strip()).rstrip("/").lower()
    if host and re.fullmatch(r"[a-z0-9.-]+(:\d{1,5})?", host) is None:
        raise Wrong(Reason("must be the portal's host name, e.g. example.bitrix24.ru"))
    return f"http://{host}" if text.startswith("http://") else host


class PortalSettings(Section):
    """A portal that calls are written into: by a webhook, or as a local application."""

    name: Name = Field(
        title="Name",
        description="How this portal is called in the settings, the logs and on the pages. Do not change it later: the "
        "queue is kept under it.",
        examples=["main"],
    )
    webhook: WebhookUrl | None = Field(
        default=None,
        title="Incoming webhook",
        description="The address of an incoming webhook with the permissions telephony, crm, user, im and task. Simple, "
        "but a click on a number works with a local application only.",
        examples=["https://example.bitrix24.ru/rest/1/token/"],
    )
    domain: Annotated[str, AfterValidator(_host)] = Field(
        default="",
        title="Portal's host name",
        description="For a local application: the portal's address without https://.",
        examples=["example.bitrix24.ru"],
    )
    client_id: OneLine = Field(
        default="",
        title="Application's client_id",
        description="From the local application's page in the portal.",
        examples=["local.65f0a1b2c3d4e5.12345678"],
    )
    client_secret: Secret | None = Field(
        default=None,
        title="Application's client_secret",
        description="From the local application's page in the portal.",
        examples=["env:B24_SECRET"],
    )
    application_token: Secret | None = Field(
        default=None,
        title="Application token",
        description="Proves that an event comes from the portal. A local application tells it by itself when it is "
        "installed; for an outgoing webhook copy it from the webhook's page.",
        examples=["file:/etc/perezvon/application_token"],
    )
    oauth_server: HttpUrl = Field(
        default="https://oauth.bitrix.info",
        title="Authorization server",
        description="Where a local application renews its access.",
        examples=["https://oauth.bitrix.info"],
    )
    events: Literal["offline", "handler", "both", "off"] = Field(
        default="offline",
        title="Events",
        description="How the portal tells of clicks on numbers. offline: we ask every few seconds, no open port is needed; "
        "handler: the portal calls our public address; both: both, without doubles; off: not at all.",
        examples=["offline"],
    )
    offline_interval: float = Field(
        default=3.0,
        ge=1,
        le=60,
        title="Interval of asking for events",
        description="A click on a number waits up to this long when events are asked for.",
        examples=[3],
        json_schema_extra=SECONDS,
    )
    public_url: HttpUrl = Field(
        default="",
        title="Our public address",
        description="The https address at which the portal reaches this service. Needed for the events handler, the "
        "robot and our pages inside the portal.",
        examples=["https://pbx.example.com"],
    )
    rate_per_second: float = Field(
        default=2.0,
        gt=0,
        le=1000,
        title="Request rate",
        description="The portal's own limit: 2 on all plans, 5 on Enterprise.",
        examples=[2],
        json_schema_extra=PER_SECOND,
    )
    rate_burst: int = Field(
        default=50,
        ge=1,
        le=100_000,
        title="Request burst",
        description="How many requests the portal takes at once: 50 on all plans, 250 on Enterprise.",
        examples=[50],
        json_schema_extra=REQUESTS,
    )
    own_line: Literal["portal", "perezvon"] = Field(
        default="portal",
        title="Calls through the portal's own SIP line",
        description="Who writes calls into the portal that go through its own SIP line (the peers named in portal_peers). "
        "portal: it does so itself, with its own card and recording, and Perezvon writes those that never came there: "
        "answered elsewhere, given up in the menu; perezvon: Perezvon writes all.",
        examples=["portal"],
    )
    unknown_lines: Literal["listed", "sent"] = Field(
        default="listed",
        title="Unknown company numbers",
        description="What is done with a number of the company that is not among [[line]]. listed: the status page lists "
        "it, and the portal is told of the call without a line; sent: the portal is told of it, and makes a line without a "
        "name of it.",
        examples=["listed"],
    )
    fallback_user: UserId = Field(
        default="",
        title="Fall-back user",
        description="The id of the portal user who gets the calls of employees whose extension the portal does not know. "
        "Empty: the webhook's or the application's own user.",
        examples=["1"],
    )
    missed_user: UserId = Field(
        default="",
        title="User for missed calls",
        description="The id of the portal user who gets missed calls for which nobody was rung. Empty: the fall-back user.",
        examples=["1"],
    )
    language: Literal["ru", "en"] = Field(
        default="ru",
        title="Language of the portal",
        description="In which Perezvon writes texts into the CRM.",
        examples=["en"],
    )
    time_zone: TimeZone = Field(
        default="",
        title="Time zone of the portal",
        description="Of times in texts that Perezvon writes into the CRM. Empty: that of the machine Perezvon runs on.",
        examples=["Europe/Moscow"],
    )
    request_timeout: float = Field(
        default=30.0,
        ge=1,
        le=300,
        title="Request deadline",
        description="How long to wait for the portal's answer to one request.",
        examples=[30],
        json_schema_extra=SECONDS,
    )
    verify_tls: bool = Field(
        default=True,
        title="Check the certificate",
        description="Off only for a portal of your own in a trusted network.",
        examples=[True],
    )
    ca: AbsolutePath = Field(
        default="",
        title="Certificate authority",
        description="A PEM file with the authority that signed the certificate of a portal of your own.",
        examples=["/etc/perezvon/company-ca.pem"],
    )

    card_tab: bool = Field(
        default=True,
        title="Tab in the call's card",
        description="Whether the portal's card of a call gets our tab: who is in the room, what the client pressed, the "
        "buttons of the conference. Needs a local application and public_url. What is switched off is taken out of the "
        "portal.",
        examples=[False],
    )
    report_page: bool = Field(
        default=True,
        title="Report in the call statistics",
        description="Whether the portal's call statistics get our report of missed calls and of the times until they were "
        "called back. Needs the same.",
        examples=[False],
    )
    menu_page: bool = Field(
        default=True,
        title="Page in the portal's menu",
        description="Whether the portal's menu gets our page: for administrators what is wrong and how to put it right, "
        "for everybody else his own calls of today. Needs the same.",
        examples=[False],
    )
    automation: AutomationSettings = section(
        AutomationSettings,
        title="Portal's automation",
        description="Triggers and a robot for the funnels of the CRM, and callback forms (portal-administrator.md). In the "
        "file it stands right after its [[portal]].",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        application = {"domain": self.domain, "client_id": self.client_id, "client_secret": self.client_secret}
        if self.webhook is not None and any(application.values()):
            raise Wrong(Reason("give either a webhook, or domain, client_id and client_secret, not both"), ("webhook",))
        if self.webhook is None:
            for name, value in application.items():
                if not value:
                    raise Wrong(
                        Reason(
                            "give a webhook, or domain, client_id and client_secret; {name} is missing",
                            {"name": name},
                        )
                    )
        return self

    @model_validator(mode="after")
    def _handler_needs_address(self) -> Self:
        if self.events in {"handler", "both"} and not self.public_url:
            raise Wrong(Reason("must be given when events go to a handler"), ("public_url",))
        return self


def handler_of(settings: PortalSettings) -> str:
    """The address to which the portal sends events; "" when we ask for them instead."""
    if settings.events not in {"handler", "both"}:
        return ""
    return f"{settings.public_url.rstrip('/')}/bitrix24/{settings.name}/events"


def robot_handler_of(settings: PortalSettings) -> str:
    """The address to which the portal sends what its robot shall do; "" when it cannot reach us."""
    return f"{settings.public_url.rstrip('/')}/bitrix24/{settings.name}/robot" if settings.public_url else ""


def inside_pages(settings: PortalSettings) -> dict[str, str]:
    """Our pages that the settings want inside the portal (card | analytics | app), with their addresses; none where the
    portal's users cannot reach us."""
    switched = {"card": settings.card_tab, "analytics": settings.report_page, "app": settings.menu_page}
    root = settings.public_url.rstrip("/")
    return {page: f"{root}{inside_path(settings.name, page)}" for page, wanted in switched.items() if wanted and root}


def inside_path(portal: str, page: str) -> str:
    return f"/bitrix24/{portal}/{page}"
