"""An export from the weights to the artifact, its agreement and the golden answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from exporter.engine.adapters import adapter_of
from exporter.engine.adapters.contract import BuildOrder, Built, CalibrationMissingError, Runner
from exporter.engine.agreement import Found
from exporter.engine.contract import ExportResult, ExportSpec, GoldenAnswer, ProofImage
from exporter.engine.detecting import Asking
from exporter.engine.pixels import UnreadableImageError
from exporter.engine.proving import Question, prove
from exporter.engine.reference import reference_of
from labelstream.bundle import ArtifactFacts
from labelstream.formats import Format
from labelstream.labels import Box
from labelstream_yolo.architecture import Architecture, read_architecture
from labelstream_yolo.engine import EngineFailure
from labelstream_yolo.weights import load_model

UNBUILDABLE = "format-unbuildable"


def export(spec: ExportSpec) -> ExportResult:
    """Export the weights to one format, ask both sides about the test images, and keep some of the trained answers.

    Raises EngineFailure (`weights-unreadable`, `images-unreadable`, `calibration-missing`, `format-unbuildable`). A
    file that this machine can't run is left without an agreement, with the reason.
    """
    torch.set_num_threads(1)
    model, architecture = _loaded(spec)
    order = _order(spec, model, architecture)
    asking = Asking(model, architecture.image_size, spec.iou, spec.out_dir)
    with _told_apart(spec.format):
        adapter = adapter_of(order.format.family)
        built = adapter.build(order)
        trained = tuple(asking.trained([image.path for image in spec.images]))
        opened = adapter.open(built)
        question = Question(spec.images, trained, spec.confidence, architecture.names, architecture.image_size)
        facts, picture = _proved(question, asking, built, opened, spec.out_dir)
    sure = [each.above(spec.confidence) for each in trained]
    return ExportResult(
        artifact=built.artifact,
        facts=facts,
        image_size=architecture.image_size,
        names=architecture.names,
        golden=golden_answers(spec.images, sure, spec.golden),
        reference=reference_of(sure),
        picture=picture,
        versions=facts.versions | architecture.versions,
    )


def golden_answers(images: Sequence[ProofImage], found: Sequence[Found], count: int) -> tuple[GoldenAnswer, ...]:
    """Choose `count` images by the digest of their content, those first in which the model finds something."""
    answers = {image.path: answer for image, answer in zip(images, found, strict=True)}
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


def _loaded(spec: ExportSpec) -> tuple[Any, Architecture]:
    try:
        architecture = read_architecture(spec.architecture)
        return load_model(spec.weights, architecture), architecture
    except (OSError, ValueError, ValidationError) as error:
        raise EngineFailure("weights-unreadable", f"{spec.weights}, {spec.architecture}: {error}") from error


def _order(spec: ExportSpec, model: Any, architecture: Architecture) -> BuildOrder:
    try:
        wanted = Format.parse(spec.format)
    except ValueError as error:
        raise EngineFailure(UNBUILDABLE, str(error)) from error
    return BuildOrder(
        model=model,
        architecture=architecture,
        format=wanted,
        out_dir=spec.out_dir,
        calibration=spec.calibration,
        confidence=spec.confidence,
        iou=spec.iou,
        rknn_python=spec.rknn_python,
    )


def _proved(
    question: Question, asking: Asking, built: Built, opened: Runner | str, folder: Path
) -> tuple[ArtifactFacts, Path | None]:
    """Return what is known of the file now, and the picture of the worst image."""
    if isinstance(opened, str):
        return built.facts.model_copy(update={"unproven": opened}), None
    try:
        agreement, picture = prove(question, asking, built, opened, folder)
    finally:
        opened.close()
    return built.facts.model_copy(update={"agreement": agreement}), picture


@contextmanager
def _told_apart(name: str) -> Iterator[None]:
    """Turn what goes wrong with one format into the reason of its failure."""
    try:
        yield
    except UnreadableImageError as error:
        raise EngineFailure("images-unreadable", str(error)) from error
    except CalibrationMissingError as error:
        raise EngineFailure("calibration-missing", str(error)) from error
    except (OSError, MemoryError):  # the machine's fault, not the format's
        raise
    except (
        Exception
    ) as error:  # converters and runtimes raise what they like; it is the format's end, and is told whole
        raise EngineFailure(UNBUILDABLE, f"{name}: {type(error).__name__}: {error}") from error
