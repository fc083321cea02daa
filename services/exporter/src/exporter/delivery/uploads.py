"""Files that people upload: read in pieces, never more than is allowed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from exporter.delivery.problems import Problem
from exporter.twin_record import FILE, FOLDER

FORM_OVERHEAD = 64 << 10  # boundaries, part headers and small fields around the file
_NAMES = "Use letters, digits, dots, hyphens and underscores, with a letter or a digit first."


@dataclass(frozen=True)
class Upload:
    """A file that came in."""

    name: str
    content: bytes


class _InMemory(MultiPartParser):
    """Keeps parts in memory: their size is limited, and no upload touches our disk."""

    spool_max_size = 1 << 40


async def read_upload(request: Request, most_bytes: int) -> Upload:
    """Return the one file of a form, whatever its field is called. Raises Problem."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _malformed("the body is no form")
    stream = _limited(request, most_bytes + FORM_OVERHEAD)
    parser = _InMemory(request.headers, stream, max_files=1, max_fields=8, max_part_size=4096)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise _malformed(error.message) from None
    try:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        if len(files) != 1:
            raise _malformed(f"the form has {len(files)} files")
        content = await files[0].read()
        if len(content) > most_bytes:
            raise too_large(most_bytes)
        return Upload(file_name(files[0].filename or ""), content)
    finally:
        await form.close()


def folder_name(text: str) -> str:
    """Return a folder's name, if it is one. Raises Problem."""
    if FOLDER.fullmatch(text) is None or text.lower() == "get":
        raise Problem(422, "folder-name", f"{text[:100]!r} can't be a folder", _NAMES + " `get` is taken.")
    return text


def file_name(text: str) -> str:
    """Return a file's name, if it is one. Raises Problem."""
    if FILE.fullmatch(text) is None:
        raise Problem(422, "file-name", f"{text[:100]!r} can't be a file's name", _NAMES)
    return text


def too_large(most_bytes: int) -> Problem:
    """Return the problem of a body that is too large."""
    return Problem(413, "too-large", f"the request has more than {most_bytes} bytes", f"Send at most {most_bytes}.")


async def _limited(request: Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    seen = 0
    try:
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > most_bytes:
                raise too_large(most_bytes)
            yield chunk
    except ClientDisconnect:
        raise _malformed("the client went away before its file was here") from None


def _malformed(reason: str) -> Problem:
    return Problem(400, "upload-malformed", reason, "Send a form (multipart/form-data) with one file.")
