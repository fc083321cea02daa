"""Writing a materialised dataset in one of the forms."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from labelstream.values import SPLITS, Split
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.exports.forms import Azaion, Coco, Voc, Writer, Yolo
from labelstream_datasets.exports.samples import check, samples
from labelstream_datasets.exports.targets import Place, opened
from labelstream_datasets.layout.interrupted import MEDIA

Form = Literal["yolo", "coco", "voc", "azaion"]
FORMS: tuple[Form, ...] = get_args(Form)
Told = Callable[[int, int], None]  # (samples written, samples in all)


@dataclass(frozen=True)
class Exported:
    """What was written."""

    target: Path
    form: Form
    images: int
    boxes: int


def export(
    folder: Path,
    description: DatasetDescription,
    form: Form,
    target: Path,
    told: Told | None = None,
    *,
    variants: bool = True,
    splits: Sequence[Split] = SPLITS,
) -> Exported:
    """Write the dataset in `folder`, as `materialise` left it, to a new directory or a `.zip`.

    The target appears when it is whole. A zip's bytes are the same whenever it is made of the same dataset. Raises
    Misconfigured when the target is there already, when the folder holds something else, or when the form has no name
    for a class; Rejected when the disk is full.
    """
    check(folder, description, splits)
    total = sum(1 for _ in samples(folder, splits, variants=variants))
    images = boxes = 0
    media: list[tuple[str, str]] = []
    with opened(target) as place:
        writer = _writer(form, place, description, splits, variants=variants)
        for images, sample in enumerate(samples(folder, splits, variants=variants), 1):
            media += [(name, sample.medium) for name in writer.add(sample)]
            boxes += len(sample.boxes)
            if told is not None:
                told(images, total)
        writer.finish()
        place.write(MEDIA, _csv(media))
    return Exported(target, form, images, boxes)


def _writer(
    form: Form, place: Place, description: DatasetDescription, splits: Sequence[Split], *, variants: bool
) -> Writer:
    if form == "azaion":
        return Azaion(place, description, splits, with_variants=variants)
    made: dict[str, type[Yolo | Coco | Voc]] = {"yolo": Yolo, "coco": Coco, "voc": Voc}
    return made[form](place, description, splits)


def _csv(media: list[tuple[str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("image", "medium"), *media])
    return text.getvalue()
