"""The grant of the device that asks: handed out, or asked for and waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from labelstream import keys
from labelstream.model_requests import GRANTS_QUEUE, GrantRequest

from .world import EMAIL, PASSWORD, TOKEN, bearing, device, ended, user

ME = bearing(TOKEN)
KEY = keys.grant("default", "m2", "kiosk")
URL = "/v1/projects/default/models/m2/grant"


async def wishes(world) -> list[GrantRequest]:
    """Everything that was asked of the decider."""
    found = []
    while (taken := await world.queue.take(GRANTS_QUEUE, wait_s=0)) is not None:
        found.append(GrantRequest.model_validate(taken.job.payload))
    return found


async def test_a_grant_that_is_there_is_handed_out_and_stands_in_the_audit_log(world, client):
    await world.resources.put(KEY, b"sealed to kiosk")
    answer = await client.get(URL, headers=ME)
    assert (answer.status_code, answer.content) == (200, b"sealed to kiosk")
    (entry,) = world.audited()
    assert (entry.kind, entry.name, entry.resource, entry.size_bytes) == ("device", "kiosk", "grant of m2", 15)
    assert await wishes(world) == []


async def test_a_grant_is_asked_for_and_handed_out_as_soon_as_it_was_made(world, start):
    await world.add(device())
    await world.export("m2")
    client = await start(grant_wait_s=60)

    async def decide() -> None:
        taken = await world.queue.take(GRANTS_QUEUE, wait_s=60)
        assert taken is not None
        assert (taken.job.project, taken.job.payload) == ("default", {"model": "m2", "device": "kiosk"})
        await world.resources.put(KEY, b"made just now")

    _, answer = await asyncio.gather(decide(), client.get(URL, headers=ME))
    assert (answer.status_code, answer.content) == (200, b"made just now")


async def test_a_grant_that_takes_longer_is_asked_for_once_and_promised(world, client):
    for _ in range(3):
        answer = await client.get(URL, headers=ME)
        assert (answer.status_code, answer.json()["state"]) == (202, "being-made")
        assert int(answer.headers["Retry-After"]) >= 1
    assert await wishes(world) == [GrantRequest(model="m2", device="kiosk")]
    assert world.audited() == []


async def test_a_wish_that_the_broker_did_not_take_is_made_again(world, client):
    world.queue.away = "it was unplugged"
    answer = await client.get(URL, headers=ME)
    assert (answer.status_code, answer.json()["title"]) == (503, "unavailable")
    world.queue.away = None
    assert (await client.get(URL, headers=ME)).status_code == 202
    assert len(await wishes(world)) == 1


async def test_a_grant_that_has_ended_is_made_anew(world, start):
    now = datetime.now(UTC)
    await world.add(device(grant_days=1))
    world.resources.clock = lambda: now - timedelta(days=2)
    await world.resources.put(KEY, b"of two days ago")
    world.resources.clock = lambda: now
    await world.export("m2")
    client = await start()
    assert (await client.get(URL, headers=ME)).status_code == 202
    assert len(await wishes(world)) == 1
    await world.resources.put(KEY, b"of today")
    assert (await client.get(URL, headers=ME)).content == b"of today"


@pytest.mark.parametrize(("path", "status", "rule"), [("m9", 404, "model-unknown"), ("m1", 410, "model-withdrawn")])
async def test_there_is_no_grant_of_a_model_that_is_unknown_or_withdrawn(world, client, path, status, rule):
    await world.resources.put(keys.grant("default", path, "kiosk"), b"it lies there all the same")
    await world.withdraw("m1")
    answer = await client.get(f"/v1/projects/default/models/{path}/grant", headers=ME)
    assert (answer.status_code, answer.json()["title"]) == (status, rule)
    assert await wishes(world) == []


async def test_a_device_that_is_revoked_gets_nothing_from_then_on(world, client):
    await world.resources.put(KEY, b"sealed to kiosk")
    assert (await client.get(URL, headers=ME)).status_code == 200
    await world.add(device(revoked=ended()))
    answer = await client.get(URL, headers=ME)
    assert (answer.status_code, answer.json()["title"]) == (403, "device-revoked")
    refusal = (await world.until_audited(2))[-1]
    assert (refusal.kind, refusal.name, refusal.rule, refusal.times) == ("device", "kiosk", "device-revoked", 1)


async def test_a_device_gets_the_grant_of_no_other(world, client):
    await world.add(device("other", "its own token"))
    await world.resources.put(KEY, b"sealed to kiosk")
    assert (await client.get(URL, headers=bearing("its own token"))).status_code == 202


async def test_a_person_can_read_lists_and_has_no_grant(world, client):
    await world.add(user())
    token = (await client.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})).json()["token"]
    assert (await client.get("/v1/projects/default/models", headers=bearing(token))).status_code == 200
    answer = await client.get(URL, headers=bearing(token))
    assert (answer.status_code, answer.json()["title"]) == (403, "devices-only")


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ({}, "token-missing"),
        (bearing("x"), "token-unknown"),
        (bearing("x" * 5000), "token-unknown"),
        (bearing("a.b.c"), "token-bad"),
    ],
    ids=["none", "unknown", "endless", "no JWT"],
)
async def test_without_a_known_token_nothing_is_handed_out(world, client, headers, rule):
    await world.resources.put(KEY, b"sealed to kiosk")
    for path in ("models", "models/m2", "models/m2/grant", "serving"):
        answer = await client.get(f"/v1/projects/default/{path}", headers=headers)
        assert (answer.status_code, answer.json()["title"]) == (401, rule)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    refusals = await world.until_audited(1)
    assert {(refusal.kind, refusal.name, refusal.rule) for refusal in refusals} == {("unknown", "", rule)}


async def test_when_the_store_is_away_nobody_is_let_in(world, client):
    world.resources.away = "it burns"
    answer = await client.get("/v1/projects/default/models", headers=ME)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "burns" not in answer.text
