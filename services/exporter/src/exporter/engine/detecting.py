"""What a model finds in images, asked through ultralytics' own predictor: its letterbox and suppression for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionPredictor

from exporter.engine.adapters.contract import MAX_DETECTIONS, Runner, UnbuildableError
from exporter.engine.agreement import Found
from exporter.engine.feeding import fed
from exporter.engine.pixels import read_pixels

FLOOR = 0.001  # a validation's: below it, nothing changes average precision any more


@dataclass(frozen=True)
class Asking:
    """How a model is asked."""

    model: Any  # the trained network
    side: int  # of the square, in pixels
    iou: float
    scratch: Path
    floor: float = FLOOR  # the least confidence that counts

    def trained(self, images: Sequence[Path]) -> Iterator[Found]:
        """Yield what the trained weights find in each image. Raises UnreadableImageError."""
        predictor = self._predictor(None)
        for image in images:
            yield from predictor.found_in([image])

    def exported(
        self, runner: Runner, taken: str, images: Sequence[Path], rows: Iterator[list[int]]
    ) -> Iterator[tuple[int, Found]]:
        """Yield what a built file finds, which takes what `taken` says; `rows`: the images that it gets at once.

        Images are letterboxed into the square, whatever their shape, so that every format sees the same pixels.
        """
        predictor = self._predictor(_Asked(runner, taken))
        for row in rows:
            yield from zip(row, predictor.found_in([images[number] for number in row]), strict=True)

    def _predictor(self, asked: _Asked | None) -> _Predictor:
        predictor = _Predictor(
            overrides={
                "task": "detect",
                "mode": "predict",
                "imgsz": self.side,
                "conf": self.floor,
                "iou": self.iou,
                "max_det": MAX_DETECTIONS,
                "rect": False,
                "device": "cpu",
                "save": False,
                "verbose": False,
                "save_dir": str(self.scratch / "predict"),
            }
        )
        predictor.setup_model(self.model, verbose=False)
        predictor.asked = asked
        return predictor


@dataclass(frozen=True)
class _Asked:
    """A built file, and what it takes."""

    runner: Runner
    taken: str


class _Predictor(DetectionPredictor):  # type: ignore[misc]  # ultralytics is untyped
    """Lets a runner answer in the network's place."""

    asked: _Asked | None = None

    def inference(self, im: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Answer letterboxed images (b, 3, side, side)."""
        if self.asked is None:
            return super().inference(im, *args, **kwargs)
        given = fed(im.numpy(), self.asked.taken)
        answer = torch.from_numpy(np.array(self.asked.runner.run(given)))  # a copy: it is changed in place
        if len(answer) != len(im):
            raise UnbuildableError(f"the file answers {len(answer)} of {len(im)} images")
        return answer

    def found_in(self, images: Sequence[Path]) -> list[Found]:
        """Return what is found in images that are asked about at once."""
        return [_found(result) for result in self([read_pixels(image) for image in images])]


def _found(result: Any) -> Found:
    boxes: torch.Tensor = result.boxes
    order = np.argsort(-boxes.conf.numpy(), kind="stable")
    height, width = result.orig_shape
    return Found(
        boxes=boxes.xyxy.numpy()[order].astype(np.float64),
        scores=boxes.conf.numpy()[order].astype(np.float64),
        classes=boxes.cls.numpy()[order].astype(np.int64),
        height=int(height),
        width=int(width),
    )
