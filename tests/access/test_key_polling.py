"""What the exporter's API says of API keys is what inference understands, on the code of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from exporter.delivery.serving import ApiBuckets, Serving
from exporter.delivery.settings import ApiGroup
from inference.access.polling import ExporterKeys
from labelstream import keys
from labelstream.access import ApiKey, Device, Ended, KeyToken
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Unavailable
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream.values import sha256_hex

OF_DEVICE = "the token of kiosk"
TOKEN = KeyToken.new()
LINE = ApiKey(name="line-3", id=TOKEN.id, secret_sha256=TOKEN.secret_sha256, projects=("harbour",), per_minute=60)


@pytest.fixture
async def resources() -> MemoryBlobs:
    """A bucket that knows a device and a key."""
    blobs = MemoryBlobs()
    device = Device(name="kiosk", recipient="age1…", token_sha256=sha256_hex(OF_DEVICE.encode()))
    await blobs.put(keys.device("kiosk"), device.model_dump_json().encode())
    await blobs.put(keys.api_key("line-3"), LINE.model_dump_json().encode())
    return blobs


@pytest.fixture
async def api(tmp_path: Path, resources: MemoryBlobs) -> AsyncIterator[httpx.AsyncClient]:
    """The exporter's public API."""
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "jwt.pem").write_bytes(private)
    own = ApiGroup(
        jwt_keys=(tmp_path / "jwt.pem",), address_hash_key=SecretStr("a key for addresses"), access_fresh_s=0
    )
    buckets = ApiBuckets(resources, MemoryBlobs())
    serving = Serving.build(own, "default", buckets, MemoryBroker(), MemoryJobQueue(), Health())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(serving.api), base_url="http://exporter") as client:
        yield client
    serving.passwords.close()


async def test_inference_hears_of_keys_and_of_what_changes(api: httpx.AsyncClient, resources: MemoryBlobs) -> None:
    source = ExporterKeys(api, SecretStr(OF_DEVICE))
    first = await source.fetch("")
    assert first is not None
    assert first.told.keys == (LINE.facts(),)
    assert first.told.keys[0].has(TOKEN.secret)
    assert await source.fetch(first.etag) is None
    revoked = LINE.model_copy(update={"revoked": Ended(at_ms=7, by="eve", why="it leaked")})
    await resources.put(keys.api_key("line-3"), revoked.model_dump_json().encode())
    second = await source.fetch(first.etag)
    assert second is not None
    assert [key.revoked_ms for key in second.told.keys] == [7]


async def test_an_exporter_that_does_not_know_the_device_is_asked_again_later(api: httpx.AsyncClient) -> None:
    with pytest.raises(Unavailable, match="it answered 401"):
        await ExporterKeys(api, SecretStr("another")).fetch("")
