"""The stack that is backed up or restored: its streams, its buckets, and who runs there."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
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
from labelstream_cli.backup.book import BUCKETS, Bucket, Snapshot
from labelstream_cli.backup.secrets import signer_of
from labelstream_cli.backup.settings import StackSettings, laid_out, settings_of
from labelstream_cli.reaching import broker_at, store_in_environment
from labelstream_cli.running import failed, running_stack
from labelstream_local.layout import Layout
from labelstream_local.process import StartFailed
from labelstream_local.record import Record
from labelstream_local.stack import Options, down, load, note_restore, up

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
    settings: StackSettings | None = None  # of an embedded stack
    bucket_names: Mapping[Bucket, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """How a stack is reached, before anything connects."""

    broker: BrokerSettings
    store: StoreSettings
    projects: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    secrets: Path | None = None
    settings: StackSettings | None = None


def told(directory: Path, url: str | None, secrets: Path | None = None) -> Told:
    """Find out how the stack is reached. Raises CommandFailed when it is down, Misconfigured."""
    if url is not None:
        return Told(broker_settings(url), store_in_environment("--url"), secrets=secrets)
    stack = running_stack(directory)
    served = stack.rabbitmq.served
    return Told(
        stack.broker,
        stack.store,
        stack.record.projects,
        (*served.inputs, *served.proposals),
        secrets or stack.layout.secrets,
        settings_of(stack.record),
    )


def refuse_services(directory: Path) -> None:
    """Exit with what to do when services of the stack run."""
    try:
        stack = load(directory)
    except StartFailed:
        return  # it never came up
    processes = stack.supervisor.processes()
    running = [name for name in stack.services if name in processes and processes[name].state == "RUNNING"]
    if running:
        raise failed(f"{', '.join(running)} run here, and nothing may run: `labelstream down` stops everything")


def refuse_other_secrets(directory: Path, snapshot: Snapshot, *, unsealed: bool = False) -> None:
    """Exit with what to do when a stack would be restored with other secrets than it had.

    unsealed: they were just taken out of the backup.
    """
    folder = Layout.at(directory).secrets
    there = signer_of(folder)
    if there is not None and snapshot.signer in (None, there):
        return
    if there is None and _is_compose(directory):
        return
    if unsealed:
        raise failed(
            f"the secrets that {snapshot.secrets_from or snapshot.name} sealed have another signing key than the stack "
            f"had later: put the later ones into {folder} in their place, or go on with these: --other-secrets"
        )
    found = f"there are no secrets in {folder}" if there is None else f"the secrets in {folder} are of another stack"
    taken = f"`--identity KEY` takes them out of this backup, which holds them sealed to {snapshot.secrets_for}"
    copied = "this backup does not hold them: copy them from where you keep them"
    away = "" if there is None else "move those away; "
    raise failed(
        f"{found}. Without those that the stack had, its models can't be opened and no device takes another: "
        f"{away}{taken if snapshot.secrets else copied}. If they are lost, go on with others: --other-secrets"
    )


def begun_here(directory: Path, place: str) -> str | None:
    """Return the snapshot of this place with which a restore into a directory was begun, if one was."""
    record = Record.read(Layout.at(directory))
    words = shlex.split(record.restoring) if record else []
    return words[words.index("--snapshot") + 1] if place in words else None


@contextmanager
def servers_up(
    directory: Path, snapshot: Snapshot, command: str, say: Callable[[str], None]
) -> Iterator[Callable[[str], None]]:
    """Have the broker and the store of a stack up, without services; stop them again if they were not up.

    What is yielded takes the command that goes on with what is done inside, and "" when it is done: until then no
    service starts. For a stack that never came up, `command` is it from the beginning: nobody is to take it, empty as
    it is, for the one that was lost.
    """
    if _is_compose(directory):
        yield lambda _: None
        return
    is_new = not Layout.at(directory).record.exists()
    say("Starting broker and store.")
    options = _as_it_was(directory, snapshot, say) if is_new else _options(snapshot)
    try:
        stack = up(directory, replace(options, restoring=command if is_new else ""))
    except StartFailed as problem:
        raise failed(problem) from problem
    try:
        yield partial(note_restore, directory)
    finally:
        if not stack.was_running:
            say("Stopping broker and store; that may take half a minute.")
            down(directory)


def _options(snapshot: Snapshot) -> Options:
    return Options(services=(), projects=snapshot.projects or Options.projects)


def _as_it_was(directory: Path, snapshot: Snapshot, say: Callable[[str], None]) -> Options:
    """Return how a new stack is started: with the settings of the one that was lost."""
    if snapshot.settings is None:
        return _options(snapshot)
    for told in snapshot.settings.in_words():
        say(f"Set as it was: {told}.")
    settings = laid_out(snapshot.settings, Layout.at(directory).root / "settings")
    return replace(_options(snapshot), schemas=settings.schemas, told=settings.told)


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
                settings=where.settings,
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
