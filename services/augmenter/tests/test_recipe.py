from __future__ import annotations

import pytest

from augmenter.recipe import Recipe, load_recipe, parse_recipe
from labelstream.errors import Misconfigured


def test_the_default_recipe_makes_an_original_and_seven_variants() -> None:
    recipe = load_recipe("default")
    assert recipe.variants == 7
    assert {t.kind: t.p for t in recipe.transforms} == {
        "flip": 0.6,
        "brightness_contrast": 0.4,
        "affine": 0.8,
        "motion_blur": 0.1,
        "hue_saturation": 0.4,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\ntransforms:\n  - {kind: flip, p: 2}\n", "r.yaml:3: transforms.0.flip.p:"),
        (
            "name: x\ntransforms:\n  - kind: affine\n    p: 1\n    scale: [2, 1]\n",
            "r.yaml:5: transforms.0.affine.scale:",
        ),
        ("name: x\ntransforms:\n  - {kind: flip, p: 1}\n  - {kind: sleet}\n", "r.yaml:4: transforms.1:"),
        ("name: x\nvariant: 3\n", "r.yaml:2: variant:"),
        ("variants: 3\n", "r.yaml:1: name: Field required"),
        ("name: x\n : [\n", "r.yaml:2: this is not YAML"),
        ("- flip\n", "r.yaml:1: a recipe is a mapping"),
        ("", "r.yaml:1: a recipe is a mapping"),
    ],
)
def test_a_fault_in_a_recipe_is_named_with_file_line_and_field(text: str, said: str) -> None:
    with pytest.raises(Misconfigured) as error:
        parse_recipe(text, "r.yaml")
    assert said in str(error.value)


def test_a_recipe_that_is_not_there_is_said_by_name() -> None:
    with pytest.raises(Misconfigured, match="no shipped recipe 'nosuch'"):
        load_recipe("nosuch")
    with pytest.raises(Misconfigured, match=r"nosuch\.yaml can't be read"):
        load_recipe("nosuch.yaml")


def test_the_digest_follows_the_content_and_the_library_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "name: x\ntransforms: [{kind: flip, p: 0.5}]\n"
    before = parse_recipe(text, "a").digest
    assert parse_recipe("# said otherwise\n" + text, "b").digest == before
    assert parse_recipe(text.replace("0.5", "0.6"), "a").digest != before
    monkeypatch.setattr("augmenter.recipe.metadata.version", lambda _: "99")
    assert Recipe.model_validate({"name": "x", "transforms": [{"kind": "flip", "p": 0.5}]}).digest != before
