"""ultralytics behind FastAPI: its own predictor on the same file, in a thread for each request.

The predictor holds a lock while it works, so one model in each process is what its guide on threads comes to.
"""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile

from benchmarks.serving.peers.ultralytics_model import ASKED, open_model

app = FastAPI()
model = open_model(os.environ["GRAPH"])


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, Any]:
    """Find what is in an image."""
    pixels = cv2.imdecode(np.frombuffer(image.file.read(), np.uint8), cv2.IMREAD_COLOR)
    (result,) = model.predict(pixels, **ASKED)
    boxes = result.boxes
    rows = zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True)
    return {"detections": [{"class": int(c), "confidence": score, "box": box} for box, score, c in rows]}


if __name__ == "__main__":
    target: Any = app if os.environ["WORKERS"] == "1" else "benchmarks.serving.peers.ultralytics_server:app"
    uvicorn.run(
        target, host="127.0.0.1", port=int(os.environ["PORT"]), workers=int(os.environ["WORKERS"]), log_level="warning"
    )
