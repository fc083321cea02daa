"""How models look on a terminal."""

from __future__ import annotations

import pytest

from labelstream import keys
from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.model import ModelWithdrawn
from labelstream.events.serving import ModelActivated, ModelActivationFailed, ModelReverted
from labelstream.exports import Capability, ExportingNote, announce, leave_note
from labelstream_cli.models.awaited import awaited
from labelstream_cli.models.browse import rows_of
from labelstream_cli.models.facts import as_entry
from labelstream_cli.models.list_view import show_models
from labelstream_cli.models.show_view import everything_as_json, show_model

from .jobs_world import FIRST, finished, printed, requested
from .models_world import LATER, NEW, OLD, ModelsWorld, exported, metrics, promoted


@pytest.fixture
async def world() -> ModelsWorld:
    world = ModelsWorld()
    await world.two_models()
    return world


async def listed(world: ModelsWorld, width: int = 140) -> str:
    books = await world.books()
    return printed(lambda console: show_models(books, rows_of(books), console), width=width)


async def shown(world: ModelsWorld, model: str) -> str:
    books, side = await world.books(), await world.side(model)
    return " ".join(printed(lambda console: show_model(books, side, console), width=200).split())


async def test_the_list_shows_formats_with_their_proof_the_newest_model_first(world: ModelsWorld) -> None:
    lines = (await listed(world)).splitlines()
    assert lines[0].split() == ["model", "exported", "formats", "mAP50-95", "standing"]
    assert lines[1].split()[-1] == "refused"
    assert lines[2].startswith("c3d40000c3d4")
    assert "onnx-fp32 ✓  openvino-int8 ✓  tensorrt-fp16-sm_90 ?" in lines[2]
    old = next(line for line in lines if line.startswith("a1b20000a1b2"))
    assert old.split()[-2:] == ["serves", "#1"]


async def test_the_list_says_why_models_do_not_serve_and_trainings_have_none(world: ModelsWorld) -> None:
    said = await listed(world)
    assert "c3d40000c3d4: mAP50-95 0.580 against 0.520" in said
    assert "training 77cc000077cc: export.no_format: none of its formats" in said
    await world.say(promoted(NEW, 2), ModelWithdrawn(model=OLD, reason="mislabelled"))
    said = await listed(world)
    assert "a1b20000a1b2" in said
    assert "withdrawn #1" in said
    assert "a1b20000a1b2: withdrawn: mislabelled" in said


async def test_the_list_says_by_whom_and_why_a_model_was_withdrawn_for_machines_too(world: ModelsWorld) -> None:
    await world.say(ModelWithdrawn(model=NEW, reason="mislabelled", by="ana"), promoted(OLD, 2))
    assert "c3d40000c3d4: withdrawn by ana: mislabelled" in await listed(world)
    books = await world.books()
    told = as_entry(books, books.models.models[NEW])["withdrawal"]
    assert (told["by"], told["reason"]) == ("ana", "mislabelled")


async def test_a_replica_that_went_back_is_told_until_it_answers_with_the_model(world: ModelsWorld) -> None:
    went_back = ModelReverted(
        model=NEW, number=2, replica="kiosk", rule="probation.slow", reason="three times slower", serving=OLD,
        serving_number=1,
    )  # fmt: skip
    refused = ModelActivationFailed(model=NEW, number=2, replica="dock", rule="signature.wrong", reason="wrong key")
    answers = ModelActivated(model=NEW, number=2, replica="dock", artifact="onnx-fp32", seconds=1)
    await world.say(promoted(NEW, 2), went_back, refused)
    said = await listed(world)
    assert "c3d40000c3d4: kiosk went back from it: three times slower; a1b20000a1b2 answers there" in said
    assert "c3d40000c3d4: dock refused it: wrong key" in said
    await world.say(answers)
    assert "dock" not in await listed(world)
    assert "not at kiosk" in await shown(world, NEW)
    books = await world.books()
    (told,) = as_entry(books, books.models.models[NEW])["replicas_without"]
    assert (told["replica"], told["rule"]) == ("kiosk", "probation.slow")


async def test_a_format_that_waits_beside_a_published_model_is_told_with_its_reason(world: ModelsWorld) -> None:
    books = await world.books()
    (waits,) = waiting = await awaited(world.place, books)
    assert waits.model == NEW
    assert [one["format"] for one in waits.as_json()["waiting"]] == ["rknn-int8-rk3588"]
    assert waits not in rows_of(books, waiting)
    said = printed(lambda console: show_models(books, rows_of(books), console, waiting), width=140)
    assert "c3d40000c3d4 waits for rknn-int8-rk3588: no worker takes jobs.export.rknn.rk3588" in said


@pytest.mark.parametrize("width", [60, 80])
async def test_on_a_narrow_terminal_no_name_or_state_is_cut_in_the_list(world: ModelsWorld, width: int) -> None:
    lines = (await listed(world, width)).splitlines()
    assert max(map(len, lines)) <= width
    assert next(line for line in lines if line.startswith("a1b20000a1b2")).split()[-2:] == ["serves", "#1"]
    for told in ("openvino-int8 ✓", "tensorrt-fp16-sm_90 ?", "rknn-int8-rk3588 …", "onnx-int8 ✗"):
        assert any(told in line for line in lines)
    assert ("a wider terminal, or --json, also tells: exported" in lines) == (width == 60)


