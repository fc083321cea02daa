"""What the commands about annotating with a model are told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelstream.annotating import Order
from labelstream_cli.jobs.options import Url

__all__ = ["Again", "Confidence", "DryRun", "InferenceUrl", "JobId", "Key", "Model", "Newest", "Order", "OrderBy",
           "RankingFile", "Source", "Url", "Wait"]  # fmt: skip

_DIGITS = "A job, by at least 4 digits of its id"

Source = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER|PREFIX",
        help="A folder of images, one image, or s3://BUCKET/PREFIX in the incoming or the data bucket.",
        show_default=False,
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help=f"{_DIGITS}.", show_default=False)]
Newest = Annotated[
    str | None, typer.Argument(metavar="ID", help=f"{_DIGITS}; default: the newest.", show_default=False)
]
Model = Annotated[str | None, typer.Option(help="With this model or not at all; default: the one in service.")]
Confidence = Annotated[
    float | None, typer.Option(min=0, max=1, help="Publish no box that is less certain; default: the model's.")
]
OrderBy = Annotated[
    Order,
    typer.Option(
        "--order", help="`uncertain`: look at all images first, and publish those first that the model is unsure about."
    ),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow until it is done. Ctrl-C leaves it going.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Again = Annotated[bool, typer.Option("--again", help="Do it once more, although the same was asked for before.")]
RankingFile = Annotated[
    Path | None, typer.Option("--ranking", metavar="FILE", help="Write the ranking of --order uncertain as CSV.")
]
InferenceUrl = Annotated[
    str | None,
    typer.Option(
        help="The inference service, to see its model; default: the embedded stack's.",
        envvar="LABELSTREAM_INFERENCE_URL",
    ),
]
Key = Annotated[str | None, typer.Option("--api-key", help="What that service asks for.", envvar="LABELSTREAM_API_KEY")]
