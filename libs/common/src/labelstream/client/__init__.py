"""Asks an inference service what is in images and videos.

    with Client("http://127.0.0.1:8080", api_key="lsk_…") as client:
        found = client.predict(Path("photo.jpg"), confidence=0.4)
        for detection in found.detections:
            print(detection.name, detection.confidence, detection.box)
        for answer in client.predict_many(Path("photos").glob("*.jpg")):
            print(answer.file, answer.problem or len(answer.result().detections))
        for frame in client.video("flight.mp4", every=5):
            print(frame.time_s, frame.result().detections)

`AsyncClient` has the same methods for `await` and `async for`.

- An image is bytes, a path (a text is a path), a file opened as binary, or a numpy array of uint8: (h, w, 3) BGR, or
  (h, w).
- What a prediction may be asked for: project, model, confidence, iou, max_detections, classes, tile, tile_overlap and
  deadline_s; what is left out is the service's default.
- `ca=Path("ca.pem")`: the CA of an https service, believed instead of those that this machine knows.
- Asked again, by `Retries`: 429 and 503, after what Retry-After says, and failed connections (a prediction changes
  nothing, so asking twice does no harm). One that had a request and kept still for `timeout_s` is not asked again.
- `predict_many` takes any number of images and reads them as it goes. What is wrong with one of them stands in its
  answer (`problem`); `result()` raises it. After a broken connection only what has no answer yet is asked again.
- Errors: `Refused` (rule, detail, hint, status, request_id), of which `Busy` is what stayed so for too long; `Away`;
  `NotUnderstood`, when something else than an inference service answers. All are `ClientError`.
"""

from labelstream.client.asking import Wishes
from labelstream.client.asynchronous import AsyncClient
from labelstream.client.errors import Away, Busy, ClientError, NotUnderstood, Problem, Refused
from labelstream.client.images import Image
from labelstream.client.questions import Portion
from labelstream.client.retrying import Retries
from labelstream.client.sync import Client
from labelstream.client.values import (
    Box,
    Detection,
    FileAnswer,
    Frame,
    Model,
    Models,
    Prediction,
    Schema,
    SchemaName,
)

__all__ = [
    "AsyncClient",
    "Away",
    "Box",
    "Busy",
    "Client",
    "ClientError",
    "Detection",
    "FileAnswer",
    "Frame",
    "Image",
    "Model",
    "Models",
    "NotUnderstood",
    "Portion",
    "Prediction",
    "Problem",
    "Refused",
    "Retries",
    "Schema",
    "SchemaName",
    "Wishes",
]
