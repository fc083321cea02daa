"""annotation-ingest as a process of its own, on a real broker and a real store."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from annotation_ingest.settings import IngestSettings
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.ports import choose
from labelstream_local.process import Child, Command
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.reports import ask

HASH_KEY = "sixteen characters of a test"
PATIENCE_S = 600


@dataclass
class Program:
    """The service, which can be killed and started again; its state stays."""

    folder: Path
    broker: BrokerSettings
    store: StoreSettings
    batch: int = 20
    port: int = field(default_factory=lambda: choose(1)[0])
    runs: tuple[str, ...] = ("-m", "annotation_ingest")
    more: dict[str, str] = field(default_factory=dict)  # further settings
    _child: Child | None = None

    @property
    def state(self) -> Path:
        """Where its view lies."""
        return self.folder / "state"

    def settings(self) -> IngestSettings:
        """Return what it is told, for a twin in this process."""
        return IngestSettings(
            broker=self.broker,
            store=self.store,
            state_dir=self.folder / "twin",
            ingest={"inputs": [INPUT], "producer_hash_key": HASH_KEY, "batch": self.batch},  # type: ignore[arg-type]  # pydantic makes the group of it
        )

    def start(self) -> None:
        """Start the process."""
        told = {
            "BROKER__STREAM_PORT": str(self.broker.stream_port),
            "BROKER__USERNAME": self.broker.username,
            "BROKER__PASSWORD": self.broker.password.get_secret_value(),
            "STORE__ENDPOINT_URL": self.store.endpoint_url,
            "STORE__ACCESS_KEY": self.store.access_key,
            "STORE__SECRET_KEY": self.store.secret_key.get_secret_value(),
            "INGEST__INPUTS": INPUTS_JSON,
            "INGEST__PRODUCER_HASH_KEY": HASH_KEY,
            "INGEST__BATCH": str(self.batch),
            "INGEST__DECODERS": "1",
            "STATE_DIR": str(self.state),
            "HTTP_PORT": str(self.port),
            **self.more,
        }
        variables = {f"LABELSTREAM_{name}": value for name, value in told.items()}
        command = Command("ingest", (sys.executable, *self.runs), self.folder, variables)
        self._child = Child(command, str(self.folder), self.folder / "ingest.log")
        self._child.start()

    def kill(self) -> None:
        """Kill the process with signal 9, and wait until it is gone."""
        process = psutil.Process(self.pid)
        process.kill()
        process.wait(120)

    def stop(self) -> None:
        """Ask the process to stop, and wait until it has."""
        process = psutil.Process(self.pid)
        process.terminate()
        process.wait(60)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.running

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs."""
        process = self._child._process if self._child is not None else None
        return process.poll() if process is not None else None

    @property
    def log(self) -> str:
        """What the process said."""
        return (self.folder / "ingest.log").read_text()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._child is not None
        return self._child.pid


INPUT = {"stream": "annotations", "may_change_schema": True}
INPUTS_JSON = '[{"stream": "annotations", "may_change_schema": true}]'


@asynccontextmanager
async def looking_at(rabbit: RabbitServer) -> AsyncIterator[RabbitBroker]:
    """Look at a broker from outside."""
    broker = RabbitBroker(rabbit.settings, Health(), "onlooker")
    try:
        yield broker
    finally:
        await broker.close()


async def until_answered(broker: Broker, count: int) -> None:
    """Wait until so many receipts are there, whatever becomes of the broker meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while await _receipts(broker) < count:  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0.02)  # a broker that comes and goes has nothing to wait on


async def until_kept(program: Program, broker: Broker) -> None:
    """Wait until the program's view holds what became of the last message; a receipt is there before."""
    last = await broker.last_offset(str(INPUT["stream"]))
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(_kept, program) != last:  # noqa: ASYNC110  # another process gives no sign
            await asyncio.sleep(0.05)


def _kept(program: Program) -> int | None:
    said = ask(program.url)
    kept: int | None = said.facts.get("streams", {}).get(INPUT["stream"], {}).get("offset") if said else None
    return kept


async def _receipts(broker: Broker) -> int:
    try:
        last = await broker.last_offset(ANNOTATION_EVENTS)
    except Unavailable:
        return -1
    return 0 if last is None else last + 1


async def everything_in(broker: Broker, stream: str) -> list[Delivery]:
    """Read a stream from its first message to its last."""
    last = await broker.last_offset(stream)
    found: list[Delivery] = []
    reader = broker.reader(stream, "first")
    async with asyncio.timeout(PATIENCE_S):
        while last is not None and (not found or found[-1].offset < last):
            found += await reader.read(at_most=1000)
    await reader.close()
    return found
