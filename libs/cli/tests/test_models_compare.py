"""Two models side by side: on a terminal, for machines and as a page."""

from __future__ import annotations

import re

import pytest

from labelstream import keys
from labelstream_cli.models.compare_view import comparison_as_json, show_comparison
from labelstream_cli.models.comparison import Comparison, comparison
from labelstream_cli.models.page import page, verdict
from labelstream_cli.models.pictures import Shots, shots_of, uncrowded
from labelstream_cli.models.side import side_of
from labelstream_datasets.pictures import Marked

from .jobs_world import printed
from .models_world import CLASSES, LATER, NEW, OLD, PICTURES, ModelsWorld, exported, metrics


@pytest.fixture
async def world() -> ModelsWorld:
    world = ModelsWorld()
    await world.two_models()
    return world


async def compared(world: ModelsWorld, a: str = OLD, b: str = NEW) -> Comparison:
    books = await world.books()
    sides = [await side_of(world.here, books, books.models.models[model]) for model in (a, b)]
    return comparison(books, *sides)


async def test_figures_are_those_of_the_same_images_when_one_training_measured_the_other(world: ModelsWorld) -> None:
    found = await compared(world)
    main = {each.name: each for each in found.figures}
    assert (main["mAP50-95"].a, main["mAP50-95"].b) == (0.52, 0.58)
    assert main["mAP50"].difference_interval is not None
    assert main["mAP50"].is_clear
    assert found.note == "B's training measured A on the same 83 test images"
    assert {each.name: (each.a, each.b) for each in found.classes} == {
        "truck": (0.49, 0.61), "bus": (0.42, 0.31), "car": (0.66, 0.71),
    }  # fmt: skip


async def test_the_other_way_round_the_figures_and_the_interval_turn(world: ModelsWorld) -> None:
    found = await compared(world, NEW, OLD)
    main = {each.name: each for each in found.figures}
    assert (main["mAP50-95"].a, main["mAP50-95"].b) == (0.58, 0.52)
    interval = main["mAP50"].difference_interval
    assert interval is not None
    assert (interval.low, interval.high) == (-0.101, -0.018)
    assert found.note == "A's training measured B on the same 83 test images"
    assert verdict(found)[1] == "B is not better"


async def test_models_of_different_tests_are_not_called_comparable(world: ModelsWorld) -> None:
    await world.say(exported(LATER, "f" * 32, metrics(0.9)))
    found = await compared(world, NEW, LATER)
    assert not found.same_images
    assert "say little about which is better" in found.note
    assert verdict(found)[1] == "not comparable"
    assert "its training is not in training-events" in " ".join(found.missing)


async def test_models_of_one_dataset_are_compared_by_what_each_published(world: ModelsWorld) -> None:
    await world.say(exported(LATER, "f" * 32, metrics(0.9), dataset_id="e" * 64))
    found = await compared(world, NEW, LATER)
    assert found.same_images
    assert "one dataset" in found.note
    assert verdict(found)[1] == "B is better"


async def test_what_was_made_otherwise_is_listed(world: ModelsWorld) -> None:
    changes = {(each.group, each.what): (each.a, each.b) for each in (await compared(world)).changes}
    assert changes == {
        ("dataset", "id"): ("d" * 12, "e" * 12),
        ("dataset", "annotated up to offset"): ("900", "1,412"),
        ("dataset", "images in train"): ("900", "1,412 (+512)"),
        ("dataset", "boxes in train"): ("4,500", "7,060 (+2,560)"),
        ("dataset", "ratios"): ("split 70/20/10", "split 80/10/10"),
        ("recipe", "epochs"): ("40", "60"),
        ("recipe", "on the fly: degrees"): ("0.0", "10.0"),
        ("libraries", "ultralytics"): ("8.4.1", "8.4.9"),
    }


async def test_a_model_beside_itself_was_made_alike(world: ModelsWorld) -> None:
    found = await compared(world, OLD, OLD)
    assert (found.changes, found.pairs) == ((), ())
    assert "made from the same dataset by the same recipe" in printed(show_comparison, found)


