"""Bodies of requests on their way in: bounded in bytes, in time, and all of them together in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

from starlette.requests import Request

from inference.answering.workers import Busy
from labelstream.errors import Rejected

SLOWEST = 64 << 10  # bytes a second; a client that is slower only has the time that every client has
_NEWEST_COUNTS = 0.1  # of the mean

Check = Callable[[int], None]  # raises Rejected when so many bytes are too many


def at_most(most: int, rule: str, what: str, hint: str) -> Check:
    """Return what refuses a body of more than `most` bytes by `rule`."""

    def check(size_bytes: int) -> None:
        if size_bytes > most:
            raise Rejected(rule, f"{what} has {size_bytes} bytes or more; {most} are the most", hint)

    return check


def announced(request: Request) -> int:
    """Return how long the body says that it is; 0 when it does not."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


class Pieces:
    """Takes bytes as they come, and gives them as a whole."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        """Take more."""
        self._pieces.append(data)

    def take(self) -> bytes:
        """Return everything that came, and forget it."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Hold:
    """Bytes of one request that are, or may soon be, in memory."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.taken = 0

    def reach(self, size_bytes: int) -> None:
        """Let the request have so many bytes in all. Raises Busy when there is no room for them."""
        if size_bytes > self.taken:
            self._bodies.take(size_bytes - self.taken)
            self.taken = size_bytes


class Bodies:
    """All bodies that are in memory. One that has no room is refused: none waits, half read, for another."""

    def __init__(self, max_bytes: int, timeout_s: float) -> None:
        self._free = self._most = max_bytes
        self._timeout_s = timeout_s
        self._mean_s = 0.1  # how long a body stays

    def take(self, size_bytes: int) -> None:
        """Count bytes. Raises Busy."""
        if size_bytes > self._free:
            raise Busy("too many bodies of requests are in memory already", self._mean_s)
        self._free -= size_bytes

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """Count a request's bytes, and give them back at the end."""
        hold, begun = Hold(self), time.monotonic()
        try:
            yield hold
        finally:
            self._free += hold.taken
            self._mean_s += _NEWEST_COUNTS * (time.monotonic() - begun - self._mean_s)

    async def chunks(self, request: Request, check: Check, hold: Hold | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes, and count it with `hold`, where it is kept in memory.

        Raises Rejected when it is too long, comes too slowly, or ends with its client; Busy.
        """
        length = announced(request)
        check(length)
        if hold is not None:
            hold.reach(length)
        clock, seen, waited, more = asyncio.get_running_loop().time, 0, 0.0, True
        while more:
            begun = clock()
            try:
                async with asyncio.timeout_at(begun + self._timeout_s + seen / SLOWEST - waited):
                    message = await request.receive()
            except TimeoutError as error:
                raise self._too_slow(seen) from error
            waited += clock() - begun
            if message["type"] == "http.disconnect":
                raise Rejected("request.malformed", "the client went away before all was here", "Send all of it.")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            seen += len(chunk)
            check(seen)
            if hold is not None:
                hold.reach(seen)
            if chunk:
                yield chunk

    def _too_slow(self, seen: int) -> Rejected:
        return Rejected(
            "request.too_slow",
            f"only {seen} bytes of the body came in time",
            f"Send it within {self._timeout_s:g} s, or at {SLOWEST >> 10} KiB a second.",
        )

    @asynccontextmanager
    async def in_memory(self, request: Request, check: Check) -> AsyncIterator[bytes]:
        """Read the whole body, and count it as long as it is used. Raises Rejected, Busy."""
        with self.hold() as hold:
            pieces = Pieces()
            async with aclosing(self.chunks(request, check, hold)) as chunks:
                async for chunk in chunks:
                    pieces.write(chunk)
            yield pieces.take()
