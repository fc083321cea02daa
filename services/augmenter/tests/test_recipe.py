from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from augmenter import recipe as module
from augmenter.recipe import Recipe, load_recipe, parse_recipe, recipe_text, shipped
from augmenter.recipe_schema import recipe_schema, schema_text
from augmenter.transforms import KINDS, kind_of
from labelstream.errors import Misconfigured

DOCS = Path(__file__).parents[3] / "docs"
FLIP = "variants: [{count: 1, transforms: [{kind: flip, p: 1}]}]\n"


def test_the_default_recipe_makes_an_original_and_seven_variants() -> None:
    recipe = load_recipe("default")
    assert recipe.count == 7
    assert not recipe.follow_modes
    (group,) = recipe.variants
    assert {t.kind: t.p for t in group.transforms} == {
        "flip": 0.6,
        "brightness_contrast": 0.4,
        "affine": 0.8,
        "motion_blur": 0.1,
        "hue_saturation": 0.4,
    }


def test_every_shipped_recipe_goes_by_the_name_of_its_file() -> None:
    assert shipped()[0] == "default"
    assert {"default", "weather", "geometry", "aerial", "none"} <= set(shipped())
    assert [load_recipe(name).name for name in shipped()] == list(shipped())
    assert all(load_recipe(name).description for name in shipped())


def test_the_variants_of_all_groups_are_counted() -> None:
    assert load_recipe("none").count == 0
    weather = load_recipe("weather")
    assert weather.count == sum(group.count for group in weather.variants) == 9
    assert {group.mode for group in weather.variants} == {None, "Wint", "Night"}


def _transforms(text: str) -> str:
    return f"name: x\nvariants:\n  - count: 1\n    transforms:\n{text}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            _transforms("      - {kind: flip, p: 2}\n"),
            "r.yaml:5: variants.0.transforms.0.flip.p: must be less than or equal to 1, not 2",
        ),
        (
            _transforms("      - {kind: flip, p: '1'}\n"),
            "r.yaml:5: variants.0.transforms.0.flip.p: must be a valid number, not '1'",
        ),
        (_transforms("      - {kind: flip, p: .nan}\n"), "r.yaml:5: variants.0.transforms.0.flip.p: must be"),
        (_transforms("      - {kind: flip}\n"), "r.yaml:5: variants.0.transforms.0.flip.p: is missing"),
        (
            _transforms("      - kind: affine\n        p: 1\n        scale: [2, 1]\n"),
            "r.yaml:7: variants.0.transforms.0.affine.scale: must be a range, the smaller first: [1, 2]",
        ),
        (
            _transforms("      - kind: affine\n        p: 1\n        scale: [1]\n"),
            "r.yaml:7: variants.0.transforms.0.affine.scale.1: is missing: a range is [least, most]",
        ),
        (
            _transforms("      - {kind: affine, p: 1, scale: 2}\n"),
            "r.yaml:5: variants.0.transforms.0.affine.scale: must be a list, not 2",
        ),
        (
            _transforms("      - {kind: affine, p: 1, boxes_around: hull}\n"),
            "must be 'ellipse' or 'corners', not 'hull'",
        ),
        (
            _transforms("      - {kind: motion_blur, p: 1, pixels: [3, 6]}\n"),
            "r.yaml:5: variants.0.transforms.0.motion_blur.pixels: must be odd numbers",
        ),
        (
            _transforms("      - {kind: flip, p: 1}\n      - {kind: sleet, p: 1}\n"),
            "r.yaml:6: variants.0.transforms.1: there is no kind 'sleet'; there are flip, affine, ",
        ),
        (
            _transforms("      - {p: 1}\n"),
            "r.yaml:5: variants.0.transforms.0: a transform is a mapping that says its kind",
        ),
        (
            _transforms("      - flip\n"),
            "r.yaml:5: variants.0.transforms.0: must be a mapping, not 'flip'",
        ),
        (
            _transforms("      - {kind: affine, p: 1, rotate: 5}\n"),
            "r.yaml:5: variants.0.transforms.0.affine.rotate: there is no such field; did you mean rotate_deg?",
        ),
        (
            "name: x\nvariants:\n  - cuont: 3\n",
            "r.yaml:3: variants.0.cuont: there is no such field; did you mean count?",
        ),
        ("name: x\nvariants:\n  - count: 0\n", "r.yaml:3: variants.0.count: must be greater than or equal to 1, not 0"),
        ("name: x\nvariants:\n  - count: 1.5\n", "r.yaml:3: variants.0.count: must be a valid integer, not 1.5"),
        ("name: x\nvariants:\n  - count: true\n", "r.yaml:3: variants.0.count: must be a valid integer, not True"),
        ("name: x\nvariants:\n  - 3\n", "r.yaml:3: variants.0: must be a mapping, not 3"),
        ("name: x\nvariants: 7\n", "r.yaml:2: variants: must be a list, not 7"),
        ("name: x\nvariants:\n", "r.yaml:2: variants: must be a list, not None"),
        ("name: x\n" + FLIP + "variant: 3\n", "r.yaml:3: variant: there is no such field; did you mean variants?"),
        (
            "name: x\n" + FLIP + "jpeg_quality: 101\n",
            "r.yaml:3: jpeg_quality: must be less than or equal to 100, not 101",
        ),
        ("name: x\n" + FLIP + "jpeg_subsampling: 411\n", "jpeg_subsampling: must be 444, 422 or 420, not 411"),
        ("name: x\n" + FLIP + "follow_modes: maybe\n", "r.yaml:3: follow_modes: must be a valid boolean, not 'maybe'"),
        ("name: 5\n" + FLIP, "r.yaml:1: name: must be a valid string, not 5"),
        (FLIP, "r.yaml:1: name: is missing"),
        ("name: x\n", "r.yaml:1: variants: is missing"),
        ("name: x\nname: y\n" + FLIP, "r.yaml:2: name: stands twice"),
        (_transforms("      - {kind: flip, p: 1, p: 0}\n"), "r.yaml:5: p: stands twice"),
        ("name: x\nvariants:\n  - {count: 1, mode: Wint}\n", "the mode 'Wint' has no effect: add `follow_modes: true`"),
        ("name: x\nfollow_modes: true\n" + FLIP, "follow_modes has no effect: no group of variants has a mode"),
        ("name: x\nvariants: [{count: 60}, {count: 40}]\n", "100 variants are too many: at most 99"),
        ("name: x\n : [\n", "r.yaml:2: this is not YAML"),
        ("name: \x00\n", "r.yaml:1: this is not YAML"),
        ("name: 2020-13-45\n", "r.yaml:1: this is not YAML: month must be in 1..12"),
        ("name: !!python/name:os.system\n", "r.yaml:1: this is not YAML"),
        ("- flip\n", "r.yaml:1: a recipe is a mapping with name and variants; here is a list"),
        ("7\n", "r.yaml:1: a recipe is a mapping with name and variants; here is a int"),
        ("", "r.yaml:1: a recipe is a mapping with name and variants; here is nothing"),
    ],
)
def test_a_fault_in_a_recipe_is_named_with_file_line_field_value_and_what_would_do(text: str, said: str) -> None:
    with pytest.raises(Misconfigured) as error:
        parse_recipe(text, "r.yaml")
    assert said in str(error.value)


