"""The client for code without asyncio."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
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


class Client:
    """Asks an inference service; several threads may use one. `labelstream.client` is the manual."""

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
        self._http = httpx.Client(**http.options(url, api_key, timeout_s, ca))
        self._retries = retries
        self._portion = portion

    def __enter__(self) -> Self:
        """Hold connections open from question to question."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def predict(self, image: Image, **wishes: Unpack[Wishes]) -> Prediction:
        """Return what is in an image. Raises ClientError, and OSError for a file that can't be read."""
        return self._run(questions.predict(image, wishes, self._retries))

    def annotated(self, image: Image, **wishes: Unpack[Wishes]) -> bytes:
        """Return the image as a JPEG file with its boxes drawn into it. Raises as `predict` does."""
        return self._run(questions.annotated(image, wishes, self._retries))

    def predict_many(self, images: Iterable[Image], **wishes: Unpack[Wishes]) -> Iterator[FileAnswer]:
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
    ) -> Iterator[Frame]:
        """Yield what is in every Nth frame of a video, or of a part of it, in order. Raises as `predict` does."""
        part = Part(every=every, from_s=from_s, to_s=to_s, max_frames=max_frames)
        return self._stream(questions.video(Video(source), part, wishes, self._retries))

    def models(self) -> Models:
        """Return which models answer. Raises ClientError."""
        return self._run(questions.models(self._retries))

    def schema(self, project: str | None = None) -> Schema:
        """Return the classes of the model in service. Raises ClientError."""
        return self._run(questions.schema(project, self._retries))

    def _run(self, talk: Talk[T]) -> T:
        doing = _Doing(self._http)
        try:
            wanted = next(talk)
            while True:
                wanted = doing.answer(talk, wanted)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            doing.close()

    def _stream(self, talk: Talk[None]) -> Iterator[Any]:
        doing = _Doing(self._http)
        try:
            wanted = next(talk)
            while True:
                if isinstance(wanted, Give):
                    yield wanted.value
                wanted = doing.answer(talk, wanted)
        except StopIteration:
            return
        finally:
            doing.close()


class _Doing:
    """Does what one conversation wants."""

    def __init__(self, client: httpx.Client) -> None:
        self._http = client
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def close(self) -> None:
        """Let go of an answer that was not read to its end."""
        if self._response is not None:
            self._response.close()

    def answer(self, talk: Talk[Any], wanted: Wanted) -> Wanted:
        """Do it and tell the conversation; return what it wants next."""
        try:
            outcome = self._do(wanted)
        except httpx.RequestError as error:
            return talk.throw(http.lost(error, self._http.base_url))
        except OSError as error:
            return talk.throw(error)
        return talk.send(outcome)

    def _do(self, wanted: Wanted) -> Any:
        match wanted:
            case Load(image):
                return encoded(image)
            case Send():
                return self._send(wanted)
            case Chunk():
                return next(self._chunks, b"")
            case Pause(seconds):
                time.sleep(seconds)
        return None

    def _send(self, wanted: Send) -> Reply:
        self.close()
        file = wanted.ask.file
        content = None if file is None else file.pieces()
        request = self._http.build_request(**http.written(wanted.ask, content))
        response = self._response = self._http.send(request, stream=True)
        reply = Reply(response.status_code, http.headers_of(response))
        if wanted.stream and reply.is_good:
            self._chunks = (piece for piece in response.iter_bytes() if piece)
            return reply
        return Reply(reply.status, reply.headers, response.read())
