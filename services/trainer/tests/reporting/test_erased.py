"""A picture that is taken out of a report is gone; the rest of the report stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.reporting import write_report
from trainer.reporting.erased import evaluation_without, images_in_evaluation, images_in_page, page_without

SAID = "The image that was shown here was erased."


@pytest.fixture
def page(contents, tmp_path: Path) -> bytes:
    return write_report(contents(pictures=5), tmp_path / "report").report.read_bytes()


def pictures(page: bytes) -> int:
    return len(re.findall(rb'src="data:image/jpeg;base64,[^"]{100,}"', page))


def test_every_picture_of_a_report_can_be_told_by_its_image(page: bytes) -> None:
    assert images_in_page(page) == {f"{number:03}.jpg" for number in range(5)}
    assert pictures(page) == 5


def test_a_picture_is_taken_out_and_a_line_says_so(page: bytes) -> None:
    left = page_without(page, {"001.jpg", "004.jpg", "elsewhere.jpg"})
    assert images_in_page(left) == {"000.jpg", "002.jpg", "003.jpg"}
    assert (pictures(left), left.decode().count(SAID)) == (3, 2)
    assert b"001.jpg" not in left
    figure = rb"<figure (?:data-image|class=\"card).*?</figure>"
    assert re.sub(figure, b"", left, flags=re.DOTALL) == re.sub(figure, b"", page, flags=re.DOTALL)


def test_taking_out_again_changes_nothing(page: bytes) -> None:
    left = page_without(page, {"001.jpg"})
    assert page_without(left, {"001.jpg"}) == left
    assert page_without(page, {"elsewhere.jpg"}) == page


def test_an_image_with_any_name_can_be_taken_out(contents, tmp_path: Path) -> None:
    content = contents(pictures=2)
    name = "a \"b\" & 'c' <d>.jpg"
    (content.images / "000.jpg").rename(content.images / name)
    images = (content.tested.images[0].model_copy(update={"image": name}), content.tested.images[1])
    tested = content.tested.model_copy(update={"images": images})
    page = write_report(type(content)(**vars(content) | {"tested": tested}), tmp_path).report.read_bytes()
    assert images_in_page(page) == {name, "001.jpg"}
    assert images_in_page(page_without(page, {name})) == {"001.jpg"}


def test_an_evaluation_lists_the_image_no_more(contents) -> None:
    tested = contents(pictures=3).tested
    written = tested.model_dump_json().encode()
    left = evaluation_without(written, {"001.jpg"})
    assert images_in_evaluation(left) == {"000.jpg", "002.jpg"}
    assert type(tested).model_validate_json(left).model == tested.model
    assert evaluation_without(left, {"001.jpg"}) == left
    with pytest.raises(ValueError, match="JSON"):
        evaluation_without(b"<html>", set())
