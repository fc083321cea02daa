from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from labelstream.classes import ClassSchema
from labelstream.events.annotation import ImageRef
from labelstream.labels import Box
from labelstream.values import Position, Split, sha256_hex
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.statistics import Original, Statistics, measure
from labelstream_datasets.statistics.page import page

CLASSES = ("car", "truck", "person")


def original(number: int, split: Split, shapes: Sequence[Box], *, medium: str = "", size: int = 640) -> Original:
    digest = sha256_hex(f"{number}".encode())
    row = Row(
        image=digest,
        labels="b" * 64,
        recipe="a" * 64,
        variant=0,
        split=split,
        name=f"n{number}",
        medium=medium or f"m{number}",
        archive="default/archives/a.tar",
        archive_sha256="c" * 64,
        archive_bytes=1,
        path=f"{number}_0.jpg",
        boxes=len(shapes),
        sha256="d" * 64,
        phash=digest[:16],
    )
    image = ImageRef(key="k.jpg", sha256=digest, size_bytes=1000, format="jpeg", width=size, height=size)
    return Original(row, shapes, image if size else None)


def box(class_id: int = 0, side: float = 0.2, x: float = 0.5, y: float = 0.5) -> Box:
    return Box(class_id=class_id, x=x, y=y, w=side, h=side)


def measured(
    originals: Sequence[Original],
    variants: Sequence[Row] = (),
    names: tuple[str, ...] = CLASSES,
    erased: int = 0,
    **described: Any,
) -> Statistics:
    """Measure a dataset; the boxes of the first `erased` images are not to be had any more."""
    manifest = Manifest.of([*(one.row for one in originals), *variants])
    description = DatasetDescription(
        id=manifest.id,
        project="default",
        cut=Position(stream="annotation-events", offset=9),
        class_schema=ClassSchema(name="x", classes=names),
        recipe="a" * 64,
        counts={},
        **described,
    )
    return measure(description, manifest, originals[erased:])


def said(statistics: Statistics, rule: str) -> str:
    return next(finding.text for finding in statistics.findings if finding.rule == rule)


def rules_of(statistics: Statistics) -> list[str]:
    return [finding.rule for finding in statistics.findings]


def healthy(number: int = 200) -> list[Original]:
    """Images of which every class has enough in every split."""
    splits: Sequence[Split] = ("train",) * 7 + ("val",) * 2 + ("test",)
    return [original(n, splits[n % 10], [box(c) for c in range(3)]) for n in range(number)]


def test_images_boxes_and_samples_are_counted_for_each_class_and_split() -> None:
    one, two = original(1, "train", [box(0), box(0), box(1)]), original(2, "test", [box(1)])
    variants = [one.row._replace(variant=n, boxes=2) for n in (1, 2)]
    statistics = measured([one, two, original(3, "test", [])], variants)
    assert statistics.splits["train"].model_dump(include={"images", "samples", "boxes", "without_boxes"}) == {
        "images": 1,
        "samples": 3,
        "boxes": 3,
        "without_boxes": 0,
    }
    assert (statistics.splits["test"].images, statistics.splits["test"].without_boxes) == (2, 1)
    car, truck, person = statistics.classes
    assert (car.count("train").images, car.count("train").boxes, car.count("train").samples) == (1, 2, 3)
    assert (truck.boxes, truck.count("test").images, truck.media) == (2, 1, 2)
    assert (person.images, person.median_side) == (0, None)
    assert [(v.variant, v.samples, v.boxes, v.of, v.emptied) for v in statistics.variants] == [
        (1, 1, 2, 3, 0),
        (2, 1, 2, 3, 0),
    ]


