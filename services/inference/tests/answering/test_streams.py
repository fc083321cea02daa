"""Long answers over a real connection: who reads slowly, who goes away, and what is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from inference.answering.in_order import in_order, with_pauses
from inference.answering.video.decoder import Decoder
from inference.answering.video.slots import Slots
from labelstream.service.http import serve_http, take_port

from .clips import timed, written

BATCH, VIDEO = "/v1/predict/batch", "/v1/video"


@asynccontextmanager
async def serving(world, **limits):
    """The address of a replica that listens, and a client of it."""
    await world.promote("m1", 1)
    async with world.replica(**limits) as inside:
        await world.heard()
        taken = take_port("127.0.0.1", 0)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)  # or the kernel would take a whole answer
        server = asyncio.create_task(serve_http(inside._transport.app, "127.0.0.1", 0, taken))
        host, port = taken.getsockname()
        try:
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=60) as client:
                yield client, port
        finally:
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)


OTHERS: set[int] = set()  # what other tests of this process left unburied


@pytest.fixture(autouse=True)
def _others_are_known() -> None:
    OTHERS.clear()
    OTHERS.update(decoders())


def decoders() -> list[int]:
    """The processes that decode videos for this one, the ended and unburied ones among them."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        for child in _read(task / "children").split():
            try:
                found += [int(child)] if b"video.child" in Path(f"/proc/{child}/cmdline").read_bytes() else []
                found += [int(child)] if " Z " in Path(f"/proc/{child}/stat").read_text() else []
            except OSError:
                continue
    return [each for each in found if each not in OTHERS]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the thread has ended
        return ""


def open_uploads(world) -> list[str]:
    """What this process holds open of what was uploaded."""
    links = [_target(each) for each in Path("/proc/self/fd").iterdir()]
    return [link for link in links if "uploads" in link or "memfd:frames" in link]


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # closed in the meantime
        return ""


async def until(condition) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- what is waited for happens in another process
            await asyncio.sleep(0.01)


