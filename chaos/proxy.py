"""A TCP proxy that can be told to misbehave: what lies between a service and a server when the network is bad.

`Proxies` are many in a process of their own (`python -m chaos.proxy`): what else the suite does must not slow them.
They are told line by line, in JSON: first the ports and whither each leads, then which ports obey which rule. Each line
is answered with one once it is done. They end with their input, so whatever becomes of the suite.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from labelstream_local.ports import HOST
from labelstream_local.process import StartFailed

CHUNK_BYTES = 1 << 16
DONE = b"done\n"

Mode = Literal["pass", "cut", "black-hole", "delay", "half-close"]


@dataclass(frozen=True)
class Rule:
    """What a proxy does with what comes.

    cut          connections are reset, and new ones as well
    black-hole   nothing goes through, and nobody is told; it goes on from there once that is over
    delay        each piece comes later
    half-close   the server's side of each connection of that moment ends; new ones are served
    """

    mode: Mode = "pass"
    delay_s: float = 0.0


PASS = Rule()


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_half_closed: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def half_close(self) -> None:
        """Tell the client that the server says no more."""
        self.is_half_closed = True
        _end(self.client)

    def abort(self) -> None:
        for task in self.tasks:
            task.cancel()
        for writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Listens on a port of its own and passes everything on to a server on this machine, as its rule says."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.port = 0
        self.rule = PASS
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._through = asyncio.Event()  # not set while it is a black hole
        self._through.set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def start(self, port: int = 0) -> None:
        """Listen; 0 is any free port, which `port` tells then."""
        self._server = await asyncio.start_server(self._serve, HOST, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop, and cut what is open."""
        if self._server is not None:
            self._server.close()
        for task in self._dialling:
            task.cancel()
        self._abort()
        if self._server is not None:
            await self._server.wait_closed()

    def obey(self, rule: Rule) -> None:
        """Do so from now on."""
        self.rule = rule
        if rule.mode == "black-hole":
            self._through.clear()
        else:
            self._through.set()
        if rule.mode == "cut":
            self._abort()
        if rule.mode == "half-close":
            for connection in self._connections:
                connection.half_close()

    def _abort(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
        await self._through.wait()
        if self.rule.mode == "cut":
            writer.transport.abort()
            return
        try:
            back, on = await asyncio.open_connection(HOST, self.upstream_port)
        except OSError:  # the server is away: so are we
            writer.transport.abort()
            return
        connection = _Connection(writer, on)
        self._connections.add(connection)
        connection.tasks = [
            asyncio.create_task(self._pump(connection, reader, on)),
            asyncio.create_task(self._pump(connection, back, writer)),
        ]
        try:
            await asyncio.wait(connection.tasks)
        finally:
            self._connections.discard(connection)
            connection.abort()

    async def _pump(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction on until it ends; a broken side ends both."""
        try:
            while piece := await reader.read(CHUNK_BYTES):
                await self._through.wait()
                if self.rule.mode == "delay":
                    await asyncio.sleep(self.rule.delay_s)
                if connection.is_half_closed and writer is connection.client:
                    continue
                writer.write(piece)
                await writer.drain()
            await self._through.wait()
            _end(writer)
        except OSError:
            connection.abort()


def _end(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, RuntimeError):  # it was closed by the other side
        if not writer.is_closing() and writer.can_write_eof():
            writer.write_eof()


@dataclass(frozen=True)
class Proxies:
    """Proxies in a process of their own, each known by its port."""

    process: asyncio.subprocess.Process
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def start(cls, upstreams: Mapping[int, int]) -> Proxies:
        """Let each port lead to another one. Raises StartFailed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chaos.proxy", cwd=Path(__file__).parents[1],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        proxies = cls(process)
        try:
            await proxies._tell([[port, upstream] for port, upstream in upstreams.items()])
        except BaseException:
            await proxies.close()
            raise
        return proxies

    async def obey(self, ports: Iterable[int], rule: Rule) -> None:
        """Let some of them do as the rule says; return when they do. Raises StartFailed when they are gone."""
        await self._tell([list(ports), asdict(rule)])

    async def close(self) -> None:
        """Stop, and cut what is open."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.wait()

    async def _tell(self, what: object) -> None:
        writer, reader = self.process.stdin, self.process.stdout
        if writer is None or reader is None:
            raise StartFailed("the proxies hear nothing")
        async with self._turn:
            with suppress(ConnectionError):  # no answer says the same
                writer.write(json.dumps(what).encode() + b"\n")
                await writer.drain()
            if await reader.readline() != DONE:
                raise StartFailed("the proxies ended: what they wrote stands above")


async def _serve_all() -> None:
    """Be the proxies that the input tells, until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    proxies: dict[int, Proxy] = {}
    for port, upstream in json.loads(await reader.readline()):
        proxies[port] = Proxy(upstream)
        await proxies[port].start(port)
    _answer()
    while line := await reader.readline():
        ports, rule = json.loads(line)
        for port in ports:
            proxies[port].obey(Rule(**rule))
        _answer()
    await asyncio.gather(*(proxy.close() for proxy in proxies.values()))


def _answer() -> None:
    sys.stdout.buffer.write(DONE)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the stack is to go down first, through us
    asyncio.run(_serve_all())