@pytest.mark.parametrize("width", [60, 80])
async def test_on_a_narrow_terminal_no_word_is_broken_in_a_model(world: ModelsWorld, width: int) -> None:
    books, side = await world.books(), await world.side(NEW)
    said = printed(lambda console: show_model(books, side, console), width=width)
    wide = printed(lambda console: show_model(books, side, console), width=200)
    known = {*wide.split(), *(word + "," for word in wide.split())}
    words = said.split("unmatched boxes", 1)[1].split("✗ onnx-int8")[0].split()
    assert "calibrated" in words
    assert [word for word in words if word not in known] == []


async def test_a_narrow_terminal_shows_every_id_and_figure_and_a_format_on_each_line(world: ModelsWorld) -> None:
    said = await listed(world, width=80)
    assert "c3d40000c3d4" in said
    assert "0.580" in said
    assert [line.strip() for line in said.splitlines() if "rknn" in line] == ["rknn-int8-rk3588 …"]


async def test_the_list_tells_project_and_edition_where_there_are_several(world: ModelsWorld) -> None:
    await world.say(exported(LATER, "f" * 32, metrics(0.6), edition=2), project="harbour")
    assert (await listed(world)).split()[:4] == ["model", "project", "exported", "ed."]


async def test_a_training_whose_formats_nobody_can_build_is_listed_as_waiting() -> None:
    world = ModelsWorld()
    await world.broker.ensure_stream(MODEL_EVENTS)
    await world.broker.ensure_stream(TRAINING_EVENTS)
    await leave_note(world.blobs, ExportingNote(formats=("tensorrt-fp16-sm_90", "onnx-fp32"), wait_h=24))
    await announce(world.blobs, "ada", [Capability(family="onnx", queue="jobs.export.onnx")], 600)
    await world.say(requested(FIRST), finished(FIRST))
    books = await world.books()
    (row,) = rows = await awaited(world.place, books)
    assert [(each.format, each.workers) for each in row.waiting] == [
        ("tensorrt-fp16-sm_90", ()), ("onnx-fp32", ("ada",)),
    ]  # fmt: skip
    said = printed(lambda console: show_models(books, rows_of(books, rows), console), width=140)
    assert "tensorrt-fp16-sm_90 …" in said
    assert "training 3fa900003fa9: no worker takes jobs.export.tensorrt.sm_90: ada takes jobs.export.onnx" in said


async def test_a_model_is_shown_with_all_that_it_was_made_of(world: ModelsWorld) -> None:
    said = await shown(world, NEW)
    for part in (
        "training 3fb100003fb1",
        "dataset eeeeeeeeeeee, 1,555 images, cut 1412",
        "epochs 60",
        "vehicles: car, truck, bus",
        "ultralytics 8.4.9",
        "not promoted mAP50-95 0.580 against 0.520",
        "truck 90 0.610 0.810 0.800 0.700 0.580 … 0.640",
        "report.html in the model bucket",
    ):
        assert part in said


async def test_each_format_is_shown_beside_its_limits(world: ModelsWorld) -> None:
    said = await shown(world, NEW)
    int8 = "openvino-int8 ✓ 2.9 MB 9 (41) 3.40 (6) 0.0800 (0.15) 0.0090 (0.03) 83 images, 412 boxes; calibrated on 64"
    assert int8 in said
    assert "tensorrt-fp16-sm_90 ? 10.4 MB - - - - not run: no GPU is here" in said
    refused = "onnx-int8 is refused: export.disagrees: 60 of 412 boxes have no partner; worst on image 7777"
    assert refused in said
    assert "rknn-int8-rk3588 waits since" in said
    assert "no worker takes jobs.export.rknn.rk3588" in said


async def test_promotions_are_shown_with_number_cause_who_and_why(world: ModelsWorld) -> None:
    await world.say(promoted(NEW, 2, cause="request", by="ana", reason="the night shift asked"))
    assert "promoted #2" in await shown(world, NEW)
    assert "request by ana: the night shift asked" in await shown(world, NEW)
    await world.say(promoted(OLD, 3, cause="rollback", by="ben", reason="trucks"))
    assert "rollback by ben: trucks" in await shown(world, OLD)
    await world.say(ModelWithdrawn(model=NEW, reason="mislabelled", by="ana"))
    assert "withdrawn by ana: mislabelled" in await shown(world, NEW)


async def test_what_cannot_be_read_is_said_and_the_rest_is_shown(world: ModelsWorld) -> None:
    await world.models.put(keys.model("default", NEW, "manifest.json"), b"exchanged")
    await world.blobs.delete(f"datasets/{'e' * 64}.json")
    said = await shown(world, NEW)
    assert "the manifest can't be shown: default/models/c3d4" in said
    assert "has the digest" in said
    assert "the dataset can't be shown: the store has no datasets/eee" in said
    assert "openvino-int8 ✓" in said


async def test_for_machines_everything_is_one_object(world: ModelsWorld) -> None:
    books, side = await world.books(), await world.side(NEW)
    told = everything_as_json(books, side)
    assert told["model"] == NEW
    assert [(one["name"], one["plain_bytes"]) for one in told["artifacts"][:2]] == [
        ("onnx-fp32", 10_399_000), ("openvino-int8", 2_900_000),
    ]  # fmt: skip
    assert [one["format"] for one in told["refused_formats"]] == ["onnx-int8"]
    assert [one["format"] for one in told["waiting_formats"]] == ["rknn-int8-rk3588"]
    assert told["classes"][1]["map50_95_interval"] == {"low": 0.58, "high": 0.64}
