"""Calling the command line as a person would."""

from __future__ import annotations

import asyncio
import sys

from labelstream_local.stack import Stack


async def call(stack: Stack, *arguments: str, expected: int = 0) -> str:
    """Run a command on a stack; return what it printed, once its exit code was the expected one."""
    command = [sys.executable, "-c", "from labelstream_cli.main import app; app()", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, "--dir", str(stack.layout.root), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, errors = await process.communicate()
    assert process.returncode == expected, f"{printed.decode()}\n{errors.decode()}"
    return printed.decode()
