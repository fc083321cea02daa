"""The drawn scenes."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from labelstream_cli.demo.plan import RATIOS
from labelstream_cli.importers import read_folder
from labelstream_cli.scenes.clips import SIDE, draw_clip
from labelstream_cli.scenes.folder import CLIPS, SEED, draw_scenes
from labelstream_cli.scenes.ground import FINER, fill
from labelstream_cli.scenes.silhouettes import CLASSES, SILHOUETTES
from labelstream_cli.scenes.weather import WEATHERS
from labelstream_datasets.splits import Ratios, split_of


def test_the_same_seed_draws_the_same_frames_and_another_seed_others() -> None:
    first, again, other = (list(draw_clip(seed, 3)) for seed in (7, 7, 8))

    assert all(np.array_equal(a.picture, b.picture) and a.things == b.things for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].picture, other[0].picture)


def test_frames_of_a_clip_resemble_each_other_more_than_frames_of_others() -> None:
    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a.astype(float) - b.astype(float)).mean())

    weathers = len(WEATHERS)
    one, other = (list(draw_clip(1, number)) for number in (0, weathers))  # of the same weather

    assert 2 <= len(one) <= 3
    assert distance(one[0].picture, one[1].picture) < distance(one[0].picture, other[0].picture)


@pytest.mark.parametrize("name", CLASSES)
def test_a_box_touches_its_thing_on_all_four_sides(name: str) -> None:
    parts = SILHOUETTES[name](np.random.default_rng(5), (200.0, 200.0, 200.0))
    corners = np.concatenate([part.outline for part in parts]) + SIDE / 2
    mask = np.zeros((SIDE * FINER, SIDE * FINER), np.uint8)
    for part in parts:
        fill(mask, part.outline + SIDE / 2, 255)
    rows, columns = np.nonzero(mask)

    drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / FINER

    assert np.abs(drawn - [*corners.min(axis=0), *corners.max(axis=0)]).max() <= 1.0


def test_every_thing_is_large_enough_and_inside_the_picture() -> None:
    for number in range(12):
        for frame in draw_clip(SEED, number):
            assert frame.picture.shape == (SIDE, SIDE, 3)
            assert 1 <= len(frame.things) <= 4
            for thing in frame.things:
                assert 0 <= thing.x1 < thing.x2 <= SIDE
                assert 0 <= thing.y1 < thing.y2 <= SIDE
                assert min(thing.x2 - thing.x1, thing.y2 - thing.y1) >= 11


def test_the_scenes_are_a_yolo_folder_that_knows_its_media(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    count = draw_scenes(tmp_path / "scenes", clips=5, told=lambda done, whole: told.append((done, whole)))
    folder = read_folder(tmp_path / "scenes")

    assert (folder.form, folder.classes, len(folder), folder.problems) == ("YOLO", CLASSES, count, ())
    assert {one.medium for one in folder} == {f"clip-{number:04d}" for number in range(5)}
    assert told[-1] == (5, 5)
    drawn = [thing.name for number in range(5) for frame in draw_clip(SEED, number) for thing in frame.things]
    assert Counter(box.name for one in folder for box in one.boxes) == Counter(drawn)


def test_shuffled_classes_keep_the_boxes_and_the_numbers_but_not_the_meaning(tmp_path: Path) -> None:
    draw_scenes(tmp_path / "true", clips=6)
    draw_scenes(tmp_path / "dealt", clips=6, shuffle_classes=True)
    draw_scenes(tmp_path / "again", clips=6, shuffle_classes=True)
    true, dealt, again = (read_folder(tmp_path / name) for name in ("true", "dealt", "again"))

    def places(folder: object) -> list[tuple[float, ...]]:
        return [(b.x, b.y, b.w, b.h) for one in folder for b in one.boxes]  # type: ignore[attr-defined]

    def names(folder: object) -> list[str]:
        return [b.name for one in folder for b in one.boxes]  # type: ignore[attr-defined]

    assert places(dealt) == places(true)
    assert names(dealt) == names(again)
    assert Counter(names(dealt)) == Counter(names(true))
    assert sum(a != b for a, b in zip(names(dealt), names(true), strict=True)) > len(names(true)) / 2


def test_enough_clips_fall_into_the_test_split() -> None:
    """Three frames a clip are the fewest; the demonstration promises 60 test images."""
    train, val, test = RATIOS
    ratios = Ratios(train=train, val=val, test=test)

    splits = Counter(split_of("default", f"clip-{number:04d}", "labelstream", ratios) for number in range(CLIPS))
    frames = sum(
        len(list(draw_clip(SEED, number)))
        for number in range(CLIPS)
        if split_of("default", f"clip-{number:04d}", "labelstream", ratios) == "test"
    )

    assert frames >= 60
    assert splits["val"] >= 10
