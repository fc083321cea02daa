"""Connections that cost us nothing for long: slow, silent, greedy and too many clients are turned away in time."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

MOST_HEAD_BYTES = 64 << 10  # of a request's line and headers
ALWAYS_ANSWERED = ("/healthz", "/readyz", "/metrics")  # whoever watches the service must not think that it is dead
_MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ConnectionLimits:
    """How long and how many."""

    most: int = 1000  # connections; so many more are told to come again, all others are cut
    head_s: float = 30  # for a request's line and headers
    stall_s: float = 30  # in which a client takes nothing of an answer that is ready for it
    keep_alive_s: int = 75  # of silence between requests: longer than clients and balancers (60 s) keep one for reuse


class LimitedConfig(uvicorn.Config):
    """A server's configuration with the limits of its connections."""

    limits = ConnectionLimits()


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits if isinstance(config, LimitedConfig) else ConnectionLimits()
        self._in_head = False
        self._head_bytes = 0
        self._waits_for_head: asyncio.TimerHandle | None = None
        self._waits_for_reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin, unless there are too many."""
        super().connection_made(transport)
        _send_at_once(transport)
        if len(self.connections) > 2 * self._limits.most:
            transport.abort()
            return
        if len(self.connections) > self._limits.most:
            self.app = self._full
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._forget_head()
        self._forget_reader()

    def data_received(self, data: bytes) -> None:
        """Take what came; between requests it may be a head, or the rest of a body that nobody wants."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()
        elif not self.transport.is_closing():
            self._expect_head()
            self._head_bytes += len(data)
            if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"the request's line and headers have more than {MOST_HEAD_BYTES} bytes",
                    "Send less of them.",
                )

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's headers are here."""
        self._in_head = False
        if self.parser.should_upgrade() and self._has_body():  # it would be read as another request
            self._refuse(
                HTTPStatus.BAD_REQUEST,
                "a request with a body asks for another protocol",
                "Leave out the header Upgrade: HTTP/1.1 is spoken here, and nothing else.",
            )
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is here as a whole, or was refused before."""
        if not self.transport.is_closing():
            super().on_message_complete()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        super().pause_writing()
        self._forget_reader()
        self._expect_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has read most of it."""
        super().resume_writing()
        self._forget_reader()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg, "Speak HTTP/1.1.")

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in self.headers)

    def _expect_head(self) -> None:
        if self._waits_for_head is None:
            self._waits_for_head = self.loop.call_later(self._limits.head_s, self._no_head)

    def _forget_head(self) -> None:
        if self._waits_for_head is not None:
            self._waits_for_head.cancel()
            self._waits_for_head = None

    def _no_head(self) -> None:
        self._waits_for_head = None
        if self._in_head:
            reason = f"the request's headers did not come within {self._limits.head_s:g} s"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, reason, "Send them at once.")
        else:
            self.transport.close()

    def _expect_reader(self, unread: int) -> None:
        self._waits_for_reader = self.loop.call_later(self._limits.stall_s, self._no_reader, unread)

    def _forget_reader(self) -> None:
        if self._waits_for_reader is not None:
            self._waits_for_reader.cancel()
            self._waits_for_reader = None

    def _no_reader(self, unread: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < unread:
            self._expect_reader(left)
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus, detail: str, hint: str) -> None:
        """Answer a request that has not come as far as the application, and close."""
        body = _problem(status, detail, hint)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {_MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    async def _full(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of a connection that is one too many."""
        if scope["path"] in ALWAYS_ANSWERED:
            await self.config.loaded_app(scope, receive, send)
            return
        reason = f"{self._limits.most} connections are open, and there may be no more"
        body = _problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, "Ask again in 1 s.", "server.busy")
        headers = [(b"content-type", _MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        headers += [(b"retry-after", b"1"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": HTTPStatus.SERVICE_UNAVAILABLE.value, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _send_at_once(transport: asyncio.Transport) -> None:
    """Keep the kernel from holding back an answer's body until its head is acknowledged: 40 ms and more."""
    taken = transport.get_extra_info("socket")  # asyncio does it for sockets that it has made itself
    if taken is not None and taken.family in (socket.AF_INET, socket.AF_INET6):
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _problem(status: HTTPStatus, detail: str, hint: str, rule: str | None = None) -> bytes:
    """Return problem details (RFC 9457), as the services' APIs have them."""
    rule = rule or "http." + status.phrase.lower().replace(" ", "_")
    told = {"type": f"urn:labelstream:rule:{rule}", "title": status.phrase, "status": status.value}
    return orjson.dumps(told | {"detail": detail, "rule": rule, "hint": hint})
