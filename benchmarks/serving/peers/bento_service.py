"""BentoML: a worker for each core, a run in one thread, one thread that detects in each worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.serving.bare import Detector


@bentoml.service(
    workers=int(os.environ["WORKERS"]),
    threads=1,
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
)
class Detection:
    """Detects in the file that is uploaded."""

    def __init__(self) -> None:
        """Open the network, once in each worker."""
        self.detector = Detector.of_graph(Path(os.environ["GRAPH"]))

    @bentoml.api(route="/predict")
    def predict(self, image: Path) -> dict[str, Any]:
        """Find what is in an image."""
        return {"detections": self.detector.detect(image.read_bytes())}
