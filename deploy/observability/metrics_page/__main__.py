"""Prints the page: `python -m deploy.observability.metrics_page > docs/metrics.md`."""

from __future__ import annotations

import sys

from . import page

sys.stdout.write(page())
