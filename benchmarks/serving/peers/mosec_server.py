"""mosec: a worker for each core, a run in one thread, batches of one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mosec import Server, Worker

from benchmarks.serving.bare import Detector


class Detecting(Worker):
    """Bytes in, JSON out."""

    def __init__(self) -> None:
        """Open the network, once in each worker."""
        super().__init__()
        self.detector = Detector.of_graph(Path(os.environ["GRAPH"]))

    def deserialize(self, data: bytes) -> bytes:
        """Take the body as it is."""
        return data

    def forward(self, data: bytes) -> list[dict[str, Any]]:
        """Find what is in an image."""
        return self.detector.detect(data)

    def serialize(self, data: list[dict[str, Any]]) -> bytes:
        """Return the answer's body."""
        return json.dumps({"detections": data}).encode()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Detecting, num=int(os.environ["WORKERS"]))
    server.run()
