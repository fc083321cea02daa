"""The whole stack, services and all, shows nothing of itself to others."""

import asyncio
from pathlib import Path

import httpx
import pytest
from tests.stack.observing import (
    LOOPBACK,
    listeners,
    listening_addresses,
    of_each,
    processes_of,
    public_text,
    secrets_of,
)

from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import ACCESS_EVENTS, MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.protection.grants import open_model_key
from labelstream.protection.sealing import new_identity
from labelstream.service.health import Health
from labelstream_local.secrets_store import VAULT_IDENTITY
from labelstream_local.services import NAMES
from labelstream_local.stack import Stack

from .calling import call
from .conftest import Reference
from .watching import Onlooker

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def stack(reference: Reference) -> Stack:
    return reference.stack


def test_nothing_of_a_working_stack_listens_beyond_this_machine(stack: Stack) -> None:
    listening = listening_addresses(stack)
    assert {"epmd", "beam.smp", "weed"} <= set(listening)
    assert set().union(*listening.values()) <= LOOPBACK
    services = {stack.record.pids[name] for name in NAMES}
    assert services <= {process.pid for process in processes_of(stack)}
    ports = {connection.laddr.port for connections in of_each(stack, listeners) for connection in connections}
    assert set(stack.record.ports.services.values()) <= ports


async def _used(stack: Stack, folder: Path) -> list[str]:
    """Have a person and a device use the public API, with right and with wrong words; return their secrets."""
    password, token = folder / "password", folder / "token"
    password.write_text("a password that nobody guesses")
    _, recipient = new_identity()
    person = ["--email", "somebody@example.org", "--password-file", str(password), "--why", "a test wants it"]
    await call(stack, "users", "add", "somebody", *person)
    to = ["--recipient", recipient, "--token-file", str(token), "--why", "a test wants it"]
    await call(stack, "devices", "add", "reader", *to)
    wrong, shown = "a guess that is wrong by far", token.read_text().strip()
    async with httpx.AsyncClient(base_url=stack.url("exporter-serve"), timeout=60) as api:
        for tried in (wrong, password.read_text()):
            answer = await api.post("/v1/login", json={"email": "somebody@example.org", "password": tried})
        jwt = answer.json()["token"]
        for said in (shown, jwt, f"{jwt}x", f"{shown}x"):
            await api.get("/v1/projects/default/models/serving/grant", headers={"Authorization": f"Bearer {said}"})
    return [password.read_text(), wrong, shown, jwt, "somebody@example.org"]


async def _models_keys(stack: Stack) -> list[str]:
    """The private keys of the models, as the vault has them."""
    resources = S3Blobs(stack.store, stack.store.resources_bucket, Health())
    vault = stack.secrets.read(VAULT_IDENTITY)
    found = [info.key async for info in resources.list("default/model-keys/")]
    opened = [open_model_key((await resources.get(key)).data, vault).identity for key in found]
    await resources.close()
    return opened


async def test_no_secret_stands_in_a_log_a_record_a_command_line_an_answer_or_an_event(
    stack: Stack, see: Onlooker, tmp_path: Path
) -> None:
    secrets = await _used(stack, tmp_path) + await _models_keys(stack) + secrets_of(stack)
    shown = public_text(stack)
    for stream in (TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS, ACCESS_EVENTS):
        shown[stream] = "".join(delivery.raw.decode("latin-1") for delivery in await see.raw(stream))
    for name in NAMES:
        for page in ("readyz", "metrics"):
            shown[f"{name}/{page}"] = (await asyncio.to_thread(httpx.get, f"{stack.url(name)}/{page}", timeout=60)).text
    assert {f"{name}.log" for name in NAMES} <= {place.rsplit("/", 1)[-1] for place in shown}
    assert len(secrets) > 15
    assert [(place, secret) for place, text in shown.items() for secret in secrets if secret in text] == []


def test_no_secret_stands_in_the_environment_of_a_process(stack: Stack) -> None:
    secrets = secrets_of(stack)
    found = [
        (process, name)
        for process, environment in of_each(stack, lambda process: (process.name(), process.environ()))
        for name, value in environment.items()
        for secret in secrets
        if secret in value
    ]
    assert found == []
