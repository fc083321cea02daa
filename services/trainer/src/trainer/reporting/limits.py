"""What the model can't, and where its figures say little."""

from __future__ import annotations

from collections.abc import Iterator

from labelstream_datasets.pages.words import counted, figure, some
from trainer.reporting.content import ReportContent
from trainer.reporting.rows import class_rows, fallen, images_of
from trainer.reporting.verdict import Said, width

WIDE = 0.1  # an interval of the mAP50 that says little
FEW_BOXES = 10  # on which a class's figures are mostly chance
NOTHING = 0.01  # mAP50 of a model that finds nothing
WEAK = 0.2  # mAP50 below the whole test's


def limits_of(content: ReportContent) -> tuple[Said, ...]:
    """Return what to know before the model is used, the gravest first."""
    said = [*_blind(content), *_untaught(content), *_untested(content), *_unsure(content), *_weak(content)]
    said += _unfinished(content)
    said += [Said("look", warning) for warning in content.warnings]
    return tuple(sorted(said, key=lambda one: one.weight != "bad"))


def _blind(content: ReportContent) -> Iterator[Said]:
    score = content.evaluation.score
    if score.boxes and score.map50 is not None and score.map50 < NOTHING:
        yield Said(
            "bad", f"It finds next to none of the {score.boxes:,} true boxes in the test: it has learned nothing yet."
        )


def _untaught(content: ReportContent) -> Iterator[Said]:
    names = [name for id_, name in _classes(content) if not images_of(content, "train", id_)]
    if names:
        yield Said(
            "bad", f"It was never shown {_a(names)} in training, so it does not find {_it(names)}: {some(names)}."
        )


def _untested(content: ReportContent) -> Iterator[Said]:
    names = [name for id_, name in _classes(content) if not images_of(content, "test", id_)]
    if names:
        yield Said(
            "bad", f"No test image shows {_a(names)}; how well it finds {_it(names)} is not known: {some(names)}."
        )
    few = [score.name for score in content.evaluation.classes if 0 < score.boxes < FEW_BOXES]
    if few:
        yield Said("look", f"Fewer than {FEW_BOXES} true boxes in the test; figures are mostly chance for {some(few)}.")


def _unsure(content: ReportContent) -> Iterator[Said]:
    score = content.evaluation.score
    interval = score.map50_interval
    if interval is not None and width(interval) > WIDE:
        yield Said(
            "look",
            f"The test set is small ({counted(score.images, 'image')}): with 95 % confidence the mAP50 lies anywhere "
            f"between {figure(interval.low)} and {figure(interval.high)}. More validated test images narrow that.",
        )


def _weak(content: ReportContent) -> Iterator[Said]:
    whole = content.evaluation.score.map50
    for score in content.evaluation.slices:
        if score.by == "source" or whole is None or score.map50 is None or score.boxes < FEW_BOXES:
            continue
        interval = score.map50_interval
        if score.map50 < whole - WEAK and (interval is None or interval.high < whole):
            what = f"{score.name} boxes" if score.by == "size" else f"the mode {score.name}"
            yield Said(
                "look", f"Weak on {what}: mAP50 {figure(score.map50)} against {figure(whole)} of the whole test."
            )
    lower = [row.score.name for row in fallen(class_rows(content)) if row.clearly]
    if lower:
        yield Said("bad", f"The champion found these classes better by more than chance: {some(lower)}.")


def _unfinished(content: ReportContent) -> Iterator[Said]:
    result = content.result
    if result.best_epoch == result.epochs == content.recipe.epochs and result.epochs > 1:
        yield Said(
            "look", f"It was still getting better when the training ended: the best epoch is the last, {result.epochs}."
        )


def _classes(content: ReportContent) -> Iterator[tuple[int, str]]:
    return iter(enumerate(content.dataset.class_schema.classes))


def _a(names: list[str]) -> str:
    return "one class" if len(names) == 1 else f"{len(names)} classes"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
