"""Calling the command line as a person would."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

COMMAND = (sys.executable, "-c", "from labelstream_cli.main import app; app()")


class CallFailed(Exception):
    """A command ended with an error; the text is what it printed."""


async def call(root: Path, *arguments: str) -> str:
    """Run a command on the stack in a directory; return what it printed. Raises CallFailed."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, "--dir", str(root), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await process.communicate()
    if process.returncode:
        raise CallFailed(f"labelstream {' '.join(arguments)}: {errors.decode().strip() or printed.decode().strip()}")
    return printed.decode()
