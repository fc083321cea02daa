"""Promotions: followed when everything is proved, refused with the reason otherwise."""

from __future__ import annotations

import shutil

import pytest

from labelstream import keys
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.serving import ModelActivated, ModelActivationFailed


async def serving(client, image: bytes) -> str:
    """The id of the model that answers."""
    response = await client.post("/v1/predict", content=image)
    assert response.status_code == 200, response.text
    return response.json()["model"]


async def test_a_promoted_model_is_fetched_opened_proved_and_serves(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        activated = await world.heard()
        assert isinstance(activated, ModelActivated)
        assert (activated.model, activated.number, activated.replica) == ("m1", 1, "r1")
        assert activated.artifact == "onnx-fp32"
        assert await serving(client, red_picture) == "m1"
        assert (await client.get("/readyz")).json()["model"]["default"]["promotion"] == 1


async def test_at_start_only_the_highest_promotion_is_followed_then_each_new_one(world, red_picture) -> None:
    await world.promote("m1", 1)
    await world.promote("m2", 2)
    async with world.replica() as client:
        assert (await world.heard()).model == "m2"
        await world.promote("m3", 3)
        assert (await world.heard()).model == "m3"
        assert await serving(client, red_picture) == "m3"
        assert (await client.get("/readyz")).json()["streams"][MODEL_EVENTS] == {"offset": 2}


async def _flip_a_byte(world, second) -> None:
    await world.publish(second)
    world.grant(second)
    key = keys.big_part("default", "m2", "onnx-fp32.age")
    big = bytearray((await world.store.get(key)).data)
    big[len(big) // 2] ^= 1
    await world.store.put(key, bytes(big))


async def test_a_model_file_with_a_flipped_byte_is_never_loaded(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2")
        await _flip_a_byte(world, second)
        await world.say(world.promotion(second, 2))
        failed = await world.heard()
        assert isinstance(failed, ModelActivationFailed)
        assert (failed.rule, failed.model, failed.number, failed.serving) == ("bundle.big_part_differs", "m2", 2, "m1")
        assert "onnx-fp32.age" in failed.reason
        assert await serving(client, red_picture) == "m1"
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert "bundle.big_part_differs" in ready.json()["degraded"]["model of default"]


async def test_a_model_that_gives_a_class_another_meaning_is_never_loaded(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2", classes=("blue", "red"))
        world.grant(second)
        await world.publish(second)
        await world.say(world.promotion(second, 2))
        failed = await world.heard()
        assert isinstance(failed, ModelActivationFailed)
        assert (failed.rule, failed.serving) == ("bundle.foreign_classes", "m1")
        assert await serving(client, red_picture) == "m1"


async def test_a_bundle_signed_by_another_key_is_never_loaded(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2", signer=world.other_key)
        await world.publish(second)
        world.grant(second)
        await world.say(world.promotion(second, 2))
        failed = await world.heard()
        assert (failed.rule, failed.serving) == ("signature.foreign_key", "m1")
        assert await serving(client, red_picture) == "m1"


async def test_a_promotion_signed_by_another_key_is_not_believed(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2")
        await world.publish(second)
        world.grant(second)
        await world.say(world.promotion(second, 99, signer=world.other_key))
        failed = await world.heard()
        assert (failed.rule, failed.serving) == ("promotion.bad_signature", "m1")
        await world.promote("m3", 2)
        assert (await world.heard()).model == "m3", "a forged number does not stand in the way"
        assert await serving(client, red_picture) == "m3"


async def test_a_forged_promotion_in_the_history_does_not_hide_the_true_one(world, red_picture) -> None:
    first = await world.promote("m1", 1)
    await world.say(world.promotion(first, 7, signer=world.other_key))
    async with world.replica() as client:
        assert (await world.heard()).rule == "promotion.bad_signature"
        assert isinstance(await world.heard(), ModelActivated)
        assert await serving(client, red_picture) == "m1"


async def test_a_big_part_without_its_grant_is_never_loaded_until_the_grant_comes(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica(grant_patience_s=0) as client:
        await world.heard()
        second = world.bundle("m2")
        await world.publish(second)
        await world.say(world.promotion(second, 2))
        failed = await world.heard()
        assert (failed.rule, failed.serving) == ("grant.missing", "m1")
        assert await serving(client, red_picture) == "m1"
        world.grant(second)
        assert isinstance(await world.heard(), ModelActivated)
        assert await serving(client, red_picture) == "m2"


async def test_a_grant_for_another_device_opens_nothing(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2")
        await world.publish(second)
        _, world.recipient = world.identity, "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
        world.grant(second)
        await world.say(world.promotion(second, 2))
        failed = await world.heard()
        assert (failed.rule, failed.serving) == ("grant.not_for_us", "m1")
        assert await serving(client, red_picture) == "m1"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_device_that_the_exporter_turns_away_says_so(world, red_picture, status) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        world.desk.status = status
        await world.promote("m2", 2)
        failed = await world.heard()
        assert (failed.rule, failed.serving) == ("grant.refused", "m1")
        assert str(status) in failed.reason
        assert await serving(client, red_picture) == "m1"
        world.desk.status = 200  # it was enrolled
        assert (await world.heard()).model == "m2"
        assert await serving(client, red_picture) == "m2"


async def test_a_promotion_whose_number_does_not_rise_is_refused(world, red_picture) -> None:
    first = await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        await world.promote("m2", 2)
        await world.heard()
        await world.say(world.promotion(first, 1))
        failed = await world.heard()
        assert (failed.rule, failed.number, failed.serving) == ("promotion.stale", 1, "m2")
        await world.say(world.promotion(first, 2))
        assert (await world.heard()).rule == "promotion.stale", "nor may a number be used again"
        assert await serving(client, red_picture) == "m2"
        await world.say(world.promotion(first, 3))
        assert (await world.heard()).model == "m1", "a rollback is a new promotion"


async def test_a_restarted_replica_still_refuses_a_stale_promotion(world, red_picture) -> None:
    first = await world.promote("m1", 1)
    await world.promote("m2", 2)
    async with world.replica():
        await world.heard()
    world.broker.__init__()
    world._heard = world.broker.reader("serving-events", "first")
    await world.say(world.promotion(first, 1))
    async with world.replica() as client:
        assert (await world.heard()).model == "m2"
        assert (await world.heard()).rule == "promotion.stale"
        assert await serving(client, red_picture) == "m2"


async def test_a_model_whose_golden_answers_differ_is_never_loaded(world, red_picture, golden) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2", gain=0.9, golden=golden(1.0))
        await world.publish(second)
        world.grant(second)
        await world.say(world.promotion(second, 2))
        failed = await world.heard()
        assert (failed.rule, failed.serving) == ("model.golden_differs", "m1")
        assert "0.9" in failed.reason
        assert await serving(client, red_picture) == "m1"


async def test_a_model_whose_golden_answers_are_no_numbers_is_never_loaded(world, golden) -> None:
    async with world.replica():
        broken = world.bundle("m1", gain=float("nan"), golden=golden(1.0))
        await world.publish(broken)
        world.grant(broken)
        await world.say(world.promotion(broken, 1))
        failed = await world.heard()
        assert failed.rule == "model.golden_differs"
        assert "not a number" in failed.reason


async def test_a_manifest_that_was_exchanged_in_the_store_is_refused(world, red_picture) -> None:
    first = await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2")
        await world.publish(second)
        world.grant(second)
        content = (first.directory / "manifest.json").read_bytes()
        await world.store.put(keys.model("default", "m2", "manifest.json"), content)
        await world.say(world.promotion(second, 2))
        assert (await world.heard()).rule == "model.manifest_differs"
        assert await serving(client, red_picture) == "m1"


async def test_something_that_is_no_graph_is_refused(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        second = world.bundle("m2", graph=b"\x08\x08 no graph" * 20_000)
        await world.publish(second)
        world.grant(second)
        await world.say(world.promotion(second, 2))
        assert (await world.heard()).rule == "model.unloadable"
        assert await serving(client, red_picture) == "m1"


async def test_while_the_store_is_away_the_old_model_serves_and_the_new_one_is_awaited(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        world.store.away = None
        second = world.bundle("m2")
        await world.publish(second)
        world.grant(second)
        world.store.away = "no route"
        await world.say(world.promotion(second, 2))
        await world.until(lambda: "no route" in world.health.report()["degraded"].get("model of default", ""))
        assert (await client.get("/readyz")).status_code == 200
        assert await serving(client, red_picture) == "m1"
        world.store.away = None
        assert (await world.heard()).model == "m2"
        assert world.health.report()["degraded"] == {}


async def test_a_newer_promotion_replaces_one_that_can_not_be_had(world, red_picture) -> None:
    async with world.replica() as client:
        lost = world.bundle("m1")
        await world.say(world.promotion(lost, 1))  # it was never published
        await world.until(lambda: "m1" in str(world.health.report()["waiting"]))
        await world.promote("m2", 2)
        assert (await world.heard()).model == "m2"
        assert await serving(client, red_picture) == "m2"


async def test_a_restart_without_broker_store_and_exporter_comes_back_serving(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
    world.store.away, world.broker.away, world.desk.status = "gone", True, 503
    async with world.replica() as client:
        await world.until(lambda: world.health.is_ready)
        assert await serving(client, red_picture) == "m1"
        assert MODEL_EVENTS in (await client.get("/readyz")).json()["degraded"]
        world.store.away, world.broker.away, world.desk.status = None, False, 200
        assert isinstance(await world.heard(), ModelActivated)
        await world.promote("m2", 2)
        assert (await world.heard()).model == "m2"


async def test_what_lies_on_the_disk_is_sealed(world, detector) -> None:
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
        kept = [path for path in (world.directory / "state").rglob("*") if path.is_file()]
        assert {path.name for path in kept} >= {"onnx-fp32.age", "golden.age", "grant.age"}
        weights = detector()[2000:2064]
        assert not [path.name for path in kept if weights in path.read_bytes()]
        assert not [path.name for path in kept if b"AGE-SECRET-KEY" in path.read_bytes()]


async def test_a_cached_bundle_that_was_damaged_is_fetched_again(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
    sealed = next((world.directory / "state").rglob("onnx-fp32.age"))
    content = bytearray(sealed.read_bytes())
    content[-1] ^= 1
    sealed.write_bytes(bytes(content))
    async with world.replica() as client:
        assert isinstance(await world.heard(), ModelActivated)
        assert await serving(client, red_picture) == "m1"


async def test_an_older_bundle_in_the_place_of_the_promoted_one_is_not_served(world, red_picture) -> None:
    shelf = world.directory / "state" / "models" / "default"
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
    shutil.copytree(shelf / "1", world.directory / "kept")
    await world.promote("m2", 2)
    async with world.replica():
        assert (await world.heard()).model == "m1"  # from the disk
        assert (await world.heard()).model == "m2"
    shutil.rmtree(shelf / "2")
    shutil.copytree(world.directory / "kept", shelf / "2")  # signed by us, and its grant is this device's
    async with world.replica() as client:
        assert (await world.heard()).number == 1  # what stood behind it on probation, until it was fetched again
        assert (await world.heard()).number == 2
        assert await serving(client, red_picture) == "m2"


async def test_bytes_that_are_no_event_are_passed_over(world, red_picture) -> None:
    await world.broker.ensure_stream(MODEL_EVENTS)
    world.broker.write_raw(MODEL_EVENTS, b"no message at all")
    await world.promote("m1", 1)
    async with world.replica() as client:
        assert (await world.heard()).model == "m1"
        assert await serving(client, red_picture) == "m1"
