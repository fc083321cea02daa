"""labelstream secrets: what compose and Kubernetes need to know of passwords and keys."""

from __future__ import annotations

import typer

from labelstream_cli.secrets.kubectl import print_kubectl
from labelstream_cli.secrets.making import make_secrets


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Secrets of a deployment by containers: make them, hand them to Kubernetes."
    )
    group.command("make")(make_secrets)
    group.command("kubectl")(print_kubectl)
    app.add_typer(group, name="secrets")
