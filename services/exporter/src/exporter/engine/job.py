"""An export from the weights to the artifact, its agreement and the golden answers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from pydantic import ValidationError

from exporter.engine.agreement import Found, agreement_of
from exporter.engine.contract import (
    AGREEMENT,
    ARTIFACT,
    GOLDEN,
    VERSIONS,
    ExportResult,
    ExportSpec,
    GoldenAnswer,
)
from exporter.engine.detecting import detect
from exporter.engine.onnx import export_onnx
from labelstream.labels import Box
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.engine import EngineFailure, write_json
from labelstream_yolo.offline import versions
from labelstream_yolo.weights import load_model


def export(spec: ExportSpec) -> ExportResult:
    """Export the weights, ask both sides about the test images, and keep some of the answers.

    Raises EngineFailure (`weights-unreadable`, `images-unreadable`).
    """
    torch.set_num_threads(1)
    try:
        architecture = read_architecture(spec.architecture)
        model = load_model(spec.weights, architecture)
    except (OSError, ValueError, ValidationError) as error:
        raise EngineFailure("weights-unreadable", f"{spec.weights}, {spec.architecture}: {error}") from error
    artifact = spec.out_dir / ARTIFACT
    export_onnx(model, architecture, artifact)
    trained = _answers(model, architecture.image_size, spec)
    exported = _answers(artifact, architecture.image_size, spec)
    result = ExportResult(
        artifact=artifact,
        image_size=architecture.image_size,
        names=architecture.names,
        agreement=agreement_of(zip(trained, exported, strict=True), spec.confidence),
        golden=golden_answers(dict(zip(spec.test_images, exported, strict=True)), spec.golden),
        versions=versions("onnx", "onnxruntime", "onnxslim") | architecture.versions,
    )
    _leave(spec.out_dir, result)
    return result


def golden_answers(answers: dict[Path, Found], count: int) -> tuple[GoldenAnswer, ...]:
    """Choose `count` images by the digest of their content, those first in which the model finds something."""
    ordered = sorted(answers, key=lambda image: hashlib.sha256(image.read_bytes()).hexdigest())
    ordered.sort(key=lambda image: len(answers[image].scores) == 0)
    return tuple(GoldenAnswer(image=image, boxes=as_boxes(answers[image])) for image in ordered[:count])


def as_boxes(found: Found) -> tuple[Box, ...]:
    """Return the finds as labels, in fractions of the image."""
    sides = (found.width, found.height, found.width, found.height)
    return tuple(
        Box.from_corners(int(c), *(float(v / side) for v, side in zip(corners, sides, strict=True)))
        .rounded()
        .model_copy(update={"confidence": round(float(score), 6)})
        for corners, score, c in zip(found.boxes, found.scores, found.classes, strict=True)
    )


def _answers(model: object, image_size: int, spec: ExportSpec) -> list[Found]:
    try:
        return list(detect(model, spec.test_images, image_size, spec))
    except ValueError as error:
        raise EngineFailure("images-unreadable", str(error)) from error


def _leave(out: Path, result: ExportResult) -> None:
    said = result.model_dump(mode="json", by_alias=True)
    write_json(out / AGREEMENT, said["agreement"])
    write_json(out / GOLDEN, said["golden"])
    write_json(out / VERSIONS, said["versions"])
