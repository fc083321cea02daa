"""The life of one annotation, from message to models, as the streams and the store tell it."""

from __future__ import annotations

from labelstream_cli.tracing.closest import closest_names
from labelstream_cli.tracing.life import Life, Step
from labelstream_cli.tracing.tracer import trace

__all__ = ["Life", "Step", "closest_names", "trace"]
