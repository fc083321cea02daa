"""report.json: what a demonstration did and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labelstream.events.model import ModelExported
from labelstream.events.training import TrainingFinished
from labelstream_cli.demo.heldout import Compared
from labelstream_cli.demo.proof import Proof
from labelstream_cli.demo.stages import Course
from labelstream_cli.demo.state import DemoState
from labelstream_cli.push.publishing import Pushed


def report_of(
    state: DemoState,
    course: Course,
    pushed: Pushed,
    finished: TrainingFinished,
    exported: ModelExported,
    proof: Proof,
    compared: Sequence[Compared],
) -> dict[str, Any]:
    """Collect the report."""
    test = finished.test
    serving = compared[0].answer.model
    return {
        "annotations_in": pushed.sent,
        "receipts": dict(state.receipts),
        "archives": len(state.archives),
        "variants": sum(state.archives.values()),
        "left_out": state.left_out,
        "dataset_id": finished.dataset.id,
        "samples": finished.dataset.samples,
        "test_images": finished.dataset.test_images,
        "map50": round(test.map50, 4),
        "map50_95": round(test.map50_95, 4),
        "precision": round(test.precision, 4),
        "recall": round(test.recall, 4),
        "per_class_map50_95": {name: round(value, 4) for name, value in test.per_class.items()},
        "best_epoch": finished.best_epoch,
        "job": finished.job,
        "model_id": exported.model,
        "promoted": serving == exported.model,
        "artifacts": [artifact.name for artifact in exported.artifacts],
        "agreement": {
            artifact.name: {
                "max_box_px": artifact.agreement.max_box_px,
                "max_score": artifact.agreement.max_score,
                "images": artifact.agreement.images,
                "boxes": artifact.agreement.boxes,
            }
            for artifact in exported.artifacts
            if artifact.agreement is not None
        },
        "sealed": proof.sealed,
        "signature": proof.signature,
        "detections": sum(len(one.answer.detections) for one in compared),
        "annotated_boxes": sum(len(one.truth) for one in compared),
        "found_boxes": sum(one.matched for one in compared),
        "seconds": course.seconds,
    }
