"""TLS to the object store, by both of the clients that we ask it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from labelstream.blobs.s3 import S3Blobs
from labelstream.blobs.s3_quick import QuickBucket, Unsettled
from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings
from labelstream_local import ports
from labelstream_local.process import Command
from labelstream_local.seaweedfs import WeedServer

from .certificates import HOST, Authority, Shown
from .ending_tls import ending_tls

pytestmark = pytest.mark.store

PATIENCE_S = 60  # none of these may take so long: it would be a client that hangs
KEY = "tls/object"


@dataclass
class TlsWeed(WeedServer):
    """A store that speaks TLS itself, on a port beside the plain one."""

    shown: Shown | None = None
    tls_port: int = 0

    def prepare(self) -> Command:
        """Write the configuration; return the command that starts the server."""
        command = super().prepare()
        assert self.shown is not None
        tls = (
            f"-s3.port.https={self.tls_port}",
            f"-s3.cert.file={self.shown.certificate}",
            f"-s3.key.file={self.shown.key}",
        )
        return replace(command, argv=(*command.argv, *tls))


@pytest.fixture(scope="module")
def authority_of_the_store(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.at(tmp_path_factory.mktemp("ca") / "ca.pem")


@pytest.fixture(scope="module")
def tls_store(tmp_path_factory: pytest.TempPathFactory, authority_of_the_store: Authority) -> Iterator[TlsWeed]:
    folder = tmp_path_factory.mktemp("seaweedfs")
    shown = authority_of_the_store.signs(folder / "shown")
    server = TlsWeed(folder, shown=shown, tls_port=ports.choose(1)[0])
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.stop()


def _over_tls(settings: StoreSettings, port: int, ca: Path | None) -> StoreSettings:
    return settings.model_copy(update={"endpoint_url": f"https://{HOST}:{port}", "tls_ca": ca})


@asynccontextmanager
async def _bucket(settings: StoreSettings) -> AsyncIterator[S3Blobs]:
    blobs = S3Blobs(settings, settings.data_bucket, Health())
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield blobs
    finally:
        await blobs.close()


async def _listed(blobs: S3Blobs) -> list[str]:
    return [found.key async for found in blobs.list("tls/")]


def _calls(blobs: S3Blobs, folder: Path) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Every kind of call: the first three go through obstore, the others through boto3 and its transfers."""
    (folder / "up").write_bytes(b"x")
    return {
        "put": lambda: blobs.put(KEY, b"x"),
        "get": lambda: blobs.get(KEY),
        "get_range": lambda: blobs.get_range(KEY, 0, 1),
        "head": lambda: blobs.head(KEY),
        "list": lambda: _listed(blobs),
        "upload": lambda: blobs.upload(folder / "up", KEY),
        "download": lambda: blobs.download(KEY, folder / "down"),
        "delete": lambda: blobs.delete(KEY),
    }


async def test_every_call_goes_through_the_stores_own_tls(
    tls_store: TlsWeed, authority_of_the_store: Authority, tmp_path: Path
) -> None:
    settings = _over_tls(tls_store.settings, tls_store.tls_port, authority_of_the_store.file)
    async with _bucket(settings) as blobs:
        for call in _calls(blobs, tmp_path).values():
            await call()


async def test_the_quick_client_believes_the_ca_itself(tls_store: TlsWeed, authority_of_the_store: Authority) -> None:
    settings = _over_tls(tls_store.settings, tls_store.tls_port, authority_of_the_store.file)
    quick = QuickBucket(settings, settings.data_bucket)
    await asyncio.to_thread(quick.put, KEY, b"quick", {})
    assert (await asyncio.to_thread(quick.get, KEY, None)).data == b"quick"


async def test_a_store_that_another_ca_vouches_for_is_refused(tls_store: TlsWeed, authority: Authority) -> None:
    async with _bucket(_over_tls(tls_store.settings, tls_store.tls_port, authority.file)) as blobs:
        with pytest.raises(Misconfigured, match="LABELSTREAM_STORE__TLS_CA must name a file"):
            await blobs.get(KEY)


