"""The pretend portal as a process of its own: `python -m perezvon.sandbox.portal --bind 127.0.0.1:8890`."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from perezvon.sandbox.portal.config import PortalConfig, Rate
from perezvon.sandbox.portal.face import face_routes
from perezvon.sandbox.portal.server import PortalServer


def main(
    bind: Annotated[str, typer.Option(help="HOST:PORT of the portal; port 0 takes a free one.")] = "127.0.0.1:8890",
    control: Annotated[int, typer.Option(help="Second port, which an outage does not close; 0 takes a free one.")] = 0,
    rate: Annotated[float, typer.Option(help="Requests a second that leak out of the bucket; 0: no limit.")] = 2.0,
    burst: Annotated[int, typer.Option(help="Size of the bucket.")] = 50,
    delay: Annotated[float, typer.Option(help="Seconds every answer takes.")] = 0.0,
    self_hosted: Annotated[bool, typer.Option(help="As the self-hosted edition: webhooks may register calls.")] = False,
    simple_crm: Annotated[bool, typer.Option(help="CRM without leads.")] = False,
    install_url: Annotated[str, typer.Option(help="Where the local application is told of its installation.")] = "",
) -> None:
    """Serve until interrupted; the addresses are printed first."""
    host, _, port = bind.rpartition(":")
    if not port.isdigit():
        raise typer.BadParameter(f"{bind!r} should be HOST:PORT", param_hint="--bind")
    config = PortalConfig(
        host=host or "127.0.0.1",
        port=int(port),
        control_port=control,
        rate=Rate(rate, burst) if rate else None,
        delay=delay,
        strict_app_context=not self_hosted,
        crm_mode=2 if simple_crm else 1,
        install_url=install_url,
    )
    asyncio.run(_serve(config))


async def _serve(config: PortalConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with PortalServer(config, face=face_routes()) as portal:
        typer.echo(f"portal   {portal.url}/")
        typer.echo(f"control  {portal.control_url}/sandbox/state")
        typer.echo(f"webhook  {portal.webhook_url}")
        typer.echo(f"application  {config.client_id}  {config.client_secret}")
        await stop.wait()


if __name__ == "__main__":
    typer.run(main)
