from __future__ import annotations

import pytest

from labelstream.errors import Misconfigured
from trainer.recipe import RECIPES, TrainingRecipe, load_recipe, shipped


@pytest.mark.parametrize("name", shipped(RECIPES))
def test_every_recipe_that_ships_can_be_read(name):
    assert load_recipe(name).epochs >= 1


def test_equal_recipes_have_one_digest_and_any_change_another():
    assert load_recipe("demo").digest == load_recipe("demo").digest
    changed = load_recipe("demo").model_copy(update={"seed": 1})
    assert changed.digest != load_recipe("demo").digest


def test_a_recipe_survives_the_wire_with_its_digest():
    recipe = load_recipe("yolo11n")
    assert TrainingRecipe.model_validate(recipe.model_dump(mode="json")).digest == recipe.digest


def test_a_recipe_of_ones_own_is_read_from_its_path(tmp_path):
    (tmp_path / "mine.yaml").write_text("architecture: small\nimage_size: 256\n")
    assert load_recipe(str(tmp_path / "mine.yaml")).image_size == 256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_size: 100", "image_size = 100: .*multiple of 32"),
        ("lr0: fast", "lr0 = 'fast'"),
        ("optimizer: Sgd", "optimizer = 'Sgd'"),
        ("batch: 0", "batch.* = 0: .*greater than or equal to 1"),
        ("batch: most", "batch.* = 'most': .*'auto'"),
        ("amp: fp8", "amp = 'fp8': .*'bf16'"),
        ("epoch: 3", "epoch = 3; known fields are .*epochs"),
        ("on_the_fly: {flip: 0.5}", "on_the_fly.flip = 0.5; known fields are fliplr"),
        ("on_the_fly: {mosaic: 2}", "on_the_fly.mosaic = 2"),
        ("architecture: yolo99", "'yolo99'.*known are small, and yolov8, yolo11"),
        ("architecture: {head: []}", "backbone"),
        ("- a list", "should hold fields"),
        ("a: b: c", "not YAML"),
    ],
)
def test_a_wrong_recipe_names_the_field_and_the_value(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(Misconfigured, match=said):
        load_recipe(str(path))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(Misconfigured, match=r"'dmeo'; known are demo, .*yolo11n"):
        load_recipe("dmeo")
