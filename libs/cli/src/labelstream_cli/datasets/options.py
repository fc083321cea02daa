"""What the commands about datasets are told."""

from __future__ import annotations

from typing import Annotated

import typer

from labelstream.errors import Misconfigured
from labelstream.values import SPLITS, Split

Dataset = Annotated[
    str,
    typer.Argument(metavar="ID", help="A dataset, by its name or at least 4 digits of its id.", show_default=False),
]
Url = Annotated[
    str | None,
    typer.Option(
        help="Another broker: rabbitmq-stream://user:password@host:5552/vhost. The store is then read from "
        "LABELSTREAM_STORE__ENDPOINT_URL, LABELSTREAM_STORE__ACCESS_KEY and LABELSTREAM_STORE__SECRET_KEY_FILE.",
        envvar="LABELSTREAM_URL",
    ),
]
Splits = Annotated[
    str | None, typer.Option("--splits", metavar="train,val,test", help="Only these splits; default: all.")
]


def splits_of(text: str | None) -> tuple[Split, ...]:
    """Read splits with commas between them. Raises Misconfigured."""
    if text is None:
        return SPLITS
    wanted = {part.strip().lower() for part in text.split(",")}
    unknown = sorted(wanted - set(SPLITS))
    if unknown:
        raise Misconfigured(f"--splits names {unknown[0]!r}: there are only {', '.join(SPLITS)}")
    return tuple(split for split in SPLITS if split in wanted)
