"""Clients that are slow, silent, greedy or gone: on real connections, beside one that behaves."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from labelstream.service.connections import ConnectionLimits
from labelstream.service.http import serve_http, take_port

HOST = "127.0.0.1"
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n"


class Answer:
    """What came back on a connection."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *rest = head.decode().split("\r\n")
        self.status = int(line.split()[1])
        self.headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
        self.body = body

    @property
    def problem(self) -> dict:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


class Client:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
        answer = Answer(head, b"")
        answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        return answer

    async def is_cut(self) -> bool:
        """Wait until the other end closes."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True

    async def ask(self, image: bytes, *headers: bytes) -> Answer:
        lines = b"".join(each + b"\r\n" for each in headers)
        await self.send(HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(image) + image)
        return await self.answer()


class Served:
    """A served replica."""

    def __init__(self, port: int, api) -> None:
        self._port = port
        self.api = api

    @asynccontextmanager
    async def client(self):
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()


@pytest.fixture
def served(world):
    """Serves a replica with a model."""

    @asynccontextmanager
    async def serve(limits: ConnectionLimits | None = None, **changes):
        await world.promote("m1", 1)
        async with world.replica(**changes) as inside:
            await world.heard()
            taken = take_port(HOST, 0)
            port = taken.getsockname()[1]
            serving = asyncio.create_task(serve_http(inside._transport.app, HOST, port, taken, limits=limits))
            try:
                yield Served(port, inside)
            finally:
                serving.cancel()
                await asyncio.wait([serving])

    return serve


async def test_a_connection_is_kept_for_the_next_request(served, red_picture) -> None:
    async with served() as replica, replica.client() as client:
        for _ in range(3):
            assert (await client.ask(red_picture)).status == 200


async def test_a_body_that_trickles_is_cut_and_holds_no_worker(served, red_picture) -> None:
    serving = served(threads=1, queue_size=0, upload_timeout_s=0.3)
    async with serving as replica, replica.client() as slow, replica.client() as quick:
        await slow.send(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x")
        answers = asyncio.create_task(slow.answer())
        while not answers.done():
            assert (await quick.ask(red_picture)).status == 200
            slow.writer.write(b"x")
        refused = await answers
        assert (refused.status, refused.problem["rule"]) == (408, "request.too_slow")
        assert await slow.is_cut()


@pytest.mark.parametrize("begun", [b"POST /v1/pre", HEAD + b"X-Sl"], ids=["line", "headers"])
async def test_headers_that_trickle_are_cut(served, begun) -> None:
    async with served(ConnectionLimits(head_s=0.2)) as replica, replica.client() as slow:
        await slow.send(begun)
        refused = await slow.answer()
        assert (refused.status, refused.problem["rule"]) == (408, "http.request_timeout")
        assert await slow.is_cut()


async def test_a_connection_that_says_nothing_is_closed(served) -> None:
    async with served(ConnectionLimits(head_s=0.2)) as replica, replica.client() as silent:
        assert await silent.is_cut()


async def test_endless_headers_are_refused(served) -> None:
    async with served() as replica, replica.client() as client:
        await client.send(HEAD + b"X-Long: " + b"x" * 100_000)
        assert (await client.answer()).status == 431


async def test_what_is_no_http_is_a_problem_too(served) -> None:
    async with served() as replica, replica.client() as client:
        await client.send(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await client.answer()).problem["rule"] == "http.bad_request"


async def test_a_body_is_never_read_as_another_request(served, red_picture) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    async with served() as replica:
        async with replica.client() as client:
            await client.send(HEAD + upgrade + b"Content-Length: %d\r\n\r\n" % len(hidden))
            answer = await client.answer()
            assert (answer.status, answer.problem["rule"]) == (400, "http.bad_request")
            assert "Upgrade" in answer.problem["hint"]
            await client.send(hidden)
            assert await client.is_cut()
        async with replica.client() as client:  # without a body there is nothing to mistake
            await client.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n")
            assert (await client.answer()).status == 200


async def test_bodies_have_room_together_and_give_it_back(served, red_picture) -> None:
    async with served(max_uploads_bytes=10_000) as replica, replica.client() as greedy, replica.client() as other:
        await greedy.send(HEAD + b"Content-Length: 9900\r\n\r\nx")
        refused = await other.ask(red_picture)
        while refused.status == 200:  # the greedy one was not heard yet
            refused = await other.ask(red_picture)
        assert (refused.status, refused.problem["rule"]) == (503, "server.busy")
        assert int(refused.headers["retry-after"]) >= 1
        await greedy.send(b"x" * 9899)
        assert (await greedy.answer()).status == 415
        assert (await other.ask(red_picture)).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/v1/predict", 413),
        (b"/v1/predict?project=other", 404),
        (b"/v1/nothing", 404),
        (b"/v1/predict?confidence=7", 422),
        (b"/v1/predict?classes=submarine", 422),
    ],
)
async def test_what_is_refused_early_is_answered_before_the_body_is_there(served, target, status, red_picture) -> None:
    async with served(max_image_bytes=1000) as replica, replica.client() as client:
        await client.send(b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nabc")
        assert (await client.answer()).status == status
        await client.send(b"x" * 4_999_997)  # it is read away, so that the client can read its answer
        assert (await client.ask(red_picture)).status == 200


async def test_one_connection_too_many_is_told_to_come_again(served, red_picture) -> None:
    serving = served(ConnectionLimits(most=2))
    async with serving as replica, replica.client() as first, replica.client() as second, replica.client() as third:
        assert (await first.ask(red_picture)).status == 200
        assert (await second.ask(red_picture)).status == 200
        refused = await third.ask(red_picture)
        assert (refused.status, refused.problem["rule"]) == (503, "server.busy")
        assert refused.headers["retry-after"] == "1"
        async with replica.client() as watcher:
            await watcher.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await watcher.answer()).status == 200


async def test_a_client_that_does_not_read_its_answer_is_cut(served) -> None:
    async with served(ConnectionLimits(stall_s=0.2)) as replica, replica.client() as deaf:
        deaf.writer.transport.pause_reading()
        asking = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        with pytest.raises(ConnectionError):
            await send_for_ever(deaf, asking * 50)


async def send_for_ever(client: Client, data: bytes) -> None:
    while True:
        await client.send(data)
        await asyncio.sleep(0)
