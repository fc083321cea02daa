"""What the trained weights find in the test images, counted: services compare what they find in live ones with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exporter.engine.agreement import Found
from labelstream.bundle import CONFIDENCE_BINS, Reference, confidence_bin


def reference_of(found: Sequence[Found]) -> Reference:
    """Count what was found in each image, by class and by confidence."""
    classes = Counter(int(class_id) for each in found for class_id in each.classes)
    bins = Counter(confidence_bin(float(score)) for each in found for score in each.scores)
    return Reference(
        images=len(found),
        detections=classes.total(),
        class_counts=dict(sorted(classes.items())),
        confidences=tuple(bins[number] for number in range(CONFIDENCE_BINS)),
    )
