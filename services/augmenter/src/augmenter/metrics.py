"""What the augmenter counts, beside what every service does."""

from __future__ import annotations

from prometheus_client import Counter

VARIANTS = Counter("labelstream_augmenter_variants_total", "Images written into archives, originals included")
REWRITTEN = Counter("labelstream_augmenter_archives_rewritten_total", "Archives that erased images were taken out of")
