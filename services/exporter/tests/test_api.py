"""The public API over doubles: who may fetch what."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from exporter.api import build_api
from exporter.domain import Ledger
from exporter.granting import Device, Granting
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported
from labelstream.events.training import Metrics
from labelstream.protection.sealing import new_identity
from labelstream.service.health import Health
from labelstream.values import FileRef, Position

METRICS = Metrics(map50=0.9, map50_95=0.6, precision=0.9, recall=0.9, images=10)


def a_file(key: str) -> FileRef:
    return FileRef.of(key, key.encode())


def exported(model: str = "m1") -> ModelExported:
    return ModelExported(
        model=model,
        input=Position(stream="training-events", offset=3),
        job="j1",
        dataset_id="d1",
        manifest=a_file("manifest"),
        signature=a_file("signature"),
        artifacts=(),
        test=METRICS,
    )


@pytest.fixture
async def client():
    ledger, resources = Ledger(), MemoryBlobs()
    ledger.said(0, Envelope.of(exported(), source="exporter", answers="j1", project="default"))
    _, recipient = new_identity()
    token = hashlib.sha256(b"right").hexdigest()
    await Granting(resources, "").enrol_all([Device(name="edge", recipient=recipient, token_sha256=token)])
    await resources.put(keys.grant("default", "m1", "edge"), b"sealed to edge")
    transport = httpx.ASGITransport(build_api(ledger, resources, Health()))
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as http:
        yield http


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_an_enrolled_device_fetches_its_own_grant(client):
    answer = await client.get("/v1/projects/default/models/m1/grant", headers=bearing("right"))
    assert (answer.status_code, answer.content) == (200, b"sealed to edge")


@pytest.mark.parametrize(("headers", "rule"), [({}, "token-missing"), (bearing("x"), "token-unknown")])
async def test_without_an_enrolled_token_nothing_is_handed_out(client, headers, rule):
    for path in ("models", "models/m1", "models/m1/grant"):
        answer = await client.get(f"/v1/projects/default/{path}", headers=headers)
        assert (answer.status_code, answer.json()["title"]) == (401, rule)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["default/models/m2/grant", "other/models/m1/grant", "other/models/m1"])
async def test_an_unknown_model_is_a_problem_that_says_where_to_look(client, path):
    answer = await client.get(f"/v1/projects/{path}", headers=bearing("right"))
    assert answer.status_code == 404
    assert answer.json()["title"] == "model-unknown"
    assert "/models" in answer.json()["hint"]


async def test_the_list_names_models_and_what_serves(client):
    answer = await client.get("/v1/projects/default/models", headers=bearing("right"))
    (model,) = answer.json()["models"]
    assert (model["model"], model["serving"], model["withdrawn"]) == ("m1", False, False)
