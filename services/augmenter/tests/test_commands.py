from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from augmenter.preview import preview
from augmenter.recipe import load_recipe, shipped
from augmenter.recipe_schema import recipe_schema
from augmenter.render import render
from labelstream.schemas import load_named_schema
from labelstream_cli.main import build
from labelstream_datasets.pictures import colour_of

FAULTY = "name: x\nvariants:\n  - {count: 1, transforms: [{kind: flip, p: 7}]}\n"


def _run(*words: str | Path) -> Result:
    return CliRunner().invoke(build(), ["recipe", *map(str, words)])


@pytest.fixture
def photo(tmp_path: Path, scene: Any) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(scene(1).encoded)
    path.with_suffix(".txt").write_text("0 0.375 0.4375 0.25 0.375\n\n1 0.5 0.5 0.1 0.1 0.93\n")
    return path


def test_the_shipped_recipes_are_listed_with_what_they_make() -> None:
    listed = _run("list")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in shipped())
    described = json.loads(_run("list", "--json").stdout)["recipes"]
    assert [one["name"] for one in described] == list(shipped())
    assert described[0]["digest"] == load_recipe("default").digest
    assert described[0]["variants"] == 7


def test_a_recipe_that_is_shown_can_be_kept_and_checked(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(_run("show", "weather").stdout)
    checked = _run("check", mine)
    assert checked.exit_code == 0
    assert load_recipe("weather").digest in checked.stdout
    assert "9 variants besides the original" in checked.stdout
    told = json.loads(_run("check", mine, "--json").stdout)
    assert told["ok"] is True
    assert told["follow_modes"] is True


def test_the_faults_of_a_recipe_are_told_with_their_lines(tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(FAULTY + "colour: red\n")
    checked = _run("check", faulty)
    assert checked.exit_code == 1
    assert f"{faulty}:3: variants.0.transforms.0.flip.p: must be less than or equal to 1, not 7" in checked.stderr
    assert f"{faulty}:4: colour: there is no such field" in checked.stderr
    told = _run("check", faulty, "--json")
    assert told.exit_code == 1
    assert len(json.loads(told.stdout)["faults"]) == 2


def test_the_schema_for_editors_is_printed() -> None:
    assert json.loads(_run("schema").stdout) == recipe_schema()


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_recipe_that_is_not_there_is_named_with_those_that_are(command: str) -> None:
    told = _run(command, "nosuch")
    assert told.exit_code == 1
    assert "no recipe 'nosuch'" in told.stderr
    assert "default" in told.stderr


def test_a_preview_shows_the_original_and_what_the_augmenter_makes_of_it(photo: Path, tmp_path: Path) -> None:
    """The sheet has a green rectangle for each picture that shows one."""
    out = tmp_path / "sheet.png"
    told = _run("preview", photo, "--labels", photo.with_suffix(".txt"), "--recipe", "geometry", "--out", out, "--json")
    assert told.exit_code == 0, told.stderr
    counts = json.loads(told.stdout)["boxes"]
    assert counts[0] == 2
    assert len(counts) == 8
    sheet = np.asarray(Image.open(out).convert("RGB")).astype(int)
    green = (sheet[..., 1] > 150) & (sheet[..., 0] < 110) & (sheet[..., 2] < 110)
    cleaned = cv2.morphologyEx(green.astype(np.uint8), cv2.MORPH_OPEN, np.ones((15, 15), np.uint8))
    parts = cv2.connectedComponents(cv2.dilate(cleaned, np.ones((25, 25), np.uint8)))[0] - 1  # rejoined under a frame
    assert parts == 8


def test_a_preview_is_of_the_very_variants_that_the_augmenter_makes(photo: Path, scene: Any) -> None:
    drawn, recipe = scene(1), load_recipe("weather")
    made = preview(drawn.encoded, drawn.shapes, recipe)
    assert made.variants == render(drawn.encoded, drawn.image, drawn.shapes, recipe, {}).variants


def test_classes_follow_the_weather_in_a_preview_that_knows_their_names(photo: Path, scene: Any) -> None:
    drawn, recipe = scene(1), load_recipe("weather")
    made = preview(drawn.encoded, drawn.shapes, recipe, load_named_schema("azaion"))
    modes = [group.mode for group in recipe.variants for _ in range(group.count)]
    plain = drawn.shapes[0].class_id
    expected = {None: plain, "Wint": plain + 20, "Night": plain + 40}
    assert {
        mode: box.class_id for mode, one in zip(modes, made.variants, strict=True) for box in one.shapes
    } == expected


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("0 0.5 0.5\n", "labels.txt:1: a line is `class x y w h`"),
        ("0 0.5 0.5 0.1 0.1\nTruck 0 0 0 0\n", "labels.txt:2: a line is `class x y w h`"),
        ("0 50 50 10 10\n", "labels.txt:1: the box leaves the image"),
        ("0 nan 0.5 0.1 0.1\n", "labels.txt:1: the box leaves the image"),
        ("99 0.5 0.5 0.1 0.1\n", "none is 99"),
    ],
)
def test_labels_that_are_none_are_refused_with_their_line(photo: Path, tmp_path: Path, labels: str, said: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_text(labels)
    told = _run("preview", photo, "--labels", file, "--classes", "azaion", "--out", tmp_path / "sheet.jpg")
    assert told.exit_code == 1
    assert said in told.stderr


def test_what_can_t_be_read_or_written_is_said_plainly(photo: Path, tmp_path: Path) -> None:
    text, torn = photo.with_suffix(".txt"), tmp_path / "torn.png"
    Image.effect_noise((64, 64), 50).save(torn)
    torn.write_bytes(torn.read_bytes()[:2000])
    for words, said in (
        ((text, "--out", tmp_path / "s.jpg"), "photo.txt can't be used: it is no image that can be decoded"),
        ((torn, "--out", tmp_path / "s.jpg"), "torn.png can't be used: it can't be decoded"),
        ((tmp_path / "nosuch.jpg", "--out", tmp_path / "s.jpg"), "nosuch.jpg can't be read: No such file"),
        ((tmp_path, "--out", tmp_path / "s.jpg"), "can't be read: Is a directory"),
        ((photo, "--out", tmp_path / "no" / "s.jpg"), "s.jpg can't be written: there is no folder"),
        ((photo, "--out", tmp_path / "sheet"), "has no ending"),
        ((photo, "--out", tmp_path / "sheet.nosuch"), "can't be written"),
        (
            (photo, "--labels", tmp_path / "nosuch.txt", "--out", tmp_path / "s.jpg"),
            "nosuch.txt can't be read: No such file",
        ),
        ((photo, "--classes", "nosuch", "--out", tmp_path / "s.jpg"), "no class schema 'nosuch'"),
    ):
        told = _run("preview", *words)
        assert told.exit_code == 1
        assert said in " ".join(told.stderr.split())
        assert "Traceback" not in told.stderr


def test_a_preview_that_knows_the_names_has_a_legend_of_the_classes_that_it_shows(scene: Any) -> None:
    drawn, recipe, schema = scene(1), load_recipe("weather"), load_named_schema("azaion")
    bare, named = (preview(drawn.encoded, drawn.shapes, recipe, one) for one in (None, schema))
    assert named.sheet.width == bare.sheet.width
    legend = np.asarray(named.sheet)[bare.sheet.height :]
    plain = drawn.shapes[0].class_id
    for class_id in (plain, plain + 20, plain + 40):
        assert (legend == colour_of(class_id)).all(axis=-1).sum() > 100, schema.classes[class_id]
    assert not (legend == colour_of(plain + 1)).all(axis=-1).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nvariants:\n  - count: 1\n    mode: Wint\n", ":4: variants.0.mode: the mode 'Wint' has no effect"),
        ("name: x\nvariants: []\nfollow_modes: true\n", ":3: follow_modes: follow_modes has no effect"),
        ("name: x\nvariants:\n  - {count: 60}\n  - {count: 60}\n", ":2: variants: 120 variants are too many"),
    ],
    ids=["mode", "follow_modes", "too many"],
)
def test_a_fault_of_the_whole_is_told_with_the_line_that_makes_it(tmp_path: Path, text: str, said: str) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(text)
    assert f"{faulty}{said}" in json.loads(_run("check", faulty, "--json").stdout)["faults"][0]
