"""Which models there are: in pages, with what serves."""

from __future__ import annotations

import pytest

from .world import TOKEN, bearing, device

ME = bearing(TOKEN)


async def test_the_list_is_newest_first_and_says_what_serves(client):
    answer = (await client.get("/v1/projects/default/models", headers=ME)).json()
    assert [(model["model"], model["serving"], model["withdrawn"]) for model in answer["models"]] == [
        ("m2", True, False),
        ("m1", False, False),
    ]
    assert answer["next"] is None


async def test_pages_follow_one_another_while_new_models_come(world, client):
    await world.export("m3", "m4", "m5")
    seen = []
    page = (await client.get("/v1/projects/default/models?limit=2", headers=ME)).json()
    while True:
        seen += [model["model"] for model in page["models"]]
        await world.export(f"later than {page['next']}")
        if page["next"] is None:
            break
        url = f"/v1/projects/default/models?limit=2&cursor={page['next']}"
        page = (await client.get(url, headers=ME)).json()
    assert seen == ["m5", "m4", "m3", "m2", "m1"]


@pytest.mark.parametrize(
    ("query", "status", "rule"),
    [
        ("limit=201", 422, "parameter-invalid"),
        ("limit=0", 422, "parameter-invalid"),
        ("cursor=what", 400, "cursor-unknown"),
    ],
)
async def test_a_wrong_page_is_a_problem(client, query, status, rule):
    answer = await client.get(f"/v1/projects/default/models?{query}", headers=ME)
    assert (answer.status_code, answer.json()["title"]) == (status, rule)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_model_carries_its_last_promotion(world, client):
    shown = (await client.get("/v1/projects/default/models/m2", headers=ME)).json()
    assert (shown["serving"], shown["promotion"]["number"]) == (True, 1)
    assert (await client.get("/v1/projects/default/models/m1", headers=ME)).json()["promotion"] is None
    await world.promote("m1", 2)
    await world.promote("m2", 3)
    shown = (await client.get("/v1/projects/default/models/serving", headers=ME)).json()
    assert (shown["model"], shown["promotion"]["number"]) == ("m2", 3)


async def test_serving_is_the_signed_promotion_and_names_nobody(client):
    answer = await client.get("/v1/projects/default/serving", headers=ME)
    said = answer.json()
    assert (said["model"], said["number"], said["statement_signature"]) == ("m2", 1, "c2lnbmVk")
    assert said["statement"] == '{"model":"m2"}'
    assert "grace" not in answer.text


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("default/models/m9", "model-unknown"),
        ("other/models/m1", "model-unknown"),
        ("other/serving", "nothing-serves"),
        ("other/models/serving", "model-unknown"),
    ],
)
async def test_what_is_not_there_is_a_problem_with_a_hint(client, path, rule):
    answer = await client.get(f"/v1/projects/{path}", headers=ME)
    assert (answer.status_code, answer.json()["title"]) == (404, rule)
    assert "/models" in answer.json()["hint"]


async def test_a_withdrawn_model_says_so(world, client):
    await world.withdraw("m1")
    shown = (await client.get("/v1/projects/default/models/m1", headers=ME)).json()
    assert shown["withdrawn"] is True


async def test_other_projects_are_not_shown_to_who_may_not_see_them(world, start):
    await world.add(device(projects=("harbour",)))
    await world.export("m1")
    client = await start()
    for path in ("models", "models/m1", "models/m1/grant", "serving"):
        answer = await client.get(f"/v1/projects/default/{path}", headers=ME)
        assert (answer.status_code, answer.json()["title"]) == (403, "project-not-allowed")
    assert (await client.get("/v1/projects/harbour/models", headers=ME)).status_code == 200


async def test_nothing_is_said_of_models_before_all_were_read(world, start):
    await world.add(device())
    await world.export("m1")
    client = await start()
    world.broker.away = True
    late = await start(ready=False)
    answer = await late.get("/v1/projects/default/models/m1", headers=ME)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert (await client.get("/v1/projects/default/models/m1", headers=ME)).status_code == 200
