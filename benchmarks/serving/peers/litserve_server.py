"""LitServe: a worker for each core, a run in one thread, no batching.

No `from __future__ import annotations`: LitServe reads the type of a request from the signature.
"""

import os
from pathlib import Path
from typing import Any

import litserve
from fastapi import UploadFile

from benchmarks.serving.bare import Detector


class Detecting(litserve.LitAPI):
    """The steps that LitServe asks for."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # LitServe's signature
        """Open the network, once in each worker."""
        self.detector = Detector.of_graph(Path(os.environ["GRAPH"]))

    def decode_request(self, request: UploadFile) -> bytes:
        """Return the file that was uploaded."""
        return request.file.read()

    def predict(self, encoded: bytes) -> list[dict[str, Any]]:
        """Find what is in it."""
        return self.detector.detect(encoded)

    def encode_response(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer."""
        return {"detections": found}


if __name__ == "__main__":
    server = litserve.LitServer(Detecting(), accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]))
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)
