"""What a person may call a model, and what the log tells of each."""

from __future__ import annotations

import pytest

from labelstream.events.base import MODEL_EVENTS
from labelstream.events.model import ModelWithdrawn
from labelstream_cli.models.book import chosen
from labelstream_cli.models.changing import before_in
from labelstream_cli.models.facts import as_entry, formats_of, standing_of, why_not
from labelstream_cli.running import CommandFailed

from .jobs_world import FIRST, SECOND
from .models_world import LATER, NEW, OLD, ModelsWorld, exported, metrics, promoted


@pytest.fixture
async def world() -> ModelsWorld:
    world = ModelsWorld()
    await world.two_models()
    return world


@pytest.mark.parametrize(("told", "meant"), [("a1b2", OLD), ("C3D4…", NEW), ("serving", OLD)])
async def test_a_model_is_named_by_digits_that_only_it_has_or_as_the_one_that_serves(
    world: ModelsWorld, told: str, meant: str
) -> None:
    assert chosen((await world.books()).models, told).model == meant


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("a1", "at least 4"),
        ("the new one", "say 'serving', or give at least 4"),
        ("a1b3", "like it: a1b20000a1b2"),
        ("0123", "there is no model 0123; `labelstream models list` shows all 2"),
    ],
    ids=["short", "words", "mistyped", "strange"],
)
async def test_what_names_no_model_is_answered_with_what_to_do(world: ModelsWorld, told: str, said: str) -> None:
    with pytest.raises(CommandFailed, match=said):
        chosen((await world.books()).models, told)


async def test_digits_of_several_models_are_answered_with_all_of_them(world: ModelsWorld) -> None:
    await world.say(exported("c3d4ffff" * 4, "f" * 32, metrics(0.6)))
    with pytest.raises(CommandFailed, match=r"may be any of 2 models: c3d40000c3d4 \(default\), c3d4ffffc3d4"):
        chosen((await world.books()).models, "c3d4")


async def test_where_several_projects_have_a_model_in_service_one_has_to_be_named(world: ModelsWorld) -> None:
    await world.say(exported(LATER, "f" * 32, metrics(0.6)), promoted(LATER, 1), project="harbour")
    book = (await world.books()).models
    with pytest.raises(CommandFailed, match="models serve in default, harbour"):
        chosen(book, "serving")
    assert chosen(book, "serving", "harbour").model == LATER


async def test_where_nothing_serves_it_is_said() -> None:
    world = ModelsWorld()
    await world.broker.ensure_stream(MODEL_EVENTS)
    book = (await world.books()).models
    for told, said in (("serving", "no model serves yet"), ("a1b2", "there is no model yet")):
        with pytest.raises(CommandFailed, match=said):
            chosen(book, told)


async def test_each_format_is_proved_unproven_awaited_or_refused(world: ModelsWorld) -> None:
    books = await world.books()
    found = {each.name: each.state for each in formats_of(books.models, books.models.models[NEW])}
    assert found == {
        "onnx-fp32": "proved",
        "openvino-int8": "proved",
        "tensorrt-fp16-sm_90": "unproven",
        "rknn-int8-rk3588": "waiting",
        "onnx-int8": "refused",
    }


async def test_only_the_newest_edition_waits_for_formats(world: ModelsWorld) -> None:
    await world.say(exported(LATER, SECOND, metrics(0.58), edition=2, waiting=("tensorrt-fp16-sm_100",)))
    books = await world.books()
    states = books.models.models
    assert "waiting" not in {each.state for each in formats_of(books.models, states[NEW])}
    assert [each.name for each in formats_of(books.models, states[LATER]) if each.state == "waiting"] == [
        "tensorrt-fp16-sm_100"
    ]


async def test_a_model_that_was_not_promoted_says_how_it_stands_beside_the_champion(world: ModelsWorld) -> None:
    books = await world.books()
    new, old = books.models.models[NEW], books.models.models[OLD]
    assert standing_of(books.models, new) == "not promoted"
    assert why_not(books, new) == (
        "mAP50-95 0.580 against 0.520 of model a1b20000a1b2 on the same 83 test images "
        "(+0.060; bus fell most, by 0.110)"
    )
    assert (standing_of(books.models, old), why_not(books, old)) == ("serves", "")
    assert as_entry(books, new)["not_promoted"] == why_not(books, new)


async def test_a_model_is_held_against_the_one_that_served_when_it_came(world: ModelsWorld) -> None:
    await world.say(exported(LATER, "f" * 32, metrics(0.9)), promoted(LATER, 2))
    books = await world.books()
    assert "of model a1b20000a1b2" in why_not(books, books.models.models[NEW])
    assert standing_of(books.models, books.models.models[OLD]) == "served"


async def test_a_project_whose_first_model_finds_nothing_says_that_nothing_served() -> None:
    world = ModelsWorld()
    await world.say(exported(OLD, FIRST, metrics(0.003)))
    books = await world.books()
    assert why_not(books, books.models.models[OLD]) == "nothing served before it; mAP50-95 0.003"


async def test_the_model_to_go_back_to_is_found_before_it_is_asked_for(world: ModelsWorld) -> None:
    with pytest.raises(CommandFailed, match=r"rollback\.nothing_before"):
        before_in((await world.books()).models, None)
    await world.say(promoted(NEW, 2))
    assert before_in((await world.books()).models, None).model == OLD
    await world.say(ModelWithdrawn(model=OLD, reason="mislabelled"))
    with pytest.raises(CommandFailed, match=r"rollback\.nothing_before"):
        before_in((await world.books()).models, "default")
