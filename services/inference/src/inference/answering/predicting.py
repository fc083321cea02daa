"""One image at a time: waits for a worker, decodes, detects with the model that is in service by then."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from inference.answering.drawing import draw
from inference.answering.wishes import Wishes
from inference.answering.workers import Workers
from inference.engine.detecting import Detected, detect
from inference.engine.geometry import Pixels
from inference.engine.tiling import Tiling
from inference.metrics import PREDICTIONS, STEPS
from inference.serving.models import Models, ServingModel
from inference.serving.ports import Observer
from inference.serving.sanity import check_sane
from labelstream.errors import Rejected


class NetworkFault(Exception):
    """A network failed over an image that had been decoded."""

    def __init__(self, model: ServingModel, error: Exception) -> None:
        super().__init__(f"{model.manifest.model}: {error}")
        self.model = model
        self.error = error


class Spent(NamedTuple):
    """Where the time of one image went, in milliseconds."""

    wait: float
    decode: float
    pre_process: float
    forward: float
    post_process: float


_STEPS = tuple(STEPS.labels(step) for step in Spent._fields)


@dataclass(frozen=True)
class Answered:
    """What was found in an image, and by which model."""

    model: ServingModel
    detected: Detected
    timings_ms: Spent
    drawn: bytes = b""  # the image with what was found, as a JPEG file, when it was asked for
    fault: NetworkFault | None = None  # of another model, which failed over the image before this one answered


@dataclass(frozen=True)
class Predictor:
    """Answers for one image, whether it came alone, with others, or out of a video."""

    models: Models
    workers: Workers
    observers: Sequence[Observer] = ()
    tiling: Tiling | None = None  # of requests that don't say

    async def predict(
        self,
        read: Callable[[], Pixels],
        wishes: Wishes,
        *,
        deadline: float | None = None,
        patient: bool = False,
        drawn: bool = False,
        left: Callable[[], Awaitable[None]] | None = None,
    ) -> Answered:
        """Find what is in the image that `read` returns; it is called by a worker. Raises Rejected, Unavailable.

        deadline: when nobody waits for the answer any more, in seconds of `time.monotonic`.
        patient: wait for room in the queue, as one of many images of a request; else raise Busy at once.
        drawn: draw what was found into the image.
        left: returns when the client has gone; raises ClientLeft when it does before the image had its turn.
        """
        begun = time.perf_counter()

        def work(alone: bool) -> Answered:
            return self._answer(read, wishes, begun, alone=alone, drawn=drawn)

        try:
            answered = await self.workers.run(work, deadline=deadline, patient=patient, left=left)
        except NetworkFault as fault:
            self._tell_of(fault)
            raise fault.error from fault
        if answered.fault is not None:
            self._tell_of(answered.fault)
        for observer in self.observers:
            observer.answered(answered.model, answered.detected, usual=wishes.usual)
        manifest = answered.model.manifest
        PREDICTIONS.labels(manifest.project, manifest.model).inc()
        for step, spent in zip(_STEPS, answered.timings_ms, strict=True):
            step.observe(spent / 1000)
        return answered

    def _tell_of(self, fault: NetworkFault) -> None:
        for observer in self.observers:
            observer.failed(fault.model, fault.error)

    def _answer(
        self, read: Callable[[], Pixels], wishes: Wishes, begun: float, *, alone: bool, drawn: bool
    ) -> Answered:
        mine = time.perf_counter()
        with self.models.using(wishes.project, wishes.model) as model:
            wishes.class_ids(model.manifest.class_schema)  # it may be another model than when the request came in
            image = read()
            decoded = time.perf_counter()
            used, detected, fault = self._detect(model, image, wishes, alone=alone)
        spent = detected.timings_ms
        timings = Spent(
            wait=round((mine - begun) * 1000, 3),
            decode=round((decoded - mine) * 1000, 3),
            pre_process=spent.pre_process,
            forward=spent.forward,
            post_process=spent.post_process,
        )
        picture = draw(image, detected.found, used.manifest.class_schema.classes) if drawn else b""
        return Answered(used, detected, timings, picture, fault)

    def _detect(
        self, model: ServingModel, image: Pixels, wishes: Wishes, *, alone: bool
    ) -> tuple[ServingModel, Detected, NetworkFault | None]:
        """Return what `model` finds, or the one that stands in for it when its network fails; and which one it was."""
        try:
            return model, self._look(model, image, wishes, alone=alone), None
        except NetworkFault as fault:
            if wishes.model is not None:
                raise
            with self.models.standing_in(model) as other:
                if other is None:
                    raise
                return other, self._look(other, image, wishes, alone=alone), fault

    def _look(self, model: ServingModel, image: Pixels, wishes: Wishes, *, alone: bool) -> Detected:
        defaults, schema = model.manifest.thresholds, model.manifest.class_schema
        try:
            thresholds, tiling = wishes.thresholds(defaults), wishes.tiling(self.tiling)
            detected = detect(model.engine, image, thresholds, alone=alone, tiling=tiling)
            check_sane(detected, model.manifest)
        except Rejected:
            raise
        except Exception as error:
            raise NetworkFault(model, error) from error
        return replace(detected, found=wishes.only(detected.found, defaults, schema)) if wishes.classes else detected
