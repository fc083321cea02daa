"""Devices, people and API keys are let in and out by the commands, on a real broker and a real store."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from exporter.access.devices import AddingDevice, Devices, RevokingDevice
from exporter.access.granting import Granting
from exporter.access.keys import AddingKey, RevokingKey, keys_of
from exporter.access.users import AddingUser, RevokingUser, users_of
from exporter.access.vault import Vault
from exporter.exporting.voice import NAME, Voice
from exporter.requesting import Requests
from inference.access.kept import read_key_file
from labelstream import keys
from labelstream.access import ApiKey, KeyToken, User
from labelstream.blobs.ports import BlobNotFound
from labelstream.blobs.s3 import S3Blobs
from labelstream.bundle import ModelKey
from labelstream.events.base import ACCESS_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported
from labelstream.events.training import Metrics
from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.model_requests import (
    GRANTS_QUEUE,
    AddDevice,
    AddKey,
    AddUser,
    GrantRequest,
    RevokeDevice,
    RevokeKey,
    RevokeUser,
)
from labelstream.models import ModelBook
from labelstream.protection.grants import open_grant, seal_model_key
from labelstream.protection.sealing import identity_in, new_identity
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

MODEL = "0" * 32
FILE = FileRef.of("a file", b"")
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Stage:
    """The commands, and what they changed."""

    folder: Path
    environment: dict[str, str]
    resources: S3Blobs
    queue: RabbitJobQueue

    async def typed(self, *arguments: str, fails: bool = False) -> str:
        """Run a command; return what it printed."""
        command = [sys.executable, "-c", "from labelstream_cli.main import app; app()", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    async def told(self, *arguments: str) -> dict:
        """Run a command; return its JSON."""
        return json.loads(await self.typed(*arguments, "--json"))

    async def grant(self, device: str) -> bytes:
        """Ask for a grant as the public API does, and wait for it."""
        request = GrantRequest(model=MODEL, device=device).model_dump(mode="json")
        await self.queue.put(GRANTS_QUEUE, Job(project="default", id=device, payload=request))
        where = keys.grant("default", MODEL, device)
        async with asyncio.timeout(60):
            while True:
                with suppress(BlobNotFound):
                    return (await self.resources.get(where)).data
                await asyncio.sleep(0.05)


@pytest.fixture
async def stage(tmp_path: Path, rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer) -> AsyncIterator[Stage]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABELSTREAM_")}
    broker, store = rabbitmq.settings, fresh_seaweedfs.settings
    secret = tmp_path / "store-secret"
    secret.write_text(store.secret_key.get_secret_value())
    password = broker.password.get_secret_value()
    environment = {
        **kept,
        "COLUMNS": "200",
        "LABELSTREAM_URL": f"rabbitmq-stream://{broker.username}:{password}@{broker.host}:{broker.stream_port}",
        "LABELSTREAM_BROKER__AMQP_PORT": str(broker.amqp_port),
        "LABELSTREAM_STORE__ENDPOINT_URL": store.endpoint_url,
        "LABELSTREAM_STORE__ACCESS_KEY": store.access_key,
        "LABELSTREAM_STORE__SECRET_KEY_FILE": str(secret),
    }
    async with AsyncExitStack() as stack:
        health = Health()
        resources = S3Blobs(store, store.resources_bucket, health)
        data = S3Blobs(store, store.data_bucket, health)
        queue = RabbitJobQueue(broker, health, "test")
        for each in (resources, data, queue):
            stack.push_async_callback(each.close)
        await stack.enter_async_context(_decider(rabbitmq, resources, data, queue, health))
        yield Stage(tmp_path, environment, resources, queue)


@asynccontextmanager
async def _decider(
    rabbitmq: RabbitServer, resources: S3Blobs, data: S3Blobs, queue: RabbitJobQueue, health: Health
) -> AsyncIterator[None]:
    """Run what answers requests, with one model that was exported."""
    vault, book = Vault.read(new_identity()[0], resources), ModelBook()
    metrics = Metrics(map50=0.9, map50_95=0.5, precision=0.9, recall=0.8, images=5)
    exported = ModelExported(
        model=MODEL,
        input=Position(stream="training-events", offset=0),
        job="j",
        dataset_id="d",
        manifest=FILE,
        signature=FILE,
        artifacts=(),
        test=metrics,
    )
    book.fold(0, Envelope.of(exported, source="exporter", answers="j", project="default"))
    key = ModelKey(model=MODEL, project="default", identity=new_identity()[0], small_parts={"a.age": b"small"})
    await resources.put(keys.model_key("default", MODEL), seal_model_key(key, vault.recipient))
    broker = RabbitBroker(rabbitmq.settings, health, "test-exporter")
    journal = Journal(broker, ACCESS_EVENTS, [NAME], lambda *_: None, health)
    await journal.open()
    say = Voice(journal, health).say
    granting = Granting(resources, vault, book, say, health)
    devices, users = Devices.of(granting), users_of(resources, health, say)
    api_keys = keys_of(resources, health, say)
    handlers = {
        AddDevice: AddingDevice(devices),
        RevokeDevice: RevokingDevice(devices),
        AddUser: AddingUser(users),
        RevokeUser: RevokingUser(users),
        AddKey: AddingKey(api_keys),
        RevokeKey: RevokingKey(api_keys),
    }
    serving = asyncio.create_task(Requests(queue, data, handlers, granting.on_request, health).serve())
    try:
        yield
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await journal.close()
        await broker.close()


async def test_a_device_is_enrolled_granted_listed_revoked_and_all_of_it_stands_in_the_audit_log(stage: Stage) -> None:
    identity, token = stage.folder / "kiosk.age-identity", stage.folder / "kiosk.token"
    recipient = (await stage.typed("devices", "new-key", str(identity))).strip()
    add = ("devices", "add", "kiosk", "--recipient", recipient)
    said = await stage.typed(*add, "--token-file", str(token), "--by", "ada", "--why", "for the lobby")
    assert said == f"kiosk may fetch models of every project.\nIts token is in {token}.\n"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert "device.exists" in await stage.typed(*add, fails=True)
    assert open_grant(await stage.grant("kiosk"), identity_in(identity.read_text()), now_ms=0).model == MODEL

    told = await stage.told("devices", "add", "door", "--recipient", recipient, "--project", "harbour")
    assert (told["outcome"], told["projects"], len(told["token"])) == ("done", ["harbour"], 43)
    listed = await stage.told("devices", "list", "--limit", "1")
    assert ([each["name"] for each in listed["devices"]], listed["more"], listed["next"]) == (["door"], 1, "door")
    listed = await stage.told("devices", "list", "--after", "door", "--fetches")
    assert [(each["name"], each["added_by"], each["fetched_ms"]) for each in listed["devices"]] == [
        ("kiosk", "ada", None)
    ]
    record = json.loads((await stage.resources.get(keys.device("kiosk"))).data)
    assert record["token_sha256"] == sha256_hex(token.read_text().strip().encode())

    said = await stage.typed("devices", "revoke", "kiosk", "--why", "it was stolen", "--by", "eve")
    assert "offline it goes on with the models that it has" in said
    assert await stage.resources.head(keys.grant("default", MODEL, "kiosk")) is None
    assert "by eve: it was stolen" in await stage.typed("devices", "list")
    log = await stage.told("devices", "audit", "kiosk", "--since", "1h")
    assert [entry["type"] for entry in log["entries"]] == ["access.given", "grant.made", "access.revoked"]
    assert token.read_text().strip() not in json.dumps(await stage.told("devices", "audit"))


async def test_a_person_is_added_with_a_hash_of_their_password_listed_and_revoked(stage: Stage) -> None:
    (stage.folder / "password").write_text(f"{PASSWORD}\n")
    add = ("users", "add", "ada", "--email", "Ada@Example.org", "--password-file", str(stage.folder / "password"))
    assert await stage.typed(*add, "--may-upload") == "ada may log in and upload.\n"
    record = User.model_validate_json((await stage.resources.get(keys.user("ada"))).data)
    assert PasswordHasher().verify(record.password_hash, PASSWORD)
    assert record.email_sha256 == sha256_hex(b"ada@example.org")
    (listed,) = (await stage.told("users", "list"))["users"]
    assert (listed["name"], listed["may_upload"]) == ("ada", True)
    assert "password_hash" not in listed
    assert await stage.typed("users", "revoke", "ada", "--why", "she left") == "ada is revoked.\n"
    assert await stage.typed("users", "revoke", "ada", "--why", "she left") == "ada was revoked before.\n"
    assert "she left" in await stage.typed("users", "list")


async def test_an_api_key_is_added_shown_once_listed_replaced_and_revoked(stage: Stage) -> None:
    add = ("keys", "add", "line-3", "--project", "harbour", "--per-minute", "600", "--by", "ada", "--why", "the pilot")
    said, token = (await stage.typed(*add)).split("\nIts key, which is shown this once:\n")
    assert said == "line-3 may ask models of harbour, 600 times a minute."
    shown = KeyToken.read(token.strip())
    assert shown is not None
    record = ApiKey.model_validate_json((await stage.resources.get(keys.api_key("line-3"))).data)
    assert record.facts().has(shown.secret)
    assert (record.id, record.added_by) == (shown.id, "ada")
    assert "key.exists" in await stage.typed(*add, fails=True)

    file = stage.folder / "line-3.key"
    told = await stage.told("keys", "add", "line-3", "--replace", "--days", "1", "--token-file", str(file))
    assert (told["outcome"], told["projects"], told["token_file"]) == ("done", None, str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (listed,) = (await stage.told("keys", "list"))["keys"]
    assert (listed["id"], listed["per_minute"], listed["revoked"]) == (told["id"], None, None)
    assert "secret_sha256" not in listed
    assert "until 20" in await stage.typed("keys", "list")

    offline = stage.folder / "keys.json"
    assert await stage.typed("keys", "export", str(offline)) == f"{offline} lets in 1 key.\n"
    (kept,) = read_key_file(offline).keys
    again = KeyToken.read(file.read_text().strip())
    assert again is not None
    assert kept.has(again.secret)
    assert "is there already" in await stage.typed("keys", "export", str(offline), fails=True)

    assert "line-3 is revoked" in await stage.typed("keys", "revoke", "line-3", "--why", "it leaked", "--by", "eve")
    assert "by eve: it leaked" in await stage.typed("keys", "list")
    assert (await stage.told("keys", "add", "line-3"))["outcome"] == "done"
    log = await stage.told("devices", "audit", "line-3")
    assert [(entry["type"], entry["kind"]) for entry in log["entries"]] == [
        ("access.given", "key"),
        ("access.given", "key"),
        ("access.revoked", "key"),
        ("access.given", "key"),
    ]
    for secret in (shown.secret, shown.secret_sha256, file.read_text().strip()):
        assert secret not in json.dumps(log)
