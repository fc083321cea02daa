"""What a bundle's manifest says for those who compare live answers with the test images."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from labelstream.bundle import CONFIDENCE_BINS, Reference, confidence_bin

NOTHING = (0,) * CONFIDENCE_BINS


@pytest.mark.parametrize(("score", "number"), [(0.0, 0), (0.049, 0), (0.05, 1), (0.25, 5), (0.999, 19), (1.0, 19)])
def test_a_confidence_counts_in_one_of_twenty_bins(score, number):
    assert confidence_bin(score) == number


def test_a_reference_comes_back_as_it_was_written_with_its_classes_by_number():
    told = Reference(images=3, detections=2, class_counts={0: 1, 12: 1}, confidences=(*NOTHING[:-1], 2))
    assert Reference.model_validate_json(told.model_dump_json()) == told


@pytest.mark.parametrize("bins", [NOTHING[1:], (*NOTHING, 0)], ids=["one-too-few", "one-too-many"])
def test_a_reference_in_other_bins_is_refused(bins):
    with pytest.raises(ValidationError, match="confidences"):
        Reference(images=1, detections=0, class_counts={}, confidences=bins)