def test_boxes_are_measured_in_the_images_pixels_and_in_trainings() -> None:
    images = [original(1, "train", [box(side=0.02), box(side=0.2)], size=1920), original(2, "train", [box()], size=0)]
    boxes = measured(images).boxes
    assert boxes.sizes == {"small": 0, "medium": 1, "large": 1}  # 38 and 384 pixels
    assert boxes.sizes_at == {"small": 1, "medium": 0, "large": 2}  # 13, 128 and 128 pixels
    assert boxes.fractions == {"small": 1, "medium": 0, "large": 2}
    assert (boxes.unknown_size, boxes.tiny) == (1, 0)


def test_a_wide_box_is_wide_in_pixels_not_in_fractions() -> None:
    wide = original(1, "train", [Box(class_id=0, x=0.5, y=0.5, w=0.5, h=0.5)])
    assert wide.image is not None
    aspects = measured(
        [wide._replace(image=wide.image.model_copy(update={"width": 1280, "height": 320}))]
    ).boxes.aspects
    at = aspects.counts.index(1)
    assert aspects.edges[at] <= 4 <= aspects.edges[at + 1]


def test_positions_and_boxes_on_an_image_are_counted_where_they_are() -> None:
    boxes = measured([original(1, "train", [box(x=0.99, y=0.01), box(x=1.0, y=0.0)]), original(2, "train", [])]).boxes
    assert boxes.centres[0][-1] == 2
    assert sum(map(sum, boxes.centres)) == 2
    assert boxes.per_image.counts[:3] == (1, 0, 1)


def test_sources_are_listed_by_their_images() -> None:
    images = [original(n, "train", [box()], medium="film" if n < 6 else f"photo {n}") for n in range(10)]
    sources = measured(images).sources
    assert (sources.media, sources.half, sources.top[0].medium, sources.top[0].images) == (5, 1, "film", 6)
    assert sources.top[0].boxes == 6


def test_a_healthy_dataset_is_warned_of_nothing_but_its_size() -> None:
    statistics = measured(healthy())
    assert [finding for finding in statistics.findings if finding.weight == "bad"] == []
    assert "Nothing to warn of" in page(statistics.model_copy(update={"findings": ()}))


def test_a_class_that_no_test_image_shows_is_said_first() -> None:
    images = [one._replace(shapes=[box(0), box(1)]) if one.row.split == "test" else one for one in healthy()]
    statistics = measured(images)
    assert statistics.findings[0].text == "person has no test image to be judged by."
    assert statistics.findings[0].weight == "bad"


