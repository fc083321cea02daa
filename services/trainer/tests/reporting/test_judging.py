"""What the report concludes from the figures."""

from __future__ import annotations

import pytest

from labelstream_yolo.scoring import values
from labelstream_yolo.scoring.values import Confusion, SliceScore
from trainer.reporting.curves import BACKGROUND, MOST_IN_MATRIX, OTHERS, confusion_matrix
from trainer.reporting.limits import limits_of
from trainer.reporting.rows import class_rows, fallen, slice_rows, slips
from trainer.reporting.verdict import verdict_on


def said(content) -> str:
    return "\n".join(f"{one.weight}: {one.text}" for one in limits_of(content))


@pytest.mark.parametrize(
    ("interval", "weight", "head"),
    [
        ((0.01, 0.05), "good", "better"),
        ((-0.01, 0.05), "look", "no clear difference"),
        ((-0.05, -0.01), "bad", "worse"),
        (None, "look", "unsure"),
    ],
    ids=["above", "across", "below", "unknown"],
)
def test_a_model_is_better_when_the_whole_interval_is_above_nothing(contents, interval, weight, head) -> None:
    ours = contents.evaluation(contents.names, (0.8, 0.9, 0.6))
    verdict = verdict_on(values.Tested(model=ours, champion=contents.comparison(ours, 0.02, interval)))
    assert (verdict.weight, verdict.head) == (weight, head)


def test_the_first_model_and_one_whose_champion_is_unreadable_are_told_apart(contents) -> None:
    ours = contents.evaluation(contents.names, (0.8, 0.9, 0.6))
    assert verdict_on(values.Tested(model=ours)).head == "first of its kind"
    verdict = verdict_on(values.Tested(model=ours, champion_missing="its weights are damaged"))
    assert verdict.weight == "look"
    assert "its weights are damaged" in verdict.text


def test_classes_that_the_champion_does_not_know_are_counted_beside_the_difference(contents) -> None:
    ours = contents.evaluation(contents.names, (0.8, 0.9, 0.6))
    champion = contents.comparison(ours, 0.02, (0.01, 0.03)).model_copy(update={"unknown_classes": ("truck",)})
    assert "it does not know 1 class" in verdict_on(values.Tested(model=ours, champion=champion)).text


def test_a_sound_model_has_no_limits_to_tell_of(contents) -> None:
    assert limits_of(contents()) == ()


def test_classes_that_were_never_shown_or_never_tested_are_named(contents) -> None:
    text = said(contents(maps=(0.8, None, 0.6), unseen=[2]))
    assert "bad: It was never shown one class in training, so it does not find it: person." in text
    assert "bad: No test image shows one class; how well it finds it is not known: truck." in text


def test_an_interval_wider_than_a_tenth_is_said_in_words(contents) -> None:
    narrow = values.Tested(model=contents.evaluation(contents.names, (0.8, 0.9, 0.6), spread=0.049))
    wide = values.Tested(model=contents.evaluation(contents.names, (0.8, 0.9, 0.6), spread=0.051))
    assert "test set is small" not in said(contents(tested=narrow))
    assert "look: The test set is small (40 images)" in said(contents(tested=wide))
    assert "between 0.716 and 0.818" in said(contents(tested=wide))


def test_a_slice_far_below_the_whole_is_a_weakness_unless_it_is_chance(contents) -> None:
    def on(map50: float, boxes: int, spread: float) -> str:
        fields = {"by": "size", "name": "small"} | contents.figures(map50, boxes=boxes, spread=spread)
        slices = [SliceScore.model_validate(fields)]
        return said(
            contents(tested=values.Tested(model=contents.evaluation(contents.names, (0.8, 0.9, 0.6), slices=slices)))
        )

    assert "look: Weak on small boxes: mAP50 0.400 against 0.767 of the whole test." in on(0.4, 90, 0.05)
    assert on(0.7, 90, 0.05) == ""
    assert on(0.4, 5, 0.05) == ""
    assert on(0.4, 90, 0.4) == ""


def test_warnings_of_the_request_come_after_what_is_grave(contents) -> None:
    limits = limits_of(contents(maps=(0.8, None, 0.6), warnings=["few nights"]))
    assert [one.weight for one in limits] == ["bad", "look"]
    assert limits[-1].text == "few nights"


def test_a_training_that_was_still_getting_better_is_told_of(contents) -> None:
    content = contents(epochs=5)
    longer = content.result.model_copy(update={"best_epoch": 5})
    assert "still getting better" in said(type(content)(**vars(content) | {"result": longer}))
    assert "still getting better" not in said(content)


def test_classes_that_fell_come_with_the_deepest_fall_first(contents) -> None:
    names = ("a", "b", "c", "d")
    ours = contents.evaluation(names, (0.5, 0.7, 0.7, None))
    before = contents.evaluation(names, (0.6, 0.701, 0.9, 0.9))
    rows = class_rows(
        contents(names=names, tested=values.Tested(model=ours, champion=contents.comparison(before, -0.1, None)))
    )
    assert [row.score.name for row in rows] == ["b", "c", "a", "d"]
    assert [row.score.name for row in fallen(rows)] == ["c", "a"]
    assert all(row.clearly for row in fallen(rows))


def test_slices_are_grouped_and_sizes_stand_in_their_order(contents) -> None:
    def one(by: str, name: str, map50: float) -> SliceScore:
        return SliceScore.model_validate({"by": by, "name": name} | contents.figures(map50))

    sizes = [one("size", "large", 0.9), one("size", "small", 0.3), one("size", "medium", 0.6)]
    sources = [one("source", f"{number}", number / 100) for number in range(40)]
    size, source = slice_rows([*sizes, one("mode", "normal", 0.7), *sources])  # a sole mode is the whole test
    assert [row.name for row in size.rows] == ["small", "medium", "large"]
    assert [row.name for row in source.rows][:3] == ["0", "1", "2"]
    assert len(source.rows) + source.left_out == 40


def test_the_most_frequent_mistakes_leave_out_hits_and_the_background() -> None:
    confusion = Confusion(names=("a", "b"), counts=((5, 3, 9), (1, 7, 0), (4, 4, 0)))
    assert [(slip.true, slip.predicted, slip.count) for slip in slips(confusion)] == [("a", "b", 3), ("b", "a", 1)]
    assert slips(confusion)[0].share == 3 / 17


def test_the_rarest_of_too_many_classes_stand_together_in_the_matrix() -> None:
    size = MOST_IN_MATRIX + 5
    counts = [[0] * (size + 1) for _ in range(size + 1)]
    for number in range(size):
        counts[number][number] = number + 1
    counts[0][3] = 2
    drawing = confusion_matrix(
        Confusion(names=tuple(f"n{n:03}" for n in range(size)), counts=tuple(map(tuple, counts)))
    )
    assert f">{OTHERS}<" in drawing
    assert f">{BACKGROUND}<" in drawing
    assert ">n000<" not in drawing
    assert f"{OTHERS} → {OTHERS}: 17," in drawing  # 1 to 5, and the two mistakes
