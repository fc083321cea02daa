"""The model card: the report's facts in short, as Markdown."""

from __future__ import annotations

from labelstream.values import SPLITS
from labelstream_datasets.pages.markdown import render_markdown
from trainer.reporting.content import ReportContent
from trainer.reporting.facts import facts_of, network_of, recipe_fields, recovered
from trainer.reporting.limits import limits_of
from trainer.reporting.rows import class_rows, slice_rows
from trainer.reporting.verdict import verdict_on


def card(content: ReportContent) -> str:
    """Return the card."""
    return render_markdown(
        "trainer.reporting",
        "card.md",
        it=content,
        test=content.evaluation,
        score=content.evaluation.score,
        champion=content.champion,
        verdict=verdict_on(content.tested),
        limits=limits_of(content),
        rows=class_rows(content),
        slices=[row for group in slice_rows(content.evaluation.slices) if group.by != "source" for row in group.rows],
        splits=SPLITS,
        network=network_of(content),
        facts=facts_of(content),
        recipe=recipe_fields(content),
        recoveries=[recovered(each) for each in content.result.recoveries],
    )
