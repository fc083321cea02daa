"""Asking the served model about the images that no training saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from labelstream.blobs.ports import Blobs
from labelstream.events.training import DatasetRef
from labelstream_cli.importers import Imported
from labelstream_cli.pictures import Marked
from labelstream_cli.predicting import Answer, Detection, ask_about, asking
from labelstream_cli.running import CommandFailed
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest

IOU = 0.5
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Compared:
    """A held-out image: what was annotated, and what the model found."""

    image: Imported
    truth: tuple[Marked, ...]
    answer: Answer

    @property
    def matched(self) -> int:
        """How many annotated boxes were found: same class, overlapping by at least IOU, each detection used once."""
        left = list(self.answer.detections)
        count = 0
        for box in self.truth:
            best = max((d for d in left if d.name == box.text), key=lambda d: iou(d.corners, box.corners), default=None)
            if best is not None and iou(best.corners, box.corners) >= IOU:
                left.remove(best)
                count += 1
        return count


async def test_names(data: Blobs, dataset: DatasetRef) -> list[str]:
    """Return the names of a dataset's test images, as its manifest has them."""
    description = DatasetDescription.from_json((await data.get(dataset.description.key)).data)
    if description.manifest is None:
        raise CommandFailed(f"the dataset {dataset.id} does not say where its manifest lies")
    manifest = Manifest.from_parquet((await data.get(description.manifest.key)).data)
    return sorted({row.name for row in manifest.rows(["test"])})


def compare(
    url: str, images: Iterable[Imported], classes: Sequence[str], told: Callable[[int], None]
) -> tuple[Compared, ...]:
    """Ask the inference service about each image. Raises CommandFailed."""
    compared: list[Compared] = []
    with asking(url) as client:
        for image in images:
            answer = ask_about(client, image.image_path)
            compared.append(Compared(image, _truth(image, classes), answer))
            told(len(compared))
    return tuple(compared)


def iou(one: Corners, other: Corners) -> float:
    """Return the overlap of two boxes: intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (_area(one) + _area(other) - shared) if shared else 0.0


def as_marked(found: Detection) -> Marked:
    """Return a detection as it is drawn."""
    return Marked(found.class_id, f"{found.name} {found.confidence:.0%}", found.corners)


def _truth(image: Imported, classes: Sequence[str]) -> tuple[Marked, ...]:
    with Image.open(image.image_path) as opened:
        width, height = opened.size
    return tuple(
        Marked(
            classes.index(box.name),
            box.name,
            ((box.x - box.w / 2) * width, (box.y - box.h / 2) * height,
             (box.x + box.w / 2) * width, (box.y + box.h / 2) * height),
        )
        for box in image.boxes
    )  # fmt: skip


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
