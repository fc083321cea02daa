"""Each question that a client can ask, as a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypedDict

from labelstream.client import asking
from labelstream.client.asking import Ask, Upload, Wishes, params_of
from labelstream.client.errors import Away, ClientError, NotUnderstood, Problem, Refused
from labelstream.client.images import Image, label_of
from labelstream.client.lines import Lines
from labelstream.client.retrying import Retries
from labelstream.client.talking import (
    Chunk,
    Give,
    Load,
    Pause,
    Reply,
    Talk,
    asked,
    patience_of,
    read_as,
    sent,
    understood,
)
from labelstream.client.values import FileAnswer, Frame, Models, Prediction, Schema
from labelstream.client.videos import Video

FIELD = "images"  # of the files in a form
UNREADABLE = "file.unreadable"
NDJSON = {"accept": "application/x-ndjson"}


@dataclass(frozen=True)
class Portion:
    """How many images travel in one request."""

    files: int = 32
    bytes: int = 32 << 20  # one larger image travels alone


class Part(TypedDict, total=False):
    """Which frames of a video are looked at."""

    every: int | None  # the first, and each Nth behind it
    from_s: float | None
    to_s: float | None
    max_frames: int | None


@dataclass(frozen=True)
class _File:
    index: int
    label: str
    data: bytes


def predict(image: Image, wishes: Wishes, retries: Retries) -> Talk[Prediction]:
    """Ask what is in one image."""
    data: bytes = yield Load(image)

    def read(reply: Reply) -> Prediction:
        return understood(reply, lambda said: Prediction.of(said, reply.request_id))

    return (yield from asked(asking.predict(data, wishes), read, retries, wishes.get("deadline_s")))


def annotated(image: Image, wishes: Wishes, retries: Retries) -> Talk[bytes]:
    """Ask for the image with its boxes drawn into it."""
    data: bytes = yield Load(image)
    ask = asking.predict(data, wishes, "image/jpeg")

    def read(reply: Reply) -> bytes:
        if not reply.headers.get("content-type", "").startswith("image/jpeg"):
            raise NotUnderstood("the service answered without a picture: does it know how to draw?")
        return reply.body

    return (yield from asked(ask, read, retries, wishes.get("deadline_s")))


def models(retries: Retries) -> Talk[Models]:
    """Ask which models answer."""
    return (yield from asked(Ask("GET", "/v1/models"), lambda reply: understood(reply, Models.of), retries))


def schema(project: str | None, retries: Retries) -> Talk[Schema]:
    """Ask for the classes of the model in service."""
    params = () if project is None else (("project", project),)
    return (yield from asked(Ask("GET", "/v1/schema", params), lambda reply: understood(reply, Schema.of), retries))


def predict_many(images: Iterable[Image], wishes: Wishes, retries: Retries, portion: Portion) -> Talk[None]:
    """Ask about many images, some in each request; give a FileAnswer for each as it comes."""
    params_of(wishes)  # what is wrong with them is told before the first image is read
    numbered = enumerate(images)
    while files := (yield from _next(numbered, portion)):
        yield from _answers(files, wishes, retries)


def video(source: Video, part: Part, wishes: Wishes, retries: Retries) -> Talk[None]:
    """Ask about a part of a video; give a Frame for each of its frames that was looked at, in their order.

    Asked again only until the answer begins: what was given is not given twice.
    """
    ask = Ask("POST", "/v1/video", params_of(wishes, **part), _video_headers(source), file=source)
    yield from sent(ask, patience_of(retries, None), wishes.get("deadline_s"), stream=True)
    lines, is_whole = Lines(), False
    while piece := (yield Chunk()):
        for said in lines.feed(piece):
            if "frame" in said:
                yield Give(read_as(said, _frame))
            elif "problem" in said:  # the rest of the video can't be read
                raise Refused(_problem(said))
            is_whole = is_whole or "summary" in said
    if not is_whole:
        raise Away("the service went away in the middle of its answer", again=False)


def _next(numbered: Iterator[tuple[int, Image]], portion: Portion) -> Talk[list[_File]]:
    """Read the images of the next request; what can't be read is answered here."""
    files: list[_File] = []
    size = 0
    while len(files) < portion.files and size < portion.bytes:
        one = next(islice(numbered, 1), None)
        if one is None:
            break
        index, image = one
        try:
            data: bytes = yield Load(image)
        except OSError as error:
            reason = error.strerror or str(error)
            problem = Problem(0, UNREADABLE, f"the file can't be read: {reason}", "It was not sent.")
            yield Give(FileAnswer(None, problem, index, label_of(image, index)))
        else:
            files.append(_File(index, label_of(image, index), data))
            size += len(data)
    return files


def _answers(files: list[_File], wishes: Wishes, retries: Retries) -> Talk[None]:
    """Ask about some images; those that have no answer when the connection breaks are asked about again."""
    patience = patience_of(retries, None)
    left = dict(enumerate(files))
    while left:
        sent_now = list(left.items())
        uploads = tuple(Upload(FIELD, str(number), file.data) for number, file in sent_now)
        ask = Ask("POST", "/v1/predict/batch", params_of(wishes), NDJSON, uploads=uploads)
        reply = yield from sent(ask, patience, wishes.get("deadline_s"), stream=True)
        error: ClientError = Away("the service ended its answer before all images had one")
        lines = Lines()
        try:
            while piece := (yield Chunk()):
                for said in lines.feed(piece):
                    if "summary" in said:
                        continue
                    number, file = _whose(said, sent_now)
                    if left.pop(number, None) is not None:
                        yield Give(_file_answer(said, file, reply.request_id))
        except Away as lost:
            error = lost
        if left:
            if len(left) < len(sent_now):
                patience.renew()
            yield Pause(patience.pause_after(error))


def _whose(said: Mapping[str, Any], files: list[tuple[int, _File]]) -> tuple[int, _File]:
    index = said.get("index")
    if not isinstance(index, int) or not 0 <= index < len(files):
        if "problem" in said:  # of the whole request
            raise Refused(_problem(said))
        raise NotUnderstood(f"a line of the answer is about image {index!r} of {len(files)}")
    return files[index]


def _file_answer(said: Mapping[str, Any], file: _File, request_id: str) -> FileAnswer:
    if "problem" in said:
        return FileAnswer(None, _problem(said, request_id), file.index, file.label)
    found = read_as(said, lambda known: Prediction.of(known, request_id))
    return FileAnswer(found, None, file.index, file.label)


def _frame(said: Mapping[str, Any]) -> Frame:
    number, time_s = int(said["frame"]), float(said["time_s"])
    if "problem" in said:
        return Frame(None, _problem(said), number, time_s)
    return Frame(Prediction.of(said), None, number, time_s)


def _problem(said: Mapping[str, Any], request_id: str = "") -> Problem:
    return Problem.of(said["problem"], 0, request_id)


def _video_headers(source: Video) -> dict[str, str]:
    return {**NDJSON, "content-type": "application/octet-stream", "content-length": str(source.size_bytes)}
