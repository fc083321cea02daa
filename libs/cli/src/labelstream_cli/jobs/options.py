"""What the commands about jobs are told."""

from __future__ import annotations

from typing import Annotated

import typer

_DIGITS = "A job, by at least 4 digits of its id"

JobId = Annotated[str, typer.Argument(metavar="ID", help=f"{_DIGITS}.", show_default=False)]
Newest = Annotated[
    str | None, typer.Argument(metavar="ID", help=f"{_DIGITS}; default: the newest.", show_default=False)
]
Reason = Annotated[str, typer.Option(help="Why; it stands in the event and in `labelstream jobs show`.")]
Timeout = Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Wait at most so long for its end.")]
Url = Annotated[
    str | None,
    typer.Option(
        help="Another broker: rabbitmq-stream://user:password@host:5552/vhost. Its port for requests is then read from "
        "LABELSTREAM_BROKER__AMQP_PORT (5672; over TLS 5671), and the store from LABELSTREAM_STORE__ENDPOINT_URL, "
        "LABELSTREAM_STORE__ACCESS_KEY and LABELSTREAM_STORE__SECRET_KEY_FILE.",
        envvar="LABELSTREAM_URL",
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the training has ended, and show how it goes.")]
