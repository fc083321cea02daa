"""One image at a time: waits for a worker, decodes, detects with the model that is in service by then."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.answering.answers import TimingsMs
from inference.answering.wishes import Wishes
from inference.answering.workers import Workers
from inference.engine.detecting import Detected, detect
from inference.engine.geometry import Pixels
from inference.engine.tiling import Tiling
from inference.metrics import PREDICTIONS, STEPS
from inference.serving.models import Models, ServingModel
from inference.serving.ports import Observer
from labelstream.errors import Rejected


@dataclass(frozen=True)
class Answered:
    """What was found in an image, and by which model."""

    model: ServingModel
    detected: Detected
    timings_ms: TimingsMs


class NetworkFault(Exception):
    """A network failed over an image that had been decoded."""

    def __init__(self, model: ServingModel, error: Exception) -> None:
        super().__init__(f"{model.manifest.model}: {error}")
        self.model = model
        self.error = error


@dataclass(frozen=True)
class Predictor:
    """Answers for one image, whether it came alone, with others, or out of a video."""

    models: Models
    workers: Workers
    observers: Sequence[Observer] = ()
    tiling: Tiling | None = None  # of requests that don't say

    async def predict(
        self, read: Callable[[], Pixels], wishes: Wishes, *, deadline: float | None = None, patient: bool = False
    ) -> Answered:
        """Find what is in the image that `read` returns; it is called by a worker. Raises Rejected, Unavailable.

        deadline: when nobody waits for the answer any more, in seconds of `time.monotonic`.
        patient: wait for room in the queue, as one of many images of a request; else raise Busy at once.
        """
        begun = time.perf_counter()

        def work(alone: bool) -> Answered:
            return self._answer(read, wishes, begun, alone=alone)

        try:
            answered = await self.workers.run(work, deadline=deadline, patient=patient)
        except NetworkFault as fault:
            for observer in self.observers:
                observer.failed(fault.model, fault.error)
            raise fault.error from fault
        for observer in self.observers:
            observer.answered(answered.model, answered.detected)
        manifest = answered.model.manifest
        PREDICTIONS.labels(manifest.project, manifest.model).inc()
        for step, spent in answered.timings_ms:
            STEPS.labels(step).observe(spent / 1000)
        return answered

    def _answer(self, read: Callable[[], Pixels], wishes: Wishes, begun: float, *, alone: bool) -> Answered:
        mine = time.perf_counter()
        model = self.models.get(wishes.project, wishes.model)
        image = read()
        decoded = time.perf_counter()
        try:
            thresholds = wishes.thresholds(model.manifest.thresholds)
            detected = detect(model.engine, image, thresholds, alone=alone, tiling=wishes.tiling(self.tiling))
        except Rejected:
            raise
        except Exception as error:
            raise NetworkFault(model, error) from error
        spent = detected.timings_ms
        timings = TimingsMs(
            wait=round((mine - begun) * 1000, 3),
            decode=round((decoded - mine) * 1000, 3),
            pre_process=spent.pre_process,
            forward=spent.forward,
            post_process=spent.post_process,
        )
        return Answered(model, detected, timings)