def test_all_faults_are_said_at_once() -> None:
    text = "nam: x\njpeg_quality: 0\nvariants:\n  - count: 2\n    transforms: [{kind: flip, p: 7}]\n"
    with pytest.raises(Misconfigured) as error:
        parse_recipe(text, "r.yaml")
    lines = sorted(line.split(":")[1] for line in str(error.value).splitlines())
    assert lines == ["1", "1", "2", "5"]  # the unknown key, the missing name, the quality, the probability


@given(
    st.text(max_size=60) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(yaml.dump)
)
def test_whatever_a_file_says_is_read_or_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"r\.yaml:"):
        parse_recipe(text, "r.yaml")


def test_an_alias_that_leads_to_itself_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"r\.yaml:"):
        parse_recipe("name: x\nvariants: &again [*again]\n", "r.yaml")


def test_a_recipe_that_is_not_there_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no recipe 'nosuch': name a \.yaml file, or one of default, aerial"):
        load_recipe("nosuch")
    with pytest.raises(Misconfigured, match=r"nosuch\.yaml can't be read"):
        load_recipe("nosuch.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Misconfigured, match="not UTF-8"):
        load_recipe(str(tmp_path / "binary.yaml"))


def test_a_recipe_can_begin_as_a_copy_of_a_shipped_one(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    for name in shipped():
        copy.write_text(recipe_text(name))
        assert load_recipe(str(copy)).digest == load_recipe(name).digest


def test_the_digest_follows_the_content_the_code_and_the_library_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "name: x\n" + FLIP
    before = parse_recipe(text, "a").digest
    assert parse_recipe("# said otherwise\n" + text + "description: a flip\n", "b").digest == before
    assert parse_recipe(text.replace("p: 1", "p: 1.0") + "jpeg_quality: 92\nmin_box_side: 0\n", "c").digest == before
    assert parse_recipe(text.replace("p: 1", "p: 0.6"), "a").digest != before
    assert parse_recipe(text + "min_box_visible: 0.2\n", "a").digest != before
    monkeypatch.setattr(module, "PIXELS", module.PIXELS + 1)
    assert parse_recipe(text, "a").digest != before
    monkeypatch.undo()
    monkeypatch.setattr("augmenter.recipe.metadata.version", lambda _: "99")
    assert parse_recipe(text, "a").digest != before


def test_a_recipe_is_read_without_opencv_and_rendered_without_torch() -> None:
    """The service's parent process reads recipes; its workers hold no more memory than they need."""
    script = "import sys, augmenter.{0}; sys.exit(sum(name in sys.modules for name in {1}))"
    for module_name, unwanted in (("recipe", ("cv2", "albumentations", "torch")), ("render", ("torch",))):
        subprocess.run([sys.executable, "-c", script.format(module_name, unwanted)], check=True, timeout=60)


def test_a_default_that_is_written_out_means_the_same() -> None:
    for kind in KINDS:
        short = {"kind": kind_of(kind), "p": 1}
        long = yaml.safe_load(kind.model_validate(short).model_dump_json())
        digests = {
            Recipe.model_validate({"name": "x", "variants": [{"count": 1, "transforms": [one]}]}).digest
            for one in (short, long)
        }
        assert len(digests) == 1


def test_the_schema_in_the_docs_is_that_of_the_models() -> None:
    assert (DOCS / "recipe.schema.json").read_text() == schema_text(), "run `make docs`"


def test_the_schema_knows_every_field_of_every_kind() -> None:
    kinds = recipe_schema()["$defs"]["Group"]["properties"]["transforms"]["items"]["discriminator"]["mapping"]
    assert sorted(kinds) == sorted(kind_of(kind) for kind in KINDS)
    for kind in KINDS:
        described = recipe_schema()["$defs"][kind.__name__]
        assert set(described["properties"]) == set(kind.model_fields)
        assert described["additionalProperties"] is False
