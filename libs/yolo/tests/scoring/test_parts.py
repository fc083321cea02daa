"""Slices, confusion and example images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from labelstream_yolo.scoring import values
from labelstream_yolo.scoring.examples import BEST, WORST
from labelstream_yolo.scoring.measuring import measured
from labelstream_yolo.scoring.slicing import LEAST_IMAGES, MOST_SOURCES

from .drawn import NAMES, found, image, imagined, pictures, split_of

HERE, THERE, ELSEWHERE = (0, 0, 100, 100), (200, 200, 300, 300), (400, 400, 500, 500)
IN_WINTER = ("Truck", "Car", "Truck(Wint)", "Car (wint)", "Car(Night)")


def scored(*pictures: tuple, names: tuple[str, ...] = NAMES) -> values.Tested:
    return measured("test", names, [picture for picture, _ in pictures], [some for _, some in pictures], resamples=20)


def by(said: values.Evaluation, kind: str) -> dict[str, values.SliceScore]:
    return {some.name: some for some in said.slices if some.by == kind}


def test_the_sizes_are_cocos_and_their_boxes_make_up_the_whole():
    images, detections = imagined(80, seed=5)
    said = measured("test", NAMES, images, detections, resamples=20).model
    sizes = by(said, "size")
    assert list(sizes) == ["small", "medium", "large"]
    assert sum(some.boxes for some in sizes.values()) == said.score.boxes


def test_a_large_box_that_was_missed_is_no_matter_of_the_small_ones():
    sizes = by(scored((image((0, (0, 0, 20, 20)), (0, THERE)), found((0, (0, 0, 20, 20), 0.9)))).model, "size")
    assert (sizes["small"].map50, sizes["small"].recall) == (1, 1)
    assert (sizes["large"].map50, sizes["large"].recall) == (0, 0)
    assert "medium" not in sizes


def test_the_modes_of_the_class_names_are_slices_and_their_boxes_make_up_the_whole():
    boxes = [(0, HERE), (1, THERE), (2, ELSEWHERE)]
    others = [(3, HERE), (4, THERE), (4, ELSEWHERE)]
    said = scored(
        (image(*boxes, name="a.jpg"), found((0, HERE, 0.9), (1, THERE, 0.9))),
        (image(*others, name="b.jpg"), found((3, HERE, 0.9))),
        names=IN_WINTER,
    ).model
    modes = by(said, "mode")
    assert {name: (some.boxes, some.images) for name, some in modes.items()} == {
        "normal": (2, 1),
        "night": (2, 1),
        "wint": (2, 2),
    }
    assert next(iter(modes)) == "normal"
    assert (modes["normal"].map50, modes["wint"].map50, modes["night"].map50) == (1, 0.5, 0)


def test_class_names_without_modes_make_no_mode_slices():
    assert by(scored((image((0, HERE)), found())).model, "mode") == {}


def test_a_slice_of_a_medium_is_what_its_images_alone_would_score():
    images, detections = imagined(60, seed=6, media=3)
    said = measured("test", NAMES, images, detections, resamples=20).model
    sources = by(said, "source")
    assert sorted(sources) == ["film-0", "film-1", "film-2"]
    assert sum(some.boxes for some in sources.values()) == said.score.boxes
    alone = measured("test", NAMES, images[1::3], detections[1::3], resamples=20).model.score
    assert sources["film-1"].images == 20
    assert sources["film-1"].map50 == pytest.approx(alone.map50)
    assert sources["film-1"].map50_95 == pytest.approx(alone.map50_95)


def test_only_the_largest_media_with_enough_images_are_slices():
    few = [(image((0, HERE), name=f"few-{n}.jpg", medium="few"), found()) for n in range(LEAST_IMAGES - 1)]
    enough = [
        (image((0, HERE), name=f"{medium}-{n}.jpg", medium=f"film-{medium}"), found())
        for medium in range(MOST_SOURCES + 2)
        for n in range(LEAST_IMAGES + (medium > 3))
    ]
    unknown = [(image((0, HERE), name=f"unknown-{n}.jpg"), found()) for n in range(LEAST_IMAGES)]
    sources = by(scored(*few, *enough, *unknown).model, "source")
    assert len(sources) == MOST_SOURCES
    assert next(iter(sources)) == "film-4"
    assert not {"few", "", "film-2", "film-3"} & set(sources)


@given(pictures)
@settings(max_examples=50)
def test_each_true_box_stands_once_in_the_confusion_matrix_and_so_does_each_sure_detection(drawn):
    images, detections = split_of(drawn)
    said = measured("test", NAMES, images, detections, resamples=2).model
    counts = np.array(said.confusion.counts)
    true = np.concatenate([some.class_ids for some in images])
    sure = np.concatenate([some.class_ids[some.confidences >= said.confidence] for some in detections])
    assert counts[:-1].sum(axis=1).tolist() == np.bincount(true, minlength=len(NAMES)).tolist()
    assert counts[:, :-1].sum(axis=0).tolist() == np.bincount(sure, minlength=len(NAMES)).tolist()
    assert counts[-1, -1] == 0
    for class_id, score in enumerate(said.classes):
        if score.recall is not None:
            assert counts[class_id, class_id] == pytest.approx(score.recall * score.boxes)


def test_the_confusion_matrix_says_who_was_taken_for_whom():
    pictures = image((0, HERE), (1, THERE), (2, ELSEWHERE))
    said = scored((pictures, found((0, HERE, 0.9), (2, THERE, 0.9), (2, (0, 300, 90, 390), 0.9)))).model
    assert said.confusion.names == NAMES
    assert said.confusion.counts == (
        (1, 0, 0, 0),
        (0, 0, 1, 0),  # the bus was taken for a van
        (0, 0, 0, 1),  # the van was missed
        (0, 0, 1, 0),  # a van where nothing is
    )


def test_a_box_found_as_what_it_is_and_as_something_else_is_counted_as_what_it_is():
    said = scored((image((0, HERE)), found((1, HERE, 0.95), (0, HERE, 0.9)))).model
    assert said.confusion.counts[0] == (1, 0, 0, 0)
    assert said.confusion.counts[3] == (0, 1, 0, 0)


def test_the_best_and_the_worst_images_are_shown_once_each_sorted_from_the_best():
    images, detections = imagined(80, seed=8)
    shown = measured("test", NAMES, images, detections, resamples=2).images
    assert len({result.image for result in shown}) == len(shown) == BEST + WORST
    quality = [result.quality for result in shown]
    assert quality == sorted(quality, reverse=True)
    assert len(scored((image((0, HERE)), found())).images) == 1


def test_a_shown_image_says_where_its_boxes_are_and_which_were_met():
    picture = image((0, HERE), (1, THERE), side=1000)
    close = (0, 0, 100, 80)
    (result,) = scored((picture, found((0, close, 0.9), (2, ELSEWHERE, 0.9), (1, ELSEWHERE, 0.001)))).images
    assert [(some.class_id, some.corners, some.hit, some.confidence) for some in result.truths] == [
        (0, (0, 0, 0.1, 0.1), True, None),
        (1, (0.2, 0.2, 0.3, 0.3), False, None),
    ]
    assert [(some.class_id, some.corners, some.hit) for some in result.boxes] == [
        (0, (0, 0, 0.1, 0.08), True),
        (2, (0.4, 0.4, 0.5, 0.5), False),
    ]
    assert result.quality == pytest.approx(2 * 0.8 / 4)


def test_an_image_with_nothing_in_it_where_nothing_was_found_is_a_good_one():
    shown = scored((image((0, HERE), name="a.jpg"), found((0, HERE, 0.9))), (image(name="b.jpg"), found())).images
    assert [(some.image, some.quality) for some in shown] == [("a.jpg", 1), ("b.jpg", 1)]
