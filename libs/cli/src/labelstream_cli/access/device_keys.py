"""labelstream devices new-key: a device's own key, made where it stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from labelstream.protection.sealing import new_identity
from labelstream_cli.access.secret_files import write_secret
from labelstream_cli.running import ERRORS, CommandFailed, Json, failed

KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is kept.", show_default=False)]


def new_key(*, file: KeyFile, as_json: Json = False) -> None:
    """Make a key on this device, and print its public half, the recipient. A device key never leaves the device.

    Run it on the device itself: the private key goes into FILE, which only you can read, and is shown nowhere. Give the
    recipient to whoever runs `labelstream devices add`. A key in a security token works as well: its age plugin prints
    the recipient.

    Examples:
    - `labelstream devices new-key device.age-identity`
    - `labelstream devices new-key device.age-identity --json | jq -r .recipient`
    """
    identity, recipient = new_identity()
    made = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        write_secret(file, f"# created: {made}\n# public key: {recipient}\n{identity}\n")
    except CommandFailed as error:
        raise failed(error) from error
    if as_json:
        typer.echo(json.dumps({"recipient": recipient, "file": str(file)}))
        return
    typer.echo(recipient)
    ERRORS.print(f"The private key is in {file}: it stays here, and nobody else gets it.", markup=False, soft_wrap=True)
