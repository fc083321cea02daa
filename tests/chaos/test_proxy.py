"""What lies between a service and a server when the network is bad."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from chaos.proxy import PASS, Proxies, Proxy, Rule
from chaos.schedule import EVERYBODY
from chaos.walls import Walls, Way

from labelstream_local.ports import HOST, choose
from labelstream_local.process import StartFailed

Open = Callable[[Proxy | Way], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass
class Echo:
    """A server that says everything again, and remembers it."""

    heard: list[bytes] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1 << 16):
                self.heard.append(piece)
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.ended.set()
            writer.close()


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.serve, HOST, 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest_asyncio.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    made = Proxy(echo.port)
    await made.start()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens connections, which end with the test."""
    writers: list[asyncio.StreamWriter] = []

    async def open_to(proxy: Proxy | Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        writers.append(writer)
        return reader, writer

    yield open_to
    for writer in writers:
        writer.transport.abort()


async def said(reader: asyncio.StreamReader, count: int) -> bytes:
    async with asyncio.timeout(30):
        return await reader.readexactly(count)


async def test_what_is_said_goes_through_both_ways(proxy: Proxy, opened: Open) -> None:
    reader, writer = await opened(proxy)
    large = b"0123456789" * 100_000
    writer.write(large)
    assert await said(reader, len(large)) == large


async def test_the_end_of_one_side_reaches_the_other(proxy: Proxy, echo: Echo, opened: Open) -> None:
    reader, writer = await opened(proxy)
    writer.write(b"last words")
    writer.write_eof()
    assert await reader.read() == b"last words"
    await asyncio.wait_for(echo.ended.wait(), 30)


async def test_a_cut_resets_connections_and_turns_new_ones_away(proxy: Proxy, opened: Open) -> None:
    reader, writer = await opened(proxy)
    writer.write(b"hello")
    await said(reader, 5)
    proxy.obey(Rule("cut"))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said(reader, 1)
    late, _ = await opened(proxy)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said(late, 1)
    proxy.obey(PASS)
    again, answer = await opened(proxy)
    answer.write(b"back")
    assert await said(again, 4) == b"back"


async def test_a_black_hole_keeps_what_is_said_until_it_is_over(proxy: Proxy, echo: Echo, opened: Open) -> None:
    reader, writer = await opened(proxy)
    writer.write(b"before ")
    await said(reader, 7)
    proxy.obey(Rule("black-hole"))
    writer.write(b"during")
    open_way = Proxy(echo.port)
    await open_way.start()
    other, speaker = await opened(open_way)
    for _ in range(20):  # others are served all the while
        speaker.write(b"x")
        await said(other, 1)
    assert b"during" not in b"".join(echo.heard)
    proxy.obey(PASS)
    assert await said(reader, 6) == b"during"
    await open_way.close()


async def test_who_connects_to_a_black_hole_is_served_when_it_is_over(proxy: Proxy, opened: Open) -> None:
    proxy.obey(Rule("black-hole"))
    reader, writer = await opened(proxy)
    writer.write(b"anybody?")
    proxy.obey(PASS)
    assert await said(reader, 8) == b"anybody?"


async def test_a_slow_network_is_slow_and_loses_nothing(proxy: Proxy, opened: Open) -> None:
    proxy.obey(Rule("delay", 0.05))
    reader, writer = await opened(proxy)
    begun = time.monotonic()
    writer.write(b"slowly")
    assert await said(reader, 6) == b"slowly"
    assert time.monotonic() - begun >= 0.1  # there and back


async def test_a_half_closed_connection_ends_for_the_client_and_new_ones_are_served(
    proxy: Proxy, echo: Echo, opened: Open
) -> None:
    reader, writer = await opened(proxy)
    writer.write(b"hello")
    await said(reader, 5)
    proxy.obey(Rule("half-close"))
    assert await reader.read() == b""
    writer.write(b"still heard")
    new, speaker = await opened(proxy)
    speaker.write(b"new")
    assert await said(new, 3) == b"new"
    async with asyncio.timeout(30):
        while b"still heard" not in b"".join(echo.heard):  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)


async def test_a_server_that_is_away_is_away_behind_the_proxy_too(opened: Open) -> None:
    nobody = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = nobody.sockets[0].getsockname()[1]
    nobody.close()
    await nobody.wait_closed()
    proxy = Proxy(port)
    await proxy.start()
    reader, _ = await opened(proxy)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said(reader, 1)
    await proxy.close()


async def test_a_proxy_that_is_closed_leaves_no_connection(proxy: Proxy, opened: Open) -> None:
    reader, writer = await opened(proxy)
    writer.write(b"hello")
    await said(reader, 5)
    assert proxy.connections == 1
    await proxy.close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said(reader, 1)
    async with asyncio.timeout(30):
        while proxy.connections:  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def walls(echo: Echo) -> AsyncIterator[Walls]:
    """Proxies of two programs to the one server, in a process of their own."""
    ways = {(program, "s3"): Way(port, echo.port) for program, port in zip(("one", "other"), choose(2), strict=True)}
    made = Walls(await Proxies.start({way.port: way.upstream_port for way in ways.values()}), ways)
    yield made
    await made.close()


async def answers(way: Way, opened: Open) -> bool:
    reader, writer = await opened(way)
    try:
        writer.write(b"hello")
        return await said(reader, 5) == b"hello"
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


async def test_proxies_of_another_process_do_as_they_are_told_when_it_is_said(walls: Walls, opened: Open) -> None:
    one, other = walls.ways.values()
    await walls.obey("one", "seaweedfs", Rule("cut"))
    assert [await answers(one, opened), await answers(other, opened)] == [False, True]
    await walls.obey("one", "seaweedfs", PASS)
    await walls.obey("other", "rabbitmq", Rule("cut"))  # it has no way there
    assert [await answers(one, opened), await answers(other, opened)] == [True, True]


async def test_who_is_held_stays_cut_off_whatever_everybody_meets(walls: Walls, opened: Open) -> None:
    one, other = walls.ways.values()
    await walls.hold("one", "seaweedfs")
    await walls.obey(EVERYBODY, "seaweedfs", PASS)
    assert [await answers(one, opened), await answers(other, opened)] == [False, True]
    await walls.release("one", "seaweedfs")
    assert await answers(one, opened)


async def test_proxies_that_can_not_listen_say_so(echo: Echo) -> None:
    with pytest.raises(StartFailed):
        await Proxies.start({echo.port: echo.port})


async def test_proxies_that_are_gone_obey_no_more(echo: Echo) -> None:
    [port] = choose(1)
    proxies = await Proxies.start({port: echo.port})
    proxies.process.kill()
    with pytest.raises(StartFailed):
        await proxies.obey([port], PASS)
    await proxies.close()


async def test_proxies_end_with_their_input(echo: Echo) -> None:
    [port] = choose(1)
    proxies = await Proxies.start({port: echo.port})
    await proxies.close()
    assert proxies.process.returncode == 0
