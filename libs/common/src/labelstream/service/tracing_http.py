"""A span for each request that an HTTP application answers, as a child of the caller's."""

from __future__ import annotations

import os
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelstream.service import tracing
from labelstream.service.connections import ALWAYS_ANSWERED


def traced(app: ASGIApp) -> ASGIApp:
    """Return the application with its requests traced, but for those of whoever watches it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if not tracing.is_on() or scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            await app(scope, receive, send)
            return
        work = tracing.begin(
            f"{scope['method']} {scope['path']}",
            os.urandom(16).hex(),
            _traceparent(scope),
            "server",
            **{"http.request.method": scope["method"], "url.path": scope["path"]},
        )
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await app(scope, receive, note)
        finally:
            failure = "" if status < HTTPStatus.INTERNAL_SERVER_ERROR else HTTPStatus(status).phrase
            work.end(failure, **{"http.response.status_code": status})

    return answer


def _traceparent(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), "")
