"""Reads an image out of a request, never more of it than is allowed."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from inference.engine.geometry import ImageLimits
from labelstream.errors import Rejected

FIELD = "image"
FORM_OVERHEAD = 64 << 10  # boundaries, part headers and small fields around the image


class _InMemoryParser(MultiPartParser):
    """Keeps parts in memory: their size is limited, and no image touches a disk."""

    spool_max_size = 1 << 40


async def read_image(request: Request, limits: ImageLimits) -> bytes:
    """Return the image of a request: its body, or the form's file `image`.

    Raises Rejected as soon as more than the limit has come in.
    """
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _from_form(request, limits)
    body = bytearray()
    async for chunk in _limited(request, limits):
        body += chunk
    return bytes(body)


async def _from_form(request: Request, limits: ImageLimits) -> bytes:
    most = ImageLimits(limits.max_bytes + FORM_OVERHEAD, limits.max_pixels)
    parser = _InMemoryParser(request.headers, _limited(request, most), max_files=1, max_fields=8, max_part_size=4096)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise _malformed(error.message) from error
    try:
        image = form.get(FIELD)
        if not isinstance(image, UploadFile):
            raise _malformed(f"the form has no file called {FIELD!r}")
        return await image.read()
    finally:
        await form.close()


async def _limited(request: Request, limits: ImageLimits) -> AsyncGenerator[bytes, None]:
    announced = request.headers.get("content-length", "")
    limits.check_bytes(int(announced) if announced.isdecimal() else 0)
    seen = 0
    try:
        async for chunk in request.stream():
            seen += len(chunk)
            limits.check_bytes(seen)
            yield chunk
    except ClientDisconnect as error:
        raise _malformed("the client went away before its image was here") from error


def _malformed(reason: str) -> Rejected:
    return Rejected("request.malformed", reason, f"Send the image as the body, or as the file {FIELD!r} of a form.")
