"""The public API on doubles: a store, a broker and a queue in memory, and whom they know."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from exporter.delivery.settings import ApiGroup
from labelstream import keys
from labelstream.access import ApiKey, Device, Ended, User
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.access import AccessEvent
from labelstream.events.base import ACCESS_EVENTS, MODEL_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelWithdrawn
from labelstream.events.training import Metrics
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position

EMAIL = "ada@example.org"
PASSWORD = "a password of hers"
TOKEN = "the token of kiosk"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
METRICS = Metrics(map50=0.9, map50_95=0.6, precision=0.9, recall=0.9, images=10)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def device(name: str = "kiosk", token: str = TOKEN, **more: Any) -> Device:
    return Device(name=name, recipient="age1…", token_sha256=sha(token), **more)


def user(name: str = "ada", email: str = EMAIL, password: str = PASSWORD, **more: Any) -> User:
    return User(name=name, email_sha256=sha(email), password_hash=CHEAP.hash(password), **more)


def ended() -> Ended:
    return Ended(at_ms=1, by="grace", why="it was stolen")


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def new_jwt_key(path: Path) -> Path:
    """Write a key that signs tokens."""
    private = Ed25519PrivateKey.generate()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def a_file(key: str) -> FileRef:
    return FileRef.of(key, key.encode())


def exported(model: str) -> ModelExported:
    return ModelExported(
        model=model,
        input=Position(stream="training-events", offset=3),
        job=f"job of {model}",
        dataset_id="d1",
        manifest=a_file(f"manifest of {model}"),
        signature=a_file(f"signature of {model}"),
        artifacts=(),
        test=METRICS,
    )


def promoted(model: str, number: int) -> ModelPromoted:
    return ModelPromoted(
        model=model,
        number=number,
        manifest=a_file(f"manifest of {model}"),
        signature=a_file(f"signature of {model}"),
        statement=f'{{"model":"{model}"}}',
        statement_signature="c2lnbmVk",
        reason="better",
        by="grace",
    )


@dataclass
class World:
    """What lies around the API, and how it is called."""

    settings: ApiGroup
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    resources: MemoryBlobs = field(default_factory=MemoryBlobs)
    uploads: MemoryBlobs = field(default_factory=MemoryBlobs)
    queue: MemoryJobQueue = field(default_factory=MemoryJobQueue)
    health: Health = field(default_factory=Health)
    is_started: bool = False
    _said: int = 0

    async def add(self, *records: Device | User | ApiKey) -> None:
        """Enrol devices, people and API keys."""
        places = {Device: keys.device, User: keys.user, ApiKey: keys.api_key}
        for record in records:
            await self.resources.put(places[type(record)](record.name), record.model_dump_json().encode())

    async def say(self, event: Event, project: str = "default") -> None:
        """Publish on `model-events`, as the decider does."""
        self._said += 1
        await self.broker.ensure_stream(MODEL_EVENTS)
        envelope = Envelope.of(event, source="exporter", answers=str(self._said), project=project)
        await self.broker.publisher(MODEL_EVENTS, "exporter").publish([(self._said, envelope.to_message())])
        if self.is_started:
            offset = await self.broker.last_offset(MODEL_EVENTS) or 0
            await until(lambda: self.health.report()["streams"][MODEL_EVENTS]["offset"] >= offset)

    async def export(self, *models: str, project: str = "default") -> None:
        for model in models:
            await self.say(exported(model), project)

    async def withdraw(self, model: str) -> None:
        await self.say(ModelWithdrawn(model=model, reason="it is wrong", by="grace"))

    async def promote(self, model: str, number: int) -> None:
        await self.say(promoted(model, number))

    def audited(self) -> list[AccessEvent]:
        """What the audit log holds."""
        envelopes = [Envelope.from_message(decode(each.raw)) for each in self.broker.stored(ACCESS_EVENTS) or []]
        return [each.event for each in envelopes if each and isinstance(each.event, AccessEvent)]

    async def until_audited(self, entries: int) -> list[AccessEvent]:
        """Wait until the audit log holds so many entries."""
        await until(lambda: len(self.audited()) >= entries)
        return self.audited()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not is_so():  # noqa: ASYNC110  # there is no event to wait for
        await asyncio.sleep(0.005)


async def stopped(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


Start = Callable[..., Awaitable[httpx.AsyncClient]]
