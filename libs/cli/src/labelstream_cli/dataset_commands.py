"""labelstream dataset: reproducible datasets of a project, built from what is annotated."""

from __future__ import annotations

import typer

from labelstream_cli.datasets.browse import list_datasets, show_dataset
from labelstream_cli.datasets.build import build_dataset
from labelstream_cli.datasets.check import verify_dataset
from labelstream_cli.datasets.compare import diff_datasets
from labelstream_cli.datasets.fetch import export_dataset, pull_dataset
from labelstream_cli.datasets.keep import forget_dataset
from labelstream_cli.datasets.stats import dataset_stats


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Datasets: build, compare, look at, fetch and verify them.")
    group.command("build")(build_dataset)
    group.command("list")(list_datasets)
    group.command("show")(show_dataset)
    group.command("diff")(diff_datasets)
    group.command("stats")(dataset_stats)
    group.command("pull")(pull_dataset)
    group.command("export")(export_dataset)
    group.command("verify")(verify_dataset)
    group.command("forget")(forget_dataset)
    app.add_typer(group, name="dataset")
