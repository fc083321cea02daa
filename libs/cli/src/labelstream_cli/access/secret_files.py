"""Secrets on this machine: made here, shown once or kept in a file of their owner's."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from labelstream_cli.running import CommandFailed


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


def read_secret(path: Path) -> str:
    """Return what a file holds, without the end of its line. Raises CommandFailed."""
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandFailed(f"{path} can't be read: {reason}") from error
