"""What the commands that check models are told to believe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelstream.errors import Misconfigured
from labelstream.protection.age_keys import identities_in

Identity = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The device's age identity file; a plugin's will do. It is read, and copied nowhere."
    ),
]
Schema = Annotated[
    Path | None,
    typer.Option(
        "--class-schema",
        metavar="FILE",
        help="What the class ids of the project mean: a bundle that gives one another meaning is refused.",
    ),
]


def read_identity(path: Path) -> str:
    """Return the text of an age identity file. Raises Misconfigured."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the identity file {path} can't be read: {error}") from error
    identities_in(text)
    return text
