"""One HTTP/1.1 connection that stays open: a whole request's bytes out, a reply back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    headers: bytes = b""  # as they came, in small letters


class Connection:
    """Opens when it is first asked, and again when the server closed it after an answer."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> Reply:
        """Send a request and return its reply. Raises OSError when the connection breaks before it is whole."""
        reader, writer = await self._open()
        writer.write(request)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await _body(reader, head)
        except asyncio.IncompleteReadError as error:
            self.close()
            raise ConnectionResetError(f"the server went away in the middle of a reply: {error}") from error
        except BaseException:
            self.close()
            raise
        if b"\r\nconnection: close" in head:
            self.close()
        return Reply(int(head.split(b" ", 2)[1]), body, head)

    async def send_and_leave(self, part: bytes) -> None:
        """Send bytes, and go away without waiting for an answer."""
        _, writer = await self._open()
        writer.write(part)
        await writer.drain()
        self.close()

    def close(self) -> None:
        """Close it; it may be asked again."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self.close()
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 22)
        return self._reader, self._writer


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"\r\ntransfer-encoding: chunked" in head:
        body = bytearray()
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return bytes(body)
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        return b""
    return await reader.readexactly(int(head[start + 17 :].split(b"\r\n", 1)[0]))
