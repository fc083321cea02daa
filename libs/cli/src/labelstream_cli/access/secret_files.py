"""Secrets on this machine: made here, shown once or kept in a file of their owner's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.running import INTERRUPTED, CommandFailed, failed

T = TypeVar("T")

TokenFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the token there, for you alone, instead of showing it.")
]


def new_token() -> str:
    """Make a token: 256 bits, without dots, so that it is never taken for a JWT."""
    return secrets.token_urlsafe(32)


def write_secret(path: Path, text: str) -> None:
    """Write a file that is not there yet, and that only its owner may read. Raises CommandFailed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise CommandFailed(
            f"{path} is there already; it is not written over, as what it holds may be all there is of it"
        ) from error
    except OSError as error:
        raise CommandFailed(f"{path} can't be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask says
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CommandFailed(f"{path} can't be written: {error.strerror}") from error


def kept_while_asking(
    file: Path | None, token: str, where: Where, work: Callable[[Place], Coroutine[Any, Any, T]]
) -> T:
    """Write a token into its file, then ask for whom it is; where that fails, leave no token of nobody's behind."""
    try:
        if file is not None:
            write_secret(file, token + "\n")
    except CommandFailed as error:
        raise failed(error) from error
    try:
        return at_place(where, work)
    except typer.Exit as left:
        if file is not None and left.exit_code != INTERRUPTED:
            file.unlink()
        raise


def read_secret(path: Path) -> str:
    """Return what a file holds, without the end of its line. Raises CommandFailed."""
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandFailed(f"{path} can't be read: {reason}") from error
