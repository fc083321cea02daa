"""Forms (`multipart/form-data`) as they come in, part by part."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from labelstream.errors import Rejected

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # it is there for type checkers alone

FORM = "multipart/form-data"
FORM_OVERHEAD = 64 << 10  # boundaries, part headers and small fields around the files


@dataclass(frozen=True)
class FormPart:
    """What a part says of itself."""

    name: str
    filename: str | None
    content_type: str


class Sink(Protocol):
    """Takes the content of one part."""

    def write(self, data: bytes, /) -> object:
        """Take more of it."""
        ...


OpenPart = Callable[[FormPart], Sink | None]


def is_form(request: Request) -> bool:
    """Say whether the body of a request is a form."""
    return request.headers.get("content-type", "").lower().startswith(FORM)


async def read_form(content_type: str, chunks: AsyncIterator[bytes], open_part: OpenPart) -> None:
    """Give each part's content to what `open_part` returns for it (None: to nobody). Raises Rejected."""
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise malformed("the form's Content-Type names no boundary")
    reader = _Reader(open_part)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise malformed(f"the form can't be read: {error}") from error
    if not reader.ended:
        raise malformed("the form ends before its last boundary")


def malformed(reason: str) -> Rejected:
    """Return the refusal of a body that can't be read."""
    return Rejected("request.malformed", reason, "See /openapi.json for what may be sent here.")


class _Reader:
    """Hears what the parser finds, and takes it where it belongs."""

    def __init__(self, open_part: OpenPart) -> None:
        self.ended = False
        self._open = open_part
        self._sink: Sink | None = None
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""

    def callbacks(self) -> MultipartCallbacks:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._header,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers = {}

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        _, told = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in told:
            raise malformed("a part of the form has no name")
        filename = told.get(b"filename")
        self._sink = self._open(
            FormPart(
                name=told[b"name"].decode(errors="replace"),
                filename=None if filename is None else filename.decode(errors="replace"),
                content_type=self._headers.get(b"content-type", b"").decode("latin-1"),
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._sink is not None:
            self._sink.write(data[start:end])

    def _end(self) -> None:
        self.ended = True
