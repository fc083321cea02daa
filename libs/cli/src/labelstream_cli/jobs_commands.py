"""labelstream jobs: the trainings, how they go, and ending or repeating one."""

from __future__ import annotations

import typer

from labelstream_cli.jobs.browse import list_jobs, show_one
from labelstream_cli.jobs.ending import cancel_job
from labelstream_cli.jobs.logs import show_logs
from labelstream_cli.jobs.retrying import retry_job


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Trainings: list them, see how one goes, cancel or repeat it.")
    group.command("list")(list_jobs)
    group.command("show")(show_one)
    group.command("logs")(show_logs)
    group.command("cancel")(cancel_job)
    group.command("retry")(retry_job)
    app.add_typer(group, name="jobs")
