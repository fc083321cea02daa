"""Reads an image out of a request, never more of it than is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from starlette.requests import Request

from inference.answering.bodies import Bodies, Pieces
from inference.answering.forms import FORM_OVERHEAD, FormPart, is_form, malformed, read_form
from inference.engine.geometry import ImageLimits

FIELD = "image"
_MOST_PARTS = 9  # the image, and small fields that some forms have beside it


class _ImagePart:
    """Takes the file `image` of a form; leaves the rest of it where it is."""

    def __init__(self) -> None:
        self.found: Pieces | None = None
        self._parts = 0

    def open(self, part: FormPart) -> Pieces | None:
        """Return what takes a part's content."""
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise malformed(f"the form has more than {_MOST_PARTS} parts")
        if part.name != FIELD or part.filename is None:
            return None
        if self.found is not None:
            raise malformed(f"the form has more than one file called {FIELD!r}")
        self.found = Pieces()
        return self.found


@asynccontextmanager
async def image_of(request: Request, bodies: Bodies, limits: ImageLimits) -> AsyncIterator[bytes]:
    """Read the image of a request (its body, or the form's file `image`) and count it as long as it is used.

    Raises Rejected as soon as more than the limit has come in, Busy when there is no room for it.
    """
    if not is_form(request):
        async with bodies.in_memory(request, limits.check_bytes) as body:
            yield body
        return
    most = ImageLimits(limits.max_bytes + FORM_OVERHEAD, limits.max_pixels)
    part = _ImagePart()
    with bodies.hold() as hold:
        async with aclosing(bodies.chunks(request, most.check_bytes, hold)) as chunks:
            await read_form(request.headers["content-type"], chunks, part.open)
        if part.found is None:
            raise malformed(f"the form has no file called {FIELD!r}; send the image as that, or as the body")
        yield part.found.take()
