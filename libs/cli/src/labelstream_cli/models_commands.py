"""labelstream models: what there is, which of them serves, comparing and fetching them."""

from __future__ import annotations

import typer

from labelstream_cli.models.browse import list_models, show_one
from labelstream_cli.models.changing import promote_model, rollback_model, withdraw_model
from labelstream_cli.models.compare import compare_models
from labelstream_cli.models.pull import pull_model
from labelstream_cli.models.twin import write_twin
from labelstream_cli.models.verify import verify_model


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Models: list and compare them, let one serve, go back, withdraw one; verify and pull bundles.",
    )
    group.command("list")(list_models)
    group.command("show")(show_one)
    group.command("compare")(compare_models)
    group.command("promote")(promote_model)
    group.command("rollback")(rollback_model)
    group.command("withdraw")(withdraw_model)
    group.command("verify")(verify_model)
    group.command("pull")(pull_model)
    group.command("twin")(write_twin)
    app.add_typer(group, name="models")