async def test_the_terminal_shows_both_beside_each_other(world: ModelsWorld) -> None:
    said = " ".join(printed(show_comparison, await compared(world), width=160).split())
    for part in (
        "A a1b20000a1b2 of default",
        "mAP50-95 0.520 0.480 … 0.560 0.580 0.540 … 0.620 +0.060",
        "bus 0.420 0.300 … 0.540 0.310 0.190 … 0.430 -0.110",
        "openvino-int8 ✓ 2.9 MB 0.0090 (0.03) ✓ 2.9 MB 0.0090 (0.03)",
        "rknn-int8-rk3588 - …",
        "recipe epochs 40 60",
    ):
        assert part in said


async def test_for_machines_the_comparison_is_one_object(world: ModelsWorld) -> None:
    told = comparison_as_json(await compared(world))
    assert (told["a"], told["b"], told["same_images"]) == (OLD, NEW, True)
    assert told["classes"][0]["clear"]
    assert told["formats"]["rknn-int8-rk3588"]["a"] is None
    assert told["images"][0] == {"image": f"{PICTURES[0][:16]}-{'9' * 8}_0.jpg", "a": 0.42, "b": 0.95}


async def test_examples_are_the_images_that_both_saw_and_that_they_saw_most_otherwise(world: ModelsWorld) -> None:
    found = await compared(world)
    assert [pair.a.image[0] for pair in found.pairs] == ["1", "2"]  # the third they saw alike
    shots = await shots_of(world.blobs, "default", found.pairs, CLASSES)
    assert [(shot.a_said, shot.b_said) for shot in shots.shots] == [
        ("1 of 2 found", "2 of 2 found"), ("2 of 2 found", "1 of 2 found, 1 false"),
    ]  # fmt: skip
    assert all(shot.a[:2] == b"\xff\xd8" and shot.a != shot.b for shot in shots.shots)


async def test_images_that_are_gone_or_none_are_left_out_with_the_reason(world: ModelsWorld) -> None:
    await world.blobs.delete(keys.image("default", PICTURES[0], "jpg"))
    await world.blobs.put(keys.image("default", PICTURES[1], "jpg"), b"no picture")
    found = await compared(world)
    shots = await shots_of(world.blobs, "default", found.pairs, CLASSES)
    assert shots.shots == ()
    assert "not in the store any more" in shots.left_out[0]
    assert "can't be drawn" in shots.left_out[1]
    assert "not in the store any more" in page(found, shots)


async def test_the_page_needs_nothing_from_outside_and_escapes_foreign_names(world: ModelsWorld) -> None:
    found = await compared(world)
    html = page(found, await shots_of(world.blobs, "default", found.pairs, CLASSES))
    assert "B is better" in html
    assert re.search(r"exported<td>\d{4}-\d\d-\d\d \d\d:\d\d UTC<td>\d{4}-", html)
    assert html.count("data:image/jpeg;base64,") == 4
    assert "http" not in html.replace("http-equiv", "")
    evil = await world.bundle(exported(LATER, "f" * 32, metrics(0.5, **{"<script>x": 0.4}), dataset_id="e" * 64))
    await world.say(evil)
    other = page(await compared(world, NEW, LATER), Shots((), ()))
    assert "<script>x" not in other
    assert "&lt;script&gt;x" in other


def test_names_of_near_boxes_do_not_cover_each_other() -> None:
    boxes = [
        Marked(0, "car 0.91", (50, 100, 150, 200)),
        Marked(0, "car 0.40", (55, 104, 160, 210)),
        Marked(1, "bus 0.80", (55, 300, 160, 380)),
    ]
    assert [box.text for box in uncrowded(boxes, 460)] == ["car 0.91", "", "bus 0.80"]
    assert [box.corners for box in uncrowded(boxes, 460)] == [box.corners for box in boxes]
