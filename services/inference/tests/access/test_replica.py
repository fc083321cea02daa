"""A replica that wants API keys, beside an exporter that says which count."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from labelstream.access import KeyFacts, KeyToken

TOKEN = KeyToken.new()
WANTS_KEYS = {"access": "keys", "keys_poll_s": 0.01}


def facts(token: KeyToken = TOKEN, **more: Any) -> KeyFacts:
    return KeyFacts(id=token.id, secret_sha256=token.secret_sha256, **more)


def showing(token: KeyToken = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.text}"}


async def until_answered(
    world, client: httpx.AsyncClient, status: int, url: str = "/v1/models", token: KeyToken = TOKEN
) -> httpx.Response:
    """Ask after each poll until the answer is of this status."""
    while (answer := await client.get(url, headers=showing(token))).status_code != status:
        await polled(world)
    return answer


async def polled(world) -> None:
    """Wait for the next poll."""
    world.desk.polled.clear()
    await world.desk.polled.wait()


@pytest.fixture
async def client(world):
    """A client of a replica that serves a model and knows one key."""
    world.desk.api_keys = [facts()]
    await world.promote("m1", 1)
    async with world.replica(**WANTS_KEYS) as client:
        await world.heard()
        await world.until(lambda: world.health.is_ready)
        yield client


async def test_a_key_is_needed_for_what_the_model_answers_and_for_nothing_else(client, red_picture) -> None:
    for method, url in (("POST", "/v1/predict"), ("GET", "/v1/models"), ("GET", "/v1/schema")):
        content = red_picture if method == "POST" else None
        refused = await client.request(method, url, content=content)
        assert (refused.status_code, refused.json()["rule"]) == (401, "key.missing")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert (await client.request(method, url, content=content, headers=showing())).status_code == 200
    for url in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert (await client.get(url)).status_code == 200


async def test_a_key_that_was_added_counts_after_a_poll_and_a_revoked_one_no_longer(world, client) -> None:
    added = KeyToken.new()
    assert (await client.get("/v1/models", headers=showing(added))).json()["rule"] == "key.unknown"
    world.desk.api_keys = [facts(), facts(added)]
    await until_answered(world, client, 200, token=added)
    world.desk.api_keys = [facts(revoked_ms=1), facts(added)]
    assert (await until_answered(world, client, 401)).json()["rule"] == "key.revoked"
    assert (await client.get("/v1/models", headers=showing(added))).status_code == 200


async def test_a_list_that_did_not_change_is_asked_for_by_its_tag(world, client) -> None:
    while len(world.desk.polls) < 4:
        await polled(world)
    first, *later = world.desk.polls
    assert first is None
    assert len(set(later)) == 1
    assert later[0] is not None


async def test_a_replica_that_starts_without_network_goes_on_with_the_last_list(world, client, red_picture) -> None:
    world.desk.status = 500
    async with world.replica(**WANTS_KEYS) as again:
        await world.until(lambda: world.health.is_ready)
        assert "API keys" in world.health.report()["degraded"]
        assert (await again.post("/v1/predict", content=red_picture, headers=showing())).status_code == 200
        assert (await again.get("/v1/models", headers=showing(KeyToken.new()))).status_code == 401
        await world.until(lambda: "it answered 500" in world.health.report()["degraded"].get("API keys", ""))
        assert world.health.is_ready
        world.desk.status = 200
        await world.until(lambda: "API keys" not in world.health.report()["degraded"])


async def test_until_a_first_list_is_there_every_request_is_refused(world) -> None:
    world.desk.api_keys = [facts()]
    world.desk.status = 500
    async with world.replica(**WANTS_KEYS) as client:
        refused = await client.get("/v1/models", headers=showing())
        assert (refused.status_code, refused.json()["rule"]) == (503, "keys.unknown_yet")
        assert int(refused.headers["retry-after"]) > 0
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert "API keys" in ready.json()["waiting"]
        world.desk.status = 200
        await until_answered(world, client, 200)


async def test_a_key_sees_and_asks_only_its_projects(world, client, red_picture) -> None:
    world.desk.api_keys = [facts(projects=("harbour",))]
    refused = await until_answered(world, client, 403, "/v1/schema")
    assert refused.json()["rule"] == "key.not_for_project"
    assert (await client.post("/v1/predict", content=red_picture, headers=showing())).status_code == 403
    assert (await client.get("/v1/models", headers=showing())).json() == {"models": [], "waiting": []}
    unserved = await client.post("/v1/predict?project=harbour", content=red_picture, headers=showing())
    assert (unserved.status_code, unserved.json()["rule"]) == (404, "project.unknown")


async def test_who_asks_too_often_is_told_when_to_come_again(world, client) -> None:
    world.desk.api_keys = [facts(per_minute=1)]
    refused = await until_answered(world, client, 429)
    assert refused.json()["rule"] == "rate.exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_an_expired_key_is_refused_though_nobody_says_so(world, client) -> None:
    world.desk.api_keys = [facts(expires_ms=int(time.time() * 1000))]
    assert (await until_answered(world, client, 401)).json()["rule"] == "key.expired"
