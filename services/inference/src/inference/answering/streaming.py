"""Answers of many lines: how many at once, who reads too slowly, and what ends with the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from inference.answering.bodies import Bodies, Check
from inference.answering.forms import OpenPart, read_form
from inference.answering.problems import problem_of, request_id
from inference.answering.spool import Spool
from inference.answering.workers import Busy
from inference.metrics import REFUSED, STREAMS
from labelstream.errors import Rejected, Unavailable

NDJSON = "application/x-ndjson"
RETRY_AFTER_S = 5

Lines = AsyncIterator[bytes]

log = structlog.get_logger()


class TooManyStreams(Busy):
    """As many long requests are answered as may be."""

    rule = "server.busy_streams"

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} batches and videos are answered already", RETRY_AFTER_S)


@dataclass(frozen=True)
class StreamLimits:
    """How much a long request may be."""

    max_files: int
    max_batch_bytes: int  # as sent, and unpacked
    max_zip_ratio: float
    max_video_bytes: int
    max_video_s: float
    max_video_frames: int
    max_video_pixels: int
    stall_s: float  # a client that reads nothing, or a decoder that says nothing, for so long is cut


@dataclass
class Streams:
    """Places for long requests: batches and videos together."""

    most: int
    limits: StreamLimits
    directory: Path | None  # where what they send lies, without a name; None: where the system likes
    _taken: int = field(default=0, init=False)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for as long as the request lasts. Raises TooManyStreams."""
        if self._taken >= self.most:
            raise TooManyStreams(self.most)
        self._taken += 1
        STREAMS.set(self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            STREAMS.set(self._taken)

    @asynccontextmanager
    async def spool(self) -> AsyncIterator[Spool]:
        """Take a place, and space for what the request sends."""
        with self.place():
            spool = Spool(self.directory)
            try:
                yield spool
            finally:
                spool.close()


async def receive(request: Request, bodies: Bodies, check: Check, spool: Spool, open_part: OpenPart | None) -> None:
    """Move a request's body to `spool`, or the parts of a form to what `open_part` says. Raises Rejected, NoSpace."""
    async with aclosing(bodies.chunks(request, check)) as chunks, aclosing(spool.take(chunks)) as kept:
        if open_part is not None:
            await read_form(request.headers["content-type"], kept, open_part)
            return
        async for chunk in kept:
            spool.write(chunk)


class Streamed(Response):
    """An answer of many lines.

    `opened` reads the request's body; its lines judge it with the first step. What is raised until the first line is
    there becomes the answer. The work ends when the client goes, or reads nothing for `stall_s`.
    """

    def __init__(
        self, opened: Callable[[], AbstractAsyncContextManager[Lines]], media_type: str, stall_s: float
    ) -> None:
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._opened = opened
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with self._opened() as lines:
            sending = asyncio.ensure_future(self._send(lines, send))
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in (sending, gone):
                    each.cancel()
                ended, _ = await asyncio.gather(sending, gone, return_exceptions=True)
        if isinstance(ended, TimeoutError):
            log.warning("stream.cut", stall_s=self._stall_s, request_id=request_id(Request(scope)))
            _cut(receive)
        elif isinstance(ended, Exception):
            raise ended

    async def _send(self, lines: Lines, send: Send) -> None:
        started = False
        async for line in lines:
            if not started:
                started = True
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with asyncio.timeout(self._stall_s):
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def problem_line(error: Exception, asked_by: str) -> dict[str, object]:
    """Return what a line says of an error over one file or frame; a fault of ours is logged, too."""
    trouble = problem_of(error)
    REFUSED.labels(trouble.rule).inc()
    if not isinstance(error, Rejected | Unavailable):
        log.error("stream.fault", request_id=asked_by, exc_info=error)
    return {"problem": trouble.body}


def as_line(content: dict[str, object]) -> bytes:
    """Return one line of NDJSON."""
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


async def _gone(receive: Receive) -> None:
    """Return once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _cut(receive: Receive) -> None:
    """End the connection at once: the server would wait for who does not read until its last bytes are taken."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)  # uvicorn's
    if isinstance(transport, asyncio.Transport):
        transport.abort()
