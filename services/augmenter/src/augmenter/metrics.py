"""What the augmenter counts, beside what every service does."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

VARIANTS = Counter("labelstream_augmenter_variants_total", "Images written into archives, originals included")
LEFT_OUT = Counter("labelstream_augmenter_left_out_total", "Samples that could not be augmented, by rule", ["rule"])
REWRITTEN = Counter("labelstream_augmenter_archives_rewritten_total", "Archives that erased images were taken out of")
COLLECTED = Gauge("labelstream_augmenter_collected", "Samples that wait for their batch to close", ["project"])
IN_FLIGHT = Gauge("labelstream_augmenter_batches_in_flight", "Closed batches that are not answered yet", ["project"])
RENDERING = Gauge("labelstream_augmenter_rendering", "Images that are in a process, or ready for one")
OFFERED = Gauge("labelstream_augmenter_archives_offered", "Archives that workers were asked for and have not made yet")
