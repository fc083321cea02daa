"""`POST /v1/video`: a video in, a line for each frame that is looked at out, in their order."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from inference.answering.accepting import preferred
from inference.answering.answers import prediction
from inference.answering.asking import asked, parameters
from inference.answering.bodies import at_most
from inference.answering.forms import FORM_OVERHEAD, FormPart, Sink, is_form, malformed
from inference.answering.in_order import in_order
from inference.answering.lines_contract import STREAM_PROBLEMS, VIDEO_ANSWER, VIDEO_BODY
from inference.answering.parts import Parts
from inference.answering.problems import request_id
from inference.answering.spool import Spool
from inference.answering.streaming import NDJSON, Lines, Streamed, as_line, problem_line, receive
from inference.answering.video.asked import VideoWishes
from inference.answering.video.decoder import Decoder, Frame, decoding
from inference.answering.video.lines import EVENTS, as_events
from inference.answering.video.order import Order
from inference.answering.video.slots import Slots
from inference.metrics import VIDEO_FRAMES
from labelstream.errors import Rejected

_AHEAD = 2  # frames that are decoded before a worker can take them


def video_routes(parts: Parts) -> APIRouter:
    """Return the route of videos."""
    router = APIRouter()

    @router.post(
        "/v1/video",
        summary="Find what is in a video",
        responses={200: VIDEO_ANSWER, **STREAM_PROBLEMS},
        openapi_extra=VIDEO_BODY | {"parameters": parameters(VideoWishes)},
        response_class=Response,
    )
    async def video(request: Request) -> Response:
        """Send a video, as the body or as the only file of a form; say with `every` which frames to look at.

        The answer is a line of JSON for each of them, in their order, as soon as it is there: what `/v1/predict`
        answers with `frame` (its number in the video, from 0) and `time_s` beside it. A video that is damaged is
        answered as far as it goes, then a line tells the `problem`. The last line is a summary; an answer without one
        was cut off. With `Accept: text/event-stream` the same comes as server-sent events: `frame`, `problem`,
        `summary`.
        """
        wishes = asked(request, VideoWishes)
        parts.enter(request, wishes)
        form = preferred(request.headers.get("accept"), (NDJSON, EVENTS))
        watching = Watching(parts, request, wishes, events=form == EVENTS)
        return Streamed(watching.opened, form, parts.streams.limits.stall_s)

    return router


@dataclass(frozen=True)
class Watching:
    """One video, from its upload to its last line."""

    parts: Parts
    request: Request
    wishes: VideoWishes
    events: bool

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Lines]:
        """Read what is sent; the lines judge it with their first step. Raises Rejected, Unavailable."""
        async with self.parts.streams.spool() as spool:
            await self._receive(spool)
            if not spool.size_bytes:
                raise Rejected(
                    "video.empty", "the video has no bytes", "Send the file's content, as the body or a file."
                )
            form = as_events if self.events else _as_lines
            async with aclosing(self._told(spool)) as told, aclosing(form(told)) as lines:
                yield lines

    async def _receive(self, spool: Spool) -> None:
        """Move the video to `spool`."""
        limits = self.parts.streams.limits
        form = is_form(self.request)
        most = limits.max_video_bytes + (FORM_OVERHEAD if form else 0)
        check = at_most(most, "video.too_large", "the video", "Send it smaller, compressed more, or in parts.")
        await receive(self.request, self.parts.bodies, check, spool, _OnlyFile(spool).open if form else None)

    async def _told(self, spool: Spool) -> AsyncGenerator[dict[str, Any], None]:
        begun, count = time.perf_counter(), _Count()
        most = 2 * self.parts.predictor.workers.threads
        slots = Slots(most + _AHEAD, self.parts.streams.limits.max_video_pixels)
        try:
            async with (
                decoding(self._order(spool, slots), slots, self.parts.streams.limits.stall_s) as decoder,
                aclosing(self._answers(decoder, most, count)) as answers,
            ):
                async for told in answers:
                    yield told
        finally:
            slots.close()
        yield {"summary": count.summary(round(time.perf_counter() - begun, 3))}

    async def _answers(self, decoder: Decoder, most: int, count: _Count) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what is told of each frame, and why there are no more, if there should be."""
        trouble: Exception | None = None
        try:
            async with (
                aclosing(decoder.frames()) as frames,
                aclosing(in_order(frames, self._answer, most)) as answers,
            ):
                async for told in answers:
                    count.add(told)
                    yield told
        except Exception as error:  # noqa: BLE001 -- what ends a video early is told in a line, and a fault logged
            trouble = error
        if decoder.ended is not None:
            count.frames = decoder.ended.frames
            VIDEO_FRAMES.inc(count.frames)
            trouble = decoder.ended.trouble.rejected() if decoder.ended.trouble else trouble
        if not count.told:
            raise trouble or Rejected(
                "video.part_empty",
                "the part holds no frame to look at",
                "Ask for another part, or for more of its frames.",
            )
        count.complete = trouble is None
        if trouble is not None:
            yield problem_line(trouble, request_id(self.request))

    async def _answer(self, frame: Frame) -> dict[str, Any]:
        """Return what the line of one frame says."""
        told: dict[str, Any] = {"frame": frame.number, "time_s": frame.time_s}
        asked_by = request_id(self.request)
        try:
            answered = await self.parts.predictor.predict(frame.pixels, self.wishes, patient=True)
        except Exception as error:  # noqa: BLE001 -- whatever happens over one frame is that frame's problem, and logged
            told |= problem_line(error, asked_by)
        else:
            told |= prediction(answered, asked_by)
        frame.free()
        return told

    def _order(self, spool: Spool, slots: Slots) -> Order:
        limits, wishes = self.parts.streams.limits, self.wishes
        return Order(
            video=spool.fileno(),
            memory=slots.descriptor,
            slots=slots.count,
            slot_bytes=slots.each_bytes,
            every=wishes.every,
            from_s=wishes.from_s or 0.0,
            to_s=wishes.to_s,
            max_frames=wishes.max_frames,
            most_seconds=limits.max_video_s,
            most_frames=limits.max_video_frames,
            most_pixels=limits.max_video_pixels,
        )


@dataclass
class _Count:
    """What has been told of a video."""

    frames: int = 0  # of the video, that were gone through
    told: int = 0
    failed: int = 0
    complete: bool = False

    def add(self, told: dict[str, Any]) -> None:
        """Count the line of a frame."""
        self.told += 1
        self.failed += "problem" in told
        self.frames = told["frame"] + 1

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return what the last line says."""
        return {
            "frames": self.frames,
            "answered": self.told - self.failed,
            "failed": self.failed,
            "seconds": seconds,
            "complete": self.complete,
        }


@dataclass
class _OnlyFile:
    """Takes the only file of a form."""

    spool: Spool
    found: bool = False

    def open(self, part: FormPart) -> Sink | None:
        """Return what takes the content of a part. Raises Rejected."""
        if part.filename is None:
            return None
        if self.found:
            raise malformed("the form holds more than one file; a video comes alone")
        self.found = True
        return self.spool


async def _as_lines(told: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    async for each in told:
        yield as_line(each)
