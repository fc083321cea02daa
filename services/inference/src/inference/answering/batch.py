"""`POST /v1/predict/batch`: many images in, a line for each out, in their order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response

from inference.answering.accepting import preferred
from inference.answering.answers import prediction
from inference.answering.asking import asked, parameters
from inference.answering.bodies import at_most
from inference.answering.forms import FORM_OVERHEAD, FormPart, is_form
from inference.answering.in_order import in_order
from inference.answering.lines_contract import BATCH_ANSWER, BATCH_BODY, STREAM_PROBLEMS
from inference.answering.parts import Parts
from inference.answering.problems import request_id
from inference.answering.spool import Spool
from inference.answering.streaming import NDJSON, Lines, Streamed, as_line, problem_line, receive
from inference.answering.wishes import Wishes
from inference.answering.zips import SIGNATURES, Archive, ZipLimits, is_zip
from inference.engine.geometry import Pixels
from labelstream.errors import Rejected

_OTHER_FIELDS = 64  # of a form, beside its files


@dataclass(frozen=True)
class Item:
    """One file of a batch."""

    name: str
    size_bytes: int  # as it says; never more is read
    read: Callable[[], bytes]


def batch_routes(parts: Parts) -> APIRouter:
    """Return the route of many images."""
    router = APIRouter()

    @router.post(
        "/v1/predict/batch",
        summary="Find what is in many images",
        responses={200: BATCH_ANSWER, **STREAM_PROBLEMS},
        openapi_extra=BATCH_BODY | {"parameters": parameters(Wishes)},
        response_class=Response,
    )
    async def predict_batch(request: Request) -> Response:
        """Send files of a form (any field names), or one zip, as the body or as the only file of a form.

        The answer is a line of JSON for each file, in their order, as soon as it is there: what `/v1/predict` answers
        with `index` and `file` beside it, or `index`, `file` and `problem`. The last line is a summary; an answer
        without one was cut off.
        """
        preferred(request.headers.get("accept"), (NDJSON,))
        wishes = asked(request, Wishes)
        parts.enter(request, wishes)
        batch = Batch(parts, request, wishes)
        return Streamed(batch.opened, NDJSON, parts.streams.limits.stall_s)

    return router


@dataclass(frozen=True)
class Batch:
    """One batch, from its upload to its last line."""

    parts: Parts
    request: Request
    wishes: Wishes

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Lines]:
        """Read what is sent; the lines judge it with their first step. Raises Rejected, Unavailable."""
        async with self.parts.streams.spool() as spool:
            form = await self._receive(spool)
            async with aclosing(self._lines(spool, form)) as lines:
                yield lines

    async def _receive(self, spool: Spool) -> _Files | None:
        """Move the body to `spool`; return the files of the form, if it is one."""
        limits = self.parts.streams.limits
        form = _Files(spool, limits.max_files) if is_form(self.request) else None
        most = limits.max_batch_bytes + (FORM_OVERHEAD + 1024 * limits.max_files if form else 0)
        check = at_most(most, "batch.too_large", "the batch", "Send fewer files at once.")
        await receive(self.request, self.parts.bodies, check, spool, form.open if form else None)
        return form

    async def _lines(self, spool: Spool, form: _Files | None) -> AsyncGenerator[bytes, None]:
        begun = time.perf_counter()
        items = await asyncio.to_thread(self._items, spool, form)
        answered = 0
        most = 2 * self.parts.predictor.workers.threads
        async with aclosing(in_order(_each(items), self._answer, most)) as answers:
            async for told in answers:
                answered += "problem" not in told
                yield as_line(told)
        seconds = round(time.perf_counter() - begun, 3)
        summary = {"files": len(items), "answered": answered, "failed": len(items) - answered, "seconds": seconds}
        yield as_line({"summary": summary})

    def _items(self, spool: Spool, form: _Files | None) -> Sequence[Item]:
        """Judge the request as a whole. Raises Rejected."""
        if not spool.size_bytes:
            raise _empty("the request holds no files")
        limits = self.parts.streams.limits
        if form is not None and not (len(form.files) == 1 and is_zip(spool, form.files[0].offset)):
            return [file.item() for file in form.files]
        if form is None and not is_zip(spool):
            raise Rejected(
                "batch.not_an_archive",
                "the body is neither a form nor a zip",
                "Send the images as files of a form (multipart/form-data), or one zip of them.",
            )
        archive = Archive(spool, ZipLimits(limits.max_files, limits.max_batch_bytes, limits.max_zip_ratio))
        if not archive.entries:
            raise _empty("the archive holds no files")
        return [
            Item(entry.filename, entry.file_size, lambda entry=entry: archive.read(entry))  # type: ignore[misc]
            for entry in archive.entries
        ]

    async def _answer(self, numbered: tuple[int, Item]) -> dict[str, Any]:
        """Return what the line of one file says."""
        index, item = numbered
        asked_by = request_id(self.request)
        told: dict[str, Any] = {"index": index, "file": item.name}
        try:
            answered = await self.parts.predictor.predict(lambda: self._decode(item), self.wishes, patient=True)
        except Exception as error:  # noqa: BLE001 -- whatever happens over one file is that file's problem, and logged
            return told | problem_line(error, asked_by)
        return told | prediction(answered, asked_by)

    def _decode(self, item: Item) -> Pixels:
        limits = self.parts.limits
        limits.check_bytes(item.size_bytes)
        data = item.read()
        if data.startswith(SIGNATURES):
            raise Rejected("file.archive", "the file is an archive itself", "Send its images, or it alone.")
        return self.parts.decode(data, limits)


@dataclass
class _File:
    """A file of a form: where it lies in the spool."""

    spool: Spool
    name: str
    offset: int
    size_bytes: int = 0

    def write(self, data: bytes, /) -> None:
        """Take more of it."""
        self.spool.write(data)
        self.size_bytes += len(data)

    def item(self) -> Item:
        """Return it as a file of the batch."""
        return Item(self.name, self.size_bytes, lambda: self.spool.read(self.offset, self.size_bytes))


@dataclass
class _Files:
    """The files of a form, one behind the other in the spool."""

    spool: Spool
    most: int
    files: list[_File] = field(default_factory=list)
    others: int = 0

    def open(self, part: FormPart) -> _File | None:
        """Return what takes the content of a part. Raises Rejected."""
        if part.filename is None:
            self.others += 1
        if len(self.files) + (part.filename is not None) > self.most or self.others > _OTHER_FIELDS:
            raise Rejected(
                "batch.too_many_files",
                f"the form has more than {self.most} files or {_OTHER_FIELDS} other fields",
                "Send fewer files at once.",
            )
        if part.filename is None:
            return None
        self.files.append(_File(self.spool, part.filename, self.spool.size_bytes))
        return self.files[-1]


async def _each(items: Sequence[Item]) -> AsyncIterator[tuple[int, Item]]:
    for numbered in enumerate(items):
        yield numbered


def _empty(reason: str) -> Rejected:
    return Rejected("batch.empty", reason, "Send the images as files of a form (multipart/form-data), or one zip.")
