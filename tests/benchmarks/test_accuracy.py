from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.accuracy import Mean, arms, figures
from benchmarks.photographs import Photographs
from PIL import Image

from augmenter.recipe import load_recipe as load_variants
from trainer.recipe import load_recipe

SPLITS = {"train": ("a", "b"), "val": ("c",), "test": ("d",)}


def drawn(tint: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (tint, 90, 90)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Return a PASCAL VOC folder of four photographs with a box each, and a box without area."""
    root = tmp_path / "photographs"
    for name in ("Annotations", "JPEGImages", "splits"):
        (root / name).mkdir(parents=True)
    corners = "<xmin>{}</xmin><ymin>12</ymin><xmax>48</xmax><ymax>36</ymax>"
    box = f"<object><name>cell</name><bndbox>{corners}</bndbox></object>"
    for split, names in SPLITS.items():
        (root / "splits" / f"{split}.txt").write_text("\n".join(names))
        for name in names:
            (root / "JPEGImages" / f"{name}.jpg").write_bytes(drawn(ord(name)))
            size = "<size><width>64</width><height>48</height></size>"
            (root / "Annotations" / f"{name}.xml").write_text(
                f"<annotation>{size}{box.format(16)}{box.format(48)}</annotation>"
            )
    return root


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_training_images_get_variants_and_boxes_without_area_are_left_out(
    photographs: Path, tmp_path: Path
) -> None:
    folder = Photographs.of(photographs).write(tmp_path / "out", load_variants("default"))
    assert files(folder / "train" / "images") == {
        f"{name}{number}.jpg" for name in "ab" for number in ("", *(f"_{n}" for n in range(1, 8)))
    }
    assert files(folder / "val" / "images") == {"c.jpg"}
    assert files(folder / "test" / "images") == {"d.jpg"}
    assert (folder / "train" / "images" / "a.jpg").read_bytes() == drawn(ord("a"))
    assert (folder / "train" / "labels" / "a.txt").read_text() == "0 0.5 0.5 0.5 0.5\n"
    assert len((folder / "train" / "labels" / "a_1.txt").read_text().split()) == 5


def test_the_variants_are_the_same_each_time(photographs: Path, tmp_path: Path) -> None:
    first, again = (
        Photographs.of(photographs).write(tmp_path / name, load_variants("default")) for name in ("first", "again")
    )
    for path in (first / "train").rglob("*.*"):
        assert (again / path.relative_to(first)).read_bytes() == path.read_bytes()


def test_photographs_without_published_splits_are_refused(photographs: Path) -> None:
    (photographs / "splits" / "test.txt").unlink()
    with pytest.raises(ValueError, match=r"no image of .* is in the split test: put lists in"):
        Photographs.of(photographs)


def test_every_arm_sees_as_many_images_and_warms_up_for_as_many(photographs: Path, tmp_path: Path) -> None:
    made = arms(Photographs.of(photographs), load_recipe("photos"), tmp_path / "out")
    passed = [len(files(arm.data / "train" / "images")) for arm in made]
    assert len({one * arm.recipe.epochs for one, arm in zip(passed, made, strict=True)}) == 1
    assert [one * arm.recipe.warmup_epochs for one, arm in zip(passed, made, strict=True)] == pytest.approx(
        [passed[0] * made[0].recipe.warmup_epochs] * len(made)
    )
    variants, alone, *_ = (replace(arm, data=tmp_path) for arm in made)
    assert alone.recipe.on_the_fly == variants.recipe.on_the_fly


def test_a_mean_lies_where_students_t_says() -> None:
    mean = Mean.of([86.0, 87.0, 88.0])
    assert (mean.value, mean.deviation) == (87.0, 1.0)
    assert (mean.low, mean.high) == pytest.approx((87 - 4.3027 / 3**0.5, 87 + 4.3027 / 3**0.5), abs=1e-3)


async def test_without_photographs_it_says_how_to_name_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA", raising=False)
    with pytest.raises(SystemExit, match="DATA=<folder>"):
        await figures(tmp_path)
