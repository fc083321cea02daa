"""The trained network on the test split: one pass over its images, and one of the champion over the same."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import ops

from labelstream.classes import ClassSchema
from labelstream_yolo.architecture import Architecture, read_architecture
from labelstream_yolo.scoring.boxes import Detections, Image
from labelstream_yolo.scoring.measuring import Other, measured
from labelstream_yolo.scoring.summary import metrics_of
from labelstream_yolo.scoring.values import Tested
from labelstream_yolo.weights import load_model
from trainer.engine.contract import NetworkFiles, TrainingSpec
from trainer.engine.devices import settled

__all__ = ["metrics_of", "test_of"]

BATCH = 16  # images at once, where the recipe leaves it open
CONFIDENCE = 0.001  # a validation's: below it, nothing changes average precision any more


class Collector(DetectionValidator):  # type: ignore[misc]  # ultralytics is untyped
    """A validation, with its letterbox and its NMS, that keeps the boxes instead of counting them."""

    def init_metrics(self, model: Any) -> None:
        """Begin with no images."""
        super().init_metrics(model)
        self.images: list[Image] = []
        self.found: list[Detections] = []

    def update_metrics(self, preds: list[dict[str, Any]], batch: dict[str, Any]) -> None:
        """Keep the boxes of a batch, in pixels of the original images."""
        for number, pred in enumerate(preds):
            self.seen += 1
            truth = self._prepare_batch(number, batch)
            height, width = truth["ori_shape"]
            original = (truth["imgsz"], truth["bboxes"].clone(), truth["ori_shape"])
            true_corners = ops.scale_boxes(*original, ratio_pad=truth["ratio_pad"])
            self.images.append(
                Image(
                    name=Path(truth["im_file"]).name,
                    width=int(width),
                    height=int(height),
                    medium="",
                    corners=_array(true_corners).reshape(-1, 4),
                    class_ids=_array(truth["cls"]).astype(np.intp),
                )
            )
            scaled = self.scale_preds(pred, truth)
            self.found.append(
                Detections(
                    corners=_array(scaled["bboxes"]).reshape(-1, 4),
                    class_ids=_array(scaled["cls"]).astype(np.intp),
                    confidences=_array(scaled["conf"]),
                )
            )

    def get_stats(self) -> dict[str, Any]:
        """Return nothing: the boxes are scored together, later."""
        return {}

    def finalize_metrics(self) -> None:
        """Do nothing: there are no metrics."""

    def print_results(self) -> None:
        """Print nothing."""


def test_of(spec: TrainingSpec, architecture: Architecture, weights: Path, description: Path) -> Tested:
    """Measure the trained network on the test split, and the champion, if there is one, on the same images.

    `description` is the data.yaml of the dataset's folder. Each network sees each image once, on squares of its own
    image size, as it will be served. A champion that can't be read is said, and ends no training.
    """
    folder = spec.out_dir / "run" / "test"
    ours = collected(spec, load_model(weights, architecture), architecture.image_size, description, folder)
    media = media_of(spec.data / "media.csv")
    images = [replace(image, medium=media.get(image.name, "")) for image in ours.images]
    if spec.champion is None:
        return measured("test", architecture.names, images, ours.found)
    try:
        network = read_architecture(spec.champion.architecture)
        model = load_model(spec.champion.weights, network)
    except (OSError, ValueError, SafetensorError) as error:
        missing = f"the files of {spec.champion.id} can't be read: {error}"
        return measured("test", architecture.names, images, ours.found).model_copy(update={"champion_missing": missing})
    theirs = collected(spec, model, network.image_size, description, folder)
    other = in_classes_of(architecture.names, network.names, spec.champion, _like(images, theirs))
    return measured("test", architecture.names, images, ours.found, other)


def collected(spec: TrainingSpec, model: Any, image_size: int, description: Path, folder: Path) -> Collector:
    """Show `model` the test images, once each."""
    collector = Collector(
        save_dir=folder,
        args={
            "task": "detect",
            "mode": "val",
            "data": str(description),
            "split": "test",
            "imgsz": image_size,
            "batch": _batch(spec, image_size),
            "device": settled(spec.device).split(",", maxsplit=1)[0],
            "conf": CONFIDENCE,
            "rect": False,
            "plots": False,
            "verbose": False,
        },
    )
    # choosing the device sets the number of threads, so it is set again once that is done
    collector.callbacks["on_val_start"].append(lambda _: torch.set_num_threads(spec.recipe.threads))
    collector(model=model)
    return collector


def in_classes_of(
    names: Sequence[str], known: Sequence[str], model: NetworkFiles, found: Sequence[Detections]
) -> Other:
    """Return what a model found, in the classes called `names`: the same names are the same classes.

    Boxes of classes that are not among `names` are left out: there is no true box that they could meet.
    """
    schema = ClassSchema.model_construct(name="", version=1, classes=tuple(names))
    ours = np.array([class_id if (class_id := schema.id_of(name)) is not None else -1 for name in known])
    unknown = tuple(name for class_id, name in enumerate(names) if class_id not in ours)
    detections = []
    for some in found:
        class_ids = ours[some.class_ids]
        kept = class_ids >= 0
        detections.append(Detections(some.corners[kept], class_ids[kept], some.confidences[kept]))
    return Other(model.id, detections, unknown)


def media_of(path: Path) -> dict[str, str]:
    """Return which photo or video each image came from; nothing when the folder does not say."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row["image"]: row["medium"] for row in csv.DictReader(file)}


def _like(images: Sequence[Image], theirs: Collector) -> list[Detections]:
    """Return what was found in each of `images`, in their order."""
    by_name = {image.name: found for image, found in zip(theirs.images, theirs.found, strict=True)}
    return [by_name[image.name] for image in images]


def _batch(spec: TrainingSpec, image_size: int) -> int:
    """Return the batch of the training, or less where the images are larger than there."""
    batch = spec.adjustments.batch or spec.recipe.batch
    pixels = (image_size / spec.recipe.image_size) ** 2
    return max(1, int((batch if isinstance(batch, int) else BATCH) / max(pixels, 1)))


def _array(tensor: Any) -> Any:
    return tensor.cpu().numpy().astype(np.float64)
