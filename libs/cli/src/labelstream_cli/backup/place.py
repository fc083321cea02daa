"""The stack that is backed up or restored: its streams, its buckets, and who runs there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.producer import broker_settings
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq_writer import RabbitWriter
from labelstream.streams.restoring import StreamWriter
from labelstream_cli.backup.book import BUCKETS, Bucket
from labelstream_cli.reaching import broker_at, store_in_environment
from labelstream_cli.running import failed, running_stack
from labelstream_local.process import StartFailed
from labelstream_local.stack import Options, down, load, up

NAME = "labelstream backup"


class Writing(Protocol):
    """Opens the writer of a stream that is restored."""

    def __call__(self, stream: str) -> StreamWriter:
        """Write `stream`."""
        ...


@dataclass(frozen=True)
class StackPlace:
    """How streams and files are reached."""

    broker: Broker
    buckets: Mapping[Bucket, Blobs]
    writer: Writing
    projects: tuple[str, ...] = ()  # as far as the stack says them
    inputs: tuple[str, ...] = ()  # streams that feed them, likewise
    secrets: Path | None = None  # the folder of its secret files
    bucket_names: Mapping[Bucket, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """How a stack is reached, before anything connects."""

    broker: BrokerSettings
    store: StoreSettings
    projects: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    secrets: Path | None = None


def told(directory: Path, url: str | None, secrets: Path | None = None) -> Told:
    """Find out how the stack is reached. Raises CommandFailed when it is down, Misconfigured."""
    if url is not None:
        return Told(broker_settings(url), store_in_environment("--url"), secrets=secrets)
    stack = running_stack(directory)
    served = stack.rabbitmq.served
    inputs = (*served.inputs, *served.proposals)
    return Told(stack.broker, stack.store, stack.record.projects, inputs, secrets or stack.layout.secrets)


def refuse_services(directory: Path) -> None:
    """Exit with what to do when services of the stack run."""
    try:
        stack = load(directory)
    except StartFailed:
        return  # it never came up
    processes = stack.supervisor.processes()
    running = [name for name in stack.services if name in processes and processes[name].pid is not None]
    if running:
        raise failed(f"{', '.join(running)} run here, and nothing may run: `labelstream down` stops everything")


@contextmanager
def servers_up(directory: Path, projects: tuple[str, ...]) -> Iterator[None]:
    """Have the broker and the store of a stack up, without services; stop them again if they were not up."""
    if _is_compose(directory):
        yield
        return
    try:
        stack = up(directory, Options(services=(), projects=projects or Options.projects))
    except StartFailed as problem:
        raise failed(problem) from problem
    try:
        yield
    finally:
        if not stack.was_running:
            down(directory)


def _is_compose(directory: Path) -> bool:
    """Say whether the directory stands for a compose project, which docker starts and stops."""
    try:
        return bool(load(directory).record.compose)
    except StartFailed:
        return False


@asynccontextmanager
async def reached(where: Told) -> AsyncIterator[StackPlace]:
    """Hold the stack while inside."""
    names = bucket_names(where.store)
    health = Health()
    buckets = {role: S3Blobs(where.store, name, health) for role, name in names.items()}
    try:
        async with broker_at(where.broker, NAME) as broker:
            yield StackPlace(
                broker=broker,
                buckets=buckets,
                writer=lambda stream: RabbitWriter(where.broker, stream, NAME),
                projects=where.projects,
                inputs=where.inputs,
                secrets=where.secrets,
                bucket_names=names,
            )
    finally:
        for bucket in buckets.values():
            await bucket.close()


def bucket_names(store: StoreSettings) -> dict[Bucket, str]:
    """Return what the buckets are called here."""
    called = (
        store.data_bucket,
        store.model_bucket,
        store.resources_bucket,
        store.uploads_bucket,
        store.incoming_bucket,
    )
    return dict(zip(BUCKETS, called, strict=True))
