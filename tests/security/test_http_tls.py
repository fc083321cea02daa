"""TLS to what is asked over HTTP: the exporter, MLflow and an inference service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from inference.exporter_client import client_of
from inference.serving.adapters.grants import ExporterApi
from inference.settings import InferenceGroup
from labelstream.client import AsyncClient, Away, Retries
from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.tls import trusting_at
from labelstream_cli.models.exporter_api import EXPORTER_CA
from labelstream_cli.models.exporter_api import ExporterApi as PullingApi
from trainer.mirror.api import Api

from .certificates import HOST, Authority, Shown

Asking = Callable[[str, Path | None], Any]  # an address and a CA file → asks there
TOKEN = SecretStr("token")


async def _grant(url: str, ca: Path | None) -> None:
    group = InferenceGroup(
        exporter_url=url, exporter_ca=ca, device_identity=TOKEN, device_token=TOKEN, trusted_keys=(Path("key"),)
    )
    async with client_of(group) as client:
        await ExporterApi(client, TOKEN).fetch("default", "model")


async def _pull(url: str, ca: Path | None) -> None:
    verify = trusting_at(url, ca, EXPORTER_CA) or True
    async with httpx.AsyncClient(base_url=url, verify=verify) as client:
        await PullingApi(client, TOKEN, "default").find("serving")


async def _mirror(url: str, ca: Path | None) -> None:
    api = Api(url, ("admin", "password"), ca)
    try:
        await api.get("experiments/get-by-name")
    finally:
        await api.close()


async def _predict(url: str, ca: Path | None) -> None:
    async with AsyncClient(url, "lsk_key", retries=Retries.none(), ca=ca) as client:
        await client.models()


# Who asks, what is raised for want of trust, and the setting that is to be named.
ASKING: dict[str, tuple[Asking, type[Exception], str]] = {
    "inference-asks-the-exporter": (_grant, Unavailable, "LABELSTREAM_INFERENCE__EXPORTER_CA"),
    "a-pull-asks-the-exporter": (_pull, Unavailable, "--exporter-ca"),
    "the-trainer-asks-mlflow": (_mirror, Unavailable, "LABELSTREAM_TRAINER__MLFLOW_CA"),
    "a-client-asks-inference": (_predict, Away, "ca"),
}


@pytest.fixture(params=list(ASKING))
def asking(request: pytest.FixtureRequest) -> tuple[Asking, type[Exception], str]:
    """One of those who ask."""
    return ASKING[request.param]


@asynccontextmanager
async def _server(shown: Shown | None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer whatever comes with 418; yield the port, and what was heard."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1 << 16))
        writer.write(b"HTTP/1.1 418 Teapot\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0, ssl=shown.context() if shown else None)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


async def test_a_server_whose_certificate_our_ca_signed_is_asked(
    asking: tuple[Asking, type[Exception], str], authority: Authority, shown: Shown
) -> None:
    ask, _, _ = asking
    async with _server(shown) as (port, heard):
        with pytest.raises(Exception, match="418"):  # each has its own kind for such an answer
            await ask(f"https://{HOST}:{port}", authority.file)
    assert len(heard) == 1


async def test_a_wrong_certificate_is_refused_and_nothing_is_sent(
    asking: tuple[Asking, type[Exception], str], authority: Authority, wrong: tuple[Shown, str]
) -> None:
    (ask, kind, setting), (shown, advice) = asking, wrong
    async with _server(shown) as (port, heard):
        with pytest.raises(kind) as caught:
            await ask(f"https://{HOST}:{port}", authority.file)
    assert heard == []
    assert "is not believed" in str(caught.value)
    assert advice in str(caught.value)
    assert setting in str(caught.value) or not advice.startswith("must name")


async def test_a_plain_port_is_not_spoken_to_by_who_wants_tls(
    asking: tuple[Asking, type[Exception], str], authority: Authority
) -> None:
    ask, kind, _ = asking
    async with _server(None) as (port, _):
        with pytest.raises(kind, match="does not speak TLS there"):
            await ask(f"https://{HOST}:{port}", authority.file)


async def test_a_ca_beside_a_plain_address_is_refused(
    asking: tuple[Asking, type[Exception], str], authority: Authority
) -> None:
    ask, _, setting = asking
    with pytest.raises(Misconfigured, match=f"{setting} is set"):
        await ask(f"http://{HOST}:9", authority.file)
