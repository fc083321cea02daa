"""Devices are told which API keys count for their projects: hashes, and what changed."""

from __future__ import annotations

import httpx
import pytest

from exporter.delivery import api_keys
from labelstream.access import ApiKey, KeyList, KeyToken

from .world import EMAIL, PASSWORD, TOKEN, Start, World, bearing, device, ended, user

URL = "/v1/api-keys"


def key(name: str, **more: object) -> ApiKey:
    token = KeyToken.new()
    told = {"name": name, "id": token.id, "secret_sha256": token.secret_sha256, "added_by": "grace", **more}
    return ApiKey.model_validate(told)


async def asked(client: httpx.AsyncClient, token: str = TOKEN, **headers: str) -> httpx.Response:
    return await client.get(URL, headers={**bearing(token), **headers})


async def test_a_device_is_told_the_hashes_and_rights_of_keys_and_no_names(world: World, start: Start) -> None:
    line = key("line-3", projects=("harbour",), per_minute=60, expires_ms=2_000_000_000_000)
    await world.add(device(), line, key("lost", revoked=ended()))
    answer = await asked(await start())
    assert answer.status_code == 200
    told = KeyList.model_validate_json(answer.content).keys
    assert [each.id for each in told] == sorted(each.id for each in told)
    by_id = {each.id: each for each in told}
    assert by_id.pop(line.id) == line.facts()
    assert [each.revoked_ms for each in by_id.values()] == [1]
    for word in ("line-3", "grace", "stolen"):
        assert word not in answer.text


async def test_a_device_of_some_projects_is_told_of_no_others(world: World, start: Start) -> None:
    both, every, other = key("both", projects=("harbour", "yard")), key("every"), key("other", projects=("yard",))
    await world.add(device(projects=("harbour",)), both, every, other)
    told = KeyList.model_validate_json((await asked(await start())).content).keys
    assert {each.id: each.projects for each in told} == {both.id: ("harbour",), every.id: None}


async def test_who_has_the_list_already_is_told_only_that(world: World, start: Start) -> None:
    await world.add(device(), key("k1"))
    client = await start()
    tag = (await asked(client)).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = await asked(client, **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    await world.add(key("k2"))
    changed = await asked(client, **{"If-None-Match": tag})
    assert (changed.status_code, len(changed.json()["keys"])) == (200, 2)
    assert changed.headers["etag"] != tag


async def test_only_an_enrolled_device_is_told(world: World, start: Start) -> None:
    await world.add(device(revoked=ended()), user(), key("k1"))
    client = await start()
    body = {"email": EMAIL, "password": PASSWORD}
    person = (await client.post("/v1/login", json=body)).json()["token"]
    assert [
        ((await client.get(URL)).status_code),
        (await asked(client, "no token")).status_code,
        (await asked(client)).status_code,
        (await asked(client, person)).status_code,
    ] == [401, 401, 403, 403]


async def test_of_keys_that_ended_only_the_newest_are_told(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MOST_ENDED", 1)
    live, older, newer = key("live"), key("older", expires_ms=1_000), key("newer", expires_ms=2_000)
    await world.add(device(), live, older, newer)
    told = KeyList.model_validate_json((await asked(await start())).content).keys
    assert {each.id for each in told} == {live.id, newer.id}
