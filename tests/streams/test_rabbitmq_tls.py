"""Speaking TLS to the broker; a proxy ends it, as a sidecar would."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from labelstream.errors import Misconfigured
from labelstream.service.health import Health
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker

pytestmark = pytest.mark.broker


def write_certificate(where: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    where.mkdir()
    (where / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (where / "key.pem").write_bytes(key.private_bytes(*form))
    return where / "cert.pem", where / "key.pem"


@pytest_asyncio.fixture
async def tls_proxy(proxy: Any, rabbitmq: Any, tmp_path: Path) -> AsyncIterator[Any]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*write_certificate(tmp_path / "broker"))
    between = type(proxy)(rabbitmq.settings, context)
    await between.start()
    yield between
    await between.close()


async def test_a_broker_whose_certificate_our_ca_signed_is_spoken_to(
    tls_proxy: Any, stream: str, reading: Any, tmp_path: Path
) -> None:
    broker = RabbitBroker(tls_proxy.settings(tls_ca=tmp_path / "broker" / "cert.pem"), Health(), "tls")
    await broker.ensure_stream(stream)
    await broker.publisher(stream, "writer").publish([(1, Message(bytes(2_000_000))), (2, Message(b"2"))])

    assert [len(body) for body in await reading.all(broker, stream)] == [2_000_000, 1]
    await broker.close()


async def test_a_broker_with_another_certificate_is_refused(tls_proxy: Any, stream: str, tmp_path: Path) -> None:
    other, _ = write_certificate(tmp_path / "other")
    broker = RabbitBroker(tls_proxy.settings(tls_ca=other), Health(), "tls")

    with pytest.raises(Misconfigured, match="CA"):
        await broker.ensure_stream(stream)
