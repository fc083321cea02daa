"""The public API on a real broker and a real store, with the rights that it has there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from exporter.delivery.hardware import hardware_key
from exporter.delivery.serving import ApiBuckets, Serving
from exporter.delivery.settings import ApiGroup
from labelstream import keys
from labelstream.access import Device, User
from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured
from labelstream.events.access import AccessEvent
from labelstream.events.base import ACCESS_EVENTS, MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported
from labelstream.events.training import Metrics
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.model_requests import GRANTS_QUEUE
from labelstream.protection.legacy import open_legacy
from labelstream.service.health import Health
from labelstream.service.http import serve_http
from labelstream.service.settings import BrokerSettings
from labelstream.streams.amqp import decode
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_local.ports import choose
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.rights import OPERATOR
from labelstream_local.seaweedfs import WeedServer

pytestmark = [pytest.mark.broker, pytest.mark.store]

EMAIL, PASSWORD, TOKEN = "ada@example.org", "a password of hers", "the token of kiosk"
URL = "/v1/projects/default/models/m1/grant"
ME = {"Authorization": f"Bearer {TOKEN}"}
FILE = FileRef.of("a file", b"")


@dataclass
class Stage:
    """A broker, a store, and somebody with every right there: the decider and the operator in one."""

    rabbit: RabbitServer
    weed: WeedServer
    folder: Path

    @property
    def settings(self) -> BrokerSettings:
        """How the broker is reached; an outage is seen soon."""
        return self.rabbit.settings.model_copy(update={"heartbeat_s": 1})

    def bucket(self, identity: str, name: str) -> S3Blobs:
        settings = self.weed.settings_of(identity)
        return S3Blobs(settings, getattr(settings, f"{name}_bucket"), Health())

    async def prepare(self) -> None:
        """Enrol a device and a person, and publish a model."""
        resources = self.bucket(OPERATOR, "resources")
        device = Device(name="kiosk", recipient="age1…", token_sha256=sha256_hex(TOKEN.encode()))
        hashed = PasswordHasher().hash(PASSWORD)
        user = User(name="ada", email_sha256=sha256_hex(EMAIL.encode()), password_hash=hashed, may_upload=True)
        await resources.put(keys.device("kiosk"), device.model_dump_json().encode())
        await resources.put(keys.user("ada"), user.model_dump_json().encode())
        await resources.close()
        metrics = Metrics(map50=0.9, map50_95=0.6, precision=0.9, recall=0.9, images=10)
        event = ModelExported(
            model="m1",
            input=Position(stream="training-events", offset=3),
            job="j",
            dataset_id="d",
            manifest=FILE,
            signature=FILE,
            artifacts=(),
            test=metrics,
        )
        broker = RabbitBroker(self.settings, Health(), "test")
        await broker.ensure_stream(MODEL_EVENTS)
        envelope = Envelope.of(event, source="exporter", answers="j", project="default")
        await broker.publisher(MODEL_EVENTS, "exporter").publish([(1, envelope.to_message())])
        await broker.close()

    async def audited(self) -> list[AccessEvent]:
        """What the audit log holds."""
        broker = RabbitBroker(self.settings, Health(), "test")
        reader, events = broker.reader(ACCESS_EVENTS, "first"), []
        last, at = await broker.last_offset(ACCESS_EVENTS), -1
        while last is not None and at < last:
            for delivery in await reader.read():
                at = delivery.offset
                envelope = Envelope.from_message(decode(delivery.raw))
                assert envelope is not None
                events.append(envelope.event)
        await broker.close()
        return [event for event in events if isinstance(event, AccessEvent)]

    @asynccontextmanager
    async def served(self, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Serve the API over HTTP while inside."""
        health, (port,) = Health(), choose(1)
        broker = RabbitBroker(self.settings, health, "exporter-serve")
        queue = RabbitJobQueue(self.settings, health, "exporter-serve")
        buckets = ApiBuckets(self.bucket("exporter-serve", "resources"), self.bucket("exporter-serve", "uploads"))
        own = ApiGroup(
            jwt_keys=(new_key(self.folder / "jwt.pem"),),
            address_hash_key=SecretStr("a key for addresses"),
            replica="one",
            **{"audit_wait_s": 10, "grant_wait_s": 30, **settings},
        )
        serving = Serving.build(own, "default", buckets, broker, queue, health)
        tasks = [asyncio.create_task(serving.run()), asyncio.create_task(serve_http(serving.api, "127.0.0.1", port))]
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                await until_status(client, "/readyz", 200)
                yield client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await queue.close()
            await broker.close()
            await buckets.resources.close()  # type: ignore[attr-defined]  # an S3Blobs
            await buckets.uploads.close()  # type: ignore[attr-defined]

    async def decide(self) -> None:
        """Make one grant that is asked for."""
        queue = RabbitJobQueue(self.settings, Health(), "test")
        taken = await queue.take(GRANTS_QUEUE, wait_s=60)
        assert taken is not None
        await taken.done()
        resources = self.bucket(OPERATOR, "resources")
        key = keys.grant(taken.job.project, taken.job.payload["model"], taken.job.payload["device"])
        await resources.put(key, b"sealed to kiosk")
        await resources.close()
        await queue.close()


