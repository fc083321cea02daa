"""An answer's lines: as NDJSON, or as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson

from inference.answering.in_order import with_pauses

EVENTS = "text/event-stream"
KEEP_ALIVE_S = 10.0
_COMMENT = b": still here\n\n"


async def as_events(told: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    """Yield server-sent events, and a comment when nothing comes for long; before the first event there is none."""
    started = False
    async with aclosing(with_pauses(told, KEEP_ALIVE_S)) as paused:
        async for each in paused:
            if each is not None:
                started = True
                yield _event(each)
            elif started:
                yield _COMMENT


def _event(told: dict[str, Any]) -> bytes:
    head = f"id: {told['frame']}\nevent: frame\n" if "frame" in told else f"event: {next(iter(told))}\n"
    return head.encode() + b"data: " + orjson.dumps(told) + b"\n\n"
