"""Answers that no network in order gives: they are its fault, and nobody gets them."""

from __future__ import annotations

import numpy as np

from inference.engine.detecting import Detected
from labelstream.bundle import Manifest

ROUNDING = 0.01  # scores of half precision may end a little above 1


class Absurd(Exception):
    """A network answered with numbers that are no detections."""


def check_sane(detected: Detected, manifest: Manifest) -> None:
    """Raise Absurd unless every box, score and class of an answer can be one."""
    found = detected.found
    if not len(found):
        return
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise Absurd("a box or a score is not a finite number")
    if found.scores.min() < -ROUNDING or found.scores.max() > 1 + ROUNDING:
        raise Absurd(f"scores reach from {found.scores.min():.3g} to {found.scores.max():.3g}")
    classes = len(manifest.class_schema.classes)
    if found.classes.min() < 0 or found.classes.max() >= classes:
        raise Absurd(f"class {found.classes.max()} of {classes}")