async def test_a_store_with_a_ca_of_its_own_is_refused_until_it_is_named(tls_store: TlsWeed) -> None:
    async with _bucket(_over_tls(tls_store.settings, tls_store.tls_port, None)) as blobs:
        with pytest.raises(Misconfigured, match="LABELSTREAM_STORE__TLS_CA must name a file"):
            await blobs.put(KEY, b"x")


async def test_a_wrong_certificate_is_refused_by_every_call_with_what_to_do(
    seaweedfs: WeedServer, authority: Authority, wrong: tuple[Shown, str], tmp_path: Path
) -> None:
    shown, advice = wrong
    async with (
        ending_tls(seaweedfs.ports.s3, shown) as port,
        _bucket(_over_tls(seaweedfs.settings, port, authority.file)) as blobs,
    ):
        for name, call in _calls(blobs, tmp_path).items():
            with pytest.raises(Misconfigured) as caught:
                await call()
            assert "the certificate of the object store is not believed" in str(caught.value), name
            assert advice in str(caught.value), name


async def test_the_quick_client_sends_nothing_to_who_shows_a_wrong_certificate(
    seaweedfs: WeedServer, authority: Authority, wrong: tuple[Shown, str]
) -> None:
    shown, _ = wrong
    async with ending_tls(seaweedfs.ports.s3, shown) as port:
        settings = _over_tls(seaweedfs.settings, port, authority.file)
        quick = QuickBucket(settings, settings.data_bucket)
        with pytest.raises(Unsettled):
            await asyncio.to_thread(quick.put, "tls/smuggled", b"x", {})
    async with _bucket(seaweedfs.settings) as blobs:
        assert await blobs.head("tls/smuggled") is None


async def test_a_plain_port_is_not_spoken_to_by_who_wants_tls(
    seaweedfs: WeedServer, authority: Authority, tmp_path: Path
) -> None:
    async with _bucket(_over_tls(seaweedfs.settings, seaweedfs.ports.s3, authority.file)) as blobs:
        for name, call in _calls(blobs, tmp_path).items():
            with pytest.raises(Misconfigured) as caught:
                await call()
            assert "the object store does not speak TLS there" in str(caught.value), name


async def test_a_tls_port_that_is_spoken_to_without_tls_says_what_to_write(tls_store: TlsWeed, tmp_path: Path) -> None:
    plain = tls_store.settings.model_copy(update={"endpoint_url": f"http://{HOST}:{tls_store.tls_port}"})
    async with _bucket(plain) as blobs:
        for name, call in _calls(blobs, tmp_path).items():
            with pytest.raises((Misconfigured, Unavailable)) as caught:  # it answers, or hangs up before that
                await call()
            assert "the address must begin https://" in str(caught.value), name


async def test_a_server_that_answers_like_one_of_tls_is_no_store_without_objects(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks TLS.\n")  # as servers in Go do
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, HOST, 0)
    url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    async with server, _bucket(StoreSettings(endpoint_url=url, access_key="a", secret_key="s")) as blobs:
        for name, call in _calls(blobs, tmp_path).items():
            with pytest.raises(Misconfigured) as caught:
                await call()
            assert "the address must begin https://" in str(caught.value), name


async def test_a_connection_that_breaks_while_tls_is_agreed_on_is_tried_again_later(authority: Authority) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    nobody = StoreSettings(endpoint_url=f"https://{HOST}:{port}", access_key="a", secret_key="s", tls_ca=authority.file)
    async with server, _bucket(nobody) as blobs:
        with pytest.raises(Unavailable):
            await blobs.get(KEY)


@pytest.mark.parametrize(
    ("url", "content", "said"),
    [
        ("https://store", None, "can't be read"),
        ("https://store", "not PEM", "holds no certificate"),
        ("http://store", "whatever", "not https"),
    ],
)
def test_a_ca_that_is_none_or_has_no_use_is_refused_before_anything_is_sent(
    url: str, content: str | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "file.pem").write_text(content)
    settings = StoreSettings(endpoint_url=url, access_key="a", secret_key="s", tls_ca=tmp_path / "file.pem")
    with pytest.raises(Misconfigured, match=f"LABELSTREAM_STORE__TLS_CA.*{said}"):
        S3Blobs(settings, "bucket", Health())
