"""An evaluation in the few words of the events."""

from __future__ import annotations

from labelstream.events.training import ChampionMetrics, Metrics
from labelstream_yolo.scoring.values import Comparison, Evaluation


def metrics_of(evaluation: Evaluation) -> Metrics:
    """Return the figures that events carry; without a true box to find they are 0."""
    score = evaluation.score
    return Metrics(
        map50=score.map50 or 0.0,
        map50_95=score.map50_95 or 0.0,
        precision=score.precision or 0.0,
        recall=score.recall or 0.0,
        images=score.images,
        per_class={some.name: some.map50_95 for some in evaluation.classes if some.map50_95 is not None},
        map50_interval=score.map50_interval,
        map50_95_interval=score.map50_95_interval,
    )


def champion_metrics_from(comparison: Comparison) -> ChampionMetrics:
    """Return what events say of the model in service."""
    return ChampionMetrics(
        model=comparison.model,
        test=metrics_of(comparison.evaluation),
        difference=comparison.difference,
        difference_interval=comparison.difference_interval,
    )
