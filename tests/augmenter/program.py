"""The augmenter as processes of its own, on a real broker and a real store."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.ports import choose
from labelstream_local.process import Child, Command
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer


@dataclass
class Program:
    """One process of the augmenter, which can be killed and started again; its state stays."""

    name: str
    folder: Path
    rabbit: RabbitServer
    weed: WeedServer
    role: tuple[str, ...] = ()
    told: dict[str, str] = field(default_factory=dict)
    _child: Child | None = None

    def start(self) -> None:
        """Start the process."""
        broker, store = self.rabbit.settings, self.weed.settings
        told = {
            "BROKER__STREAM_PORT": str(broker.stream_port),
            "BROKER__AMQP_PORT": str(broker.amqp_port),
            "BROKER__USERNAME": broker.username,
            "BROKER__PASSWORD": broker.password.get_secret_value(),
            "STORE__ENDPOINT_URL": store.endpoint_url,
            "STORE__ACCESS_KEY": store.access_key,
            "STORE__SECRET_KEY": store.secret_key.get_secret_value(),
            "AUGMENTER__BATCH_AGE_S": "3600",
            "AUGMENTER__WORKERS": "1",
            "AUGMENTER__WORKER": self.name,
            "AUGMENTER__LEASE_S": "2",
            "AUGMENTER__POLL_S": "0.1",
            "STATE_DIR": str(self.folder / f"{self.name}-state"),
            "HTTP_PORT": str(choose(1)[0]),
            **{f"AUGMENTER__{name}": value for name, value in self.told.items()},
        }
        variables = {f"LABELSTREAM_{name}": value for name, value in told.items()}
        command = Command(self.name, (sys.executable, "-m", "augmenter", *self.role), self.folder, variables)
        self._child = Child(command, str(self.folder), self.folder / f"{self.name}.log")
        self._child.start()

    def kill(self) -> None:
        """Kill the process with signal 9, and wait until it is gone."""
        self._end(psutil.Process.kill)

    def stop(self) -> None:
        """Ask the process to stop, and wait until it has."""
        self._end(psutil.Process.terminate)

    def _end(self, how: object) -> None:
        assert self._child is not None
        process = psutil.Process(self._child.pid)
        assert callable(how)
        how(process)
        process.wait(60)

    @property
    def log(self) -> list[dict[str, object]]:
        """What the process said."""
        lines = (self.folder / f"{self.name}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@asynccontextmanager
async def looking_at(rabbit: RabbitServer, weed: WeedServer) -> AsyncIterator[tuple[RabbitBroker, S3Blobs]]:
    """Look at broker and store from outside."""
    broker = RabbitBroker(rabbit.settings, Health(), "onlooker")
    blobs = S3Blobs(weed.settings, weed.settings.data_bucket, Health())
    try:
        yield broker, blobs
    finally:
        await asyncio.gather(broker.close(), blobs.close())