def new_key(path: Path) -> Path:
    if not path.exists():
        private = Ed25519PrivateKey.generate()
        path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


async def until_status(client: httpx.AsyncClient, path: str, status: int, **more: Any) -> httpx.Response:
    """Ask until it is answered so."""
    async with asyncio.timeout(120):
        while True:
            with suppress(httpx.TransportError):
                answer = await client.get(path, **more)
                if answer.status_code == status:
                    return answer
            await asyncio.sleep(0.1)


@pytest.fixture
async def stage(fresh_rabbitmq: RabbitServer, seaweedfs: WeedServer, tmp_path: Path) -> Stage:
    stage = Stage(fresh_rabbitmq, seaweedfs, tmp_path)
    await stage.prepare()
    return stage


async def test_a_grant_is_made_on_request_and_nothing_leaves_while_the_broker_is_away(stage: Stage) -> None:
    async with stage.served() as client:
        _, made = await asyncio.gather(stage.decide(), client.get(URL, headers=ME))
        assert (made.status_code, made.content) == (200, b"sealed to kiosk")
        await asyncio.to_thread(stage.rabbit.kill)
        refused = await client.get(URL, headers=ME)
        assert (refused.status_code, refused.json()["title"]) == (503, "unavailable")
        assert (await client.get("/v1/projects/default/models", headers=ME)).status_code == 200
        await asyncio.to_thread(stage.rabbit.restart)
        await until_status(client, URL, 200, headers=ME)
    entries = await stage.audited()
    assert len(entries) >= 2
    assert {(entry.type, getattr(entry, "resource", "")) for entry in entries} == {("resource.fetched", "grant of m1")}


async def test_after_a_restart_the_audit_log_goes_on(stage: Stage) -> None:
    for name in ("one.txt", "two.txt"):
        async with stage.served() as client:
            token = (await client.post("/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
            me = {"Authorization": f"Bearer {token}"}
            stored = await client.post("/resources/words", headers=me, files={"file": (name, name.encode())})
            assert stored.status_code == 200
            wish = {"password": PASSWORD, "hardware": "this machine", "fileName": name}
            fetched = await client.post("/resources/get/words", headers=me, json=wish)
            key = hardware_key(EMAIL, PASSWORD, "this machine")
            assert open_legacy(fetched.content, key) == name.encode()
            await client.get("/v1/projects/default/models", headers={"Authorization": "Bearer wrong"})
    said = [(entry.type, getattr(entry, "resource", "")) for entry in await stage.audited()]
    assert said == [
        ("resource.stored", "words/one.txt"),
        ("resource.fetched", "words/one.txt"),
        ("access.refused", ""),
        ("resource.stored", "words/two.txt"),
        ("resource.fetched", "words/two.txt"),
        ("access.refused", ""),
    ]


async def test_what_a_caller_says_of_their_own_address_is_nothing(stage: Stage) -> None:
    async with stage.served(address_rate="3/day") as client:
        codes = [
            (await client.get("/v1/none", headers={"X-Forwarded-For": f"203.0.113.{number}"})).status_code
            for number in range(5)
        ]
    assert codes == [404] * 3 + [429] * 2


async def test_the_public_api_may_not_write_what_it_hands_out(stage: Stage) -> None:
    for identity, bucket in (("exporter-serve", "resources"), ("exporter-serve", "model"), ("exporter-serve", "data")):
        blobs = stage.bucket(identity, bucket)
        with pytest.raises(Misconfigured):
            await blobs.put("devices/mallory.json", b"{}")
        await blobs.close()
    data = stage.bucket("exporter-serve", "data")
    with pytest.raises(Misconfigured):
        await data.get("default/images/any.jpg")
    await data.close()