async def begin(port: int, path: str, body: bytes, receive_bytes: int = 4096):
    """Send a request and read nothing of its answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    await loop.sock_sendall(connection, head + body)
    return connection


async def test_a_client_that_reads_nothing_holds_no_worker_and_is_cut(world, tmp_path, red_picture) -> None:
    clip = timed(tmp_path / "a.mkv", list(range(0, 30_000, 10)))
    async with serving(world, stream_stall_s=15, max_streams=1) as (client, port):
        connection = await begin(port, VIDEO, clip)
        await until(decoders)
        for _ in range(5):
            assert (await client.post("/v1/predict", content=red_picture)).status_code == 200
        await until(lambda: not decoders() and not open_uploads(world))
        answer = await client.post(f"{VIDEO}?max_frames=1", content=clip)  # its place is free again
        assert answer.status_code == 200
        assert b'"summary"' not in await rest(connection)


async def rest(connection: socket.socket) -> bytes:
    """Read what still comes over a connection, until it ends."""
    loop, received = asyncio.get_running_loop(), bytearray()
    with connection, suppress(ConnectionResetError):
        while some := await loop.sock_recv(connection, 1 << 16):
            received += some
    return bytes(received)


@pytest.mark.parametrize("path", [VIDEO, f"{VIDEO}?every=1000000&from_s=1"], ids=["answering", "before it began"])
async def test_a_client_that_goes_ends_its_work(world, tmp_path, path) -> None:
    clip = timed(tmp_path / "a.mkv", list(range(0, 30_000, 10)))
    async with serving(world) as (_, port):
        connection = await begin(port, path.replace("from_s=1", "from_s=0"), clip)
        await until(decoders)
        connection.close()
        await until(lambda: not decoders() and not open_uploads(world))


async def test_more_streams_than_places_are_sent_away_before_their_body_is_read(world, tmp_path) -> None:
    clip = timed(tmp_path / "a.mkv", list(range(0, 30_000, 10)))
    async with serving(world, max_streams=1) as (client, port):
        connection = await begin(port, VIDEO, clip)
        await until(decoders)
        for path in (VIDEO, BATCH):
            answer = await client.post(path, content=b"x")
            assert (answer.status_code, answer.json()["rule"]) == (503, "server.busy_streams")
            assert int(answer.headers["retry-after"]) > 0
        connection.close()


async def test_a_killed_decoder_is_a_problem_at_the_end(world, tmp_path, red_picture) -> None:
    clip = timed(tmp_path / "a.mkv", list(range(0, 30_000, 10)))
    async with serving(world) as (client, _), client.stream("POST", VIDEO, content=clip) as answer:
        lines = answer.aiter_lines()
        first = json.loads(await anext(lines))
        for decoder in decoders():
            os.kill(decoder, signal.SIGKILL)
        *others, problem, summary = [json.loads(line) async for line in lines]
        assert first["frame"] == 0
        assert [each["frame"] for each in others] == list(range(1, len(others) + 1))
        assert problem["problem"]["rule"] == "video.decoder_died"
        assert summary["summary"]["complete"] is False
        await until(lambda: not decoders())
        assert (await client.post("/v1/predict", content=red_picture)).status_code == 200


async def test_a_stopped_decoder_is_ended(world, tmp_path) -> None:
    clip = timed(tmp_path / "a.mkv", list(range(0, 30_000, 10)))
    async with serving(world, stream_stall_s=15) as (client, _), client.stream("POST", VIDEO, content=clip) as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        for decoder in decoders():
            os.kill(decoder, signal.SIGSTOP)
        rules = [json.loads(line).get("problem", {}).get("rule") async for line in lines]
        assert "video.decoder_stalled" in rules
        await until(lambda: not decoders())


async def test_nothing_is_left_after_videos_of_every_kind(world, tmp_path) -> None:
    async with serving(world) as (client, _):
        for clip in (written(tmp_path / "a.avi", 5), b"no video", written(tmp_path / "b.mp4", 5, "mp4v")[:400]):
            await client.post(VIDEO, content=clip)
        await until(lambda: not decoders() and not open_uploads(world))
        assert list((world.directory / "state" / "uploads").iterdir()) == []


async def test_results_come_in_order_and_few_are_begun_ahead() -> None:
    begun, gates = [], [asyncio.Event() for _ in range(6)]

    async def source():
        for number in range(6):
            yield number

    async def work(number: int) -> int:
        begun.append(number)
        await gates[number].wait()
        return number

    results = in_order(source(), work, 3)
    first = asyncio.ensure_future(anext(results))
    gates[1].set()
    while len(begun) < 3:  # noqa: ASYNC110 -- tasks that nobody can wait for
        await asyncio.sleep(0)
    assert (begun, first.done()) == ([0, 1, 2], False)
    gates[0].set()
    assert await first == 0
    for gate in gates:
        gate.set()
    assert [each async for each in results] == [1, 2, 3, 4, 5]


async def test_what_the_source_raises_comes_after_what_it_gave() -> None:
    async def source():
        yield 1
        raise ValueError("no more")

    async def work(number: int) -> int:
        return number

    results = in_order(source(), work, 3)
    assert await anext(results) == 1
    with pytest.raises(ValueError, match="no more"):
        await anext(results)


async def test_pauses_are_told_while_nothing_comes() -> None:
    more = asyncio.Event()

    async def source():
        yield "a"
        await more.wait()
        yield "b"

    told = []
    async for each in with_pauses(source(), 0.001):
        told.append(each)
        if each is None:
            more.set()
    assert (told[0], told[-1]) == ("a", "b")
    assert None in told


async def test_a_decoder_that_talks_on_and_on_is_ended_all_the_same() -> None:
    talking = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "while True: print('x' * 1000)",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    slots = Slots(1, 1)
    await until(lambda: talking.stdout._paused)  # more lies there than is kept: nobody reads
    async with asyncio.timeout(60):
        await Decoder(slots, talking, 1.0).end()
    slots.close()
    assert talking.returncode == -signal.SIGKILL
