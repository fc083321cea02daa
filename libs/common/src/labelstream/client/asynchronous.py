"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar, Unpack

import httpx

from labelstream.client import http, questions
from labelstream.client.asking import Wishes
from labelstream.client.images import Image, encoded
from labelstream.client.questions import Part, Portion
from labelstream.client.retrying import Retries
from labelstream.client.talking import Chunk, Give, Load, Pause, Reply, Send, Talk, Wanted
from labelstream.client.values import FileAnswer, Frame, Models, Prediction, Schema
from labelstream.client.videos import Video

T = TypeVar("T")


class AsyncClient:
    """Asks an inference service; several tasks may use one. `labelstream.client` is the manual."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 60.0,
        retries: Retries = Retries(),  # noqa: B008  # frozen
        portion: Portion = Portion(),  # noqa: B008  # frozen
        ca: Path | None = None,
    ) -> None:
        """Ask the service at `url`; `timeout_s`: how long it may keep still; `ca`: the CA file of an https service.

        Raises Misconfigured for a CA file that is none.
        """
        self._http = httpx.AsyncClient(**http.options(url, api_key, timeout_s, ca))
        self._retries = retries
        self._portion = portion

    async def __aenter__(self) -> Self:
        """Hold connections open from question to question."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def predict(self, image: Image, **wishes: Unpack[Wishes]) -> Prediction:
        """Return what is in an image. Raises ClientError, and OSError for a file that can't be read."""
        return await self._run(questions.predict(image, wishes, self._retries))

    async def annotated(self, image: Image, **wishes: Unpack[Wishes]) -> bytes:
        """Return the image as a JPEG file with its boxes drawn into it. Raises as `predict` does."""
        return await self._run(questions.annotated(image, wishes, self._retries))

    def predict_many(self, images: Iterable[Image], **wishes: Unpack[Wishes]) -> AsyncIterator[FileAnswer]:
        """Yield an answer for each image as it comes, not always in their order. Raises ClientError."""
        return self._stream(questions.predict_many(images, wishes, self._retries, self._portion))

    def video(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        every: int | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        max_frames: int | None = None,
        **wishes: Unpack[Wishes],
    ) -> AsyncIterator[Frame]:
        """Yield what is in every Nth frame of a video, or of a part of it, in order. Raises as `predict` does."""
        part = Part(every=every, from_s=from_s, to_s=to_s, max_frames=max_frames)
        return self._stream(questions.video(Video(source), part, wishes, self._retries))

    async def models(self) -> Models:
        """Return which models answer. Raises ClientError."""
        return await self._run(questions.models(self._retries))

    async def schema(self, project: str | None = None) -> Schema:
        """Return the classes of the model in service. Raises ClientError."""
        return await self._run(questions.schema(project, self._retries))

    async def _run(self, talk: Talk[T]) -> T:
        doing = _Doing(self._http)
        try:
            wanted = next(talk)
            while True:
                ended, wanted = await doing.answer(talk, wanted)
                if ended is not None:
                    value: T = ended.value
                    return value
        finally:
            await doing.close()

    async def _stream(self, talk: Talk[None]) -> AsyncIterator[Any]:
        doing = _Doing(self._http)
        ended: StopIteration | None = None
        try:
            wanted = next(talk)
            while ended is None:
                if isinstance(wanted, Give):
                    yield wanted.value
                ended, wanted = await doing.answer(talk, wanted)
        finally:
            await doing.close()


class _Doing:
    """Does what one conversation wants."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._http = client
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def close(self) -> None:
        """Let go of an answer that was not read to its end."""
        if self._response is not None:
            await self._response.aclose()

    async def answer(self, talk: Talk[Any], wanted: Wanted) -> tuple[StopIteration | None, Wanted]:
        """Do it and tell the conversation; return what it wants next, or its end (no coroutine may raise that)."""
        failure: Exception | None = None
        outcome = None
        try:
            outcome = await self._do(wanted)
        except httpx.RequestError as error:
            failure = http.lost(error, self._http.base_url)
        except OSError as error:
            failure = error
        try:
            return None, talk.send(outcome) if failure is None else talk.throw(failure)
        except StopIteration as end:
            return end, wanted

    async def _do(self, wanted: Wanted) -> Any:
        match wanted:
            case Load(image):
                return await asyncio.to_thread(encoded, image)
            case Send():
                return await self._send(wanted)
            case Chunk():
                return b"" if self._chunks is None else await anext(self._chunks, b"")
            case Pause(seconds):
                await asyncio.sleep(seconds)
        return None

    async def _send(self, wanted: Send) -> Reply:
        await self.close()
        file = wanted.ask.file
        content = None if file is None else http.pieces(file)
        request = self._http.build_request(**http.written(wanted.ask, content))
        response = self._response = await self._http.send(request, stream=True)
        reply = Reply(response.status_code, http.headers_of(response))
        if wanted.stream and reply.is_good:
            self._chunks = (piece async for piece in response.aiter_bytes() if piece)
            return reply
        return Reply(reply.status, reply.headers, await response.aread())
