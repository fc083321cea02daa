"""The report as one HTML page that needs nothing from outside."""

from __future__ import annotations

from labelstream.values import SPLITS
from labelstream_datasets.pages import render
from trainer.reporting.content import ReportContent
from trainer.reporting.curves import confusion_matrix, learning_curves, precision_recall
from trainer.reporting.facts import facts_of, network_of, recipe_fields, recovered
from trainer.reporting.limits import limits_of
from trainer.reporting.pictures import shots_of
from trainer.reporting.rows import class_rows, fallen, slice_rows, slips
from trainer.reporting.verdict import verdict_on

MOST_CURVES = 60  # classes with a curve of their own


def page(content: ReportContent) -> str:
    """Return the page."""
    evaluation, champion = content.evaluation, content.champion
    rows = class_rows(content)
    return render(
        "trainer.reporting",
        "report.html",
        it=content,
        test=evaluation,
        score=evaluation.score,
        champion=champion,
        verdict=verdict_on(content.tested),
        limits=limits_of(content),
        rows=rows,
        fallen=fallen(rows),
        curved=[row.score for row in rows if row.score.curve][:MOST_CURVES],
        precision_recall=precision_recall,
        slices=slice_rows(evaluation.slices),
        matrix=confusion_matrix(evaluation.confusion),
        slips=slips(evaluation.confusion),
        shots=shots_of(content.tested.images, content.images, content.dataset.class_schema.classes),
        curves=learning_curves(content.result),
        splits=SPLITS,
        network=network_of(content),
        facts=facts_of(content),
        recipe=recipe_fields(content),
        recoveries=[recovered(each) for each in content.result.recoveries],
    )
