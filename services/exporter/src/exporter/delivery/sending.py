"""Files on their way out: each lies in memory until its reader has it, so there are only so many at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exporter.delivery.problems import RETRY_AFTER_S, Problem, TurnedAway, Who

IN_ALL = 8
OF_ONE = 2  # caller: nobody holds up everybody else by not reading
PIECE = 1 << 20

Leave = Callable[[], None]


class Places:
    """The places for files on their way out."""

    def __init__(self) -> None:
        self._held: Counter[Who] = Counter()

    def take(self, who: Who) -> Leave:
        """Take a place; call what is returned to leave it. Raises Problem when there is none."""
        hint = f"Ask again in {RETRY_AFTER_S} s."
        if self._held[who] >= OF_ONE:
            detail = f"{OF_ONE} files are on their way to {who.name} already"
            raise TurnedAway(429, "too-many-requests", detail, hint, who=who, retry_after_s=RETRY_AFTER_S)
        if self._held.total() >= IN_ALL:
            raise Problem(503, "busy", f"{IN_ALL} files are on their way already", hint, RETRY_AFTER_S)
        self._held[who] += 1
        return lambda: self._leave(who)

    def _leave(self, who: Who) -> None:
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]


class FileResponse(Response):
    """Sends a file in pieces, each of which must be taken in time, and leaves its place then."""

    media_type = "application/octet-stream"

    def __init__(self, content: bytes, leave: Leave, piece_timeout_s: float) -> None:
        """Send `content`."""
        super().__init__(content)
        self._leave = leave
        self._piece_timeout_s = piece_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        """Send it. Who stops reading is cut off: the server closes a connection whose answer is not whole."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for at in range(0, len(self.body), PIECE):
                piece, more = self.body[at : at + PIECE], at + PIECE < len(self.body)
                async with asyncio.timeout(self._piece_timeout_s):
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            return
        finally:
            self._leave()
