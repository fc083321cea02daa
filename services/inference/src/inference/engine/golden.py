"""The last proof before a model serves: on the bundle's own images it gives the bundle's own answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inference.engine.contract import Engine
from inference.engine.detecting import detect
from inference.engine.geometry import Floats, Found, ImageLimits, Pixels, Size
from inference.engine.outputs import NoNumber
from inference.serving.ports import Decode
from labelstream.bundle import Artifact, GoldenSet, Manifest, Thresholds
from labelstream.errors import Rejected
from labelstream.events.model import AgreementLimits
from labelstream.labels import Box

TRUSTED = ImageLimits(max_bytes=1 << 30, max_pixels=1 << 28)  # golden images are signed


def check_golden(engine: Engine, manifest: Manifest, artifact: Artifact, golden: GoldenSet, decode: Decode) -> None:
    """Run the golden images; raise Rejected when an answer differs by more than is allowed.

    The answers are those of the trained weights: a format may differ by its limits, and this machine by what the
    set allows on top.
    """
    if not golden.images:
        raise Rejected("model.no_golden_images", "the bundle has no golden images", "Export the model again.")
    for number, image in enumerate(golden.images):
        problem = _problem(engine, decode(image.image, TRUSTED), image.boxes, manifest, artifact, golden)
        if problem:
            raise Rejected(
                "model.golden_differs",
                f"{engine.artifact} on {engine.backend}: golden image {number}: {problem}",
                "This machine computes other answers than the exporter's; compare library versions and processors.",
            )


def _problem(
    engine: Engine,
    image: Pixels,
    boxes: tuple[Box, ...],
    manifest: Manifest,
    artifact: Artifact,
    golden: GoldenSet,
) -> str | None:
    """Say how the answer to one image differs from `boxes`, or None."""
    try:
        detected = detect(engine, image, manifest.thresholds)
    except NoNumber as error:
        return str(error)
    size = detected.image
    allowed = _widened(golden, artifact.limits, max(size.width, size.height) / manifest.image_size)
    return differs(_expected(boxes, size), detected.found, allowed, manifest.thresholds)


def _widened(golden: GoldenSet, limits: AgreementLimits | None, scale: float) -> GoldenSet:
    """Allow what the format may differ by, too; `scale`: pixels of the image in one of the network's square."""
    if limits is None:
        return golden
    box_px, score = golden.max_box_px + limits.max_box_px * scale, golden.max_score + limits.max_score
    return golden.model_copy(update={"max_box_px": box_px, "max_score": score})


def differs(expected: Found, found: Found, golden: GoldenSet, thresholds: Thresholds) -> str | None:
    """Say how two sets of detections differ beyond what `golden` allows, or None.

    A detection without a partner is allowed when its score is as near to the threshold as scores may differ.
    """
    free = np.ones(len(found), bool)
    nearly = thresholds.confidence + golden.max_score
    for box, score, class_id in zip(expected.boxes, expected.scores, expected.classes, strict=True):
        partner = _partner(box, int(class_id), found, free)
        if partner is None or _corner_px(box, found.boxes[partner]) > golden.max_box_px:
            if score <= nearly:
                continue
            return f"no box of class {class_id} near {box.round(1).tolist()}, where one scored {score:.3f}"
        free[partner] = False
        if abs(found.scores[partner] - score) > golden.max_score:
            return f"a box of class {class_id} scores {found.scores[partner]:.3f} where {score:.3f} was expected"
    extra = np.flatnonzero(free & (found.scores > nearly))
    if len(extra):
        first = int(extra[0])
        return f"an unexpected box of class {found.classes[first]} scores {found.scores[first]:.3f}"
    return None


def _partner(box: Floats, class_id: int, found: Found, free: npt.NDArray[np.bool_]) -> int | None:
    """Return the free detection of that class whose corners lie nearest."""
    candidates = np.flatnonzero(free & (found.classes == class_id))
    if not len(candidates):
        return None
    distances = np.abs(found.boxes[candidates] - box).max(axis=1)
    return int(candidates[distances.argmin()])


def _corner_px(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max())


def _expected(boxes: tuple[Box, ...], size: Size) -> Found:
    scale = np.array([size.width, size.height] * 2, np.float32)
    return Found(
        np.array([box.corners() for box in boxes], np.float32).reshape(-1, 4) * scale,
        np.array([box.confidence or 0.0 for box in boxes], np.float32),
        np.array([box.class_id for box in boxes], np.int64),
    )
