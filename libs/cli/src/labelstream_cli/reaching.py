"""Reaching a broker, and reading a stream of it from end to end."""

from __future__ import annotations

import fcntl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rstream.exceptions import StreamDoesNotExist

from labelstream.errors import Misconfigured, Rejected, Unavailable
from labelstream.events.envelope import Envelope
from labelstream.producer import broker_settings
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, Environment, StoreSettings, read_settings
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Start
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import digest_of
from labelstream_cli.running import ERRORS, CommandFailed, run, running_stack

T = TypeVar("T")

Url = Annotated[
    str | None,
    typer.Option(
        help="Another broker: rabbitmq-stream://user:password@host:5552/vhost, "
        "or over TLS rabbitmq-stream+tls://user:password@host:5551/vhost?ca=FILE",
        envvar="LABELSTREAM_URL",
    ),
]
Tell = Callable[[str, int, int], None]  # what is read, how much of it, of how much
PATIENCE_S = 60.0  # with a broker that went away in the middle
_AT_ONCE = 1000  # messages
_STORE_VARIABLES = (
    "LABELSTREAM_STORE__ENDPOINT_URL, LABELSTREAM_STORE__ACCESS_KEY and LABELSTREAM_STORE__SECRET_KEY_FILE"
)


class _StoreInEnvironment(Environment):
    """The object store, as the services are told of it."""

    store: StoreSettings


def settings_of(directory: Path, url: str | None) -> BrokerSettings:
    """Return how the broker is reached. Raises CommandFailed when the stack is down, Misconfigured."""
    if url is not None:
        return broker_settings(url)
    try:
        return running_stack(directory).broker
    except CommandFailed as error:
        raise CommandFailed(f"{error}\nOr name another broker with --url.") from error


def store_in_environment(options: str) -> StoreSettings:
    """Return how the environment says that the store is reached, which `options` need. Raises Misconfigured."""
    try:
        return read_settings(_StoreInEnvironment).store
    except Misconfigured as error:
        needed = f"{options} needs the object store of its services, as {_STORE_VARIABLES}"
        raise Misconfigured(f"{needed}: {error}") from error


@asynccontextmanager
async def broker_at(settings: BrokerSettings, name: str) -> AsyncIterator[Broker]:
    """Hold a broker while inside."""
    broker = RabbitBroker(settings, Health(), name)
    try:
        yield broker
    finally:
        await broker.close()


def with_broker(
    name: str,
    work: Callable[[Broker, Tell], Coroutine[Any, Any, T]],
    directory: Path,
    url: str | None,
    *,
    quiet: bool,
    alone: str | None = None,
) -> T:
    """Run a command's work with a broker and bars to tell; `alone`: what no second command may do meanwhile."""

    async def inside() -> T:
        settings = settings_of(directory, url)
        with one_at_a_time(settings, alone) if alone else nullcontext(), bars(quiet=quiet) as tell:
            async with broker_at(settings, name) as broker:
                return await work(broker, tell)

    return run(inside())


def not_told(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


@contextmanager
def bars(*, quiet: bool) -> Iterator[Tell]:
    """Show a bar for each thing that is read, and remove them in the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    hidden = quiet or not ERRORS.is_terminal  # elsewhere rich would leave an empty line
    with Progress(*columns, console=ERRORS, disable=hidden, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=total)

        yield tell


async def last_offset(broker: Broker, stream: str) -> int | None:
    """Return the offset of a stream's last message; None when there is none, or no such stream. Raises Unavailable."""
    try:
        return await broker.last_offset(stream)
    except Unavailable as error:
        if isinstance(error.__cause__, StreamDoesNotExist):
            return None
        raise


async def require_stream(broker: Broker, stream: str) -> None:
    """Raise CommandFailed where there is no such stream, Unavailable."""
    try:
        await broker.last_offset(stream)
    except Unavailable as error:
        if isinstance(error.__cause__, StreamDoesNotExist):
            raise CommandFailed(f"there is no stream {stream!r}") from error
        raise


async def stored(
    broker: Broker,
    stream: str,
    start: Start = "first",
    *,
    tell: Tell = not_told,
    end: int | None = None,
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[list[Delivery]]:
    """Yield what a stream holds from `start` on, in lists: up to `end`, or up to what is its end now.

    Raises CommandFailed when nothing comes for `patience_s` seconds.
    """
    last = await last_offset(broker, stream)
    if last is None or (isinstance(start, int) and last < start):
        return
    end = last if end is None else min(end, last)
    reader = broker.reader(stream, start)
    first: int | None = None
    at = -1
    quiet_since = time.monotonic()
    try:
        while at < end:
            deliveries = await reader.read(at_most=_AT_ONCE)
            if not deliveries:
                if time.monotonic() - quiet_since > patience_s:
                    raise CommandFailed(f"the broker gave nothing of {stream} for {patience_s:.0f} s, behind {at}")
                continue
            quiet_since = time.monotonic()
            first = deliveries[0].offset if first is None else first
            at = deliveries[-1].offset
            tell(stream, min(at, end) - first + 1, end - first + 1)
            yield [delivery for delivery in deliveries if delivery.offset <= end]
    finally:
        await reader.close()


def event_in(delivery: Delivery) -> Envelope | None:
    """Read an event; None for what is newer than we are, or no event of ours."""
    try:
        return Envelope.from_message(decode(delivery.raw))
    except Rejected:
        return None


@contextmanager
def one_at_a_time(settings: BrokerSettings, doing: str) -> Iterator[None]:
    """Hold off a second command that is `doing` the same on this machine.

    The broker takes one writer of a publisher name at a time, and drops what a second one writes.
    """
    where = digest_of([settings.host, settings.stream_port, settings.vhost, doing])[:16]
    with _lock_file(Path(tempfile.gettempdir()) / f"labelstream-{where}.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandFailed(f"another command is {doing} on this machine: wait until it has ended") from error
        yield


def _lock_file(path: Path) -> BinaryIO:
    """Open a file that may be another user's, which can be read but not written. Raises CommandFailed."""
    try:
        return path.open("rb") if path.exists() else path.open("ab")
    except OSError as error:
        raise CommandFailed(f"the lock {path} can't be opened: {error.strerror}") from error
