"""labelstream devices: who may fetch models, and who did."""

from __future__ import annotations

import typer

from labelstream_cli.access.audit import show_audit
from labelstream_cli.access.device_adding import add_device
from labelstream_cli.access.device_keys import new_key
from labelstream_cli.access.device_list import list_devices
from labelstream_cli.access.revoking import revoke_device


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Devices that may fetch models: enrol, list and revoke them, and see who fetched what.",
    )
    group.command("new-key")(new_key)
    group.command("add")(add_device)
    group.command("list")(list_devices)
    group.command("revoke")(revoke_device)
    group.command("audit")(show_audit)
    app.add_typer(group, name="devices")
