"""TLS to the broker, by both of its protocols: streams and queues."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labelstream.errors import Misconfigured, Unavailable
from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local import ports
from labelstream_local.process import Command
from labelstream_local.rabbitmq import RabbitServer

from .certificates import Authority, Shown
from .ending_tls import ending_tls

pytestmark = pytest.mark.broker

PATIENCE_S = 60  # none of these may take so long: it would be a client that hangs
_LISTENERS = """\
listeners.ssl.default = 127.0.0.1:{amqp}
stream.listeners.ssl.default = 127.0.0.1:{stream}
stream.advertised_tls_host = 127.0.0.1
stream.advertised_tls_port = {stream}
ssl_options.certfile = {shown.certificate}
ssl_options.keyfile = {shown.key}
ssl_options.cacertfile = {ca}
"""


@dataclass
class TlsRabbit(RabbitServer):
    """A node that listens for TLS, too."""

    shown: Shown | None = None
    ca: Path | None = None
    tls_ports: tuple[int, int] = (0, 0)

    def prepare(self) -> tuple[Command, Command]:
        """Write the configuration; return the commands of epmd and of the node."""
        commands = super().prepare()
        amqp, stream = self.tls_ports
        with (self.base_dir / "rabbitmq.conf").open("a") as file:
            file.write(_LISTENERS.format(amqp=amqp, stream=stream, shown=self.shown, ca=self.ca))
        return commands

    def over_tls(self, ca: Path) -> BrokerSettings:
        """How a client that believes `ca` reaches it."""
        amqp, stream = self.tls_ports
        return self.settings.model_copy(update={"amqp_port": amqp, "stream_port": stream, "tls_ca": ca})


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRabbit]:
    """A broker that speaks TLS itself, on ports beside the plain ones."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority.at(folder / "ca.pem")
    amqp, stream = ports.choose(2)
    server = TlsRabbit(
        tmp_path_factory.mktemp("rabbitmq"),
        plugins=("rabbitmq_stream",),
        shown=authority.signs(folder / "server"),
        ca=authority.file,
        tls_ports=(amqp, stream),
    )
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.stop()


@asynccontextmanager
async def _streams(settings: BrokerSettings) -> AsyncIterator[Any]:
    broker = RabbitBroker(settings, Health(), "tls")
    try:
        yield lambda: broker.ensure_stream(f"tls-{uuid.uuid4().hex[:8]}")
    finally:
        await broker.close()


@asynccontextmanager
async def _queues(settings: BrokerSettings) -> AsyncIterator[Any]:
    queue = RabbitJobQueue(settings, Health(), "tls")
    try:
        yield lambda: queue.put("jobs.tls", Job(project="default", id=uuid.uuid4().hex))
    finally:
        await queue.close()


PROTOCOLS = {"streams": _streams, "queues": _queues}
Connecting = Callable[[BrokerSettings], Any]


@pytest.fixture(params=list(PROTOCOLS))
def connecting(request: pytest.FixtureRequest) -> Connecting:
    """Holds a client of one of the two protocols; what it gives asks the broker something."""
    return PROTOCOLS[request.param]


async def _refused(connecting: Connecting, settings: BrokerSettings, kind: type[Exception]) -> str:
    async with asyncio.timeout(PATIENCE_S), connecting(settings) as ask:
        with pytest.raises(kind) as caught:
            await ask()
    return str(caught.value)


async def test_a_broker_whose_certificate_our_ca_signed_is_spoken_to(node: TlsRabbit, connecting: Connecting) -> None:
    assert node.ca is not None
    async with asyncio.timeout(PATIENCE_S), connecting(node.over_tls(node.ca)) as ask:
        await ask()


async def test_messages_go_through_the_brokers_own_tls(node: TlsRabbit) -> None:
    assert node.ca is not None
    broker, stream = RabbitBroker(node.over_tls(node.ca), Health(), "tls"), f"tls-{uuid.uuid4().hex[:8]}"
    await broker.ensure_stream(stream)
    await broker.publisher(stream, "writer").publish([(1, Message(bytes(2_000_000))), (2, Message(b"2"))])
    assert await broker.last_offset(stream) == 1
    await broker.close()


async def test_a_broker_that_another_ca_vouches_for_is_refused(
    node: TlsRabbit, connecting: Connecting, authority: Authority
) -> None:
    said = await _refused(connecting, node.over_tls(authority.file), Misconfigured)
    assert "is not believed" in said
    assert "LABELSTREAM_BROKER__TLS_CA must name a file with the certificate of the CA that signed it" in said


async def test_a_wrong_certificate_is_refused_with_what_to_do(
    rabbitmq: RabbitServer, connecting: Connecting, authority: Authority, wrong: tuple[Shown, str]
) -> None:
    shown, advice = wrong
    plain = rabbitmq.settings
    port = plain.stream_port if connecting is _streams else plain.amqp_port
    async with ending_tls(port, shown) as tls_port:
        ports_told = {"stream_port": tls_port, "amqp_port": tls_port, "tls_ca": authority.file}
        said = await _refused(connecting, plain.model_copy(update=ports_told), Misconfigured)
    assert "the certificate of the broker at 127.0.0.1" in said
    assert advice in said


async def test_a_plain_port_is_not_spoken_to_by_who_wants_tls(
    node: TlsRabbit, connecting: Connecting, authority: Authority
) -> None:
    wants = node.settings.model_copy(update={"tls_ca": authority.file})
    kind = Unavailable if connecting is _streams else Misconfigured  # that protocol's listener keeps still
    said = await _refused(connecting, wants, kind)
    assert "does not speak TLS" in said
    assert "LABELSTREAM_BROKER__TLS_CA" in said


async def test_a_tls_port_that_is_spoken_to_without_tls_says_what_to_set(
    node: TlsRabbit, connecting: Connecting
) -> None:
    amqp, stream = node.tls_ports
    plain = node.settings.model_copy(update={"amqp_port": amqp, "stream_port": stream})
    said = await _refused(connecting, plain, Unavailable)
    assert "if that port speaks TLS, LABELSTREAM_BROKER__TLS_CA must name the file of its CA" in said


async def test_a_ca_file_that_is_none_is_refused_before_anything_is_sent(
    connecting: Connecting, rabbitmq: RabbitServer, tmp_path: Path
) -> None:
    settings = rabbitmq.settings.model_copy(update={"tls_ca": tmp_path / "nowhere.pem"})
    with pytest.raises(Misconfigured, match=r"LABELSTREAM_BROKER__TLS_CA=.*can't be read"):
        async with connecting(settings) as ask:
            await ask()
