"""Wires the decider: settings → adapters → handler → tasks. `work/app.py` and `delivery/app.py` wire the others."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from exporter import metrics
from exporter.access import metrics as access_metrics
from exporter.access.devices import AddingDevice, Devices, RevokingDevice, read_devices
from exporter.access.granting import Granting
from exporter.access.keys import AddingKey, RevokingKey, keys_of
from exporter.access.saying import Say
from exporter.access.users import AddingUser, RevokingUser, users_of
from exporter.access.vault import Vault
from exporter.buckets import bucket
from exporter.domain import Ledger
from exporter.exporting.announced import Announced
from exporter.exporting.editions import Editions
from exporter.exporting.exporting import Exporting
from exporter.exporting.looking import Looking
from exporter.exporting.orders import Orders
from exporter.exporting.pictures import LOOK_EVERY_S, Pictures
from exporter.exporting.publishing import Publishing
from exporter.exporting.voice import Voice
from exporter.handler import NAME, Decider
from exporter.registry.promoting import Promoting
from exporter.registry.requests import Promotes, Rollbacks, Withdraws
from exporter.requesting import Handler, Requests
from exporter.settings import DeciderSettings
from exporter.twin import LeftByWorkers, Twins
from labelstream.blobs.leases import Leases
from labelstream.blobs.ports import Blobs
from labelstream.blobs.probe import probe_conditional_writes
from labelstream.events.base import ACCESS_EVENTS, MODEL_EVENTS, TRAINING_EVENTS
from labelstream.exports import ExportingNote, leave_note
from labelstream.jobs.desk import Desk
from labelstream.jobs.ports import JobQueue
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.model_requests import (
    AddDevice,
    AddKey,
    AddUser,
    Promote,
    RevokeDevice,
    RevokeKey,
    RevokeUser,
    Rollback,
    Withdraw,
    WriteTwin,
)
from labelstream.models import ModelBook
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.service.ticking import every
from labelstream.streams.following import follow
from labelstream.streams.journal import Journal
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq import RabbitBroker

STORE = "object store"
PUBLISHING, TWINS = "publishing", "twins"  # below the state folder; weights lie there unsealed for a moment


@dataclass(frozen=True)
class Buckets:
    """The three buckets: training data, public models, and what makes grants."""

    data: Blobs
    models: Blobs
    resources: Blobs


async def decide(settings: DeciderSettings, health: Health) -> None:
    """Run `exporter`: the decider and signer."""
    store = settings.store
    async with AsyncExitStack() as stack:
        broker = RabbitBroker(settings.broker, health, NAME)
        stack.push_async_callback(broker.close)
        buckets = Buckets(
            data=bucket(stack, store, store.data_bucket, health),
            models=bucket(stack, store, store.model_bucket, health),
            resources=bucket(stack, store, store.resources_bucket, health),
        )
        queue = RabbitJobQueue(settings.broker, health, NAME)
        stack.push_async_callback(queue.close)
        deciding = Deciding.of(settings, health, broker, buckets, queue)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
            tasks.create_task(deciding.run())


@dataclass(frozen=True)
class Deciding:
    """The decider, put together but not running."""

    settings: DeciderSettings
    health: Health
    broker: Broker
    data: Blobs
    ledger: Ledger
    book: ModelBook
    models_journal: Journal
    access_journal: Journal
    vault: Vault
    devices: Devices
    decider: Decider
    requests: Requests

    @classmethod
    def of(
        cls, settings: DeciderSettings, health: Health, broker: Broker, buckets: Buckets, queue: JobQueue
    ) -> Deciding:
        """Connect the decider's parts to each other. Raises Misconfigured."""
        own, ledger, book = settings.exporter, Ledger(), ModelBook()
        models_journal = Journal(broker, MODEL_EVENTS, [NAME], book.fold, health)
        access_journal = Journal(broker, ACCESS_EVENTS, [NAME], lambda *_: None, health)
        voice, say = Voice(models_journal, health), Voice(access_journal, health).say
        vault = Vault.read(own.vault_identity.get_secret_value(), buckets.resources)
        promoting = Promoting(book, voice, ledger.training, buckets.data, own, own.signing_key, health)
        granting = Granting(buckets.resources, vault, book, say, health)
        devices = Devices.of(granting)
        publishing = Publishing(
            data=buckets.data,
            models=buckets.models,
            resources=buckets.resources,
            signing_key=own.signing_key,
            vault_recipient=vault.recipient,
            scratch=settings.state_dir / PUBLISHING,
            health=health,
        )
        desk = Desk(queue, Leases(buckets.data, NAME, own.lease_s), buckets.data, grace_s=own.lease_s)
        announced = Announced(buckets.data, own.absent_s)
        looking = Looking(desk, Orders(own), announced)
        editions = Editions(book, voice, looking, publishing, own)
        exporting = Exporting(ledger, book, voice, announced, looking, editions, own)
        twins = Twins(
            finds=LeftByWorkers(desk, ledger.training),
            book=book,
            data=buckets.data,
            models=buckets.models,
            resources=buckets.resources,
            say=say,
            legacy_key=own.legacy_key,
            scratch=settings.state_dir / TWINS,
        )
        handlers: Mapping[type[Any], Handler] = {
            Promote: Promotes(promoting),
            Rollback: Rollbacks(promoting),
            Withdraw: Withdraws(promoting, granting.withdraw),
            **_access_handlers(devices, buckets.resources, health, say),
            WriteTwin: twins,
        }
        requests = Requests(queue, buckets.data, handlers, granting.on_request, health)
        decider = Decider(exporting, promoting, book, health)
        return cls(
            settings, health, broker, buckets.data, ledger, book, models_journal, access_journal, vault, devices,
            decider, requests,
        )  # fmt: skip

    async def run(self) -> None:
        """Decide until cancelled."""
        own, health = self.settings.exporter, self.health
        enrolled = read_devices(own.devices) if own.devices else []
        note = ExportingNote(formats=own.formats, wait_h=own.wait_h)
        for left_by_the_killed in (PUBLISHING, TWINS):
            await asyncio.to_thread(shutil.rmtree, self.settings.state_dir / left_by_the_killed, ignore_errors=True)
        try:
            await patiently(health, STORE, lambda: probe_conditional_writes(self.data))
            metrics.introduce(self.settings.projects, own.formats)
            access_metrics.introduce(self.settings.projects)
            await self.models_journal.open()
            await self._open_access_journal()
            await patiently(health, STORE, lambda: self.vault.reseal_all(self.book))
            await patiently(health, STORE, lambda: self.devices.enrol_all(enrolled, self.settings.projects[0]))
            await patiently(health, STORE, lambda: leave_note(self.data, note))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(follow(self.broker, TRAINING_EVENTS, "first", self.ledger.heard, health, reader=NAME))
                tasks.create_task(every(own.poll_s, self.decider.tick, health))
                tasks.create_task(self.requests.serve())
                tasks.create_task(every(LOOK_EVERY_S, Pictures(self.book, self.data).tick, health))
        finally:
            await self.models_journal.close()
            await self.access_journal.close()

    async def _open_access_journal(self) -> None:
        """Go on behind the last entry of the audit log: nothing here draws on older ones."""
        await patiently(self.health, "broker", lambda: self.broker.ensure_stream(ACCESS_EVENTS))
        last = await patiently(self.health, "broker", lambda: self.broker.last_offset(ACCESS_EVENTS))
        await self.access_journal.open("first" if last is None else last)


def _access_handlers(devices: Devices, resources: Blobs, health: Health, say: Say) -> Mapping[type[Any], Handler]:
    users = users_of(resources, health, say)
    keys = keys_of(resources, health, say)
    return {
        AddDevice: AddingDevice(devices),
        RevokeDevice: RevokingDevice(devices),
        AddUser: AddingUser(users),
        RevokeUser: RevokingUser(users),
        AddKey: AddingKey(keys),
        RevokeKey: RevokingKey(keys),
    }
