"""Bodies of requests: how long, how slow, and how many of them at once."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from inference.answering.bodies import Bodies, at_most
from inference.answering.forms import FormPart, read_form
from inference.answering.workers import Busy
from labelstream.errors import Rejected

ANY = at_most(1 << 40, "none", "it", "none")


def request(*chunks: bytes, length: int | None = None, silent: bool = False) -> Request:
    """A request whose body comes in these pieces, and perhaps never ends."""
    waiting = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
    if not silent:
        waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "headers": headers}, receive)


async def test_a_body_is_put_together() -> None:
    bodies = Bodies(100, 1)
    async with bodies.in_memory(request(b"ab", b"", b"c"), ANY) as body:
        assert body == b"abc"


async def test_an_announced_body_takes_its_room_before_it_comes() -> None:
    bodies = Bodies(100, 60)
    first = bodies.in_memory(request(b"a", length=80, silent=True), ANY)
    reading = asyncio.create_task(first.__aenter__())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(Busy) as busy:
        async with bodies.in_memory(request(length=30), ANY):
            pass
    assert busy.value.retry_after_s >= 1
    async with bodies.in_memory(request(b"x" * 20, length=20), ANY):
        pass
    reading.cancel()
    await asyncio.wait([reading])
    async with bodies.in_memory(request(b"x" * 100, length=100), ANY):
        pass  # what was held is free again


async def test_bodies_that_grow_without_room_are_refused_and_do_not_wait_for_each_other() -> None:
    bodies = Bodies(100, 60)
    async with bodies.in_memory(request(b"x" * 60), ANY):
        with pytest.raises(Busy):
            async with bodies.in_memory(request(b"x" * 30, b"x" * 30), ANY):
                pass
        async with bodies.in_memory(request(b"x" * 40), ANY):
            pass


async def test_too_long_a_body_is_refused_before_it_is_read() -> None:
    check = at_most(10, "it.too_large", "it", "Send less.")
    with pytest.raises(Rejected, match=r"it\.too_large"):
        async with Bodies(100, 1).in_memory(request(length=11, silent=True), check):
            pass
    with pytest.raises(Rejected, match=r"it\.too_large"):
        async with Bodies(100, 1).in_memory(request(b"x" * 6, b"x" * 6, silent=True), check):
            pass


async def test_a_body_that_does_not_come_is_given_up() -> None:
    with pytest.raises(Rejected) as slow:
        async with Bodies(100, 0.02).in_memory(request(b"x", silent=True), ANY):
            pass
    assert slow.value.rule == "request.too_slow"


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    b"\x89PNG\r\n--not the end\r\n--b--\r\n"
)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_form_is_read_however_it_is_cut(size: int) -> None:
    found: dict[FormPart, bytearray] = {}

    class Sink(bytearray):
        write = bytearray.extend

    async def chunks():
        for at in range(0, len(FORM), size):
            yield FORM[at : at + size]

    await read_form("multipart/form-data; boundary=b", chunks(), lambda part: found.setdefault(part, Sink()))
    assert found == {
        FormPart("note", None, ""): b"hello",
        FormPart("image", "a.png", "image/png"): b"\x89PNG\r\n--not the end",
    }


@pytest.mark.parametrize("cut", [10, 60, 120, len(FORM) - 4])
async def test_a_form_that_ends_early_is_malformed(cut: int) -> None:
    async def chunks():
        yield FORM[:cut]

    with pytest.raises(Rejected, match=r"request\.malformed"):
        await read_form("multipart/form-data; boundary=b", chunks(), lambda _: None)
