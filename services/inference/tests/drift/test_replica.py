"""A replica tells Prometheus how far its answers have gone from the test images of the model that serves."""

from __future__ import annotations

from labelstream.bundle import CONFIDENCE_BINS, Reference

SURE = (0,) * (CONFIDENCE_BINS - 1) + (200,)


async def test_drift_is_among_the_metrics_of_a_replica_until_another_model_serves(world, red_picture) -> None:
    blue = Reference(images=200, detections=200, class_counts={1: 200}, confidences=SURE)
    await put_into_service(world, "m1", 1, blue)
    async with world.replica(drift_window=100) as client:
        await world.heard()
        for _ in range(100):
            assert (await client.post("/v1/predict", content=red_picture)).status_code == 200
            await client.post("/v1/predict?confidence=0.9", content=red_picture)
        said = drift_of(await client.get("/metrics"))
        assert said['labelstream_drift{kind="confidence",model="m1",project="default"}'] == 0
        assert said['labelstream_drift{kind="classes",model="m1",project="default"}'] > 0.9
        assert said['labelstream_detections_per_image{model="m1",of="live",project="default"}'] == 1

        await put_into_service(world, "m2", 2, blue)
        await world.heard()
        assert drift_of(await client.get("/metrics")) == {}


async def put_into_service(world, model: str, number: int, reference: Reference) -> None:
    bundle = world.bundle(model, reference=reference)
    await world.publish(bundle)
    world.grant(bundle)
    await world.say(world.promotion(bundle, number))


def drift_of(response) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
    names = ("labelstream_drift{", "labelstream_detections_per_image{")
    return {name: float(value) for name, value in lines if name.startswith(names)}