CASES = {
    "an empty split": ([one for one in healthy() if one.row.split != "val"], "split.empty"),
    "look-alikes across splits": (
        [one._replace(row=one.row._replace(phash="0123456789abcdef")) for one in healthy(40)],
        "duplicates.across",
    ),
    "few images": (healthy(100), "class.few"),
    "one source": (
        [one._replace(row=one.row._replace(medium="film")) if one.row.split == "train" else one for one in healthy()],
        "source.dominates",
    ),
    "tiny boxes": ([one._replace(shapes=[box(c, 0.01) for c in range(3)]) for one in healthy()], "boxes.tiny"),
    "imbalance": (
        [one._replace(shapes=[box(0)] * 60 + [box(1)]) for one in healthy()],
        "class.imbalance",
    ),
    "no boxes": ([one if n % 3 == 0 else one._replace(shapes=[]) for n, one in enumerate(healthy())], "images.empty"),
    "no image": ([], "dataset.empty"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_what_is_wrong_is_said(case: str) -> None:
    images, rule = CASES[case]
    assert rule in rules_of(measured(images))
    assert rule == "class.few" or rule not in rules_of(measured(healthy()))


def uneven(per_medium: int) -> list[Original]:
    """A hundred images, half of them in test."""
    return [original(n, "train" if n % 2 else "test", [box()], medium=f"m{n // per_medium}") for n in range(100)]


def test_why_the_splits_shares_are_others_than_asked_for_is_said_truly() -> None:
    whole = said(measured(uneven(1), published_images=100), "split.shares")
    assert "100 of 100 images have a published split: the ratios apply to 0." in whole
    assert "40 of 100 images have" in said(measured(uneven(1), published_images=30, listed_images=10), "split.shares")
    assert "Among 100 sources chance decides much." in said(measured(uneven(1)), "split.shares")
    sizes = [one._replace(row=one.row._replace(medium="film")) if n < 9 else one for n, one in enumerate(uneven(1))]
    assert "they differ in size" in said(measured(sizes), "split.shares")


def test_images_that_were_erased_since_are_said() -> None:
    statistics = measured(healthy(), erased=3)
    assert (statistics.erased, statistics.total("images")) == (3, 200)
    assert said(statistics, "images.erased").startswith("3 images of the dataset were erased since")
    assert "images.erased" not in rules_of(measured(healthy()))


def test_a_dataset_without_any_box_is_bad_and_images_that_lost_all_of_theirs_are_said() -> None:
    nothing = measured([one._replace(shapes=[]) for one in healthy()])
    assert nothing.findings[0].rule == "dataset.no_box"
    assert "images.empty" not in rules_of(nothing)
    assert said(measured(healthy(), emptied_images=7), "images.emptied").startswith("7 images have no box left")
    assert not {"images.emptied", "dataset.no_box"} & set(rules_of(measured(healthy())))


def test_a_page_bears_the_name_that_its_dataset_is_kept_under() -> None:
    assert "<h1>baseline</h1>" in page(measured(healthy(20)), name="baseline")
    assert "<title>baseline: dataset" in page(measured(healthy(20)), name="baseline")
    assert "<h1>default</h1>" in page(measured(healthy(20)))


def test_sources_are_called_the_largest_only_when_they_differ_in_size() -> None:
    alike = page(measured(healthy(20)))
    assert "20 sources, each of 1 image." in alike
    assert "The first 15 by name:" in alike
    differing = [
        one._replace(row=one.row._replace(medium="film")) if n < 2 else one for n, one in enumerate(healthy(20))
    ]
    assert "The 15 largest:" in page(measured(differing))


def test_looking_for_duplicates_says_that_not_all_images_have_a_hash() -> None:
    among = "among those that have a perceptual hash"
    images = [one._replace(row=one.row._replace(phash=None)) if n == 0 else one for n, one in enumerate(healthy(20))]
    assert among in page(measured(images))
    assert among not in page(measured(healthy(20)))


def test_a_recipe_that_loses_boxes_is_said() -> None:
    one = original(1, "train", [box()] * 10)
    variants = [one.row._replace(variant=1, boxes=9), one.row._replace(variant=2, boxes=5)]
    found = {finding.rule: finding.text for finding in measured([one], variants).findings}
    assert "variant 2 keeps 50%" in found["variants.lose_boxes"]


def test_statistics_come_back_from_their_json() -> None:
    statistics = measured(healthy(20))
    assert Statistics.model_validate_json(statistics.model_dump_json()) == statistics
    assert json.loads(statistics.model_dump_json())["splits"]["train"]["images"] == 14


def test_the_order_of_the_images_does_not_matter() -> None:
    assert measured(healthy(50)) == measured(healthy(50)[::-1])


def test_foreign_names_are_text_on_the_page_and_nothing_else() -> None:
    evil = "<script>alert(1)</script>"
    images = [
        one._replace(row=one.row._replace(medium=f'"><img src=x> {one.row.name}', name=evil, phash="0" * 16))
        for one in healthy(20)
    ]
    html = page(measured(images, names=(evil, "b&b", "'c'")))
    assert evil not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("<script>") == 1  # ours: tables are sorted by it


def test_the_page_needs_nothing_from_outside() -> None:
    html = page(measured(healthy(20)))
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)|url\(|https?://|@import""", html) == []


def test_the_page_of_an_empty_dataset_can_be_read() -> None:
    assert "The dataset holds no image." in page(measured([]))
