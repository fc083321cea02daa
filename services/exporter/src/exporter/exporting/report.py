"""The report that lies in the signed directory: how good the model is, and how its formats agree. No pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import ValidationError

from exporter.exporting.orders import ExportLeft
from labelstream.blobs.ports import Blobs
from labelstream.blobs.rewriting import read_rewritten
from labelstream.bundle import ArtifactFacts, ManifestFacts
from labelstream.errors import Rejected
from labelstream.events.training import Interval, TrainingFinished
from labelstream.values import Value
from labelstream_datasets.pages import render

log = structlog.get_logger()


class ClassMeasured(Value):
    """A class in the test, as the training's `evaluation.json` has it."""

    class_id: int
    name: str
    images: int
    boxes: int
    map50: float | None
    map50_95: float | None
    precision: float | None
    recall: float | None
    map50_interval: Interval | None = None


class _Evaluation(Value):
    classes: tuple[ClassMeasured, ...] = ()


class _Tested(Value):
    model: _Evaluation


@dataclass(frozen=True)
class FormatRow:
    """One format in the report."""

    facts: ArtifactFacts
    size_bytes: int
    seconds: float


@dataclass(frozen=True)
class ReportContent:
    """What the page tells."""

    training: TrainingFinished
    facts: ManifestFacts
    formats: tuple[FormatRow, ...]
    waiting: tuple[str, ...]
    classes: tuple[ClassMeasured, ...]

    @classmethod
    def of(
        cls,
        training: TrainingFinished,
        facts: ManifestFacts,
        lefts: Sequence[ExportLeft],
        waiting: tuple[str, ...],
        sizes: Mapping[str, int],
        classes: tuple[ClassMeasured, ...],
    ) -> ReportContent:
        """Collect it; `sizes` are those of the files, by format."""
        rows = (FormatRow(left.facts, sizes[left.facts.name], left.seconds) for left in lefts)
        return cls(training, facts, tuple(rows), waiting, classes)


async def read_classes(data: Blobs, training: TrainingFinished) -> tuple[ClassMeasured, ...]:
    """Return how each class did in the test, the best first; none where that can't be read. Raises Unavailable."""
    if training.evaluation is None:
        return ()
    try:
        tested = _Tested.model_validate_json(await read_rewritten(data, training.evaluation))
    except (Rejected, ValidationError) as error:
        log.warning("evaluation.unreadable", job=training.job, key=training.evaluation.key, reason=str(error))
        return ()
    return tuple(sorted(tested.model.classes, key=lambda each: (each.map50 is None, -(each.map50 or 0), each.name)))


def report_page(content: ReportContent) -> str:
    """Return the page; it needs nothing from outside."""
    return render(
        "exporter.exporting",
        "model.html",
        it=content,
        test=content.facts.test,
        unproven=[row.facts for row in content.formats if row.facts.agreement is None],
        calibrated=[row.facts for row in content.formats if row.facts.calibration is not None],
    )


def write_report(content: ReportContent, path: Path) -> None:
    """Write the page into a folder that is made for it."""
    path.parent.mkdir(parents=True)
    path.write_text(report_page(content), encoding="utf-8")
