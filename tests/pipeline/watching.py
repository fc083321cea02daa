"""Looking at a running stack from outside: its streams, its processes, its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import psutil
from rstream import Producer, RawMessage

from labelstream.events.base import Event
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.process import marked_processes
from labelstream_local.reports import ask
from labelstream_local.services import BY_NAME
from labelstream_local.stack import Stack

PATIENCE_S = 600  # whoever waits longer than this for anything has failed

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Onlooker:
    """Reads a stack's streams as somebody who may."""

    stack: Stack
    broker: RabbitBroker

    async def raw(self, stream: str, start: int = 0) -> list[Delivery]:
        """Return everything that is in the stream now, from an offset on."""
        last = await self.broker.last_offset(stream)
        found: list[Delivery] = []
        reader = self.broker.reader(stream, start or "first")
        async with asyncio.timeout(PATIENCE_S):
            while last is not None and last >= start and (not found or found[-1].offset < last):
                found += await reader.read()
        await reader.close()
        return found

    async def said(self, kind: type[E], start: int = 0) -> list[E]:
        """Return every event of a type that its stream holds now, from an offset on."""
        return [event for event in map(_event, await self.raw(kind.stream, start)) if isinstance(event, kind)]

    async def heard(self, kind: type[E], wanted: Callable[[E], bool] = lambda _: True, start: int = 0) -> E:
        """Wait for the first event of a type that is `wanted`, from an offset on."""
        await self.broker.ensure_stream(kind.stream)
        reader = self.broker.reader(kind.stream, start or "first")
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for delivery in await reader.read():
                        event = _event(delivery)
                        if isinstance(event, kind) and wanted(event):
                            return event
        finally:
            await reader.close()

    async def end(self, stream: str) -> int:
        """Return the offset that the next message of a stream will have, at the least."""
        last = await self.broker.last_offset(stream)
        return 0 if last is None else last + 1

    async def write(self, stream: str, messages: list[bytes]) -> None:
        """Store messages in a stream, whatever their bytes, in one frame."""
        settings = self.stack.broker
        password = settings.password.get_secret_value()
        login = {"host": settings.host, "port": settings.stream_port, "username": settings.username}
        async with Producer(**login, password=password) as producer:
            confirmed: asyncio.Queue[object] = asyncio.Queue()
            await producer.send_batch(stream, [RawMessage(raw) for raw in messages], on_publish_confirm=confirmed.put)
            for _ in messages:
                await asyncio.wait_for(confirmed.get(), PATIENCE_S)


@asynccontextmanager
async def onlooker(stack: Stack) -> AsyncIterator[Onlooker]:
    """Look at a stack for a while."""
    broker = RabbitBroker(stack.broker, Health(), "onlooker")
    try:
        yield Onlooker(stack, broker)
    finally:
        await broker.close()


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something outside our control has happened."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0.05)


def all_ready(stack: Stack) -> bool:
    """Whether every service says that it works and lacks nothing."""
    reports = {name: ask(stack.url(name)) for name in BY_NAME}
    return all(report is not None and report.ready for report in reports.values())


def strays(stack: Stack) -> list[list[str]]:
    """Return the command lines of the stack's processes that no living service, server or supervisor looks after."""
    supervisor = stack.supervisor.pid
    found = []
    for process in _processes(stack):
        try:
            above = {parent.pid for parent in process.parents()}
            if process.pid != supervisor and supervisor not in above:
                found.append(process.cmdline())
        except psutil.NoSuchProcess:
            continue
    return found


def _processes(stack: Stack) -> list[psutil.Process]:
    """The processes that carry the stack's mark, and the engines, which get no variable of ours, by their files."""
    marked = marked_processes(stack.layout.mark)
    known = {process.pid for process in marked}
    engines = [
        process
        for process in psutil.process_iter(["pid", "cmdline"])
        if process.pid not in known and any(str(stack.layout.root) in part for part in process.info["cmdline"] or [])
    ]
    return marked + engines


def predict(stack: Stack, image: bytes, **headers: str) -> dict[str, object]:
    """Ask the stack's inference about an image."""
    answer = httpx.post(f"{stack.url('inference')}/v1/predict", files={"image": image}, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


def _event(delivery: Delivery) -> Event | None:
    envelope = Envelope.from_message(decode(delivery.raw))
    return envelope.event if envelope else None
