"""A broker's node that came up when there was one user for all comes up again, with a user for each."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.service.settings import BrokerSettings
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rabbitmq import RabbitServer, can_log_in
from labelstream_local.secrets_store import FORMER_BROKER_PASSWORD, FORMER_USER, SecretStore

pytestmark = pytest.mark.broker

STREAM, QUEUE, JOB = "annotation-events", "jobs.train", Job(project="default", id="a-job")
PLUGINS = ("rabbitmq_stream",)


class FormerServer(RabbitServer):
    """A node as it was set up then: its first start makes one user, who may do everything."""

    @property
    def settings(self) -> BrokerSettings:
        return self.settings_of(FORMER_USER)

    def _write_files(self) -> None:
        super()._write_files()
        config = self.base_dir / "rabbitmq.conf"
        lines = [line for line in config.read_text().splitlines() if not line.startswith("load_definitions")]
        login = [f"default_user = {FORMER_USER}", f"default_pass = {self.passwords[FORMER_USER]}"]
        config.write_text("\n".join([*lines, *login, ""]))


async def test_what_was_stored_is_there_and_the_user_of_all_is_locked_out(tmp_path: Path) -> None:
    former = FormerServer(tmp_path / "node", passwords={FORMER_USER: "p" * 32}, plugins=PLUGINS)
    server = RabbitServer(tmp_path / "node", former.ports, plugins=PLUGINS, retired=(FORMER_USER,))
    try:
        former.start()
        await _fill(former.settings)
        former.stop()
        server.start()
        assert await _is_there(server.settings_of("trainer"))
        assert not can_log_in(former.settings)
    finally:
        for one in (former, server):
            one.kill()
            one.stop()


def test_a_stack_knows_by_its_secrets_that_it_had_another_user(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    assert store.former_users() == ()
    (tmp_path / FORMER_BROKER_PASSWORD).write_text("p" * 32)
    store.generate()
    assert store.former_users() == (FORMER_USER,)
    assert len(set(store.broker_passwords().values())) == len(store.broker_passwords()) > 10


async def _fill(settings: BrokerSettings) -> None:
    broker, queue = RabbitBroker(settings, Health(), "former"), RabbitJobQueue(settings, Health(), "former")
    await broker.ensure_stream(STREAM)
    await broker.publisher(STREAM, "former").publish([(1, Message(b"1"))])
    await queue.put(QUEUE, JOB)
    await broker.close()
    await queue.close()


async def _is_there(settings: BrokerSettings) -> bool:
    """Say so once the broker knows its streams again: for a moment after a start it does not, and services wait."""
    health = Health()
    broker, queue = RabbitBroker(settings, health, "now"), RabbitJobQueue(settings, health, "now")
    try:
        async with asyncio.timeout(60):
            await patiently(health, "broker", lambda: broker.ensure_stream(STREAM))
            last = await patiently(health, "broker", lambda: broker.last_offset(STREAM))
        taken = await patiently(health, "broker", lambda: queue.take(QUEUE, wait_s=30))
        return last == 0 and taken is not None and taken.job == JOB
    finally:
        await broker.close()
        await queue.close()
