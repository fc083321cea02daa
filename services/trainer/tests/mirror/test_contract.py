"""The same is shown by the double and by a real MLflow, where one is installed."""

from __future__ import annotations

from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS
from trainer.mirror.changes import Place
from trainer.mirror.memory import MemoryTracking

from .conftest import Server
from .reading import readable
from .story import MODELS, TRAININGS, World, finished, promoted, requested


async def test_mirrored_twice_it_is_shown_once(server: Server, world: World):
    await world.say(*TRAININGS, *MODELS)
    await world.mirror_all()
    before = readable(server.shows(world.project))
    for stream in (TRAINING_EVENTS, MODEL_EVENTS):
        await world.tracking.reached(world.project, {stream: Place(0, "an event of another stream")})
    await world.mirror_all()
    assert readable(server.shows(world.project)) == before


async def test_a_mirror_made_anew_from_the_streams_shows_the_same(server: Server, world: World):
    parts = (TRAININGS[:3], TRAININGS[3:8], (*TRAININGS[8:], *MODELS[:2]), MODELS[2:])
    for part in parts:  # by a mirror that is stopped and started in between
        await world.say(*part)
        await world.mirror_all()
    anew = MemoryTracking()
    await World(anew, world.project, world.broker, world.blobs).mirror_all()
    assert readable(anew.projects[world.project]) == readable(server.shows(world.project))


async def test_what_is_refused_is_passed_over_and_said(server: Server, world: World):
    await world.say(requested("a"), promoted("unheard-of", 1), finished("a"))
    await world.mirror_all()
    assert server.shows(world.project).runs["a"].status == "FINISHED"
    assert "unheard-of" in world.health.report()["degraded"]["MLflow refused"]


async def test_a_recipe_with_hundreds_of_fields_and_long_texts_is_shown(server: Server, world: World):
    recipe = {f"field{n}": n for n in range(250)} | {"architecture": {"backbone": [[-1, 1, "Conv"]] * 2000}}
    await world.say(requested("a").model_copy(update={"recipe": recipe}))
    await world.mirror_all()
    params = server.shows(world.project).runs["a"].params
    assert params["field249"] == "249"
    assert params["architecture.backbone"].startswith('[[-1, 1, "Conv"]')
